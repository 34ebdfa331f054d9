# SPDX-License-Identifier: Apache-2.0
"""How good the images are."""
