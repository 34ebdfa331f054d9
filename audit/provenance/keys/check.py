# SPDX-License-Identifier: Apache-2.0
"""Which rules a chain and its key break, all of them, and whether the C2PA library really signs with them."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit.errors import AuditError, ConfigError
from audit.provenance._engine import library
from audit.provenance.keys._certificates import DEVELOPMENT_LABEL, algorithm, to_pkcs8
from audit.provenance.keys._files import (
    certificates_from,
    is_legacy,
    others_can_read,
    password,
    read_certificates,
    read_key,
)
from audit.provenance.keys._findings import Facts, Finding, KeyRuleError, Level
from audit.provenance.keys._rules import RULES, findings
from audit.provenance.keys._x509 import day, shown_issuer
from audit.provenance.keys.chain import Chain
from audit.provenance.keys.signing import SigningContext
from audit.provenance.keys.source import keys_from

__all__ = ["Checked", "check"]

_CLAIM: Final = {
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty",
                    }
                ]
            },
        }
    ]
}
_SETTINGS: Final = {"builder": {"thumbnail": {"enabled": False}}}


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on a chain.

    Attributes:
        where: what was looked at.
        findings: broken rules, errors first.
        certificates: how many the chain has; 0 where none can be read.
        signer: what verifiers show as the issuer, None where no certificate can be read.
        algorithm: C2PA name, None where there is none.
        expires: day on which the signer's certificate ends.
        key: whether a private key was looked at, or a function or program was asked to sign.
        milliseconds: that signing a tiny image took, None where it was not tried or failed.
        refusal: what the library or signer said when it was tried and failed, else None.
    """

    where: str
    findings: tuple[Finding, ...]
    certificates: int = 0
    signer: str | None = None
    algorithm: str | None = None
    expires: str | None = None
    key: bool = False
    milliseconds: float | None = None
    refusal: str | None = None

    @property
    def signs(self) -> bool:
        """Whether the chain can sign, as far as was looked."""
        return self.refusal is None and all(finding.level is not Level.ERROR for finding in self.findings)


def check(
    path: Path | str,
    *,
    key: Path | None = None,
    at: datetime | None = None,
    anchors: bytes | None = None,
    password_file: Path | None = None,
) -> Checked:
    """Check a chain against the C2PA certificate profile; nothing is written.

    Args:
        path: a folder with ``chain.pem`` and ``key.pem``, a PEM file with the chain (and perhaps the key), or
            ``command:...`` or ``callable:...`` as for `keys_from`.
        key: PEM file of the key; default: the folder's, or in the chain's file.
        at: time of signing; default: the clock. The library itself is only tried where this is left out.
        anchors: PEM of roots that verifiers trust; default: the folder's ``root.pem``, where there is one.
        password_file: of an encrypted key, as for `FolderKeys`.

    Returns:
        Every broken rule. Files that cannot be read are findings, too.

    Raises:
        ConfigError: the anchors, or the file of the password, cannot be read.
    """
    trusted = certificates_from(anchors, where="anchors") if anchors is not None else []
    if str(path).startswith(("command:", "callable:")):
        return _foreign(str(path), at, trusted)
    path = Path(path)
    chain_file = path / "chain.pem" if path.is_dir() else path
    key_file = key or (path / "key.pem" if path.is_dir() else None)
    if key_file is None and _has_key(chain_file):
        key_file = chain_file
    if anchors is None and path.is_dir() and (path / "root.pem").is_file():
        trusted = read_certificates(path / "root.pem")  # what the folder itself says a verifier has to trust
    secret = password(password_file) if password_file else None
    return _Look(chain_file, key_file, at, trusted).result(secret)


