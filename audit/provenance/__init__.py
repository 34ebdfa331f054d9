# SPDX-License-Identifier: Apache-2.0
"""Content Credentials (C2PA) on images: stamp them, and say exactly what a verifier finds. c2pa loads on first use."""

from __future__ import annotations

from audit.provenance.claim import Claim, Stamped
from audit.provenance.keys import DEVELOPMENT_LABEL, Chain, default_key_dir, development_chain, load_chain
from audit.provenance.stamp import Stamper
from audit.provenance.state import State
from audit.provenance.verify import Verified, verify_bytes, verify_many, verify_path

__all__ = [
    "DEVELOPMENT_LABEL",
    "Chain",
    "Claim",
    "Stamped",
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
