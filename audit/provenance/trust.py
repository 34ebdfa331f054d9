# SPDX-License-Identifier: Apache-2.0
"""Trust lists as files: which certificates vouch for signers, and which for time.

A list is a bundle of PEM certificates, or the JSON form in which C2PA publishes its lists (ETSI TS 119 602, lists of
trusted entities). Nothing is bundled and nothing is fetched: what is trusted is what the user names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from audit.errors import ConfigError

__all__ = ["ListInForce", "TrustKind", "TrustList", "distinct", "entries", "load_lists"]

#: What a list vouches for. "any" is for roots given without saying so: they count for signers and for time.
TrustKind: TypeAlias = Literal["signers", "timestamps", "any"]
_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_LISTED: Final = "/trusted"  # end of the status address of C2PA's lists; the other one ends in "/untrusted"
_HINT: Final = "give a PEM bundle of certificates, or a C2PA trust list in JSON"
_MAX_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ListInForce:
    """A trust list as a verdict records it.

    Attributes:
        name: of the list: as it calls itself, else its file's name.
        kind: see `TrustKind`.
        uri: as the library reports it.
        sha256: of the file.
        date: when the list was issued, where it says so; else when its file was last changed (UTC).
        certificates: how many vouch.
    """

    name: str
    kind: str
    uri: str
    sha256: str
    date: str | None
    certificates: int


@dataclass(frozen=True, slots=True)
class TrustList:
    """Certificates that vouch.

    Attributes:
        name: as the list calls itself, else its file's name.
        kind: see `TrustKind`.
        sha256: of the file (or text) it came from.
        certificates: how many vouch.
        expired: how many of them are past their end. They stay: they vouch for what was time-stamped before.
        untrusted: how many the list itself marks as no longer trusted; these are left out.
        date: when the list was issued, where it says so; else when its file was last changed (UTC).
        next_update: when the list says that it will be out of date.
        pem: the certificates that vouch.
    """

    name: str
    kind: TrustKind
    sha256: str
    certificates: int
    expired: int
    untrusted: int = 0
    date: str | None = None
    next_update: str | None = None
    pem: str = field(default="", repr=False)

    @property
    def uri(self) -> str:
        """Name of this very list for the library, which hands it back."""
        return f"urn:genaudit:{self.kind}:{self.sha256[:24]}"

    @property
    def record(self) -> ListInForce:
        """What a verdict says about the list."""
        return ListInForce(self.name, self.kind, self.uri, self.sha256, self.date, self.certificates)

    def stale(self, now: datetime) -> bool:
        """Whether the list says of itself that it is out of date at ``now``."""
        end = _time(self.next_update)
        return end is not None and now > end

    @classmethod
    def load(cls, path: Path | str, kind: TrustKind = "signers") -> Self:
        """Read a list.

        Raises:
            ConfigError: the file cannot be read, holds no certificate, or one of them is damaged.
        """
        path = Path(path).expanduser()
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ConfigError("is too large for a trust list", where=str(path), hint=_HINT)
            data = path.read_bytes()
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except OSError as error:
            raise ConfigError(f"trust list cannot be read: {error.strerror}", where=str(path), hint=_HINT) from None
        return cls._parse(data, name=path.name, kind=kind, where=str(path), changed=changed)

    @classmethod
    def of(cls, pem: str, kind: TrustKind = "any", *, name: str = "anchors") -> Self:
        """A list from PEM text.

        Raises:
            ConfigError: there is no certificate in it, or one is damaged.
        """
        return cls._parse(pem.encode("utf-8", "replace"), name=name, kind=kind, where=name, changed=None)

    @classmethod
    def _parse(cls, data: bytes, *, name: str, kind: TrustKind, where: str, changed: str | None) -> Self:
        described: Mapping[str, Any] = {}
        if data.lstrip()[:1] == b"{":
            described = _document(data, where)
            found, left_out = _of_document(described, where)
        else:
            found, left_out = _of_pem(data), 0
        parsed = [_certificate(der, f"{where}, certificate {index}") for index, der in enumerate(found, 1)]
        unique = list(dict.fromkeys(parsed))
        if not unique:
            raise ConfigError("no certificate in this trust list", where=where, hint=_HINT)
        now = datetime.now(UTC)
        return cls(
            name=_words(described.get("SchemeName")) or name,
            kind=kind,
            sha256=hashlib.sha256(data).hexdigest(),
            certificates=len(unique),
            expired=sum(now > certificate.not_valid_after_utc for certificate in unique),
            untrusted=left_out,
            date=_text(described.get("ListIssueDateTime")) or changed,
            next_update=_text(described.get("NextUpdate")),
            pem="".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in unique),
        )


def load_lists(signers: Iterable[Path] | None, timestamps: Iterable[Path] | None) -> list[TrustList]:
    """The lists in files: of who may sign, and of who may vouch for time. Raises ConfigError as `TrustList.load`."""
    return [
        *(TrustList.load(path, "signers") for path in signers or ()),
        *(TrustList.load(path, "timestamps") for path in timestamps or ()),
    ]


def distinct(lists: Iterable[TrustList], anchors: str | None = None) -> tuple[TrustList, ...]:
    """``lists``, and ``anchors`` (PEM text) as one more, each only once."""
    every = [*lists, *([_anchors(anchors)] if anchors else [])]
    return tuple({each.uri: each for each in every}.values())


@lru_cache(maxsize=32)
def entries(lists: tuple[TrustList, ...]) -> tuple[tuple[str, str, str], ...]:
    """``lists`` for the library: (PEM, uri, kind).

    It reports one list only, whatever its kind, where several hold the same certificate. So a certificate that vouches
    for signers is left out of the lists for time; who vouches for time is then asked again.
    """
    for_signers = {block for one in lists if one.kind != "timestamps" for block in _blocks(one.pem)}
    made = []
    for one in lists:
        blocks = _blocks(one.pem)
        kept = [block for block in blocks if block not in for_signers] if one.kind == "timestamps" else blocks
        if kept:
            made.append(("".join(kept), one.uri, "tsa" if one.kind == "timestamps" else "manifest"))
    return tuple(made)


def _blocks(pem: str) -> list[str]:
    end = "-----END CERTIFICATE-----\n"
    return [block + end for block in pem.split(end) if block]


@lru_cache(maxsize=32)
def _anchors(pem: str) -> TrustList:
    return TrustList.of(pem)


def _of_pem(data: bytes) -> list[bytes]:
    if data[:1] == b"\x30":  # one certificate in binary form (DER)
        return [data]
    blocks = _BLOCK.findall(data.decode("utf-8", "replace"))  # text between the certificates is a comment
    return [_decode("".join(block.split())) for block in blocks]


def _document(data: bytes, where: str) -> Mapping[str, Any]:
    """Head of a C2PA list with its entities under "entities"."""
    try:
        whole = json.loads(data)["LoTE"]
        return {**whole["ListAndSchemeInformation"], "entities": list(whole["TrustedEntitiesList"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError("is JSON, but not a list of trusted entities", where=where, hint=_HINT) from None


def _of_document(described: Mapping[str, Any], where: str) -> tuple[list[bytes], int]:
    """Certificates that the list trusts, and how many it lists as no longer trusted."""
    found: list[bytes] = []
    left_out = 0
    try:
        for status, values in _services(described["entities"]):
            if status.endswith(_LISTED):
                found += [_decode(value) for value in values]
            else:
                left_out += len(values)
    except (KeyError, TypeError, AttributeError):
        raise ConfigError("an entry of this trust list lacks its certificate", where=where, hint=_HINT) from None
    return found, left_out


def _services(entities: Iterable[Any]) -> Iterator[tuple[str, list[str]]]:
    for entity in entities:
        for service in entity["TrustedEntityServices"]:
            about = service["ServiceInformation"]
            identity = about["ServiceDigitalIdentity"]
            yield str(about["ServiceStatus"]), [str(item["val"]) for item in identity.get("X509Certificates") or ()]


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""  # no certificate either: refused with its number


def _certificate(der: bytes, where: str) -> x509.Certificate:
    try:
        with warnings.catch_warnings():  # old roots break rules that only warn
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            certificate.not_valid_after_utc  # noqa: B018 - parsed only when asked for
            return certificate
    except ValueError:
        raise ConfigError("cannot be read as a certificate", where=where, hint=_HINT) from None


def _words(value: Any) -> str | None:
    """First text of a multilingual string: ``[{"lang": ..., "value": ...}]``."""
    items = value if isinstance(value, list) else []
    return next((_text(item.get("value")) for item in items if isinstance(item, Mapping)), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
