# SPDX-License-Identifier: Apache-2.0
"""Certificates that C2PA accepts: how a development chain is made, and which rule a user's chain breaks.

Rules: C2PA technical specification 2.2, section 14.5 (X.509 certificate profiles). The library answers every broken
rule with one and the same sentence, so each is checked here first and named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

__all__ = ["ACCEPTED_EKUS", "DEVELOPMENT_LABEL", "algorithm", "broken_rule", "issue_development", "to_pkcs8"]

DEVELOPMENT_LABEL: Final = "genaudit development chain - not trusted"
CLAIM_SIGNING: Final = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
#: A signer needs one of these extended key usages. By default the library accepts only the first, so contexts list all.
ACCEPTED_EKUS: Final = (ExtendedKeyUsageOID.EMAIL_PROTECTION, DOCUMENT_SIGNING, CLAIM_SIGNING)
LIFETIME: Final = timedelta(days=365)
_ROOT_LIFETIME: Final = timedelta(days=3650)
_WANTED: Final = "emailProtection, documentSigning or C2PA claim signing"
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
    root_name = _name("Development root")
    root = (
        _builder(root_name, root_name, root_key.public_key(), now, _ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        _builder(_name("Development signer"), root_name, key.public_key(), now, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return signer.public_bytes(pem), to_pkcs8(key), root.public_bytes(pem)


def _name(common: str) -> x509.Name:
    # The organisation is what every verifier shows as the issuer, so the label goes there.
    parts = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, DEVELOPMENT_LABEL))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _key_usage(*on: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in on for usage in _USAGES})


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
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
    """Name of the C2PA signature algorithm for a private key, None where there is none."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _CURVES.get(key.curve.name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    return "PS256" if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048 else None


def broken_rule(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> str | None:
    """The first rule that a chain breaks, in words; None if C2PA will accept it.

    Args:
        chain: signer first, then its issuers.
        key: the signer's private key.
        now: time of signing.
    """
    return next((found for rule in _RULES if (found := rule(chain, key, now)) is not None), None)


def _is_signer(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> str | None:  # noqa: ARG001
    constraints = _extension(chain[0], x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        return "the first certificate is a CA certificate; the signer's own certificate must come first"
    return None


def _key_fits(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> str | None:  # noqa: ARG001
    if algorithm(key) is None:
        return "the key must be EC P-256, P-384 or P-521, Ed25519, or RSA of at least 2048 bits"
    if _spki(key.public_key()) != _spki(chain[0].public_key()):
        return "the private key does not belong to the first certificate"
    return None


def _in_time(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> str | None:  # noqa: ARG001
    for index, certificate in enumerate(chain):
        if now > certificate.not_valid_after_utc:
            return f"certificate {index + 1} expired on {_day(certificate.not_valid_after_utc)}"
        if now < certificate.not_valid_before_utc:
            return f"certificate {index + 1} is not valid before {_day(certificate.not_valid_before_utc)}"
    return None


def _usages(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> str | None:  # noqa: ARG001
    usage = _extension(chain[0], x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        return "the signer's certificate lacks key usage digitalSignature"
    extended = _extension(chain[0], x509.ExtendedKeyUsage)
    if extended is None:
        return f"the signer's certificate lacks an extended key usage (EKU): {_WANTED}"
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in extended:
        return "the signer's certificate carries the extended key usage (EKU) anyExtendedKeyUsage, which C2PA forbids"
    if not set(extended) & set(ACCEPTED_EKUS):
        return f"none of the signer's extended key usages (EKU) is {_WANTED}"
    if _extension(chain[0], x509.AuthorityKeyIdentifier) is None:
        return "the signer's certificate lacks an authority key identifier (AKI)"
    return None


def _in_order(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> str | None:  # noqa: ARG001
    for index, (certificate, issuer) in enumerate(pairwise(chain)):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return f"certificate {index + 1} is not issued by certificate {index + 2}; the order is signer, issuers"
    return None


_RULES: Final[tuple[Callable[[Sequence[x509.Certificate], Any, datetime], str | None], ...]] = (
    _is_signer,
    _key_fits,
    _in_time,
    _usages,
    _in_order,
)


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _spki(public: Any) -> bytes:
    der: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
