# SPDX-License-Identifier: Apache-2.0
"""Who signs: certificate chains and private keys, wherever the key lives, and time stamps."""

from __future__ import annotations

from audit.provenance.keys._findings import Finding, KeyRuleError, Level
from audit.provenance.keys.chain import DEVELOPMENT_LABEL, Chain, default_key_dir, development_chain, load_chain
from audit.provenance.keys.external import CallbackKeys, CommandKeys
from audit.provenance.keys.signing import Outcome, SigningContext, native_signer, raised
from audit.provenance.keys.source import DevelopmentKeys, FolderKeys, ImportedKeys, KeySource, keys_from
from audit.provenance.keys.timestamps import TimeStamps

__all__ = [
    "DEVELOPMENT_LABEL",
    "CallbackKeys",
    "Chain",
    "CommandKeys",
    "DevelopmentKeys",
    "Finding",
    "FolderKeys",
    "ImportedKeys",
    "KeyRuleError",
    "KeySource",
    "Level",
    "Outcome",
    "SigningContext",
    "TimeStamps",
    "default_key_dir",
    "development_chain",
    "keys_from",
    "load_chain",
    "native_signer",
    "raised",
]
