# SPDX-License-Identifier: Apache-2.0
"""Who is shown, against who was declared."""
