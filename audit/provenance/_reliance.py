# SPDX-License-Identifier: Apache-2.0
"""What we rely on in the C2PA library, as questions that one small picture and a throw-away chain can answer.

Each of these has changed between two of its minor versions, is undocumented, or is a choice of its makers that could
change: which key usages are accepted, where assertions of the caller go, what a broken parent does to the verdict.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from audit.images import encode_png
from audit.provenance._engine import GENERATION, SPEC_VERSION, library, settings
from audit.provenance._strict import defects
from audit.provenance.keys._certificates import (
    CLAIM_SIGNING,
    development_name,
    key_usage,
    start_certificate,
    to_pkcs8,
)

__all__ = ["Reliance", "answers"]

_PNG: Final = "image/png"
_SOURCE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_LABEL: Final = "urn:c2pa:00000000-0000-4000-8000-000000000001"
_CREATE: Final = {"create": "trainedAlgorithmicMedia"}
_CREATED: Final = {"action": "c2pa.created", "digitalSourceType": _SOURCE}
# Nothing listens on the discard port of this machine, and nobody is to call it.
_REMOTE: Final = "http://127.0.0.1:9/none.c2pa"
_UNTRUSTED: Final = "signingCredential.untrusted"
_MISMATCH: Final = "assertion.dataHash.mismatch"


@dataclass(frozen=True, slots=True)
class Reliance:
    """One thing that we rely on.

    Attributes:
        name: of what is relied on.
        expected: what has to be found.
        found: what was found.
    """

    name: str
    expected: str
    found: str


class _Lab:
    """A root, signers with other key usages under it, and one unsigned picture."""

    def __init__(self) -> None:
        import numpy as np

        self.now = datetime.now(UTC)
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        name = development_name("Self-test root")
        root = start_certificate(name, name, self.root_key.public_key(), self.now, timedelta(days=2))
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        root = root.add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        self.root = root.sign(self.root_key, hashes.SHA256())
        self.anchors = self.root.public_bytes(serialization.Encoding.PEM).decode()
        self.picture = encode_png(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))

    def signer(self, *usages: x509.ObjectIdentifier) -> Any:
        """A signer of the library whose certificate has these extended key usages."""
        c2pa = library()
        key = ec.generate_private_key(ec.SECP256R1())
        name = development_name("Self-test signer")
        builder = start_certificate(name, self.root.subject, key.public_key(), self.now, timedelta(days=1))
        builder = builder.add_extension(key_usage("digital_signature"), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.root_key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        pem = builder.sign(self.root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, pem, to_pkcs8(key), None))

    def sign(self, data: bytes, *, intent: Any = _CREATE, how: Mapping[str, Any] | None = None) -> tuple[bytes, Any]:
        """The signed file and what the library returned.

        ``how``: ``usages`` of the certificate, ``actions``, and whether the credentials are ``remote``.
        """
        c2pa, how = library(), how or {}
        builder_settings = {
            "thumbnail": {"enabled": False},
            "claim_generator_info": {"name": "genaudit", "version": "0", "specVersion": SPEC_VERSION},
            "intent": intent,
            "actions": {"all_actions_included": True},
            "created_assertion_labels": ["c2pa.actions", "c2pa.ingredient", GENERATION],
        }
        usages = how.get("usages", (ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING))
        context = c2pa.Context.from_dict(settings({"builder": builder_settings}), signer=self.signer(*usages))
        manifest = {
            "title": "self-test",
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": how.get("actions", [_CREATED])}},
                {"label": GENERATION, "data": {"seed": str(2**64)}},
            ],
        }
        if intent is _CREATE:
            manifest["label"] = _LABEL
        sink = io.BytesIO()
        with c2pa.Builder(manifest, context=context) as builder:
            if how.get("remote"):
                builder.set_no_embed()
                builder.set_remote_url(_REMOTE)
            returned = builder.sign(_PNG, io.BytesIO(data), sink)
        return sink.getvalue(), returned

    def read(self, data: bytes, *, trusted: bool) -> dict[str, Any]:
        """What the library says, with its rubric record under ``crjson``."""
        c2pa = library()
        context = c2pa.Context.from_dict(settings({}, anchors=self.anchors if trusted else None))
        with c2pa.Reader(_PNG, io.BytesIO(data), context=context) as reader:
            said: dict[str, Any] = json.loads(reader.json())
            return {**said, "crjson": json.loads(reader.crjson())}


def answers() -> Iterator[Reliance]:
    """Ask everything; about 25 ms once the library is loaded.

    Raises:
        ConfigError: the library cannot be loaded.
    """
    library()
    lab = _Lab()
    signed: list[bytes] = []
    yield from _asked(lambda: _signing(lab, signed), "signing with a development chain")
    if signed:
        yield from _asked(lambda: _verifying(lab, signed[0]), "verifying a fresh signature")
        yield from _asked(lambda: _parents(lab, signed[0]), "verifying an edit of a changed picture")
    yield from _asked(lambda: _refusals(lab), "signing with other certificates")


def _asked(questions: Callable[[], Iterator[Reliance]], what: str) -> Iterator[Reliance]:
    try:
        yield from questions()
    except Exception as error:  # noqa: BLE001 - a library that has changed can fail in any way, and that is the answer
        yield Reliance(what, "works", f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")


def _signing(lab: _Lab, signed: list[bytes]) -> Iterator[Reliance]:
    data, returned = lab.sign(lab.picture)
    signed.append(data)
    embedded = isinstance(returned, bytes) and returned in data
    yield Reliance("signing returns the embedded manifest store", "yes", _yes(embedded))
    yield Reliance(
        "a signed file is written in the strict form", "no defects", ", ".join(defects(data, _PNG)) or "no defects"
    )
    manifest = lab.read(data, trusted=False)["crjson"]["manifests"][0]
    claim = manifest["claim.v2"]
    yield Reliance("the label of a manifest is the one we choose", _LABEL, str(manifest["label"]))
    gathered = [item["url"] for item in claim.get("gathered_assertions") or ()]
    yield Reliance("the signer vouches for all assertions", "none gathered", ", ".join(gathered) or "none gathered")
    version = (claim.get("claim_generator_info") or {}).get("specVersion")
    yield Reliance("the version of the specification is kept", SPEC_VERSION, str(version))
    thumbnails = [label for label in manifest["assertions"] if "thumbnail" in label]
    yield Reliance("thumbnails stay off", "none", ", ".join(thumbnails) or "none")


def _verifying(lab: _Lab, data: bytes) -> Iterator[Reliance]:
    unknown = lab.read(data, trusted=False)
    yield Reliance("without anchors nobody is trusted", f"Valid {_UNTRUSTED}", _verdict(unknown))
    yield Reliance("an anchor makes trust", "Trusted", _verdict(lab.read(data, trusted=True)))
    changed = lab.read(_changed(data), trusted=True)
    yield Reliance("a changed pixel is noticed", f"Invalid {_MISMATCH}", _verdict(changed))


def _parents(lab: _Lab, data: bytes) -> Iterator[Reliance]:
    edited, _ = lab.sign(_changed(data), intent="edit", how={"actions": [{"action": "c2pa.edited.metadata"}]})
    said = lab.read(edited, trusted=True)
    manifest = said["manifests"][said["active_manifest"]]
    results = [i.get("validation_results") or {} for i in manifest.get("ingredients") or ()]
    failures = [code for result in results for code in _failures(result)]
    # The state is blind to this, so we judge by the record; if either changes, our verdicts change.
    recorded = _MISMATCH if _MISMATCH in failures else ", ".join(failures) or "nothing"
    found = f"{said.get('validation_state')}, recorded: {recorded}"
    yield Reliance("a changed parent is on record, and only there", f"Trusted, recorded: {_MISMATCH}", found)


def _refusals(lab: _Lab) -> Iterator[Reliance]:
    for name, usages, expected in (
        ("certificates for e-mail sign", (ExtendedKeyUsageOID.EMAIL_PROTECTION,), "signs"),
        ("certificates for C2PA claims sign", (CLAIM_SIGNING,), "signs"),
        ("certificates without extended key usage do not sign", (), "refused"),
    ):
        yield Reliance(name, expected, _outcome(lab, {"usages": usages}))
    bound = [_CREATED, {"action": "c2pa.watermarked.bound"}]
    yield Reliance("a bound watermark needs a soft binding", "refused", _outcome(lab, {"actions": bound}))
    yield from _asked(lambda: _remote(lab), "reading a file whose credentials are elsewhere")


def _outcome(lab: _Lab, how: Mapping[str, Any]) -> str:
    with suppress(library().C2paError):
        lab.sign(lab.picture, how=how)
        return "signs"
    return "refused"


def _remote(lab: _Lab) -> Iterator[Reliance]:
    data, _ = lab.sign(lab.picture, how={"remote": True})
    found = "read"
    try:
        lab.read(data, trusted=False)
    except library().C2paError as error:
        found = "not fetched" if "must fetch remote" in str(error) else f"tried to fetch: {str(error)[:120]}"
    yield Reliance("credentials elsewhere are not fetched", "not fetched", found)


def _changed(data: bytes) -> bytes:
    at = data.rfind(b"IDAT") + 12
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _failures(results: Mapping[str, Any]) -> list[str]:
    return [item["code"] for item in (results.get("activeManifest") or {}).get("failure") or ()]


def _verdict(said: Mapping[str, Any]) -> str:
    return " ".join([str(said.get("validation_state")), *sorted(_failures(said.get("validation_results") or {}))])


def _yes(value: bool) -> str:
    return "yes" if value else "no"
