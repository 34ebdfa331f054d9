# SPDX-License-Identifier: Apache-2.0
"""A package that genaudit knows nothing of."""
