# SPDX-License-Identifier: Apache-2.0
"""What requests without an image do to a finding, against closed forms and against filling in every image."""

from __future__ import annotations

import numpy as np
import pytest

from audit.metrics._base import estimate, mean_estimate
from audit.policy.missing import without_image, worst_case
from audit.policy.rules import Threshold
from audit.registry import METRICS
from audit.stats.intervals import clopper_pearson
from audit.types import Decision, Estimate, Outcome, Status, View

GAP = {"occupation": "nurse", "attribute": "presentation", "group": "feminine"}
LOST = {"missing_refused": 4, "missing_blocked": 2}


def number(metric, value, low, high, *, n=24, unit="share", missing=6, extra=LOST, slice_=None, **over) -> Estimate:
    status = Status.OK if value is not None else Status.INSUFFICIENT
    fixed = {"clusters": n, "method": "t", **over}
    return Estimate(
        metric, "1", unit, "g", slice_ or {}, value, low, high, 0.95, n, fixed.pop("clusters"), missing, status,
        extra=extra, **fixed,
    )  # fmt: skip


def finding(e: Estimate, **limit):
    return Threshold({"id": "r", "metric": e.metric, **limit}).check([e])[0]


def test_a_share_lies_between_none_and_all_of_the_missing():
    worst = worst_case(number("likeness.match_rate", 6 / 24, 0.1, 0.45))
    assert (worst.low, worst.high) == (pytest.approx(6 / 30), pytest.approx(12 / 30))
    assert worst.intervals[0] == pytest.approx((0.1 * 0.8, 0.45 * 0.8))
    assert worst.intervals[1] == pytest.approx((0.1 * 0.8 + 0.2, 0.45 * 0.8 + 0.2))


def test_any_way_to_fill_in_the_missing_stays_inside_and_the_ends_are_reached():
    rng = np.random.default_rng(1)
    seen = rng.random(24) < 0.3
    worst = worst_case(number("text.exact_match", float(seen.mean()), 0.0, 1.0))
    filled = [np.r_[seen, [False] * (6 - k), [True] * k].mean() for k in range(7)]
    assert (min(filled), max(filled)) == (pytest.approx(worst.low), pytest.approx(worst.high))


def test_a_gap_moves_with_its_share():
    share, reference = 0.75, 0.4
    extra = {**LOST, "reference": reference}
    worst = worst_case(number("bias.representation_gap", share - reference, 0.1, 0.5, extra=extra, slice_=GAP))
    assert worst.low == pytest.approx(18 / 30 - reference)
    assert worst.high == pytest.approx(24 / 30 - reference)


def test_amplification_of_one_occupation_moves_and_their_mean_is_left_alone():
    e = number("bias.amplification", 0.1, 0.0, 0.2, extra={**LOST, "training_share": 0.5})
    assert worst_case(e).low == pytest.approx(0.6 * 0.8 - 0.5)
    assert worst_case(number("bias.amplification", 0.1, 0.0, 0.2)) is None


@pytest.mark.parametrize("metric", ["quality.frechet_distance", "bias.total_variation", "style.agreement", "plug.in"])
def test_of_what_is_no_mean_over_images_only_the_count_is_told(metric):
    message = finding(number(metric, 0.5, 0.4, 0.6, unit="distance"), at_most=1).message
    assert message.endswith(
        "beyond the limit would fail 4 times in 5; 6 of 30 requests gave no image (4 refused, 2 blocked)"
    )


@pytest.mark.parametrize(
    ("limit", "decision", "changes"),
    [
        ({"at_most": 0.5}, Decision.PASS, True),  # all six matches: 0.36 + 0.2 is above
        ({"at_most": 0.6}, Decision.PASS, False),
        ({"at_most": 0.05}, Decision.FAIL, False),  # none of them: 0.08 is above as well
        ({"at_most": 0.09}, Decision.FAIL, True),
        ({"at_most": 0.3}, Decision.INCONCLUSIVE, False),
        ({"at_most": 0.4}, Decision.INCONCLUSIVE, True),  # none of them: 0.36 is below
    ],
)
def test_whether_the_verdict_could_change(limit, decision, changes):
    found = finding(number("likeness.match_rate", 6 / 24, 0.1, 0.45), **limit)
    assert found.decision is decision
    said = "; 6 of 30 requests gave no image (4 refused, 2 blocked): with them it could be 20 to 40 %"
    assert found.message.endswith(said + (", which could change the verdict" if changes else ""))


