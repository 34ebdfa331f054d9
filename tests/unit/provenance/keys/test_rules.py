# SPDX-License-Identifier: Apache-2.0
"""Every rule by name, and beside it what the C2PA library itself does with such a chain."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from audit.errors import ConfigError
from audit.provenance.keys import Chain, KeyRuleError, SigningContext, development_chain, load_chain
from audit.provenance.keys import _certificates as certificates
from audit.provenance.keys._rules import RULES
from audit.provenance.keys.check import Checked, _tiny, check
from tests.unit.provenance.keys.pki import CLAIM, NOW, PLAIN, Made, make, pem, read, signed

CLAIMS, DOCUMENTS = certificates.CLAIM_SIGNING, certificates.DOCUMENT_SIGNING
RSA = rsa.generate_private_key(65537, 2048)
ALWAYS = {"chain.issuer_absent", "policy.missing", "records.missing"}  # of every chain that a test makes
TRUSTED, VALID, REFUSED = "Trusted", "Valid", "refused"


def library_says(chain: bytes, key: Any, root: bytes, context: dict[str, Any] = PLAIN) -> str:
    """Sign by the library alone, without our rules: the state of the result, or that it refuses."""
    import c2pa

    kinds = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    name = kinds.get(getattr(getattr(key, "curve", None), "name", ""), "ES256")
    if isinstance(key, rsa.RSAPrivateKey):
        name = "PS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        name = "ED25519"
    made = Chain(Path(), chain, certificates.to_pkcs8(key), name, "", NOW, False, None)
    try:
        data = signed(SigningContext(context, made)).result
    except (c2pa.C2paError, ConfigError):
        return REFUSED
    return read(data, root=root)[0]


def errors(found: Checked) -> set[str]:
    return {f.rule for f in found.findings if f.level == "error"}


def others(found: Checked) -> set[str]:
    return {f.rule for f in found.findings if f.level != "error"} - ALWAYS


@dataclass
class Case:
    """What is wrong, the rule that says so, and the library's answer."""

    wrong: dict[str, Any]
    rules: set[str]
    library: str = REFUSED


