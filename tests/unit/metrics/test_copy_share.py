# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.likeness.copy_share import METRIC
from audit.stats.annotator_error import Correction
from audit.types import OperatingCharacteristics, Status

ANSWERS = ("copy", "no copy", "could not tell")


def counts(*rows):
    return {"works.copy": OperatingCharacteristics("copy", ANSWERS[:2], ANSWERS, rows, "500 copies; 2,000 others")}


GOOD = counts((490, 10, 0), (20, 1980, 0))


def view_of(make_view, said, operating=GOOD, **more):
    works = ["Tide" if s == "copy" else None if s == "could not tell" else "Dune" for s in said]
    similarity = np.array([0.9 if s == "copy" else np.nan if s == "could not tell" else 0.2 for s in said])
    return make_view(
        len(said), works__copy=said, works__work=works, works__similarity=similarity, operating=operating, **more
    )


def test_the_share_is_corrected_for_false_alarms_and_misses(make_view):
    said = ["copy"] * 40 + ["no copy"] * 59 + ["could not tell"]
    overall, *prompts = METRIC(view_of(make_view, said))
    assert overall.value == pytest.approx((40 / 99 - 0.01) / (0.98 - 0.01))
    expected = Correction(np.array([[490, 10], [20, 1980]])).estimate(np.array([40.0, 59.0]))
    assert (overall.low, overall.high) == pytest.approx((expected.low[0], expected.high[0]))
    assert (overall.n, overall.missing, overall.extra["could_not_tell"]) == (99, 1, 1)
    assert (overall.extra["work"], overall.extra["copies"], overall.extra["works_copied"]) == ("Tide", 40, 1)
    assert overall.extra["similarity_median"] == pytest.approx(0.9)
    assert 0 < overall.floor < 0.02
    assert [e.slice for e in prompts] == [{"prompt": f"p{k}"} for k in range(4)]
    assert sum(e.n for e in prompts) == 99


def test_false_alarms_alone_give_no_copies(make_view):
    overall = METRIC(view_of(make_view, ["copy"] * 2 + ["no copy"] * 198))[0]
    assert overall.value == pytest.approx(0, abs=1e-9)
    assert overall.low == 0
    assert 0 < overall.high < 0.04


def test_intervals_hold_the_truth(make_view):
    rng, held = np.random.default_rng(5), 0
    for _ in range(150):
        truth = rng.random(60) < 0.4
        said = ["copy" if rng.random() < (0.98 if t else 0.01) else "no copy" for t in truth]
        overall = next(iter(METRIC.compute(view_of(make_view, said), METRIC.spec)))
        held += overall.low <= 0.4 <= overall.high
    assert held >= 137  # 95 % of 150 are 142.5; below 137 with probability under 0.01


def test_without_numbers(make_view):
    assert METRIC(make_view(3))[0].status is Status.UNAVAILABLE
    assert METRIC(view_of(make_view, ["copy"], operating={}))[0].status is Status.UNAVAILABLE
    assert METRIC(view_of(make_view, ["could not tell"] * 3))[0].status is Status.INSUFFICIENT
    blind = counts((250, 250, 0), (1000, 1000, 0))
    assert METRIC(view_of(make_view, ["copy"], operating=blind))[0].status is Status.UNIDENTIFIED
    withheld = METRIC(view_of(make_view, ["copy", "copy"], outcome=["image", "refused"]))[0]
    assert (withheld.n, withheld.missing) == (1, 1)
