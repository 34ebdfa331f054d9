# SPDX-License-Identifier: Apache-2.0
"""A time stamp authority of one's own on this machine, for trials; trusted by nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit.provenance.keys._authority import Authority, answer, issue_authority
from audit.provenance.keys._certificates import DEVELOPMENT_LABEL
from audit.provenance.keys._files import locked, read_certificates, read_key, write_private
from audit.provenance.keys._findings import KeyRuleError
from audit.provenance.keys._loopback import Loopback, Post, serve
from audit.provenance.keys._rules import RULES
from audit.provenance.keys._x509 import day, shown_issuer
from audit.provenance.keys.chain import default_key_dir

__all__ = ["DevelopmentAuthority", "development_authority", "serve_authority"]

_CERTIFICATE: Final = "tsa.pem"
_KEY: Final = "tsa-key.pem"
_ROOT: Final = "tsa-root.pem"
_REPLY: Final = "application/timestamp-reply"


@dataclass(frozen=True, slots=True)
class DevelopmentAuthority:
    """A development time stamp authority.

    Attributes:
        folder: holds ``tsa.pem``, ``tsa-key.pem`` and ``tsa-root.pem``.
        authority: certificate and key.
        root: PEM of what a verifier has to trust for time stamps.
        expires: end of the certificate's validity, UTC.
    """

    folder: Path
    authority: Authority = field(repr=False)
    root: bytes = field(repr=False)
    expires: datetime


def development_authority(folder: Path | None = None, *, now: datetime | None = None) -> DevelopmentAuthority:
    """The authority in ``folder``, made on first use and renewed when it has expired.

    Args:
        folder: default: `default_key_dir`.
        now: default: the clock.

    Raises:
        ConfigError: the folder cannot be written, or what it holds cannot be used.
    """
    folder, now = folder or default_key_dir(), now or datetime.now(UTC)
    with locked(folder):
        if _must_be_made(folder, now):
            made, key, root = issue_authority(now)
            for name, content in ((_ROOT, root), (_KEY, key), (_CERTIFICATE, made)):
                write_private(folder / name, content)
        certificate = read_certificates(folder / _CERTIFICATE)[0]
        if now > certificate.not_valid_after_utc:
            message = f"the time stamp authority's certificate expired on {day(certificate.not_valid_after_utc)}"
            raise KeyRuleError(RULES["certificate.expired"].broken(message), where=str(folder / _CERTIFICATE))
        authority = Authority(certificate, read_key(folder / _KEY))
        trusted = (folder / _ROOT).read_bytes() if (folder / _ROOT).is_file() else b""
        return DevelopmentAuthority(folder, authority, trusted, certificate.not_valid_after_utc)


def serve_authority(found: DevelopmentAuthority, *, port: int = 0) -> Loopback:
    """Answer time stamp requests at ``http://127.0.0.1:PORT/`` until the process ends, or `shutdown` is called.

    Args:
        found: who stamps.
        port: 0: any free one; the result's ``url`` tells.

    Raises:
        ConfigError: the port cannot be used.
    """

    def stamp(request: bytes) -> Post:
        return Post(200, _REPLY, answer(request, found.authority))

    return serve({"/": stamp}, port=port)


def _must_be_made(folder: Path, now: datetime) -> bool:
    if not (folder / _CERTIFICATE).exists():
        return not (folder / _KEY).exists()
    certificate = read_certificates(folder / _CERTIFICATE)[0]
    return shown_issuer(certificate) == DEVELOPMENT_LABEL and now > certificate.not_valid_after_utc
