# SPDX-License-Identifier: Apache-2.0
"""Keys behind functions and programs."""

from __future__ import annotations

import json
import pickle
import shlex
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from audit.errors import AuditError, ConfigError, StoreError
from audit.provenance.keys import (
    CallbackKeys,
    CommandKeys,
    DevelopmentKeys,
    FolderKeys,
    ImportedKeys,
    KeyRuleError,
    KeySource,
    SigningContext,
    keys_from,
)
from audit.provenance.keys._certificates import to_pkcs8
from tests.unit.provenance.keys.pki import PLAIN, Made, make, pem, read, signed

MODULE = "tests.unit.provenance.keys.signers"
RSA = rsa.generate_private_key(65537, 2048)
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def raw(signature: bytes, size: int) -> bytes:
    return b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(signature))


CASES = {
    "ES256, DER": (ec.generate_private_key(ec.SECP256R1()), lambda k, d: k.sign(d, ec.ECDSA(hashes.SHA256())), None),
    "ES256, r || s": (
        ec.generate_private_key(ec.SECP256R1()),
        lambda k, d: raw(k.sign(d, ec.ECDSA(hashes.SHA256())), 32),
        None,
    ),
    "ES384": (ec.generate_private_key(ec.SECP384R1()), lambda k, d: k.sign(d, ec.ECDSA(hashes.SHA384())), None),
    "ES512": (
        ec.generate_private_key(ec.SECP521R1()),
        lambda k, d: raw(k.sign(d, ec.ECDSA(hashes.SHA512())), 66),
        None,
    ),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), lambda k, d: k.sign(d), None),
    "PS256": (RSA, lambda k, d: k.sign(d, PSS, hashes.SHA256()), None),
    "PS512": (
        RSA,
        lambda k, d: k.sign(d, padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64), hashes.SHA512()),
        "ps512",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_callback_signs_what_the_library_verifies(case: str) -> None:
    key, sign, algorithm = CASES[case]
    made = make(key=key)
    chain = CallbackKeys(lambda data: sign(key, data), pem(made.signer, made.intermediate), algorithm).load()
    data = signed(SigningContext(PLAIN, chain)).result
    state, _, signature = read(data, root=pem(made.root))
    assert (state, signature["issuer"]) == ("Trusted", "Own Org")
    assert signature["alg"].upper() == chain.algorithm == case.partition(",")[0].upper()
    assert (chain.key, chain.folder, chain.development) == (None, None, False)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda _: b"", "returned nothing where bytes were expected"),
        (lambda _: None, "returned nothing where"),
        (lambda _: "text", "returned str where"),
        (lambda _: b"x" * 64, "64 bytes that are no ES256 signature"),
        (lambda _: b"x" * 100_000, "100000 bytes that are no ES256 signature"),
    ],
)
def test_what_is_no_signature_is_told_as_that(made: Made, returned, words: str) -> None:  # type: ignore[no-untyped-def]
    chain = CallbackKeys(returned, pem(made.signer)).load()
    with pytest.raises(StoreError, match=words):
        signed(SigningContext(PLAIN, chain))


def test_a_signature_over_the_digest_has_the_right_hint(made: Made) -> None:
    def twice(data: bytes) -> bytes:  # the usual mistake with a KMS that takes digests
        digest = hashes.Hash(hashes.SHA256())
        digest.update(data)
        signature: bytes = made.key.sign(digest.finalize(), ec.ECDSA(hashes.SHA256()))
        return signature

    with pytest.raises(StoreError, match="no ES256 signature") as caught:
        signed(SigningContext(PLAIN, CallbackKeys(twice, pem(made.signer)).load()))
    assert "not over their digest" in str(caught.value.hint)


def test_another_salt_is_refused_here_as_by_the_standard() -> None:
    made = make(key=RSA)
    longest = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
    chain = CallbackKeys(lambda data: RSA.sign(data, longest, hashes.SHA256()), pem(made.signer)).load()
    with pytest.raises(StoreError, match="no PS256 signature") as caught:
        signed(SigningContext(PLAIN, chain))
    assert "salt as long as the digest" in str(caught.value.hint)


def test_what_a_callback_raises_reaches_the_user(made: Made) -> None:
    def broken(_: bytes) -> bytes:
        raise PermissionError("no access\nto key 7")

    context = SigningContext(PLAIN, CallbackKeys(broken, pem(made.signer)).load())
    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"callback .*broken: the signer failed: PermissionError: no access to key 7"
        ):
            signed(context)


