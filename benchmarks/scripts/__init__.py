# SPDX-License-Identifier: Apache-2.0
"""What one would write without genaudit, as plainly as one would: the peers of the harness benchmark."""
