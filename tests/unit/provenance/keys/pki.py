# SPDX-License-Identifier: Apache-2.0
"""A certification authority for tests, and signing without more of the tool than the keys."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit.provenance._engine import settings
from audit.provenance.keys import _certificates as certificates
from audit.provenance.keys.check import _tiny
from audit.provenance.keys.signing import Outcome, SigningContext

NOW = datetime.now(UTC).replace(microsecond=0)
PEM = serialization.Encoding.PEM


def pem(*chain: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(PEM) for c in chain)


@dataclass
class Made:
    """A root, an intermediate and a signer made by hand, with whatever one wants wrong about them."""

    signer: x509.Certificate
    key: Any
    intermediate: x509.Certificate
    root: x509.Certificate
    root_key: Any

    def write(self, folder: Path, *chain: x509.Certificate, key: bytes | None = None) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "chain.pem").write_bytes(pem(*(chain or (self.signer, self.intermediate))))
        (folder / "key.pem").write_bytes(certificates.to_pkcs8(self.key) if key is None else key)
        (folder / "key.pem").chmod(0o600)
        return folder


def name(common: str, organisation: str | None = "Own Org") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    return x509.Name(parts + ([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []))


def authority(common: str, issuer: x509.Name | None, signing_key: Any, key: Any, ca: bool = True) -> x509.Certificate:
    return (
        certificates.start_certificate(name(common), issuer or name(common), key.public_key(), NOW, timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(certificates.key_usage("key_cert_sign" if ca else "digital_signature"), critical=True)
        .sign(signing_key, hashes.SHA256())
    )


def make(
    *,
    key: Any = None,
    eku: tuple[x509.ObjectIdentifier, ...] | None = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    usage: tuple[str, ...] | None = ("digital_signature",),
    usage_critical: bool = True,
    aki: bool = True,
    ca: bool = False,
    self_signed: bool = False,
    start: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=90),
    organisation: str | None = "Own Org",
    intermediate_ca: bool = True,
    extra: tuple[x509.ExtensionType, ...] = (),
    digest: hashes.HashAlgorithm | None = None,
) -> Made:
    root_key, middle_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    key = key or ec.generate_private_key(ec.SECP256R1())
    root = authority("Own Root", None, root_key, root_key)
    middle = authority("Own Intermediate", root.subject, root_key, middle_key, ca=intermediate_ca)
    issuer_key = key if self_signed else middle_key
    subject = name("Own Signer", organisation)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if self_signed else middle.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(certificates.key_usage(*usage), critical=usage_critical)
    if eku is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    if aki:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    for one in extra:
        builder = builder.add_extension(one, critical=False)
    signer = builder.sign(issuer_key, digest or hashes.SHA256())
    return Made(signer, key, middle, root, root_key)


CLAIM = {
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
                    }
                ]
            },
        }
    ]
}
PLAIN = {"builder": {"thumbnail": {"enabled": False}}}


def embed(context: Any) -> bytes:
    """Sign a tiny image with a context of the library."""
    import c2pa

    out = io.BytesIO()
    with c2pa.Builder(CLAIM, context=context) as builder:
        builder.sign("image/png", io.BytesIO(_tiny()), out)
    return out.getvalue()


def signed(context: SigningContext) -> Outcome[bytes]:
    return context.sign(embed, where="image 1")


def read(data: bytes, *, root: bytes | None = None, tsa_root: bytes | None = None) -> tuple[str, set[str], dict]:
    """State, all codes of the active manifest, and what is said of the signature."""
    import c2pa

    texts = {"anchors": root.decode() if root else None, "tsa_anchors": tsa_root.decode() if tsa_root else None}
    with (
        c2pa.Context.from_dict(settings({}, **texts)) as context,
        c2pa.Reader("image/png", io.BytesIO(data), context=context) as reader,
    ):
        store = json.loads(reader.json())
    results = store["validation_results"]["activeManifest"]
    codes = {item["code"] for kind in ("success", "informational", "failure") for item in results[kind]}
    return store["validation_state"], codes, store["manifests"][store["active_manifest"]]["signature_info"]
