# SPDX-License-Identifier: Apache-2.0
"""Questions about certificates that several modules ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

__all__ = [
    "ANY_EKU",
    "LONE_EKUS",
    "SIGNATURES",
    "day",
    "extension",
    "issued",
    "name_of",
    "organisation",
    "self_issued",
    "shown_issuer",
]

ANY_EKU: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
#: Purposes that a certificate may have only alone.
LONE_EKUS: Final = frozenset({ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING})
#: With these a certificate may be signed.
SIGNATURES: Final = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.RSASSA_PSS,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
    }
)


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    """Value of an extension, None where it is absent."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer`` signed ``certificate``, by name and by signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer have one name."""
    return certificate.issuer == certificate.subject


def organisation(certificate: x509.Certificate) -> str | None:
    """The subject's organisation."""
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(found[0].value) if found else None


def shown_issuer(certificate: x509.Certificate) -> str:
    """What verifiers show as the issuer of credentials: organisation, else common name, else all."""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return organisation(certificate) or (str(common[0].value) if common else certificate.subject.rfc4514_string())


def name_of(name: x509.Name) -> str:
    """A name in quotes; its common name where there is one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f'"{str(found[0].value) if found else name.rfc4514_string()}"'


def day(moment: datetime) -> str:
    """The date in UTC."""
    return moment.astimezone(UTC).date().isoformat()
