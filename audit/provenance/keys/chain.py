# SPDX-License-Identifier: Apache-2.0
"""The certificate chain that signs credentials: a user's own, or a development chain made on first use.

A key folder holds ``chain.pem`` (the signer's certificate, then its issuers), ``key.pem`` (the signer's key, readable
by its owner only, encrypted or not) and, for a development chain, ``root.pem`` (what a verifier would have to trust).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from audit.paths import config_dir
from audit.provenance.keys._certificates import DEVELOPMENT_LABEL, algorithm, issue_development, to_pkcs8
from audit.provenance.keys._files import locked, password, read_certificates, read_key, write_private
from audit.provenance.keys._findings import KeyRuleError
from audit.provenance.keys._rules import broken_rule
from audit.provenance.keys._x509 import shown_issuer

__all__ = ["DEVELOPMENT_LABEL", "Chain", "default_key_dir", "development_chain", "load_chain"]

_CHAIN: Final = "chain.pem"
_KEY: Final = "key.pem"
_ROOT: Final = "root.pem"


@dataclass(frozen=True, slots=True)
class Chain:
    """A usable chain.

    Attributes:
        folder: where it was read from, None where it does not come from a folder.
        certificates: PEM, signer first.
        key: the signer's private key, unencrypted PKCS#8 PEM; kept out of ``repr``. None where ``sign`` signs.
        algorithm: C2PA name, e.g. "ES256".
        signer: organisation (or common name) that verifiers show as the issuer.
        expires: end of the signer's validity, UTC.
        development: made by this tool, and trusted by nobody.
        root: PEM of the root, where the folder has one.
        sign: bytes to be signed in, signature out; None where ``key`` signs.
        tsa_url: time stamp authority that the signer itself names, None where it names none.
        source: what a user wrote to get it, for messages.
    """

    folder: Path | None
    certificates: bytes = field(repr=False)
    key: bytes | None = field(repr=False)
    algorithm: str
    signer: str
    expires: datetime
    development: bool
    root: bytes | None = field(repr=False)
    sign: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    tsa_url: str | None = None
    source: str = ""

    @property
    def where(self) -> str:
        """Folder or source, for messages."""
        return str(self.folder) if self.folder is not None else self.source


def default_key_dir() -> Path:
    """The folder of the development chain: ``$GENAUDIT_HOME/keys``, else ``~/.config/genaudit/keys``."""
    return config_dir() / "keys"


def load_chain(folder: Path, *, now: datetime | None = None, password_file: Path | None = None) -> Chain:
    """Read and check a chain; nothing is written.

    Args:
        folder: holds ``chain.pem`` and ``key.pem``.
        now: time of signing; default: the clock.
        password_file: holds the password of an encrypted key; default: ``$GENAUDIT_KEY_PASSWORD``, else the file in
            ``$GENAUDIT_KEY_PASSWORD_FILE``.

    Raises:
        KeyRuleError: (a ConfigError) a file cannot be read, the key is readable by others or encrypted, or a rule of
            C2PA is broken; its ``rule`` names it.
        ConfigError: the password cannot be read.
    """
    certificates = read_certificates(folder / _CHAIN)
    key = read_key(folder / _KEY, secret=password(password_file) if password_file else None)
    broken = broken_rule(certificates, key, now or datetime.now(UTC))
    if broken is not None:
        raise KeyRuleError(broken, where=str(folder / _CHAIN))
    root = folder / _ROOT
    signer = shown_issuer(certificates[0])
    return Chain(
        folder=folder,
        certificates=b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates),
        key=to_pkcs8(key),
        algorithm=str(algorithm(key)),
        signer=signer,
        expires=certificates[0].not_valid_after_utc,
        development=signer == DEVELOPMENT_LABEL,
        root=root.read_bytes() if root.is_file() else None,
    )


def development_chain(folder: Path | None = None, *, now: datetime | None = None) -> Chain:
    """The development chain in ``folder``, made or renewed where needed.

    Safe when several processes ask at once: one makes it, the others read it. A chain that this tool did not make is
    used as it is and never replaced.

    Args:
        folder: default: `default_key_dir`.
        now: time of signing; default: the clock.

    Raises:
        ConfigError: the folder cannot be written, or what it holds cannot be used.
    """
    folder = folder or default_key_dir()
    now = now or datetime.now(UTC)
    with locked(folder):
        if _must_be_made(folder, now):
            _make(folder, now)
        return load_chain(folder, now=now)


def _must_be_made(folder: Path, now: datetime) -> bool:
    if not (folder / _CHAIN).exists():
        # A key without its certificate is somebody's key: load_chain says what is missing.
        return not (folder / _KEY).exists()
    signer = read_certificates(folder / _CHAIN)[0]
    return shown_issuer(signer) == DEVELOPMENT_LABEL and now > signer.not_valid_after_utc


def _make(folder: Path, now: datetime) -> None:
    chain, key, root = issue_development(now)
    # chain.pem comes last: without it the folder does not count as made.
    for name, content in ((_ROOT, root), (_KEY, key), (_CHAIN, chain)):
        write_private(folder / name, content)
