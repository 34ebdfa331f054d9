# SPDX-License-Identifier: Apache-2.0
"""Who signs: certificate chains and private keys, wherever the key lives, and time stamps."""

from __future__ import annotations

from audit.provenance.keys.chain import DEVELOPMENT_LABEL, Chain, default_key_dir, development_chain, load_chain
from audit.provenance.keys.source import DevelopmentKeys, FolderKeys, KeySource, TimeStamps, native_signer

__all__ = [
    "DEVELOPMENT_LABEL",
    "Chain",
    "DevelopmentKeys",
    "FolderKeys",
    "KeySource",
    "TimeStamps",
    "default_key_dir",
    "development_chain",
    "load_chain",
    "native_signer",
]
