# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from audit.errors import ConfigError
from audit.provenance import State, verify_bytes
from audit.provenance.trust import TrustList, distinct


def listed(*certificates, status: str = "trusted", **head) -> bytes:
    """The shape of C2PA's lists (ETSI TS 119 602)."""
    services = [
        {
            "ServiceInformation": {
                "ServiceDigitalIdentity": {"X509Certificates": [{"val": base64.b64encode(der).decode()}]},
                "ServiceStatus": f"http://c2pa.org/conformance/trust-list/{status}",
            }
        }
        for der in certificates
    ]
    about = {"SchemeName": [{"lang": "en", "value": "A List"}], "ListIssueDateTime": "2026-08-05T00:11:39Z", **head}
    return json.dumps(
        {
            "LoTE": {
                "ListAndSchemeInformation": about,
                "TrustedEntitiesList": [{"TrustedEntityServices": services}],
            }
        }
    ).encode()


def der(authority) -> bytes:
    return authority.certificate.public_bytes(Encoding.DER)


def test_a_bundle(tmp_path, authority, stranger) -> None:
    path = tmp_path / "roots.pem"
    text = f"Subject\tCN=Root\n{authority.pem}\nsome words\n{authority.pem}"
    path.write_text(text + stranger.certificate.public_bytes(Encoding.PEM).decode())
    os.utime(path, (0, datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC).timestamp()))
    found = TrustList.load(path)
    assert (found.name, found.kind, found.certificates, found.expired) == ("roots.pem", "signers", 2, 0)
    assert found.date == "2026-05-04T03:02:01Z"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "some words" not in found.pem
    assert found.record.sha256 == found.sha256


def test_the_json_of_c2pa(tmp_path, authority, signer, picture) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(listed(der(authority), NextUpdate="2027-08-05T00:11:39Z"))
    found = TrustList.load(path)
    assert (found.name, found.certificates, found.untrusted) == ("A List", 1, 0)
    assert (found.date, found.next_update) == ("2026-08-05T00:11:39Z", "2027-08-05T00:11:39Z")
    assert not found.stale(datetime(2027, 8, 5, tzinfo=UTC))
    assert found.stale(datetime(2027, 8, 6, tzinfo=UTC))
    verdict = verify_bytes(signer.sign(picture()), trust=[found])
    assert (verdict.state, verdict.trust_list) == (State.NO_TIMESTAMP, found.record)


def test_what_a_list_no_longer_trusts_is_left_out(tmp_path, authority, stranger) -> None:
    whole = json.loads(listed(der(authority)))
    gone = json.loads(listed(stranger.certificate.public_bytes(Encoding.DER), status="untrusted"))
    whole["LoTE"]["TrustedEntitiesList"] += gone["LoTE"]["TrustedEntitiesList"]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(whole))
    found = TrustList.load(path)
    assert (found.certificates, found.untrusted) == (1, 1)
    path.write_bytes(listed(der(authority), status="untrusted"))
    with pytest.raises(ConfigError, match="no certificate"):
        TrustList.load(path)


def test_a_list_out_of_date_is_told(tmp_path, authority, signer, picture) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(listed(der(authority), NextUpdate="2020-01-01T00:00:00Z"))
    verdict = verify_bytes(signer.sign(picture()), trust=[TrustList.load(path)])
    assert "genaudit.trustList.stale" in verdict.warnings


def test_one_certificate_in_binary_form(tmp_path, authority) -> None:
    path = tmp_path / "root.der"
    path.write_bytes(der(authority))
    assert TrustList.load(path).pem == authority.pem


def test_expired_anchors_are_counted_and_kept(authority) -> None:
    from tests.unit.provenance.verifying.conftest import Authority

    fresh = Authority.make("Old")
    _, ended = fresh.issue("Old", life=-timedelta(hours=1))
    found = TrustList.of(authority.pem + ended.public_bytes(Encoding.PEM).decode())
    assert (found.certificates, found.expired) == (2, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no certificate"),
        (b"hello", "no certificate"),
        (b"\xff\xfe\x00", "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----", "cannot be read as a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read as a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA", "no certificate"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no certificate"),
        (b"\x30\x03\x02\x01\x01", "cannot be read as a certificate"),
        (b"{", "not a list of trusted entities"),
        (b"{}", "not a list of trusted entities"),
        (b'{"LoTE": []}', "not a list of trusted entities"),
        (listed(), "no certificate"),
        (listed(b"junk"), "cannot be read as a certificate"),
        (listed(b"x").replace(b"ServiceDigitalIdentity", b"Other"), "lacks its certificate"),
    ],
)
def test_what_is_no_list(tmp_path, data, message) -> None:
    path = tmp_path / "list"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=message) as caught:
        TrustList.load(path)
    assert str(path) in str(caught.value.where)
    assert "PEM" in str(caught.value.hint)


def test_the_broken_one_is_named(authority) -> None:
    bundle = authority.pem + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(ConfigError, match="certificate 2"):
        TrustList.of(bundle)
    with pytest.raises(ConfigError, match="no certificate"):
        verify_bytes(b"x", anchors="nothing")


def test_a_missing_file(tmp_path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            TrustList.load(path)


def test_the_same_list_twice_counts_once(tmp_path, authority) -> None:
    one, same = TrustList.of(authority.pem, "signers"), TrustList.of(authority.pem, "signers", name="again")
    assert distinct([one, same]) == (same,)
    assert len(distinct([one], authority.pem)) == 2  # for signers, and for both


def test_certificates_with_odd_dates_and_names(tmp_path) -> None:
    """Bundles of this system's own roots hold every kind of old certificate."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if not bundle.is_file():
        pytest.skip("no bundle on this system")
    found = TrustList.load(bundle)
    assert found.certificates == bundle.read_text().count("BEGIN CERTIFICATE")
