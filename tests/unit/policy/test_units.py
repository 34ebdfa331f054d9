# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.policy.units import prefixed


@pytest.mark.parametrize(
    ("unit", "size", "written"),
    [
        ("bytes", 0, "0 B"),
        ("bytes", 1023, "1023 B"),
        ("bytes", 1024, "1 KiB"),
        ("bytes", 3 * 1024**3, "3 GiB"),
        ("bytes", 5 * 1024**5, "5120 TiB"),
        ("FLOP", 8.03e11, "803 GFLOP"),
        ("FLOP", 8e13, "80 TFLOP"),
        ("joules", 0.25, "0.25 J"),
        ("joules", 1500, "1.5 kJ"),
        ("seconds", 12_000, "12000 s"),
        ("score", 12_000, "12000 "),
    ],
)
def test_numbers_are_written_with_a_prefix(unit, size, written):
    factor, word = prefixed(unit, size)
    assert f"{size * factor:.5g} {word}" == written


def test_no_number_has_the_plain_unit():
    assert prefixed("bytes", None) == (1.0, "B")
    assert prefixed("FLOP", float("nan")) == (1.0, "FLOP")
