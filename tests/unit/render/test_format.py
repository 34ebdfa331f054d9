# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.render.format import clean, decimals, decision_words, number, percent, slice_words, summary_table, value_text
from audit.types import Decision, Estimate, Finding, Status, Verdict


def make(value=0.38, low=0.29, high=0.46, *, metric="quality.x", unit="score", slice_=None, **more) -> Estimate:
    fields = {
        "metric": metric,
        "version": "1",
        "unit": unit,
        "generator": "g",
        "slice": slice_ or {},
        "value": value,
        "low": low,
        "high": high,
        "level": 0.95,
        "n": 250,
        "clusters": 250,
        "missing": 0,
        "status": Status.OK if value is not None else Status.INSUFFICIENT,
        "method": "m",
    }
    return Estimate(**{**fields, **more})


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (make(), "0.38 [0.29, 0.46]"),
        (make(unit="share"), "38\u00a0% [29, 46]"),
        (make(metric="bias.representation_gap", unit="share"), "+38 points [+29, +46]"),
        (make(-0.38, -0.46, -0.29, metric="bias.representation_gap", unit="share"), "−38 points [−46, −29]"),
        (make(0.412, 0.401, 0.423, unit="seconds"), "0.412\u00a0s [0.401, 0.423]"),
        (make(27.4181, 26.81, 28.03), "27.4 [26.8, 28.0]"),
        (make(1234.5, 1100.0, 1400.0), "1234 [1100, 1400]"),
        (make(0.0, 0.0, 0.0147, unit="share"), "0.0\u00a0% [0.0, 1.5]"),
        (make(0.5, None, None), "0.5 (no interval)"),
        (make(3.2 * 2**30, 3.2 * 2**30, None, unit="bytes"), "3.2\u00a0GiB (no interval)"),
        (make(8.03e11, 8.03e11, 8.03e11, unit="FLOP"), "803\u00a0GFLOP [803, 803]"),
        (make(1512.0, 1430.0, 1594.0, unit="joules"), "1.51\u00a0kJ [1.43, 1.59]"),
        (make(38.2, 36.1, 40.3, unit="money", extra={"currency": "EUR"}), "38.2\u00a0EUR [36.1, 40.3]"),
        (make(38.2, 36.1, 40.3, unit="money"), "38.2 [36.1, 40.3]"),
        (make(None, None, None, why="2 images, needs 10"), "no number: 2 images, needs 10"),
    ],
)
def test_value_is_rounded_to_the_width_of_its_interval(estimate: Estimate, text: str) -> None:
    assert value_text(estimate) == text


def test_number_never_shows_a_negative_zero_or_an_exponent() -> None:
    assert number(-0.0001, 2) == "0.00"
    assert number(0.0, 1, signed=True) == "0.0"
    assert "e" not in number(1.23e9)
    assert "e" not in number(1.23e-5)


def test_degenerate_interval_gives_no_decimals_rule() -> None:
    assert decimals(0.5, 0.5) is None
    assert decimals(None, 1.0) is None
    assert decimals(0.0, float("inf")) is None
    assert percent(None) == "–"
    assert percent(float("nan")) == "–"


def test_slice_words_say_perceived_and_never_what_somebody_is() -> None:
    where = {"probe": "p", "occupation": "nurse", "attribute": "presentation", "group": "feminine"}
    assert slice_words(where) == "nurse, perceived presentation: feminine"
    assert slice_words(where, probe=True).startswith("p, nurse")
    assert slice_words({}) == "all"
    assert slice_words({"attribute": "tone_band", "group": "dark"}) == "apparent skin tone: dark"
    assert slice_words({"reference": "R-03"}) == "enrolled reference R-03"


def test_clean_drops_what_would_rewrite_a_line() -> None:
    assert clean("a\x1b[31mb\u202ec\r\nd\ud800") == "a[31mbc  d"


def test_summary_puts_failures_first_and_leaves_undecided_slices_out() -> None:
    whole, cell = make(slice_={"probe": "p"}), make(slice_={"probe": "p", "occupation": "nurse"})
    judged = make(slice_={"probe": "p", "occupation": "CEO"})
    verdict = Verdict(
        "policy", "d", (Finding("r", Decision.FAIL, "m", (judged,)), Finding("r", Decision.PASS, "m", (whole,)))
    )
    rows = summary_table([whole, cell, judged], verdict, titles={"quality.x": "X"})
    assert [(row.slice, row.decision) for row in rows] == [("CEO", "FAIL"), ("all", "PASS")]
    assert rows[0].title == "X"
    assert len(summary_table([whole, cell, judged], verdict, everything=True)) == 3
    assert summary_table([whole], None)[0].decision == ""


def test_gravest_finding_wins() -> None:
    estimate = make()
    verdict = Verdict(
        "p", "d", (Finding("a", Decision.PASS, "m", (estimate,)), Finding("b", Decision.FAIL, "m", (estimate,)))
    )
    assert summary_table([estimate], verdict)[0].decision == decision_words(Decision.FAIL)