def test_an_interrupt_in_a_callback_stays_one(made: Made) -> None:
    def interrupted(_: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        signed(SigningContext(PLAIN, CallbackKeys(interrupted, pem(made.signer)).load()))


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [("ES384", "ES384 does not fit"), ("HS256", "HS256 does not fit"), ("PS256", "does not fit")],
)
def test_the_algorithm_must_fit_the_certificate(made: Made, algorithm: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        CallbackKeys(lambda _: b"", pem(made.signer), algorithm).load()
    assert caught.value.hint == "the certificate's key signs with ES256"


def test_the_certificates_of_a_callback_are_checked(tmp_path: Path) -> None:
    with pytest.raises(KeyRuleError) as caught:
        CallbackKeys(lambda _: b"", pem(make(eku=None).signer)).load()
    assert caught.value.rule == "eku.missing"
    for certificates, rule in ((tmp_path / "none.pem", "certificate.missing"), (b"junk", "certificate.unreadable")):
        with pytest.raises(KeyRuleError) as caught:
            CallbackKeys(lambda _: b"", certificates).load()
        assert caught.value.rule == rule


@pytest.fixture
def signers(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = made.write(tmp_path / "with space")
    monkeypatch.setenv("TEST_SIGNERS", str(folder))
    return folder


@pytest.mark.parametrize("what", ["Vault", "source", "sign:{}/chain.pem"])
def test_what_a_user_can_name_with_callable(made: Made, signers: Path, what: str) -> None:
    source = keys_from(f"callable:{MODULE}:{what.format(signers)}")
    assert isinstance(source, KeySource)
    assert pickle.loads(pickle.dumps(source)) == source
    data = signed(SigningContext(PLAIN, source.load())).result
    assert read(data, root=pem(made.root))[0] == "Trusted"


def test_a_module_in_the_current_directory(made, signers, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    text = f"from {MODULE} import Vault as Mine\n"
    (tmp_path / "my_own_keys_of_this_folder.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert keys_from("callable:my_own_keys_of_this_folder:Mine").load().certificates == pem(
        made.signer, made.intermediate
    )


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (f"{MODULE}:nowhere", "cannot be imported: AttributeError"),
        ("no_such_module:x", "cannot be imported: ModuleNotFoundError"),
        (f"{MODULE}:NOT_KEYS", "no source of keys"),
        (f"{MODULE}:failing", "it fails: RuntimeError: the vault is sealed"),
        (f"{MODULE}:NoChain", r"its load\(\) gives no Chain"),
        (f"{MODULE}:NOT_KEYS:chain.pem", "not a function that signs"),
        (MODULE, "names no source of keys"),
        ("", "names no source of keys"),
    ],
)
def test_what_cannot_be_used_is_told(signers: Path, what: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        keys_from(f"callable:{what}").load()
    assert str(caught.value.where).startswith("callable:")
    assert caught.value.hint


def test_what_a_user_writes(tmp_path: Path) -> None:
    assert keys_from(None) == DevelopmentKeys()
    assert keys_from(tmp_path) == FolderKeys(tmp_path)
    assert keys_from("~/keys") == FolderKeys(Path.home() / "keys")
    assert keys_from("command:kms --profile a") == CommandKeys("kms --profile a")
    assert keys_from("callable:m:f") == ImportedKeys("m:f")
    assert keys_from("callable:m:f:c.pem") == CallbackKeys("m:f", Path("c.pem"))


PROGRAM = """
import json, os, sys, time
from pathlib import Path
folder, mode = Path(sys.argv[1]), sys.argv[2]
info = sys.argv[-1] == "--signer-info"
if mode == "slow" or (mode == "slow-sign" and not info):
    if os.fork() == 0:
        time.sleep(30)  # a child of its own that holds the pipes
    time.sleep(30)
if mode == "fail" or (mode == "fail-sign" and not info):
    print("slot 0 is locked", file=sys.stderr)
    sys.exit(3)
if mode == "silent":
    sys.exit(0)
if info:
    said = {"alg": "es256", "sign_cert": (folder / "chain.pem").read_text(), "reserve_size": 9000}
    said.update(json.loads(os.environ.get("SAID", "{}")))
    print("no JSON" if mode == "text" else json.dumps(said))
    sys.exit(0)
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(b"garbage" if mode == "garbage" else key.sign(data, ec.ECDSA(hashes.SHA256())))
"""


def command(signers: Path, mode: str, timeout: float = 20) -> CommandKeys:
    (signers / "signer.py").write_text(PROGRAM)
    return CommandKeys(shlex.join([sys.executable, str(signers / "signer.py"), str(signers), mode]), timeout)


def test_a_program_signs(made: Made, signers: Path) -> None:
    keys = command(signers, "good")
    chain = keys.load()
    assert (chain.algorithm, chain.tsa_url) == ("ES256", None)
    data = signed(SigningContext(PLAIN, chain)).result
    assert read(data, root=pem(made.root))[0] == "Trusted"
    again = keys_from(f"command:{keys.command}")
    assert again.load().certificates == chain.certificates
    assert pickle.loads(pickle.dumps(again)) == again


def test_a_program_may_name_an_authority(signers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAID", json.dumps({"tsa_url": "http://127.0.0.1:9/"}))
    chain = command(signers, "good").load()
    assert chain.tsa_url == "http://127.0.0.1:9/"
    assert "cannot be reached" in str(signed(SigningContext(PLAIN, chain)).note)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", "ended with code 3: slot 0 is locked"),
        ("silent", "wrote 0 bytes"),
        ("text", "--signer-info is not JSON: 'no JSON"),
    ],
)
def test_a_program_that_does_not_say_who_it_is(signers: Path, mode: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        command(signers, mode).load()
    assert str(caught.value.where).startswith("command:")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"alg": None}, "no usable 'alg'"),
        ({"sign_cert": 7}, "no usable 'sign_cert'"),
        ({"tsa_url": 7}, "no usable 'tsa_url'"),
        ({"alg": "es512"}, "es512 does not fit the certificate"),
        ({"sign_cert": "chain.pem"}, "no readable certificate"),
    ],
)
def test_a_program_that_says_the_wrong_thing(signers, monkeypatch, said, words) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("SAID", json.dumps(said))
    with pytest.raises(ConfigError, match=words):
        command(signers, "good").load()


