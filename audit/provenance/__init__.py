# SPDX-License-Identifier: Apache-2.0
"""Content Credentials (C2PA) on images: stamp them, and say exactly what a verifier finds. c2pa loads on first use."""

from __future__ import annotations

from audit.provenance.claim import Claim, Stamped
from audit.provenance.keys import (
    DEVELOPMENT_LABEL,
    CallbackKeys,
    Chain,
    CommandKeys,
    FolderKeys,
    KeySource,
    TimeStamps,
    default_key_dir,
    development_chain,
    keys_from,
    load_chain,
)
from audit.provenance.recover import Recovered, recover
from audit.provenance.stamp import Stamper
from audit.provenance.state import State
from audit.provenance.store import ManifestStore
from audit.provenance.trust import TrustList
from audit.provenance.verify import Limits, Verified, verify_bytes, verify_many, verify_path

__all__ = [
    "DEVELOPMENT_LABEL",
    "CallbackKeys",
    "Chain",
    "Claim",
    "CommandKeys",
    "FolderKeys",
    "KeySource",
    "Limits",
    "ManifestStore",
    "Recovered",
    "Stamped",
    "Stamper",
    "State",
    "TimeStamps",
    "TrustList",
    "Verified",
    "default_key_dir",
    "development_chain",
    "keys_from",
    "load_chain",
    "recover",
    "verify_bytes",
    "verify_many",
    "verify_path",
]