def test_the_decision_itself_does_not_move():
    for value in np.linspace(0.05, 0.95, 19):
        limit = {"at_most": 0.5}
        lost = number("likeness.match_rate", value, value - 0.05, value + 0.05)
        whole = number("likeness.match_rate", value, value - 0.05, value + 0.05, missing=0, extra={})
        assert finding(lost, **limit).decision is finding(whole, **limit).decision


def test_a_gap_in_words():
    extra = {"missing_error": 6, "reference": 0.5}
    e = number("bias.representation_gap", 0.0, -0.1, 0.1, extra=extra, slice_=GAP)
    assert finding(e, within=0.2).message.endswith(
        "; 6 of 30 requests gave no image (6 errors): with them it could be 10 points below to 10 points above the "
        "reference"
    )


def test_without_bounds_the_interval_is_wider():
    e = number("text.character_error_rate", 0.5, 0.4, 0.6, unit="errors per letter")
    assert finding(e, at_most=1).message.endswith(
        ": the interval is about 1.12 times as wide as 30 images would make it"
    )
    clustered = number("quality.effective_resolution", 60.0, 50.0, 63.0, unit="pixels", clusters=4)
    assert finding(clustered, at_least=1).message.endswith("(4 refused, 2 blocked)")


def test_the_width_is_that_of_a_t_interval():
    rng = np.random.default_rng(0)
    many = rng.normal(size=(400, 30))
    wide, narrow = many[:, :24].std(axis=1, ddof=1) / 24**0.5, many.std(axis=1, ddof=1) / 30**0.5
    assert wide.mean() / narrow.mean() == pytest.approx(1.12, abs=0.02)


def test_images_that_could_not_be_measured_are_told_apart():
    some = number("likeness.match_rate", 0.25, 0.1, 0.45, missing=9)
    assert "; 6 of 33 requests gave no image (4 refused, 2 blocked), 3 more no measurement: with" in finding(
        some, at_most=0.6
    ).message  # fmt: skip
    none = number("likeness.match_rate", 0.25, 0.1, 0.45, missing=3, extra={})
    assert finding(none, at_most=0.6).message.endswith("; 3 of 27 requests have no measurement")
    assert "request" not in finding(number("likeness.match_rate", 0.25, 0.1, 0.45, missing=0), at_most=0.6).message


def test_without_a_number_the_count_still_stands():
    e = number("likeness.match_rate", None, None, None, n=0, why="no image")
    assert finding(e, at_most=0.6).message.endswith(
        "at most 60 %; 6 of 6 requests gave no image (4 refused, 2 blocked)"
    )
    e = number("likeness.match_rate", None, None, None, n=0, why="no image", extra={})
    assert finding(e, at_most=0.6).message.endswith("limit at most 60 %")


def test_metrics_count_by_outcome_in_their_own_slice():
    outcome = np.array(["image"] * 4 + ["refused", "error"], dtype=object)
    prompts = np.array(["p", "q"] * 3, dtype=object)
    view = View("g", {"request_id": np.arange(6), "outcome": outcome, "prompt_id": prompts})
    spec = METRICS.get("likeness.match_rate").spec
    e = estimate(view, spec, {}, clopper_pearson(1, 4), missing=2, extra={"matches": 1})
    assert e.extra == {"matches": 1, "missing_refused": 1, "missing_error": 1}
    assert without_image(e) == {Outcome.REFUSED: 1, Outcome.ERROR: 1}
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan, np.nan])
    part = mean_estimate(view.take(outcome != "error"), METRICS.get("quality.discriminator_score").spec, {}, values[:5])
    assert (part.value, part.missing, without_image(part)) == (2.5, 1, {Outcome.REFUSED: 1})
    assert estimate(view.take(outcome == "image"), spec, {}, clopper_pearson(1, 4)).extra == {}


def test_the_metrics_named_here_exist_and_have_the_bounds_they_are_given():
    from audit.policy.missing import _BOUNDED, _SHIFTED, _UNBOUNDED

    assert all(METRICS.get(name).spec.bounds == bounds for name, bounds in _BOUNDED.items())
    assert all(None in METRICS.get(name).spec.bounds for name in _UNBOUNDED)
    assert all(METRICS.get(name).spec.bounds == (-1.0, 1.0) for name in _SHIFTED)
