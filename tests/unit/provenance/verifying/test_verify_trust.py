# SPDX-License-Identifier: Apache-2.0
"""Who vouches for what: the library does not keep lists of signers and of time stamp authorities apart."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from audit.provenance import State, verify_bytes
from audit.provenance.trust import TrustList


def signers(*pems: str) -> TrustList:
    return TrustList.of("".join(pems), "signers", name="signers.pem")


def timers(*pems: str) -> TrustList:
    return TrustList.of("".join(pems), "timestamps", name="time.pem")


@pytest.fixture(scope="module")
def stamped(signer, picture, clock) -> bytes:
    return signer.sign(picture(), stamp=clock.url)


def test_trusted_signer_and_trusted_time(stamped, authority, clock) -> None:
    lists = [signers(authority.pem), timers(clock.root)]
    verdict = verify_bytes(stamped, trust=lists)
    assert (verdict.state, verdict.codes, verdict.warnings) == (State.TRUSTED, (), ())
    assert verdict.timestamp is not None
    assert (verdict.timestamp.state, verdict.timestamp.authority) == ("trusted", "Signer")
    moment = datetime.fromisoformat(str(verdict.timestamp.time))
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)
    assert verdict.signed_at == verdict.timestamp.time
    assert verdict.trust_list == lists[0].record
    assert verdict.lists == (lists[0].record, lists[1].record)


def test_one_bundle_for_both(stamped, authority, clock) -> None:
    assert verify_bytes(stamped, anchors=authority.pem + clock.root).state is State.TRUSTED


@pytest.mark.parametrize("seconds", ["none", "wrong"])
def test_time_by_nobody_on_a_list(stamped, authority, stranger, seconds) -> None:
    lists = [signers(authority.pem)]
    if seconds == "wrong":
        lists.append(timers(authority.pem))
    verdict = verify_bytes(stamped, trust=lists)
    assert verdict.state is State.NO_TIMESTAMP
    assert verdict.timestamp is not None
    assert verdict.timestamp.state == "untrusted"
    assert verdict.warnings == ("genaudit.timeStamp.untrusted",)
    assert "ends with the certificate" in verdict.message


def test_a_list_for_time_does_not_vouch_for_signers(stamped, authority, clock) -> None:
    """The library says trusted."""
    verdict = verify_bytes(stamped, trust=[timers(authority.pem, clock.root)])
    assert (verdict.state, verdict.codes) == (State.VALID_UNTRUSTED, ("signingCredential.untrusted",))
    assert verdict.trust_list is None
    assert verdict.timestamp is not None
    assert verdict.timestamp.state == "trusted"


def test_a_list_for_signers_does_not_vouch_for_time(stamped, authority, clock) -> None:
    """The library says that the time is trusted."""
    verdict = verify_bytes(stamped, trust=[signers(authority.pem, clock.root)])
    assert verdict.state is State.NO_TIMESTAMP
    assert verdict.timestamp is not None
    assert verdict.timestamp.state == "untrusted"


def test_a_root_on_both_lists_counts_for_both(stamped, authority, clock) -> None:
    """The library reports only one of them, and not always the right one."""
    lists = [signers(authority.pem), timers(authority.pem, clock.root)]
    for order in (lists, lists[::-1]):
        verdict = verify_bytes(stamped, trust=order)
        assert verdict.state is State.TRUSTED
        assert verdict.trust_list == lists[0].record


def test_the_list_that_vouches_is_named(stamped, authority, clock) -> None:
    other = TrustList.of(clock.root, "signers", name="other.pem")
    mine = signers(authority.pem)
    assert verify_bytes(stamped, trust=[other, mine]).trust_list == mine.record


def test_a_wrong_root_makes_no_trust(stamped, clock) -> None:
    assert verify_bytes(stamped, trust=[signers(clock.root)]).state is State.VALID_UNTRUSTED


def test_parent_vouched_for_by_a_list_for_time_only(signer, stranger, picture, authority) -> None:
    """The parent's root is trusted for time, which is no reason to believe what the parent says."""
    from tests.unit.provenance.verifying.conftest import Authority, Signer

    times = Authority.make("Times Too Ltd")
    parent = Signer(*times.issue("Times Too Ltd")).sign(picture())
    data = signer.sign(parent, edit=True)
    verdict = verify_bytes(data, trust=[signers(authority.pem), timers(times.pem)])
    assert (verdict.state, verdict.codes) == (State.VALID_UNTRUSTED, ("ingredient:signingCredential.untrusted",))
    assert verify_bytes(data, trust=[signers(authority.pem, times.pem)]).state is State.NO_TIMESTAMP


def test_no_list_no_trust(stamped) -> None:
    verdict = verify_bytes(stamped)
    assert (verdict.state, verdict.lists, verdict.trust_list) == (State.VALID_UNTRUSTED, (), None)


@pytest.mark.slow
def test_a_certificate_that_ended(authority, picture, clock) -> None:
    from tests.unit.provenance.verifying.conftest import Signer

    short = Signer(*authority.issue("A Studio", life=timedelta(seconds=4)))
    plain, stamped = short.sign(picture()), short.sign(picture(), stamp=clock.url)
    both = [signers(authority.pem), timers(clock.root)]
    assert verify_bytes(plain, trust=both).state is State.NO_TIMESTAMP
    time.sleep(max(0.0, (short.certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()) + 1.1)
    ended = verify_bytes(plain, trust=both)
    assert ended.state is State.INVALID
    assert "signingCredential.expired" in ended.codes
    assert "has expired" in ended.message
    assert verify_bytes(stamped, trust=both).state is State.TRUSTED
    assert verify_bytes(stamped, anchors=authority.pem + clock.root).state is State.TRUSTED
    twice = [signers(authority.pem), timers(authority.pem, clock.root)]
    assert verify_bytes(stamped, trust=twice).state is State.TRUSTED
    # A time that only a list of signers vouches for excuses nothing, whatever the library says.
    late = verify_bytes(stamped, trust=[signers(authority.pem, clock.root)])
    assert late.state is State.INVALID
    assert "signingCredential.expired" in late.codes
    assert verify_bytes(stamped, trust=[signers(authority.pem)]).state is State.INVALID
