# SPDX-License-Identifier: Apache-2.0
"""The certificate chain that signs credentials: a user's own, or a development chain made on first use.

A key folder holds ``chain.pem`` (the signer's certificate, then its issuers), ``key.pem`` (the signer's key, readable
by its owner only) and, for a development chain, ``root.pem`` (what a verifier would have to trust).
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from audit.errors import ConfigError
from audit.paths import config_dir
from audit.provenance.keys._certificates import DEVELOPMENT_LABEL, algorithm, broken_rule, issue_development, to_pkcs8

__all__ = ["DEVELOPMENT_LABEL", "Chain", "default_key_dir", "development_chain", "load_chain"]

_CHAIN: Final = "chain.pem"
_KEY: Final = "key.pem"
_ROOT: Final = "root.pem"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Chain:
    """A usable chain.

    Attributes:
        folder: where it was read from.
        certificates: PEM, signer first.
        key: the signer's private key, unencrypted PKCS#8 PEM; kept out of ``repr``.
        algorithm: C2PA name, e.g. "ES256".
        signer: organisation (or common name) that verifiers show as the issuer.
        expires: end of the signer's validity, UTC.
        development: made by this tool, and trusted by nobody.
        root: PEM of the root, where the folder has one.
    """

    folder: Path
    certificates: bytes = field(repr=False)
    key: bytes = field(repr=False)
    algorithm: str
    signer: str
    expires: datetime
    development: bool
    root: bytes | None = field(repr=False)


def default_key_dir() -> Path:
    """The folder of the development chain: ``$GENAUDIT_HOME/keys``, else ``~/.config/genaudit/keys``."""
    return config_dir() / "keys"


def load_chain(folder: Path, *, now: datetime | None = None) -> Chain:
    """Read and check a chain; nothing is written.

    Args:
        folder: holds ``chain.pem`` and ``key.pem``.
        now: time of signing; default: the clock.

    Raises:
        ConfigError: a file cannot be read, the key is readable by others, or a rule of C2PA is broken (named).
    """
    certificates = _certificates(folder / _CHAIN)
    key = _private_key(folder / _KEY)
    rule = broken_rule(certificates, key, now or datetime.now(UTC))
    if rule is not None:
        hint = "use a certificate and key that C2PA accepts, or leave provenance.key_dir out for a development chain"
        raise ConfigError(rule, where=str(folder / _CHAIN), hint=hint)
    root = folder / _ROOT
    return Chain(
        folder=folder,
        certificates=b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates),
        key=to_pkcs8(key),
        algorithm=str(algorithm(key)),
        signer=_organisation(certificates[0]),
        expires=certificates[0].not_valid_after_utc,
        development=_organisation(certificates[0]) == DEVELOPMENT_LABEL,
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
    with _locked(folder):
        if _must_be_made(folder, now):
            _make(folder, now)
        return load_chain(folder, now=now)


def _must_be_made(folder: Path, now: datetime) -> bool:
    if not (folder / _CHAIN).exists():
        # A key without its certificate is somebody's key: load_chain says what is missing.
        return not (folder / _KEY).exists()
    signer = _certificates(folder / _CHAIN)[0]
    return _organisation(signer) == DEVELOPMENT_LABEL and now > signer.not_valid_after_utc


def _make(folder: Path, now: datetime) -> None:
    chain, key, root = issue_development(now)
    # chain.pem comes last: without it the folder does not count as made.
    for name, content in ((_ROOT, root), (_KEY, key), (_CHAIN, chain)):
        _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; makes the folder (mode 0700) where it is missing."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        hint = "set GENAUDIT_HOME to a folder that can be written, or provenance.key_dir to a chain of your own"
        raise ConfigError(f"key folder cannot be written: {error.strerror}", where=str(folder), hint=hint) from None
    try:
        _flock(lock)
        yield
    finally:
        os.close(lock)  # releases the lock


def _flock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # no advisory locks on this platform: files are still replaced atomically
        return
    fcntl.flock(handle, fcntl.LOCK_EX)


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError:
        hint = "expected PEM certificates (-----BEGIN CERTIFICATE-----), the signer's first"
        raise ConfigError("no readable certificate in this file", where=str(path), hint=hint) from None


def _private_key(path: Path) -> Any:
    data = _read(path)
    if os.name == "posix" and (mode := stat.S_IMODE(path.stat().st_mode)) & _OTHERS:
        message = f"the private key can be read by others (mode {mode:04o})"
        raise ConfigError(message, where=str(path), hint=f"chmod 600 {path}")
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError:
        hint = f"openssl pkcs8 -topk8 -nocrypt -in {path.name} -out plain.pem"
        raise ConfigError("the private key is encrypted", where=str(path), hint=hint) from None
    except ValueError:
        hint = "expected an unencrypted PEM private key (-----BEGIN PRIVATE KEY-----)"
        raise ConfigError("no readable private key in this file", where=str(path), hint=hint) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        hint = f"a key folder holds {_CHAIN} and {_KEY}"
        raise ConfigError(
            f"file of the key folder cannot be read: {error.strerror}", where=str(path), hint=hint
        ) from None


def _organisation(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        if found := certificate.subject.get_attributes_for_oid(oid):
            return str(found[0].value)
    return certificate.subject.rfc4514_string()