ERRORS = {
    "no EKU": Case({"eku": None}, {"eku.missing"}),
    "any EKU": Case({"eku": (Eku.ANY_EXTENDED_KEY_USAGE, Eku.EMAIL_PROTECTION)}, {"eku.any"}),
    "clientAuth": Case({"eku": (Eku.CLIENT_AUTH,)}, {"eku.other"}),
    "codeSigning": Case({"eku": (Eku.CODE_SIGNING,)}, {"eku.other"}),
    "time stamps, too": Case({"eku": (Eku.EMAIL_PROTECTION, Eku.TIME_STAMPING)}, {"eku.mixed"}),
    "no KU": Case({"usage": None}, {"usage.missing"}),
    "KU for keys": Case({"usage": ("key_agreement",)}, {"usage.missing"}),
    "no AKI": Case({"aki": False}, {"aki.missing"}),
    "expired": Case({"start": timedelta(days=-9), "end": timedelta(days=-2)}, {"certificate.expired"}),
    "not yet valid": Case({"start": timedelta(days=2)}, {"certificate.early"}),
    "CA": Case({"ca": True}, {"certificate.ca"}),
    "CA, self-signed": Case({"ca": True, "self_signed": True}, {"certificate.ca"}),
    "secp256k1": Case({"key": ec.generate_private_key(ec.SECP256K1())}, {"key.kind"}),
    "RSA 1024": Case({"key": rsa.generate_private_key(65537, 1024)}, {"key.kind"}),
    "SHA-224 signature": Case({"digest": hashes.SHA224()}, {"certificate.signature"}),
    # The library would take this one; a verifier that reads the specification would not.
    "only nonRepudiation": Case({"usage": ("content_commitment",)}, {"usage.missing"}, TRUSTED),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_broken_rule_has_a_name(tmp_path: Path, case: str) -> None:
    wrong, rules, library = ERRORS[case].wrong, ERRORS[case].rules, ERRORS[case].library
    made = make(**wrong)
    chain = (made.signer,) if wrong.get("self_signed") else (made.signer, made.intermediate)
    found = check(made.write(tmp_path / "k", *chain))
    assert (errors(found), found.signs, found.milliseconds) == (rules, False, None)
    assert library_says(pem(*chain), made.key, pem(made.root)) == library
    with pytest.raises(KeyRuleError) as caught:
        load_chain(tmp_path / "k")
    assert caught.value.rule in rules
    assert caught.value.hint


FINE = {
    "P-256": Case({}, set(), TRUSTED),
    "P-384": Case({"key": ec.generate_private_key(ec.SECP384R1())}, set(), TRUSTED),
    "P-521": Case({"key": ec.generate_private_key(ec.SECP521R1())}, set(), TRUSTED),
    "RSA 2048": Case({"key": RSA}, set(), TRUSTED),
    "Ed25519": Case({"key": ed25519.Ed25519PrivateKey.generate()}, set(), TRUSTED),
    "e-mail and claims": Case({"eku": (Eku.EMAIL_PROTECTION, CLAIMS)}, set(), TRUSTED),
    "only claims": Case({"eku": (CLAIMS,)}, {"eku.only_claim_signing"}, TRUSTED),
    "only documents": Case({"eku": (DOCUMENTS,)}, {"eku.only_document_signing"}, TRUSTED),
    "claims and documents": Case({"eku": (CLAIMS, DOCUMENTS)}, set(), TRUSTED),
    "KU not critical": Case({"usage_critical": False}, {"usage.not_critical"}, TRUSTED),
    "no organisation": Case({"organisation": None}, {"organisation.missing"}, TRUSTED),
    "soon over": Case({"end": timedelta(days=20)}, {"certificate.expires_soon"}, TRUSTED),
    "long": Case({"end": timedelta(days=500)}, {"certificate.lifetime"}, TRUSTED),
    "self-signed": Case({"self_signed": True}, {"certificate.self_signed"}, VALID),
    "issuer is no CA": Case({"intermediate_ca": False}, {"chain.not_ca"}, VALID),
}


@pytest.mark.parametrize("case", FINE)
def test_what_is_taken_signs(tmp_path: Path, case: str) -> None:
    wrong, rules, library = FINE[case].wrong, FINE[case].rules, FINE[case].library
    made = make(**wrong)
    chain = (made.signer,) if wrong.get("self_signed") else (made.signer, made.intermediate)
    found = check(made.write(tmp_path / "k", *chain))
    assert (errors(found), others(found)) == (set(), rules)
    assert found.signs
    assert found.refusal is None
    assert found.milliseconds is not None
    assert library_says(pem(*chain), made.key, pem(made.root)) == library


@pytest.mark.parametrize("eku", [(CLAIMS,), (DOCUMENTS,)], ids=["claims", "documents"])
def test_only_one_of_the_new_usages_is_refused_with_default_settings(eku: tuple[x509.ObjectIdentifier, ...]) -> None:
    import c2pa

    made = make(eku=eku)
    info = c2pa.C2paSignerInfo(
        c2pa.C2paSigningAlg.ES256, pem(made.signer, made.intermediate), certificates.to_pkcs8(made.key), None
    )
    context = c2pa.Context.from_dict({"version": 1}, signer=c2pa.Signer.from_info(info))
    with c2pa.Builder(CLAIM, context=context) as builder, pytest.raises(c2pa.C2paError, match="missing required EKU"):
        builder.sign("image/png", io.BytesIO(_tiny()), io.BytesIO())


def with_key(form: str, key: Any, secret: bytes | None = None) -> bytes:
    kind = {"pkcs8": s.PrivateFormat.PKCS8, "traditional": s.PrivateFormat.TraditionalOpenSSL}[form]
    sealed = s.BestAvailableEncryption(secret) if secret else s.NoEncryption()
    return key.private_bytes(s.Encoding.PEM, kind, sealed)  # type: ignore[no-any-return]


KEYS: dict[str, tuple[Callable[[Made], bytes], set[str], set[str], bool]] = {
    # what is in key.pem; errors; warnings and notes; whether the library reads it
    "of another certificate": (
        lambda _: certificates.to_pkcs8(ec.generate_private_key(ec.SECP256R1())),
        {"key.wrong"},
        set(),
        True,
    ),
    "of another kind": (lambda _: certificates.to_pkcs8(RSA), {"key.wrong"}, set(), False),
    "SEC1": (lambda m: with_key("traditional", m.key), set(), {"key.legacy"}, False),
    "encrypted": (lambda m: with_key("pkcs8", m.key, b"secret"), {"key.encrypted"}, set(), False),
    "encrypted SEC1": (lambda m: with_key("traditional", m.key, b"secret"), {"key.encrypted"}, set(), False),
    "garbage": (lambda _: b"junk", {"key.unreadable"}, set(), False),
    "empty": (lambda _: b"", {"key.unreadable"}, set(), False),
    "a certificate": (lambda m: pem(m.signer), {"key.unreadable"}, set(), False),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    import c2pa

    for variable in ("GENAUDIT_KEY_PASSWORD", "GENAUDIT_KEY_PASSWORD_FILE"):
        monkeypatch.delenv(variable, raising=False)
    content, broken, noted, readable = KEYS[case]
    key = content(made)
    found = check(made.write(tmp_path / "k", key=key))
    assert (errors(found), others(found), found.signs) == (broken, noted, not broken)

    def raw() -> None:
        info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, pem(made.signer), key, None)
        c2pa.Signer.from_info(info)

    if readable:
        raw()  # the library notices only when it signs
        other = s.load_pem_private_key(key, None)
        assert library_says(pem(made.signer), other, pem(made.root)) == REFUSED
    else:
        with pytest.raises((c2pa.C2paError, ValueError)):
            raw()


def test_an_encrypted_key_is_checked_with_its_password(made: Made, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    folder = made.write(tmp_path / "k", key=with_key("pkcs8", made.key, b"secret"))
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD", "secret")
    assert check(folder).milliseconds is not None
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD", "wrong")
    found = check(folder)
    assert errors(found) == {"key.encrypted"}
    assert "does not open it" in found.findings[0].message


def test_the_key_of_the_intermediate_is_recognised(tmp_path: Path) -> None:
    made = make()
    chain = (made.signer, made.intermediate, made.root)
    found = check(made.write(tmp_path / "k", *chain, key=certificates.to_pkcs8(made.root_key)))
    assert "it belongs to certificate 3" in next(f.message for f in found.findings if f.rule == "key.wrong")


def test_files_that_others_can_read_or_that_are_not_there(made: Made, tmp_path: Path) -> None:
    folder = made.write(tmp_path / "k")
    (folder / "key.pem").chmod(0o640)
    found = check(folder)
    assert errors(found) == {"key.exposed"}
    assert found.findings[0].hint == f"chmod 600 {folder / 'key.pem'}"
    (folder / "key.pem").unlink()
    assert errors(check(folder)) == {"key.missing"}
    (folder / "chain.pem").unlink()
    assert errors(check(folder)) == {"certificate.missing", "key.missing"}
    (folder / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    found = check(folder / "chain.pem")
    assert (errors(found), found.certificates, found.signer) == ({"certificate.unreadable"}, 0, None)


def test_chain_and_key_in_one_file(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.write_bytes(certificates.to_pkcs8(made.key) + pem(made.signer, made.intermediate))
    file.chmod(0o600)
    found = check(file)
    assert (errors(found), others(found), found.signs, found.key) == (set(), {"key.together"}, True, True)


def test_a_chain_alone_is_not_tried(made: Made, tmp_path: Path) -> None:
    found = check(made.write(tmp_path / "k") / "chain.pem")
    assert (found.signs, found.key, found.milliseconds) == (True, False, None)
    assert (found.certificates, found.algorithm, found.signer) == (2, "ES256", "Own Org")
    with_it = check(tmp_path / "k" / "chain.pem", key=tmp_path / "k" / "key.pem")
    assert (with_it.key, with_it.milliseconds is not None) == (True, True)


ORDERS = {
    "signer, intermediate": ("signer intermediate", set(), set(), TRUSTED),
    "with the root": ("signer intermediate root", set(), {"chain.root_included"}, TRUSTED),
    "root first": ("root intermediate signer", {"certificate.ca"}, set(), REFUSED),
    "intermediate last": ("signer root intermediate", {"chain.order"}, set(), VALID),
    "without the intermediate": ("signer", set(), set(), VALID),
    "signer and root": ("signer root", {"chain.order"}, {"chain.root_included"}, VALID),
    "signer twice": ("signer signer", {"chain.order"}, {"chain.not_ca"}, VALID),
}


@pytest.mark.parametrize("case", ORDERS)
def test_orders(made: Made, tmp_path: Path, case: str) -> None:
    names, broken, noted, library = ORDERS[case]
    chain = [getattr(made, one) for one in names.split()]
    found = check(made.write(tmp_path / "k", *chain))
    assert (errors(found), others(found) & {"chain.root_included", "chain.not_ca"}) == (broken, noted)
    assert library_says(pem(*chain), made.key, pem(made.root)) == library
    if case == "root first":
        assert found.findings[0].message.endswith("the key belongs to certificate 3")


def test_a_missing_intermediate_is_found_where_the_anchors_are_known(made: Made, tmp_path: Path) -> None:
    folder = made.write(tmp_path / "k", made.signer)
    rules = {f.rule: f for f in check(folder).findings}
    assert '"Own Intermediate", which is not in the file' in rules["chain.issuer_absent"].message
    rules = {f.rule: f for f in check(folder, anchors=pem(made.root)).findings}
    assert rules["chain.anchor"].level == "warning"
    assert "chain.issuer_absent" not in rules
    for anchors in (pem(made.intermediate), pem(make().root, made.intermediate)):
        assert not {"chain.anchor", "chain.issuer_absent"} & {f.rule for f in check(folder, anchors=anchors).findings}
    made.write(tmp_path / "k", made.signer, made.intermediate)
    assert "chain.anchor" not in {f.rule for f in check(folder, anchors=pem(made.root)).findings}
    with pytest.raises(ConfigError, match="no readable certificate"):
        check(folder, anchors=b"junk")


def test_a_development_chain_is_called_one(tmp_path: Path) -> None:
    development_chain(tmp_path)
    found = check(tmp_path)
    assert {f.rule for f in found.findings} == {"certificate.development", "policy.missing", "records.missing"}
    assert "nobody in the world trusts it" in found.findings[0].message
    assert found.signs
    (tmp_path / "root.pem").write_bytes(pem(make().root))
    assert "chain.anchor" in others(check(tmp_path))


def test_the_root_costs_what_is_said(made: Made) -> None:
    sizes = []
    for chain in ((made.signer, made.intermediate), (made.signer, made.intermediate, made.root)):
        one = Chain(Path(), pem(*chain), certificates.to_pkcs8(made.key), "ES256", "", NOW, False, None)
        sizes.append(len(signed(SigningContext(PLAIN, one)).result))
    size = len(made.root.public_bytes(s.Encoding.DER))
    assert sizes[1] - sizes[0] == pytest.approx(size, abs=16)


def test_at_another_time(made: Made, tmp_path: Path) -> None:
    folder = made.write(tmp_path / "k")
    assert check(folder, at=NOW).milliseconds is None  # the library knows only the present
    assert errors(check(folder, at=NOW + timedelta(days=100))) == {"certificate.expired"}
    assert errors(check(folder, at=NOW - timedelta(days=2))) == {"certificate.early"}
    assert errors(check(folder, at=NOW + timedelta(days=1000))) == {"certificate.expired"}
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    message = check(folder, at=moment).findings[0].message
    assert message == f"certificate 1 is not valid before {(NOW - timedelta(days=1)).date()}"


def test_what_the_official_list_asks_on_top(tmp_path: Path) -> None:
    policy = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1"), None)])
    records = (
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.62558.3"), b"\x05\x00"),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.62558.4"), b"\x0c\x01x"),
    )
    made = make(eku=(Eku.EMAIL_PROTECTION, CLAIMS), extra=(policy, *records))
    found = check(made.write(tmp_path / "k"))
    assert {f.rule for f in found.findings} == {"chain.issuer_absent"}
    assert found.signs
    one = check(make(extra=records[:1]).write(tmp_path / "l"))
    message = next(f.message for f in one.findings if f.rule == "records.missing")
    assert "record of the conforming products list" in message
    assert "assurance level" not in message


def test_pss_signed_certificates_are_taken(tmp_path: Path) -> None:
    root = rsa.generate_private_key(65537, 2048)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, o)]) for o in ("Own Org", "Own Root")]
    builder = certificates.start_certificate(names[0], names[1], key.public_key(), NOW, timedelta(days=90))
    signer = (
        builder.add_extension(certificates.key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([Eku.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256(), rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32))
    )
    made = Made(signer, key, signer, signer, root)
    assert check(made.write(tmp_path / "k", signer)).milliseconds is not None


def test_every_rule_is_told_well() -> None:
    for name, rule in RULES.items():
        assert name == rule.name
        assert rule.hint
        assert rule.source
        assert name.replace(".", "").replace("_", "").islower()
    levels = [rule.level for rule in RULES.values()]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)


