# SPDX-License-Identifier: Apache-2.0
"""Our authority's answers, judged by OpenSSL and by the C2PA library."""

from __future__ import annotations

import shutil
import stat
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from audit.errors import ConfigError
from audit.provenance.keys import DEVELOPMENT_LABEL, FolderKeys, SigningContext, TimeStamps, development_chain
from audit.provenance.keys import _der as der
from audit.provenance.keys._authority import answer
from audit.provenance.keys.authority import DevelopmentAuthority, development_authority, serve_authority
from tests.unit.provenance.keys.pki import NOW, PLAIN, make, pem, read, signed

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentAuthority:
    return development_authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def url(found: DevelopmentAuthority) -> str:
    return f"{serve_authority(found).url}/"


def openssl(*words: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def query(folder: Path, *words: str) -> bytes:
    (folder / "data").write_bytes(b"some data")
    openssl("ts", "-query", "-data", folder / "data", "-out", folder / "q.tsq", *words)
    return (folder / "q.tsq").read_bytes()


@needs_openssl
@pytest.mark.parametrize("words", [("-cert",), (), ("-cert", "-no_nonce"), ("-sha384", "-cert"), ("-sha512", "-cert")])
def test_openssl_verifies_the_answer(tmp_path, found, words) -> None:  # type: ignore[no-untyped-def]
    request = query(tmp_path, *words)
    (tmp_path / "a.tsr").write_bytes(answer(request, found.authority))
    chain = () if "-cert" in words else ("-untrusted", found.folder / "tsa.pem")
    trusted = ("-CAfile", found.folder / "tsa-root.pem", *chain)
    assert "OK" in openssl("ts", "-verify", "-in", tmp_path / "a.tsr", "-queryfile", tmp_path / "q.tsq", *trusted)
    text = openssl("ts", "-reply", "-in", tmp_path / "a.tsr", "-text")
    assert "Status: Granted." in text
    assert "Policy OID: 2.999.1" in text


@needs_openssl
def test_openssl_refuses_it_for_other_data(tmp_path, found) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.tsr").write_bytes(answer(query(tmp_path, "-cert"), found.authority))
    (tmp_path / "other").write_bytes(b"other data")
    words = ("-in", tmp_path / "a.tsr", "-data", tmp_path / "other", "-CAfile", found.folder / "tsa-root.pem")
    with pytest.raises(subprocess.CalledProcessError):
        openssl("ts", "-verify", *words)


@needs_openssl
@pytest.mark.parametrize(
    ("request_", "failure"),
    [
        (b"junk", "BAD_DATA_FORMAT"),
        (b"", "BAD_DATA_FORMAT"),
        (der.sequence(der.integer(2), der.sequence()), "BAD_DATA_FORMAT"),
        (
            der.sequence(
                der.integer(1),
                der.sequence(der.sequence(der.object_identifier("1.3.14.3.2.26")), der.octets(b"\0" * 20)),
            ),
            "BAD_ALG",
        ),
    ],
    ids=["junk", "nothing", "version", "SHA-1"],
)
def test_openssl_reads_the_rejection(tmp_path, found, request_, failure) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a.tsr").write_bytes(answer(request_, found.authority))
    text = openssl("ts", "-reply", "-in", tmp_path / "a.tsr", "-text")
    assert "Status: Rejected." in text
    words = {"BAD_DATA_FORMAT": "the data submitted has the wrong format", "BAD_ALG": "unrecognized or unsupported"}
    assert words[failure] in text.replace("\n", " ")


def test_the_library_trusts_the_time_where_the_root_is_given(tmp_path, found, url) -> None:  # type: ignore[no-untyped-def]
    chain = development_chain(tmp_path)
    outcome = signed(SigningContext(PLAIN, chain, TimeStamps(url)))
    assert (outcome.timestamped, outcome.note) == (True, None)
    state, codes, signature = read(outcome.result, root=chain.root, tsa_root=found.root)
    assert (state, {c for c in codes if "timeStamp" in c}) == ("Trusted", {"timeStamp.validated", "timeStamp.trusted"})
    assert signature["time"].startswith(NOW.strftime("%Y-%m-%dT"))
    _, codes, _ = read(outcome.result, root=chain.root)
    assert "timeStamp.untrusted" in codes
    plain = signed(SigningContext(PLAIN, chain))
    assert not plain.timestamped
    assert not {c for c in read(plain.result)[1] if "timeStamp" in c}


@pytest.mark.slow
def test_a_time_stamp_outlives_the_certificate(tmp_path, found, url) -> None:  # type: ignore[no-untyped-def]
    short = make(start=timedelta(days=-1), end=datetime.now(UTC) - NOW + timedelta(seconds=8))
    chain = FolderKeys(short.write(tmp_path)).load()
    kept = signed(SigningContext(PLAIN, chain, TimeStamps(url))).result
    lost = signed(SigningContext(PLAIN, chain)).result
    time.sleep(max(0.0, (chain.expires - datetime.now(UTC)).total_seconds()) + 1.5)
    root = pem(short.root)
    assert read(kept, root=root, tsa_root=found.root)[0] == "Trusted"
    state, codes, _ = read(lost, root=root, tsa_root=found.root)
    assert (state, "signingCredential.expired" in codes) == ("Invalid", True)


def test_the_folder(tmp_path: Path) -> None:
    first = development_authority(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"tsa.pem", "tsa-key.pem", "tsa-root.pem", ".lock"}
    assert stat.S_IMODE((tmp_path / "tsa-key.pem").stat().st_mode) == 0o600
    assert development_authority(tmp_path).authority.certificate == first.authority.certificate
    usage = first.authority.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert (usage.critical, [oid.dotted_string for oid in usage.value]) == (True, ["1.3.6.1.5.5.7.3.8"])
    assert DEVELOPMENT_LABEL in first.authority.certificate.subject.rfc4514_string()
    assert "key" not in repr(first)
    development_chain(tmp_path)  # the same folder can hold both
    assert development_authority(tmp_path).root == first.root


def test_an_expired_authority_is_renewed_only_if_it_is_ours(tmp_path: Path) -> None:
    old = development_authority(tmp_path, now=NOW - timedelta(days=366))
    assert development_authority(tmp_path).expires > NOW > old.expires
    other = make(end=timedelta(hours=-1))
    (tmp_path / "tsa.pem").write_bytes(pem(other.signer))
    with pytest.raises(ConfigError, match="authority's certificate expired on"):
        development_authority(tmp_path)


def test_a_taken_port_is_told(found: DevelopmentAuthority) -> None:
    server = serve_authority(found)
    with pytest.raises(ConfigError, match="cannot listen") as caught:
        serve_authority(found, port=server.server_address[1])
    assert "another port" in str(caught.value.hint)
    server.shutdown()
    server.server_close()


def test_only_posts_to_the_right_place_are_answered(url: str) -> None:
    for address, data in ((url, None), (f"{url}elsewhere", b"x"), (url, b"x" * 70_000)):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(address, data=data, timeout=5)
        assert caught.value.code in {404, 413, 501}
        caught.value.close()
