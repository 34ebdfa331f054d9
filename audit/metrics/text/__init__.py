# SPDX-License-Identifier: Apache-2.0
"""Words in pictures, against the words asked for."""