class _Look:
    """One check of files, gathering findings as it goes."""

    def __init__(self, chain: Path, key: Path | None, at: datetime | None, anchors: Sequence[x509.Certificate]) -> None:
        self._chain, self._key, self._at, self._anchors = chain, key, at, anchors
        self._found: list[Finding] = []

    def result(self, secret: bytes | None) -> Checked:
        certificates = self._certificates()
        key = self._private(secret)
        if not certificates:
            return Checked(str(self._chain), _sorted(self._found), key=key is not None)
        self._found += findings(Facts(certificates, key, self._at or datetime.now(UTC), self._anchors))
        milliseconds, refusal = None, None
        if key is not None and self._at is None and not any(f.level is Level.ERROR for f in self._found):
            milliseconds, refusal = _try(_usable(certificates, key, self._chain))
        return Checked(
            str(self._chain),
            _sorted(self._found),
            **_about(certificates),
            key=key is not None,
            milliseconds=milliseconds,
            refusal=refusal,
        )

    def _certificates(self) -> list[x509.Certificate]:
        try:
            return read_certificates(self._chain)
        except KeyRuleError as error:
            self._found.append(error.finding)
            return []

    def _private(self, secret: bytes | None) -> Any:
        if self._key is None:
            return None
        try:
            found = read_key(self._key, secret=secret, exposed=True)
        except KeyRuleError as error:
            self._found.append(error.finding)
            return None
        if (mode := others_can_read(self._key)) is not None:
            message = f"the private key can be read by others (mode {mode:04o})"
            self._found.append(RULES["key.exposed"].broken(message, f"chmod 600 {self._key}"))
        if _has_key(self._chain):
            self._found.append(RULES["key.together"].broken(f"{self._chain.name} holds a private key"))
        if is_legacy(self._key.read_bytes()):
            message = "the key is SEC1 or PKCS#1: read here, but not by the C2PA library itself"
            self._found.append(RULES["key.legacy"].broken(message))
        return found


def _foreign(text: str, at: datetime | None, anchors: Sequence[x509.Certificate]) -> Checked:
    """A signer behind a program or function: its certificates, and one signature."""
    try:
        chain = keys_from(text).load()
    except KeyRuleError as error:
        return Checked(text, (error.finding,))
    certificates = certificates_from(chain.certificates, where=text)
    found = findings(Facts(certificates, None, at or datetime.now(UTC), anchors))
    milliseconds, refusal = _try(chain) if at is None else (None, None)
    about = _about(certificates) | {"algorithm": chain.algorithm}
    return Checked(text, _sorted(found), **about, key=True, milliseconds=milliseconds, refusal=refusal)


def _about(certificates: Sequence[x509.Certificate]) -> dict[str, Any]:
    signer = certificates[0]
    return {
        "certificates": len(certificates),
        "signer": shown_issuer(signer),
        "algorithm": algorithm(signer.public_key()),
        "expires": day(signer.not_valid_after_utc),
    }


def _usable(certificates: Sequence[x509.Certificate], key: Any, where: Path) -> Chain:
    signer = shown_issuer(certificates[0])
    return Chain(
        folder=where,
        certificates=b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates),
        key=to_pkcs8(key),
        algorithm=str(algorithm(key)),
        signer=signer,
        expires=certificates[0].not_valid_after_utc,
        development=signer == DEVELOPMENT_LABEL,
        root=None,
    )


def _try(chain: Chain) -> tuple[float | None, str | None]:
    """Sign a tiny image in memory: milliseconds it took, or what was said. No authority is asked for the time."""
    try:
        c2pa = library()
    except ConfigError:
        return None, None  # the rules stand without it
    image = _tiny()

    def work(context: Any) -> None:
        with c2pa.Builder(_CLAIM, context=context) as builder:
            builder.sign("image/png", io.BytesIO(image), io.BytesIO())

    try:
        context = SigningContext(_SETTINGS, chain, use_tsa=False)
        start = time.perf_counter()
        context.sign(work, where=chain.where)
        return (time.perf_counter() - start) * 1000, None
    except AuditError as error:
        return None, error.message
    except c2pa.C2paError as error:
        return None, " ".join(str(error).split())[:300]


def _tiny() -> bytes:
    """A grey PNG of one pixel."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    )
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def _has_key(path: Path) -> bool:
    try:
        return b"PRIVATE KEY-----" in path.read_bytes()
    except OSError:
        return False


def _sorted(found: Any) -> tuple[Finding, ...]:
    order = list(RULES)
    return tuple(sorted(found, key=lambda finding: order.index(finding.rule)))
