# SPDX-License-Identifier: Apache-2.0
"""genaudit: an audit of image generators whose numbers can be argued about.

Importing this package pulls in no torch, ray, streamlit or c2pa.
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
