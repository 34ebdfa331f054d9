# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import multiprocessing
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from audit.errors import ConfigError
from audit.provenance import DEVELOPMENT_LABEL, Stamper, default_key_dir, development_chain, load_chain, verify_bytes
from audit.provenance.keys import _certificates as certificates

NOW = datetime.now(UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_made_on_first_use_with_private_permissions(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    chain = development_chain(folder)
    assert (mode(folder), mode(folder / "key.pem")) == (0o700, 0o600)
    assert {p.name for p in folder.iterdir()} == {"chain.pem", "key.pem", "root.pem", ".lock"}
    assert chain.development
    assert chain.signer == DEVELOPMENT_LABEL
    assert "not trusted" in DEVELOPMENT_LABEL
    assert timedelta(days=363) < chain.expires - NOW < timedelta(days=366)
    assert b"PRIVATE" not in repr(chain).encode()
    assert development_chain(folder).certificates == chain.certificates


def test_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("GENAUDIT_HOME", raising=False)
    assert default_key_dir() == tmp_path / "xdg" / "genaudit" / "keys"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")  # to be ignored by the XDG specification
    assert default_key_dir() == Path.home() / ".config" / "genaudit" / "keys"
    monkeypatch.setenv("GENAUDIT_HOME", str(tmp_path / "home"))
    assert default_key_dir() == tmp_path / "home" / "keys"
    assert development_chain().folder == tmp_path / "home" / "keys"


def test_expired_development_chain_is_renewed(tmp_path: Path) -> None:
    old = development_chain(tmp_path, now=NOW - timedelta(days=400))
    with pytest.raises(ConfigError, match="expired on"):
        load_chain(tmp_path)
    new = development_chain(tmp_path)
    assert new.expires > NOW > old.expires
    assert load_chain(tmp_path).certificates == new.certificates


def test_somebody_elses_chain_is_never_replaced(tmp_path: Path) -> None:
    write(tmp_path, *issue(days=-1))
    before = (tmp_path / "chain.pem").read_bytes()
    with pytest.raises(ConfigError, match="expired on"):
        development_chain(tmp_path)
    (tmp_path / "chain.pem").unlink()
    key = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(ConfigError, match="cannot be read"):
        development_chain(tmp_path)
    assert (tmp_path / "key.pem").read_bytes() == key
    assert before


def _make(folder: str, queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    queue.put(development_chain(Path(folder)).certificates)


def test_processes_that_ask_at_once_get_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_make, args=(str(tmp_path / "keys"), queue)) for _ in range(6)]
    for worker in workers:
        worker.start()
    seen = {queue.get(timeout=30) for _ in workers}
    for worker in workers:
        worker.join()
    assert seen == {load_chain(tmp_path / "keys").certificates}


@pytest.mark.parametrize("loose", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, loose: int) -> None:
    development_chain(tmp_path)
    (tmp_path / "key.pem").chmod(loose)
    with pytest.raises(ConfigError, match="read by others") as caught:
        load_chain(tmp_path)
    assert caught.value.hint == f"chmod 600 {tmp_path / 'key.pem'}"


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        development_chain(tmp_path / "file" / "keys")
    assert "GENAUDIT_HOME" in str(caught.value.hint)


EMAIL = (ExtendedKeyUsageOID.EMAIL_PROTECTION,)


def issue(
    *, days: int = 30, start: int = -2, eku: tuple[x509.ObjectIdentifier, ...] | None = EMAIL,
    usage: str | None = "digital_signature", aki: bool = True, ca: bool = False, key: object = None,
) -> tuple[list[x509.Certificate], object]:  # fmt: skip
    """A user's own chain (signer, root), with one rule broken where asked."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, o)]) for o in ("Own Org", "Own Root")]
    root = certificates.start_certificate(names[1], names[1], root_key.public_key(), NOW, timedelta(days=90))
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    end = NOW + timedelta(days=days)
    signer = (
        x509.CertificateBuilder()
        .subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(7).not_valid_after(end)
        .not_valid_before(min(NOW + timedelta(days=start), end - timedelta(days=1)))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )  # fmt: skip
    if usage:
        signer = signer.add_extension(certificates.key_usage(usage), critical=True)
    if eku is not None:
        signer = signer.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    if aki:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        signer = signer.add_extension(identifier, critical=False)
    return [c.sign(root_key, hashes.SHA256()) for c in (signer, root)], key


def write(folder: Path, chain: list[x509.Certificate], key: object) -> None:
    (folder / "chain.pem").write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain))
    (folder / "key.pem").write_bytes(certificates.to_pkcs8(key))
    (folder / "key.pem").chmod(0o600)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"eku": None}, "lacks an extended key usage"),
        ({"eku": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "anyExtendedKeyUsage"),
        ({"eku": (ExtendedKeyUsageOID.CLIENT_AUTH,)}, "none of the signer's extended key usages"),
        ({"usage": None}, "digitalSignature"),
        ({"usage": "key_agreement"}, "digitalSignature"),
        ({"aki": False}, "authority key identifier"),
        ({"days": -1}, "certificate 1 expired on"),
        ({"start": 2, "days": 9}, "not valid before"),
        ({"ca": True}, "CA certificate"),
        ({"key": ec.generate_private_key(ec.SECP256K1())}, "the key must be EC P-256"),
        ({"key": rsa.generate_private_key(65537, 1024)}, "RSA of at least 2048"),
    ],
)
def test_the_broken_rule_is_named(tmp_path: Path, broken: dict[str, object], rule: str) -> None:
    write(tmp_path, *issue(**broken))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=rule) as caught:
        load_chain(tmp_path)
    assert caught.value.where == str(tmp_path / "chain.pem")
    assert caught.value.hint


def test_key_of_another_certificate_and_wrong_order(tmp_path: Path) -> None:
    chain, key = issue()
    write(tmp_path, chain, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ConfigError, match="does not belong"):
        load_chain(tmp_path)
    write(tmp_path, [chain[0], issue()[0][1]], key)
    with pytest.raises(ConfigError, match="certificate 1 is not issued by certificate 2"):
        load_chain(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("chain.pem", b"junk", "no readable certificate"),
        ("key.pem", b"junk", "no readable private key"),
        ("key.pem", None, "cannot be read"),
        ("chain.pem", None, "cannot be read"),
    ],
)
def test_unreadable_files_are_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    write(tmp_path, *issue())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_chain(tmp_path)
    assert caught.value.where == str(tmp_path / name)


def test_encrypted_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENAUDIT_KEY_PASSWORD", raising=False)
    monkeypatch.delenv("GENAUDIT_KEY_PASSWORD_FILE", raising=False)
    chain, key = issue()
    write(tmp_path, chain, key)
    secret = serialization.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)  # type: ignore[attr-defined]
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(ConfigError, match="encrypted"):
        load_chain(tmp_path)


@pytest.mark.parametrize(
    "key",
    [None, ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-256", "P-384", "RSA"],
)
@pytest.mark.parametrize("eku", certificates.ACCEPTED_EKUS)
def test_an_accepted_chain_really_signs(tmp_path, encode, claim, key, eku) -> None:  # type: ignore[no-untyped-def]
    chain, made = issue(key=key, eku=(eku,))
    write(tmp_path, chain, made)
    legacy = serialization.PrivateFormat.TraditionalOpenSSL  # SEC1 or PKCS#1, which the library itself cannot read
    pem = made.private_bytes(serialization.Encoding.PEM, legacy, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    data = Stamper(tmp_path, tool_version="0").stamp(encode(), claim).data
    trusted = chain[1].public_bytes(serialization.Encoding.PEM).decode()
    verdict = verify_bytes(data, anchors=trusted)
    assert (verdict.state, verdict.issuer) == ("no_timestamp", "Own Org")
