# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.provenance.keys import _der as der


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (-128, "020180"), (-129, "0202ff7f")],
)
def test_integers_of_x690(number: int, encoded: str) -> None:
    assert der.integer(number).hex() == encoded


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.840.113549", "06062a864886f70d"),  # RSA Data Security, as printed in A Layman's Guide to ASN.1
        ("2.100.3", "0603813403"),  # the example of X.690, 8.19.5
        ("2.5.4.3", "0603550403"),  # commonName
    ],
)
def test_object_identifiers(dotted: str, encoded: str) -> None:
    assert der.object_identifier(dotted).hex() == encoded


def test_long_lengths() -> None:
    assert der.octets(b"x" * 127)[:2].hex() == "047f"
    assert der.octets(b"x" * 128)[:3].hex() == "048180"
    assert der.octets(b"x" * 256)[:4].hex() == "04820100"


def test_times_are_utc() -> None:
    moment = datetime(2026, 11, 22, 7, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
    assert der.generalized_time(moment) == b"\x18\x0f20261122060000Z"
    assert der.generalized_time(moment.astimezone(UTC)) == der.generalized_time(moment)


def test_sets_are_sorted() -> None:
    assert der.set_of(der.integer(2), der.integer(1)).hex() == "3106020101020102"


@given(st.lists(st.tuples(st.sampled_from([0x02, 0x04, 0x30, 0xA0]), st.binary(max_size=700)), max_size=5))
def test_what_is_written_is_read(items: list[tuple[int, bytes]]) -> None:
    whole = [der.tlv(*item) for item in items]
    assert list(der.children(b"".join(whole))) == [(*item, one) for item, one in zip(items, whole, strict=True)]


@given(st.integers(-(2**80), 2**80))
def test_integers_come_back(number: int) -> None:
    ((_, content, _),) = der.children(der.integer(number))
    assert der.to_integer(content) == number


@given(st.binary(max_size=60))
def test_junk_raises_value_error_or_is_walked(junk: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert b"".join(whole for *_, whole in der.children(junk)) == junk


@pytest.mark.parametrize("junk", [b"\x30", b"\x30\x05\x00", b"\x30\x80\x00\x00", b"\x1f\x01\x00", b"\x04\x85\x00\x00"])
def test_malformed_values(junk: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        list(der.children(junk))
