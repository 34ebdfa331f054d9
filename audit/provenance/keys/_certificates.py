# SPDX-License-Identifier: Apache-2.0
"""How a development chain is made, and which C2PA algorithm a key signs with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

__all__ = [
    "ACCEPTED_EKUS",
    "CLAIM_SIGNING",
    "DEVELOPMENT_LABEL",
    "DOCUMENT_SIGNING",
    "LIFETIME",
    "ROOT_LIFETIME",
    "algorithm",
    "development_name",
    "issue_development",
    "key_usage",
    "start_certificate",
    "to_pkcs8",
]

DEVELOPMENT_LABEL: Final = "genaudit development chain - not trusted"
CLAIM_SIGNING: Final = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
#: A signer needs one of these extended key usages. By default the library accepts only the first, so contexts list all.
ACCEPTED_EKUS: Final = (ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENT_SIGNING, CLAIM_SIGNING)
LIFETIME: Final = timedelta(days=365)
ROOT_LIFETIME: Final = timedelta(days=3650)
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_USAGES: Final = (
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
Pem: TypeAlias = bytes


def issue_development(now: datetime) -> tuple[Pem, Pem, Pem]:
    """Make a fresh root and a signer under it; the root's key is thrown away.

    Args:
        now: the chain is valid from one day before (clocks differ) to one year after.

    Returns:
        Signer certificate, signer key (PKCS#8), root certificate, all PEM.
    """
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = development_name("Development root")
    root = (
        start_certificate(root_name, root_name, root_key.public_key(), now, ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        start_certificate(development_name("Development signer"), root_name, key.public_key(), now, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return signer.public_bytes(pem), to_pkcs8(key), root.public_bytes(pem)


def development_name(common: str) -> x509.Name:
    """A name whose organisation says what it is."""
    # The organisation is what every verifier shows as the issuer, so the label goes there.
    parts = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, DEVELOPMENT_LABEL))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def key_usage(*on: str) -> x509.KeyUsage:
    """The key usage extension with these usages and no other."""
    return x509.KeyUsage(**{usage: usage in on for usage in _USAGES})


def start_certificate(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    """A certificate without usages, valid from one day before ``now``."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def to_pkcs8(key: Any) -> Pem:
    """A private key as unencrypted PKCS#8 PEM, the only form that the C2PA library reads."""
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


def algorithm(key: Any) -> str | None:
    """Name of the C2PA signature algorithm for a private or public key, None where there is none."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ED25519"
    return "PS256" if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) and key.key_size >= 2048 else None
