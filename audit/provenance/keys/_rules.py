# SPDX-License-Identifier: Apache-2.0
"""The rules of a chain that signs, each with a name, a sentence and a way to mend it.

The C2PA library answers nearly every broken rule with one and the same sentence, so each is checked here first.
Sources: C2PA technical specification 2.2, section 14.5 (X.509 certificates) and 14.5.1 (certificate profiles); the
claim signing leaf profile of the C2PA conformance programme, version 0.2, for what the official trust list asks on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit.provenance.keys._certificates import (
    ACCEPTED_EKUS,
    CLAIM_SIGNING,
    DEVELOPMENT_LABEL,
    DOCUMENT_SIGNING,
    algorithm,
)
from audit.provenance.keys._findings import Facts, Finding, Level, Rule
from audit.provenance.keys._x509 import (
    ANY_EKU,
    LONE_EKUS,
    SIGNATURES,
    day,
    extension,
    issued,
    name_of,
    organisation,
    self_issued,
)

__all__ = ["RULES", "broken_rule", "findings"]

_WANTED: Final = "emailProtection, documentSigning or C2PA claim signing"
_PROFILE: Final = "C2PA 2.2, 14.5.1"
_LIST: Final = "C2PA conformance 0.2, claim signing leaf"
_SOON: Final = timedelta(days=30)
_LONGEST: Final = timedelta(days=366)
_POLICY: Final = x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1")
_RECORDS: Final = {
    x509.ObjectIdentifier("1.3.6.1.4.1.62558.3"): "assurance level",
    x509.ObjectIdentifier("1.3.6.1.4.1.62558.4"): "record of the conforming products list",
}


def findings(facts: Facts) -> Iterator[Finding]:
    """All rules that a chain breaks, errors first."""
    # With a CA's certificate in the signer's place, whatever else is said of the signer would mislead.
    only = _OF_ANY if _is_ca(facts) else RULES.keys()
    for rule in RULES.values():
        if rule.name not in only:
            continue
        message = rule.test(facts) if rule.test else None
        if message is not None:
            yield rule.broken(message)


def broken_rule(chain: Sequence[x509.Certificate], key: Any, now: datetime) -> Finding | None:
    """The first rule that keeps a chain from signing; None if C2PA will accept it.

    Args:
        chain: signer first, then its issuers.
        key: the signer's private key, None where it is kept elsewhere.
        now: time of signing.
    """
    return next((found for found in findings(Facts(chain, key, now)) if found.level is Level.ERROR), None)


def _is_ca(facts: Facts) -> str | None:
    constraints = extension(facts.signer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return None
    what = "a self-signed CA certificate" if self_issued(facts.signer) else "a CA certificate"
    fits = _fitting(facts)
    more = f"; the key belongs to certificate {fits}" if fits is not None and fits > 1 else ""
    return f"the first certificate is {what}; the signer's own certificate must come first{more}"


def _key_kind(facts: Facts) -> str | None:
    if algorithm(facts.key or facts.signer.public_key()) is not None:
        return None
    return "the key must be EC P-256, P-384 or P-521, Ed25519, or RSA of at least 2048 bits"


def _key_wrong(facts: Facts) -> str | None:
    fits = _fitting(facts)
    if facts.key is None or fits == 1:
        return None
    more = f"; it belongs to certificate {fits}" if fits is not None else ""
    return f"the private key does not belong to the first certificate{more}"


def _fitting(facts: Facts) -> int | None:
    """Number of the certificate that the private key belongs to."""
    if facts.key is None:
        return None
    public = _spki(facts.key.public_key())
    return next((n for n, c in enumerate(facts.chain, 1) if _spki(c.public_key()) == public), None)


def _expired(facts: Facts) -> str | None:
    found = ((n, c) for n, c in enumerate(facts.chain, 1) if facts.now > c.not_valid_after_utc)
    return next((f"certificate {n} expired on {day(c.not_valid_after_utc)}" for n, c in found), None)


def _early(facts: Facts) -> str | None:
    found = ((n, c) for n, c in enumerate(facts.chain, 1) if facts.now < c.not_valid_before_utc)
    return next((f"certificate {n} is not valid before {day(c.not_valid_before_utc)}" for n, c in found), None)


def _version(facts: Facts) -> str | None:
    return None if facts.signer.version is x509.Version.v3 else "the signer's certificate is not of X.509 version 3"


def _signature(facts: Facts) -> str | None:
    found = (n for n, c in enumerate(facts.chain[:1], 1) if c.signature_algorithm_oid not in SIGNATURES)
    return next((f"certificate {n} is signed with an algorithm that C2PA does not take" for n in found), None)


def _usage(facts: Facts) -> str | None:
    usage = extension(facts.signer, x509.KeyUsage)
    if usage is not None and usage.digital_signature:
        return None
    return "the signer's certificate lacks key usage digitalSignature"


def _eku_missing(facts: Facts) -> str | None:
    if extension(facts.signer, x509.ExtendedKeyUsage) is not None:
        return None
    return f"the signer's certificate lacks an extended key usage (EKU): {_WANTED}"


def _eku_any(facts: Facts) -> str | None:
    if ANY_EKU not in facts.purposes:
        return None
    return "the signer's certificate carries the extended key usage (EKU) anyExtendedKeyUsage, which C2PA forbids"


def _eku_other(facts: Facts) -> str | None:
    if not facts.purposes or ANY_EKU in facts.purposes or facts.purposes & set(ACCEPTED_EKUS):
        return None
    return f"none of the signer's extended key usages (EKU) is {_WANTED}"


def _eku_mixed(facts: Facts) -> str | None:
    if not facts.purposes & LONE_EKUS or len(facts.purposes) == 1:
        return None
    return "the signer's certificate is also for time stamps or OCSP, which C2PA allows for no other purpose beside"


def _eku_alone(only: x509.ObjectIdentifier, words: str) -> Callable[[Facts], str | None]:
    def test(facts: Facts) -> str | None:
        if facts.purposes & set(ACCEPTED_EKUS) != {only}:
            return None
        return (
            f"of the accepted extended key usages (EKU) there is only {words}: other tools with this library refuse it"
        )

    return test


def _authority_identifier(facts: Facts) -> str | None:
    if extension(facts.signer, x509.AuthorityKeyIdentifier) is not None:
        return None
    return "the signer's certificate lacks an authority key identifier (AKI)"


def _order(facts: Facts) -> str | None:
    for index in range(len(facts.chain) - 1):
        if not issued(facts.chain[index], facts.chain[index + 1]):
            return f"certificate {index + 1} is not issued by certificate {index + 2}; the order is signer, issuers"
    return None


def _not_ca(facts: Facts) -> str | None:
    for number, certificate in enumerate(facts.chain[1:], 2):
        constraints, usage = extension(certificate, x509.BasicConstraints), extension(certificate, x509.KeyUsage)
        if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
            return f"certificate {number} issues certificate {number - 1}, and is no CA certificate"
    return None


def _self_signed(facts: Facts) -> str | None:
    if not self_issued(facts.signer) or _is_ca(facts):
        return None
    return "the signer's certificate is self-signed: trusted only where this very certificate is given as an anchor"


def _soon(facts: Facts) -> str | None:
    left = facts.signer.not_valid_after_utc - facts.now
    if not timedelta() <= left < _SOON:
        return None
    return f"the signer's certificate expires in {left.days} days, on {day(facts.signer.not_valid_after_utc)}"


def _anchor(facts: Facts) -> str | None:
    if not facts.anchors or any(facts.chain[-1] == a or issued(facts.chain[-1], a) for a in facts.anchors):
        return None
    return f"the chain leads to none of the {len(facts.anchors)} anchors: it ends at {name_of(facts.chain[-1].issuer)}"


def _issuer_absent(facts: Facts) -> str | None:
    if facts.anchors or self_issued(facts.chain[-1]):
        return None
    return f"the last certificate is issued by {name_of(facts.chain[-1].issuer)}, which is not in the file"


def _root_included(facts: Facts) -> str | None:
    if len(facts.chain) < 2 or not self_issued(facts.chain[-1]):
        return None
    size = len(facts.chain[-1].public_bytes(serialization.Encoding.DER))
    return f"the root is part of the chain: about {size} more bytes in every image, and verifiers have their own"


def _usage_critical(facts: Facts) -> str | None:
    found = next((e for e in facts.signer.extensions if isinstance(e.value, x509.KeyUsage)), None)
    return "key usage is not marked critical" if found is not None and not found.critical else None


def _organisation(facts: Facts) -> str | None:
    if organisation(facts.signer) is not None:
        return None
    return "the signer's certificate names no organisation: verifiers show no issuer, or the common name"


def _development(facts: Facts) -> str | None:
    if organisation(facts.signer) != DEVELOPMENT_LABEL:
        return None
    return "this is a development chain of this tool: it signs, and nobody in the world trusts it"


def _lifetime(facts: Facts) -> str | None:
    lifetime = facts.signer.not_valid_after_utc - facts.signer.not_valid_before_utc
    return f"the signer's certificate is valid for {lifetime.days} days" if lifetime > _LONGEST else None


def _policy(facts: Facts) -> str | None:
    policies = extension(facts.signer, x509.CertificatePolicies) or ()
    if any(policy.policy_identifier == _POLICY for policy in policies):
        return None
    return "the certificate policy of C2PA (1.3.6.1.4.1.62558.1.1) is missing"


def _records(facts: Facts) -> str | None:
    there = {e.oid for e in facts.signer.extensions}
    missing = [words for oid, words in _RECORDS.items() if oid not in there]
    return f"extensions of the C2PA programme are missing: {', '.join(missing)}" if missing else None


def _spki(public: Any) -> bytes:
    der: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


_E, _W, _N = Level.ERROR, Level.WARNING, Level.NOTE
_REISSUE: Final = "ask your CA for an end-entity certificate with "
_OFFICIAL: Final = "needed only for the official C2PA trust list, whose CAs add it; nothing to do elsewhere"
_ALONE: Final = _REISSUE + "emailProtection beside it, or give the other tools top-level trust.trust_config"
_TABLE: Final = (
    Rule("certificate.missing", _E, "a key folder holds chain.pem and key.pem", "genaudit"),
    Rule(
        "certificate.unreadable",
        _E,
        "expected PEM certificates (-----BEGIN CERTIFICATE-----), the signer's first",
        "RFC 7468, 5",
    ),
    Rule("key.missing", _E, "a key folder holds chain.pem and key.pem", "genaudit"),
    Rule(
        "key.unreadable",
        _E,
        "expected an unencrypted or encrypted PEM private key (-----BEGIN PRIVATE KEY-----)",
        "RFC 7468, 10",
    ),
    Rule("key.encrypted", _E, "set GENAUDIT_KEY_PASSWORD, or GENAUDIT_KEY_PASSWORD_FILE to a file", "RFC 7468, 11"),
    Rule("key.exposed", _E, "chmod 600 KEY", "genaudit"),
    Rule(
        "certificate.ca",
        _E,
        "put the signer's (end-entity) certificate first in the file, then its issuers",
        "C2PA 2.2, 14.5.1",
        _is_ca,
    ),
    Rule(
        "key.kind", _E, "openssl ecparam -name prime256v1 -genkey, and a certificate for that key", _PROFILE, _key_kind
    ),
    Rule("key.wrong", _E, "use the key that the certificate was requested with", "C2PA 2.2, 13.2", _key_wrong),
    Rule("certificate.expired", _E, "ask your CA for a new certificate", _PROFILE, _expired),
    Rule("certificate.early", _E, "wait, or check the clock of this machine", _PROFILE, _early),
    Rule("certificate.version", _E, _REISSUE + "version 3", _PROFILE, _version),
    Rule("certificate.signature", _E, _REISSUE + "a SHA-2 or Ed25519 signature", _PROFILE, _signature),
    Rule("usage.missing", _E, _REISSUE + "critical key usage digitalSignature", _PROFILE, _usage),
    Rule("eku.missing", _E, _REISSUE + f"extended key usage {_WANTED}", _PROFILE, _eku_missing),
    Rule("eku.any", _E, _REISSUE + f"extended key usage {_WANTED}, without anyExtendedKeyUsage", _PROFILE, _eku_any),
    Rule("eku.other", _E, _REISSUE + f"extended key usage {_WANTED}", _PROFILE, _eku_other),
    Rule("eku.mixed", _E, _REISSUE + "neither timeStamping nor OCSPSigning", _PROFILE, _eku_mixed),
    Rule("aki.missing", _E, _REISSUE + "an authority key identifier", _PROFILE, _authority_identifier),
    Rule("chain.order", _E, "cat signer.pem intermediate.pem > chain.pem", "C2PA 2.2, 14.5", _order),
    Rule("eku.only_claim_signing", _W, _ALONE, _LIST, _eku_alone(CLAIM_SIGNING, "C2PA claim signing")),
    Rule("eku.only_document_signing", _W, _ALONE, _LIST, _eku_alone(DOCUMENT_SIGNING, "documentSigning")),
    Rule("certificate.self_signed", _W, "use a certificate that a CA issued", "C2PA 2.2, 14.5", _self_signed),
    Rule(
        "certificate.expires_soon", _W, "ask your CA for a new certificate, and sign with time stamps", _PROFILE, _soon
    ),
    Rule("chain.not_ca", _W, "ask your CA for its intermediate certificates", "C2PA 2.2, 14.5", _not_ca),
    Rule(
        "chain.anchor",
        _W,
        "append the missing intermediate certificates, or use another list",
        "C2PA 2.2, 14.4",
        _anchor,
    ),
    Rule("key.together", _W, "move the key to a file of its own: chain.pem is made to be given away", "genaudit"),
    Rule(
        "chain.issuer_absent",
        _N,
        "fine if that is the root verifiers trust; if it is an intermediate, append it. --anchors PEM decides it",
        "C2PA 2.2, 14.5",
        _issuer_absent,
    ),
    Rule(
        "chain.root_included", _N, "leave the last certificate out to save the bytes", "C2PA 2.2, 14.5", _root_included
    ),
    Rule(
        "key.legacy",
        _N,
        "openssl pkcs8 -topk8 -in KEY -out new.pem for tools that read PKCS#8 only",
        "RFC 5208",
    ),
    Rule(
        "certificate.development",
        _N,
        "fine for trials; for images that leave the house use a CA's",
        "genaudit",
        _development,
    ),
    Rule("usage.not_critical", _N, _REISSUE + "critical key usage", _PROFILE, _usage_critical),
    Rule("organisation.missing", _N, _REISSUE + "an organisation (O) in its subject", _LIST, _organisation),
    Rule("certificate.lifetime", _N, "the official C2PA trust list takes 366 days at most", _LIST, _lifetime),
    Rule("policy.missing", _N, _OFFICIAL, _LIST, _policy),
    Rule("records.missing", _N, _OFFICIAL, _LIST, _records),
)
#: By name, errors first, in the order in which they are told.
RULES: Final = {rule.name: rule for rule in _TABLE}
_OF_ANY: Final = frozenset({"certificate.ca", "certificate.expired", "certificate.early"})
