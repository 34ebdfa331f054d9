# SPDX-License-Identifier: Apache-2.0
"""A time stamp authority for trials: RFC 3161 answers, signed by a development certificate that nobody trusts.

Structures: RFC 3161 section 2.4 (request, TSTInfo, response), RFC 5652 section 5 (SignedData), RFC 5035 section 4
(signingCertificateV2).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import randbits
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from audit.provenance.keys import _der as der
from audit.provenance.keys._certificates import LIFETIME, ROOT_LIFETIME, development_name, key_usage, start_certificate

__all__ = ["Authority", "answer", "issue_authority"]

_TST_INFO: Final = der.object_identifier("1.2.840.113549.1.9.16.1.4")
_SIGNED_DATA: Final = der.object_identifier("1.2.840.113549.1.7.2")
_CONTENT_TYPE: Final = der.object_identifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST: Final = der.object_identifier("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE: Final = der.object_identifier("1.2.840.113549.1.9.16.2.47")
_SHA256: Final = der.sequence(der.object_identifier("2.16.840.1.101.3.4.2.1"))
_ECDSA_SHA256: Final = der.sequence(der.object_identifier("1.2.840.10045.4.3.2"))
# 2.999 is set aside for examples: a policy that promises nothing.
_POLICY: Final = der.object_identifier("2.999.1")
_DIGESTS: Final = {  # OBJECT IDENTIFIER, size of the digest
    der.object_identifier("2.16.840.1.101.3.4.2.1"): 32,
    der.object_identifier("2.16.840.1.101.3.4.2.2"): 48,
    der.object_identifier("2.16.840.1.101.3.4.2.3"): 64,
}
_GRANTED, _REJECTION = 0, 2
_BAD_ALGORITHM, _BAD_FORMAT = 0, 5


@dataclass(frozen=True, slots=True)
class Authority:
    """Who stamps.

    Attributes:
        certificate: of the authority.
        key: its private key (EC P-256).
    """

    certificate: x509.Certificate
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Request:
    imprint: bytes
    nonce: bytes | None
    certificates: bool


def issue_authority(now: datetime) -> tuple[bytes, bytes, bytes]:
    """Make a root and a time stamp authority under it; the root's key is thrown away.

    Args:
        now: valid from one day before to one year after.

    Returns:
        Certificate of the authority, its key (PKCS#8), the root, all PEM.
    """
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = development_name("Development time stamp root")
    root = (
        start_certificate(root_name, root_name, root_key.public_key(), now, ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    name = development_name("Development time stamp authority")
    certificate = (
        start_certificate(name, root_name, key.public_key(), now, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature"), critical=True)
        # RFC 3161 section 2.3: this usage alone, and critical.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), plain, root.public_bytes(pem)


def answer(request: bytes, authority: Authority, *, now: datetime | None = None) -> bytes:
    """The TimeStampResp for a TimeStampReq, both DER; a request that cannot be served is answered with a rejection.

    Args:
        request: as it came in.
        authority: who signs.
        now: the time to vouch for; default: the clock.
    """
    try:
        asked = _read(request)
    except LookupError:
        return _reject("the digest must be SHA-256, SHA-384 or SHA-512", _BAD_ALGORITHM)
    except ValueError:
        return _reject("this is not a time stamp request", _BAD_FORMAT)
    now = now or datetime.now(UTC)
    nonce = (asked.nonce,) if asked.nonce else ()
    info = der.sequence(
        der.integer(1), _POLICY, asked.imprint, der.integer(randbits(64)), der.generalized_time(now), *nonce
    )
    return der.sequence(der.sequence(der.integer(_GRANTED)), _signed(info, authority, certificates=asked.certificates))


def _read(request: bytes) -> _Request:
    """Raises ValueError for malformed bytes, LookupError for a digest we do not know."""
    ((tag, content, _),) = der.children(request)
    version, imprint, *rest = der.children(content)
    if tag != der.SEQUENCE or version[0] != der.INTEGER or der.to_integer(version[1]) != 1:
        raise ValueError("no TimeStampReq of version 1")
    algorithm, digest = der.children(imprint[1])
    if _DIGESTS[next(der.children(algorithm[1]))[2]] != len(digest[1]):
        raise ValueError("the digest has the wrong length")
    nonce = next((whole for kind, _, whole in rest if kind == der.INTEGER), None)
    return _Request(imprint[2], nonce, any(kind == der.BOOLEAN and value != b"\0" for kind, value, _ in rest))


def _signed(info: bytes, authority: Authority, *, certificates: bool) -> bytes:
    """ContentInfo with the SignedData (version 3, since the content is no plain data) around ``info``."""
    whole = authority.certificate.public_bytes(serialization.Encoding.DER)
    attributes = (
        der.sequence(_CONTENT_TYPE, der.set_of(_TST_INFO)),
        der.sequence(_MESSAGE_DIGEST, der.set_of(der.octets(hashlib.sha256(info).digest()))),
        der.sequence(_SIGNING_CERTIFICATE, der.set_of(_certificate_id(whole))),
    )
    together = der.set_of(*attributes)
    signature = authority.key.sign(together, ec.ECDSA(hashes.SHA256()))
    issuer = der.sequence(authority.certificate.issuer.public_bytes(), der.integer(authority.certificate.serial_number))
    implicit = der.context(0, b"".join(sorted(attributes)))
    signer = der.sequence(der.integer(1), issuer, _SHA256, implicit, _ECDSA_SHA256, der.octets(signature))
    carried = (der.context(0, whole),) if certificates else ()
    content = der.sequence(_TST_INFO, der.context(0, der.octets(info)))
    data = der.sequence(der.integer(3), der.set_of(_SHA256), content, *carried, der.set_of(signer))
    return der.sequence(_SIGNED_DATA, der.context(0, data))


def _certificate_id(certificate: bytes) -> bytes:
    """SigningCertificateV2; SHA-256 is its default digest and therefore left out."""
    return der.sequence(der.sequence(der.sequence(der.octets(hashlib.sha256(certificate).digest()))))


def _reject(why: str, failure: int) -> bytes:
    info = der.tlv(0x03, bytes([7 - failure, 0x80 >> failure]))  # a named bit list without trailing zeros
    return der.sequence(der.sequence(der.integer(_REJECTION), der.sequence(der.tlv(0x0C, why.encode())), info))
