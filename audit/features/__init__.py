# SPDX-License-Identifier: Apache-2.0
"""Features of pictures: resized as the field does, read ahead of the network, and kept so that none is embedded twice.

Importing this loads no torch; networks and kernels that need it import it on first use.
"""

from __future__ import annotations

from audit.features.ahead import ahead
from audit.features.extract import Extractor, embed_files, embed_pictures
from audit.features.resize import KERNELS, Preparation
from audit.features.store import FeatureStore, Identity, store_size

__all__ = [
    "KERNELS",
    "Extractor",
    "FeatureStore",
    "Identity",
    "Preparation",
    "ahead",
    "embed_files",
    "embed_pictures",
    "store_size",
]
