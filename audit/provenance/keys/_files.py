# SPDX-License-Identifier: Apache-2.0
"""Read certificates, keys and passwords from files, so that whatever is wrong with one of them has a name."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from audit.errors import ConfigError
from audit.provenance.keys._findings import KeyRuleError
from audit.provenance.keys._rules import RULES

__all__ = [
    "PASSWORD",
    "PASSWORD_FILE",
    "certificates_from",
    "is_legacy",
    "locked",
    "others_can_read",
    "password",
    "read_certificates",
    "read_key",
    "write_private",
]

#: Environment variables with the password of an encrypted key, or with the file that holds it.
PASSWORD: Final = "GENAUDIT_KEY_PASSWORD"  # noqa: S105 - the name of a variable
PASSWORD_FILE: Final = "GENAUDIT_KEY_PASSWORD_FILE"  # noqa: S105 - the name of a variable
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LEGACY: Final = (b"-----BEGIN EC PRIVATE KEY-----", b"-----BEGIN RSA PRIVATE KEY-----")


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order. Raises KeyRuleError."""
    return certificates_from(_read(path, "certificate.missing"), where=str(path))


def certificates_from(pem: bytes, *, where: str) -> list[x509.Certificate]:
    """The certificates in PEM text. Raises KeyRuleError where there is none, or one cannot be read to its end."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        for certificate in found:
            _ = certificate.extensions, certificate.public_key()  # read only now, and may be damaged
    except (ValueError, UnsupportedAlgorithm) as error:
        # Only the reader knows which byte is wrong; a user sees that most often with a file of another kind.
        detail = " ".join(str(error).split())[:120]
        finding = RULES["certificate.unreadable"].broken(f"no readable certificate in this file ({detail})")
        raise KeyRuleError(finding, where=where) from None
    return found


def read_key(path: Path, *, secret: bytes | None = None, exposed: bool = False) -> Any:
    """The private key of a PEM file: PKCS#8, SEC1 or PKCS#1, encrypted or not.

    Args:
        path: the file.
        secret: password, used only where the key is encrypted; None: from the environment.
        exposed: read the key even if others can.

    Raises:
        KeyRuleError: the file cannot be read, others can read it, the password is missing or wrong, or there is no key.
        ConfigError: the file of the password cannot be read.
    """
    data = _read(path, "key.missing")
    if not exposed and (mode := others_can_read(path)) is not None:
        raise _broken(
            "key.exposed", f"the private key can be read by others (mode {mode:04o})", path, f"chmod 600 {path}"
        )
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError:
        return _decrypt(data, secret if secret is not None else password(), path)
    except (ValueError, UnsupportedAlgorithm):
        raise _broken("key.unreadable", "no readable private key in this file", path) from None


def _decrypt(data: bytes, secret: bytes | None, path: Path) -> Any:
    if not secret:
        raise _broken("key.encrypted", "the private key is encrypted, and no password is given", path)
    try:
        return serialization.load_pem_private_key(data, password=secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        message = "the private key is encrypted, and the password does not open it"
        raise _broken("key.encrypted", message, path, f"check {PASSWORD} or the file in {PASSWORD_FILE}") from None


def password(file: Path | None = None) -> bytes | None:
    """The password of encrypted keys: of ``file``, else of the environment; None where there is none.

    Raises:
        ConfigError: the file cannot be read, or can be read by others.
    """
    if file is None:
        if value := os.environ.get(PASSWORD):
            return value.encode("utf-8", "surrogateescape")
        if not (name := os.environ.get(PASSWORD_FILE)):
            return None
        file = Path(name).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        hint = f"name a file that holds nothing but the password in {PASSWORD_FILE}"
        raise ConfigError(f"the password cannot be read: {error.strerror}", where=str(file), hint=hint) from None
    if (mode := others_can_read(file)) is not None:
        message = f"the password can be read by others (mode {mode:04o})"
        raise ConfigError(message, where=str(file), hint=f"chmod 600 {file}")
    return content.removesuffix(b"\n").removesuffix(b"\r")


def others_can_read(path: Path) -> int | None:
    """The file's mode if group or others may do anything with it, else None; None where there are no such modes."""
    if os.name != "posix":
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    return mode if mode & _OTHERS else None


def is_legacy(data: bytes) -> bool:
    """Whether the PEM text is SEC1 or PKCS#1, which the C2PA library itself does not read."""
    return any(start in data for start in _LEGACY)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; only its owner can read it."""
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
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; makes the folder (mode 0700) where it is missing."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        hint = "set GENAUDIT_HOME to a folder that can be written, or provenance.keys to a chain of your own"
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


def _read(path: Path, rule: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _broken(rule, f"file of the key folder cannot be read: {error.strerror}", path) from None


def _broken(rule: str, message: str, path: Path, hint: str | None = None) -> KeyRuleError:
    return KeyRuleError(RULES[rule].broken(message, hint), where=str(path))