@pytest.mark.parametrize(
    ("mode", "words"), [("fail-sign", "ended with code 3: slot 0 is locked"), ("garbage", "7 bytes that are no ES256")]
)
def test_a_program_that_fails_to_sign(signers: Path, mode: str, words: str) -> None:
    context = SigningContext(PLAIN, command(signers, mode).load())
    with pytest.raises(StoreError, match=words):
        signed(context)


def test_a_program_that_hangs_is_left(signers: Path) -> None:
    start = time.monotonic()
    with pytest.raises(ConfigError, match="did not answer within 1 s"):
        command(signers, "slow", timeout=1).load()
    assert time.monotonic() - start < 15
    chain = command(signers, "slow-sign", timeout=3).load()
    start = time.monotonic()
    with pytest.raises(StoreError, match="did not answer within 3 s"):
        signed(SigningContext(PLAIN, chain))
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/no/such/program", "cannot be started: No such file"),
        ("", "no program is named"),
        ("'unclosed", "cannot be read: No closing quotation"),
        ((__file__,), "cannot be started: Permission denied"),
    ],
)
def test_a_program_that_is_none(line: str, words: str) -> None:
    with pytest.raises(AuditError, match=words) as caught:
        CommandKeys(line).load()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), RSA], ids=["P-256", "RSA"])
@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
def test_encrypted_keys(tmp_path, monkeypatch, key, form) -> None:  # type: ignore[no-untyped-def]
    from cryptography.hazmat.primitives import serialization as s

    made = make(key=key)
    kind = s.PrivateFormat.PKCS8 if form == "pkcs8" else s.PrivateFormat.TraditionalOpenSSL
    secret = key.private_bytes(s.Encoding.PEM, kind, s.BestAvailableEncryption("geheim ü".encode()))
    folder = made.write(tmp_path / "k", key=secret)
    for variable in ("GENAUDIT_KEY_PASSWORD", "GENAUDIT_KEY_PASSWORD_FILE"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(KeyRuleError, match="is encrypted, and no password is given") as caught:
        keys_from(folder).load()
    assert (caught.value.rule, "GENAUDIT_KEY_PASSWORD" in str(caught.value.hint)) == ("key.encrypted", True)
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD", "wrong")
    with pytest.raises(KeyRuleError, match="the password does not open it"):
        keys_from(folder).load()
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD", "geheim ü")
    chain = keys_from(folder).load()
    assert chain.key == to_pkcs8(key)
    assert read(signed(SigningContext(PLAIN, chain)).result, root=pem(made.root))[0] == "Trusted"
    monkeypatch.delenv("GENAUDIT_KEY_PASSWORD")
    file = tmp_path / "password"
    file.write_text("geheim ü\n")
    file.chmod(0o600)
    assert FolderKeys(folder, file).load().key == chain.key
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD_FILE", str(file))
    assert keys_from(folder).load().key == chain.key
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="password can be read by others"):
        keys_from(folder).load()
    file.unlink()
    with pytest.raises(ConfigError, match="password cannot be read: No such file"):
        keys_from(folder).load()


def test_a_password_does_no_harm_where_none_is_needed(made, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD", "for another key")
    assert FolderKeys(made.write(tmp_path)).load().key == to_pkcs8(made.key)
