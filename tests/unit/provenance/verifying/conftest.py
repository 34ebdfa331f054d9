# SPDX-License-Identifier: Apache-2.0
"""Signed files made with the C2PA library alone, so that a slip of our stamper cannot hide one of our verifier."""

from __future__ import annotations

import http.server
import io
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

PEM = serialization.Encoding.PEM
AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "HEIC": "image/heic",
    "JXL": "image/jxl",
}
EKUS = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.62558.2.1"


def _usage(*on: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in on for name in names})


@dataclass(frozen=True)
class Authority:
    """A root that issues certificates."""

    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    @classmethod
    def make(cls, organisation: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Root", organisation)
        builder = _builder(name, name, key.public_key(), timedelta(days=3650))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    def issue(
        self, organisation: str, *, purpose: Any = ExtendedKeyUsageOID.EMAIL_PROTECTION, life: timedelta | None = None
    ) -> tuple[Any, x509.Certificate]:
        stamping = purpose == ExtendedKeyUsageOID.TIME_STAMPING
        key = rsa.generate_private_key(65537, 2048) if stamping else ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            _name("Signer", organisation), self.certificate.subject, key.public_key(), life or timedelta(days=365)
        )
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage("digital_signature"), True),
            (x509.ExtendedKeyUsage([purpose]), stamping),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return key, builder.sign(self.key, hashes.SHA256())


def _name(common: str, organisation: str) -> x509.Name:
    parts = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _builder(subject: x509.Name, issuer: x509.Name, public: Any, life: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _pkcs8(key: Any) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclass(frozen=True)
class Signer:
    """Signs with the library."""

    key: Any
    certificate: x509.Certificate

    def sign(
        self,
        data: bytes,
        kind: str = "PNG",
        *,
        manifest: dict[str, Any] | None = None,
        edit: bool = False,
        stamp: str | None = None,
        remote: str | None = None,
        embed: bool = True,
        **settings: Any,
    ) -> bytes:
        import c2pa

        info = c2pa.C2paSignerInfo(
            c2pa.C2paSigningAlg.ES256, self.certificate.public_bytes(PEM), _pkcs8(self.key), stamp
        )
        made = {
            "version": 1,
            "trust": {"trust_config": EKUS},
            "verify": {"remote_manifest_fetch": False},
            "builder": {
                "thumbnail": {"enabled": False},
                "created_assertion_labels": ["c2pa.actions", "c2pa.ingredient"],
                "intent": "edit" if edit else {"create": "trainedAlgorithmicMedia"},
            },
            **settings,
        }
        context = c2pa.Context.from_dict(made, signer=c2pa.Signer.from_info(info))
        out = io.BytesIO()
        with c2pa.Builder(manifest or (EDITED if edit else created()), context=context) as builder:
            if remote:
                builder.set_remote_url(remote)
            if not embed:
                builder.set_no_embed()
            builder.sign(TYPES[kind], io.BytesIO(data), out)
        return out.getvalue()


def created(source: str = AI, *more: dict[str, Any], title: str = "t") -> dict[str, Any]:
    action = {
        "action": "c2pa.created",
        "digitalSourceType": source,
        "when": "2026-11-22T06:00:00Z",
        "softwareAgent": {"name": "a-model", "version": "1"},
    }
    data = {"actions": [action], "allActionsIncluded": True}
    return {"title": title, "assertions": [{"label": "c2pa.actions.v2", "data": data}, *more]}


EDITED = {
    "title": "edited",
    "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.edited.metadata"}]}}],
}


@pytest.fixture(scope="session")
def manifest() -> Callable[..., dict[str, Any]]:
    return created


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """An unsigned file."""

    def make(kind: str = "PNG", seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind)
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.make("Good Signers Inc")


@pytest.fixture(scope="session")
def signer(authority: Authority) -> Signer:
    return Signer(*authority.issue("A Studio"))


@pytest.fixture(scope="session")
def stranger() -> Signer:
    """Signs under a root of its own making, in somebody else's name."""
    return Signer(*Authority.make("Nobody").issue("OpenAI OpCo, LLC"))


@dataclass(frozen=True)
class Clock:
    """A time stamp authority on this machine."""

    url: str
    root: str


_TSA = """[tsa]
default_tsa = here
[here]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    """RFC 3161 answers by OpenSSL, which has nothing to do with us or with the C2PA library."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command")
    folder: Path = tmp_path_factory.mktemp("tsa")
    root = Authority.make("Times Ltd")
    key, certificate = root.issue("Times Ltd", purpose=ExtendedKeyUsageOID.TIME_STAMPING)
    (folder / "tsa.pem").write_bytes(certificate.public_bytes(PEM))
    (folder / "key.pem").write_bytes(_pkcs8(key))
    (folder / "serial").write_text("01")
    (folder / "tsa.cnf").write_text(_TSA.format(folder=folder))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["content-length"])))
            command = [openssl, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)
            reply = (folder / "reply").read_bytes()
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Clock(f"http://127.0.0.1:{server.server_port}", root.pem)
    server.shutdown()
    thread.join()
    server.server_close()
