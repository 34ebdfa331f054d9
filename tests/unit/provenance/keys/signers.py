# SPDX-License-Identifier: Apache-2.0
"""What a user's module with keys may look like; the key and certificates come from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from audit.provenance.keys import FolderKeys

NOT_KEYS = 7


def folder() -> Path:
    return Path(os.environ["TEST_SIGNERS"])


def sign(data: bytes) -> bytes:
    key = serialization.load_pem_private_key((folder() / "key.pem").read_bytes(), password=None)
    return key.sign(data, ec.ECDSA(hashes.SHA256()))  # type: ignore[union-attr, call-arg, arg-type]


class Vault:
    """Duck-typed: signs, and knows its certificates."""

    def __init__(self) -> None:
        self.certificates = folder() / "chain.pem"

    def sign(self, data: bytes) -> bytes:
        return sign(data)


def source() -> FolderKeys:
    return FolderKeys(folder())


def failing() -> None:
    raise RuntimeError("the vault is sealed")


class NoChain:
    def load(self) -> str:
        return "no chain"
