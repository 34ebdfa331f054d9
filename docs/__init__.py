# SPDX-License-Identifier: Apache-2.0
"""Generated pages of the documentation."""