def test_every_rule_about_certificates_is_tested_here() -> None:
    named = {rule for case in (*ERRORS.values(), *FINE.values()) for rule in case.rules}
    named |= {rule for _, broken, noted, _ in (*KEYS.values(), *ORDERS.values()) for rule in broken | noted}
    elsewhere = {
        "certificate.missing",
        "certificate.unreadable",
        "key.missing",
        "key.exposed",
        "key.together",
        "chain.anchor",
        "certificate.development",
        *ALWAYS,
    }
    # X.509 version 1 and 2 cannot be made with the libraries at hand: the rule is tested nowhere.
    assert set(RULES) - named - elsewhere == {"certificate.version"}


@pytest.mark.parametrize("field", [{"certificates": "text"}, {"key": "text"}, {"key": b""}, {"algorithm": "ES384"}])
def test_what_the_library_refuses_at_once_is_our_error(made: Made, field: dict[str, Any]) -> None:
    good = {"certificates": pem(made.signer), "key": certificates.to_pkcs8(made.key), "algorithm": "ES256"}
    rest = {"signer": "", "expires": NOW, "development": False, "root": None}
    chain = Chain(folder=Path("mykeys"), **{**good, **field}, **rest)
    with pytest.raises(ConfigError, match=r"^mykeys: the chain cannot sign: ") as caught:
        signed(SigningContext(PLAIN, chain))
    assert caught.value.hint == "genaudit keys check mykeys"


@pytest.mark.parametrize("junk", [b"", b"junk"])
def test_the_library_notices_missing_certificates_only_when_it_signs(made: Made, junk: bytes) -> None:
    import c2pa

    chain = Chain(Path(), junk, certificates.to_pkcs8(made.key), "ES256", "", NOW, False, None)
    with pytest.raises(c2pa.C2paError, match="does not contain signing certificate"):
        signed(SigningContext(PLAIN, chain))
