# SPDX-License-Identifier: Apache-2.0
"""Content Credentials (C2PA) on images: stamp them, and say exactly what a verifier finds. c2pa loads on first use."""

from __future__ import annotations

from audit.provenance.chain import DEVELOPMENT_LABEL, Chain, default_key_dir, development_chain, load_chain
from audit.provenance.stamp import Claim, Stamper
from audit.provenance.verify import State, Verified, verify_bytes, verify_many, verify_path

__all__ = [
    "DEVELOPMENT_LABEL",
    "Chain",
    "Claim",
    "Stamper",
    "State",
    "Verified",
    "default_key_dir",
    "development_chain",
    "load_chain",
    "verify_bytes",
    "verify_many",
    "verify_path",
]
