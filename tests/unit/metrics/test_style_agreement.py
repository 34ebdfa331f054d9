# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit.metrics.style.agreement import METRIC
from audit.types import OperatingCharacteristics, Status

STYLES = ("plain", "sepia", "night")
ANSWERS = (*STYLES, "could not tell")
SURE = tuple(tuple(10**9 * int(i == j) for j in range(4)) for i in range(3))


def style(counts=SURE):
    return {"scene.style": OperatingCharacteristics("style", STYLES, ANSWERS, counts, "renders")}


def view_of(make_view, answers, prompts, *, kinds=None, operating=None, **more):
    n = len(answers)
    more = {"operating": style() if operating is None else operating, "prompt_id": prompts, **more}
    return make_view(n, scene__style=answers, scene__kind=kinds or ["person"] * n, **more)


def test_pairs_within_prompts_are_counted_and_none_across(make_view):
    a, b = ["plain"] * 5 + ["sepia"] * 2 + ["night"], ["sepia"] * 6
    found = METRIC(view_of(make_view, a + b, ["a"] * 8 + ["b"] * 6))[0]
    agree = [np.mean([x == y for x, y in itertools.combinations(part, 2)]) for part in (a, b)]
    assert found.value == pytest.approx(np.mean(agree))
    assert (found.n, found.clusters, found.missing) == (14, 2, 0)
    assert found.extra["share_sepia"] == pytest.approx((2 / 8 + 1) / 2)
    assert sum(found.extra[f"share_{name}"] for name in STYLES) == pytest.approx(1)


def test_a_constant_style_is_one_with_a_lower_limit(make_view):
    found = METRIC(view_of(make_view, ["night"] * 24, ["a"] * 12 + ["b"] * 12))[0]
    assert (found.value, found.high) == pytest.approx((1, 1))
    assert 0.5 < found.low < 0.9


def test_paintings_signs_and_lonely_pictures_are_left_out(make_view):
    answers = ["plain"] * 12 + ["could not tell"] * 2 + ["plain"] * 2
    kinds = ["person"] * 12 + ["painting", "sign"] + ["person"] * 2
    found = METRIC(view_of(make_view, answers, ["a"] * 14 + ["b", "b"], kinds=kinds))[0]
    assert (found.n, found.missing, found.clusters) == (12, 4, 1)
    assert found.extra["prompts_left_out"] == 1


def test_sliced_by_axis(make_view):
    answers, prompts = ["plain"] * 12 + ["plain", "night"] * 6, ["a"] * 12 + ["b"] * 12
    found = METRIC(view_of(make_view, answers, prompts, axis__occupation=prompts, by=("occupation",)))
    by = {e.slice.get("occupation", "all"): e.value for e in found}
    assert by["a"] == pytest.approx(1)
    assert by["b"] == pytest.approx(5 / 11)
    assert by["all"] == pytest.approx((1 + 5 / 11) / 2)


def test_the_planted_drift_is_found_behind_an_imperfect_instrument(make_view):
    rng, hits, values = np.random.default_rng(4), 0, []
    matrix = np.array([[0.94, 0.03, 0.01, 0.02], [0.05, 0.92, 0.01, 0.02], [0.01, 0.02, 0.95, 0.02]])
    prompts = [f"p{k // 16}" for k in range(96)]
    for _ in range(100):
        counts = tuple(tuple(int(c) for c in rng.multinomial(1000, row)) for row in matrix)
        drawn = rng.choice(3, 96, p=[0.6, 0.25, 0.15])
        answers = [ANSWERS[rng.choice(4, p=matrix[k])] for k in drawn]
        found = METRIC(view_of(make_view, answers, prompts, operating=style(counts)))[0]
        values.append(found.value)
        hits += found.low <= 0.445 <= found.high
    assert np.mean(values) == pytest.approx(0.445, abs=0.02)
    assert hits / 100 >= 0.91


@pytest.mark.parametrize(
    ("answers", "prompts", "operating", "status"),
    [
        (["plain"] * 9, ["a"] * 9, None, Status.INSUFFICIENT),
        (["plain"] * 12, [f"p{k // 2}" for k in range(12)], None, Status.INSUFFICIENT),
        ([None] * 12, ["a"] * 12, None, Status.INSUFFICIENT),
        (["plain"] * 12, ["a"] * 12, {}, Status.UNAVAILABLE),
        (["plain"] * 12, ["a"] * 12, style(((5, 5, 5, 0), (5, 5, 5, 0), (5, 5, 6, 0))), Status.UNIDENTIFIED),
    ],
)
def test_no_data_no_number(make_view, answers, prompts, operating, status):
    found = METRIC(view_of(make_view, answers, prompts, operating=operating))
    assert [(e.status, e.value) for e in found] == [(status, None)]
    assert found[0].why
