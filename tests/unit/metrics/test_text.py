# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.metrics.text import character_error_rate, exact_match
from audit.types import OperatingCharacteristics, Status

EXACT, ERRORS = exact_match.METRIC, character_error_rate.METRIC
ANSWERS = ("as asked", "otherwise", "could not tell")


def reader(counts=((960, 20, 20), (10, 960, 30))):
    return {"scene.text": OperatingCharacteristics("text", ANSWERS[:2], ANSWERS, counts, "1,000 signs a class")}


def view_of(make_view, texts, *, words=None, kinds=None, operating=None, **more):
    n = len(texts)
    return make_view(
        n,
        operating=reader() if operating is None else operating,
        scene__text=texts,
        scene__kind=kinds or ["sign"] * n,
        axis__word=words or ["EXIT"] * n,
        **more,
    )


def test_the_share_of_right_words_is_corrected(make_view):
    two = reader(((950, 50, 0), (20, 980, 0)))
    found = EXACT(view_of(make_view, ["EXIT"] * 60 + ["EXTI"] * 40, operating=two))[0]
    assert found.value == pytest.approx((0.6 - 0.02) / (0.95 - 0.02))
    assert found.extra["raw_share"] == pytest.approx(0.6)
    assert found.floor is None


def test_words_are_compared_in_upper_case_and_sliced(make_view):
    texts, words = ["EXIT"] * 12 + ["BAKN"] * 12, ["exit"] * 12 + ["BANK"] * 12
    found = EXACT(view_of(make_view, texts, words=words, by=("word",)))
    by = {e.slice.get("word", "all"): e.value for e in found}
    assert by["exit"] == pytest.approx(1, abs=0.02)
    assert by["BANK"] == pytest.approx(0, abs=0.02)
    assert by["all"] == pytest.approx(0.5, abs=0.02)


def test_no_sign_is_a_word_not_shown_and_an_unreadable_one_could_not_be_told(make_view):
    texts, kinds = ["EXIT"] * 12 + [None] * 12, ["sign"] * 18 + ["person"] * 6
    found = EXACT(view_of(make_view, texts, kinds=kinds))[0]
    assert found.n == 24
    assert found.extra["could_not_tell"] == pytest.approx(6 / 24)
    assert found.extra["raw_share"] == pytest.approx(12 / 18)
    assert found.extra["misfit"] < 0.05, "a quarter unreadable does not go with a reader that reads 97 in 100"


def test_a_planted_misspelling_is_covered(make_view):
    rng, hits = np.random.default_rng(2), 0
    matrix = np.array([[0.95, 0.02, 0.03], [0.03, 0.94, 0.03]])
    read = ("EXIT", "EXTI", None)
    for _ in range(150):
        counts = tuple(tuple(int(c) for c in rng.multinomial(500, row)) for row in matrix)
        wrong = (rng.random(40) < 0.3).astype(int)
        texts = [read[rng.choice(3, p=matrix[k])] for k in wrong]
        found = EXACT(view_of(make_view, texts, operating=reader(counts)))[0]
        hits += found.low <= 0.7 <= found.high
    assert hits / 150 >= 0.93


def test_errors_a_letter_are_a_mean_with_a_t_interval(make_view):
    texts = ["EXIT"] * 10 + ["EXTI"] * 6 + ["EXI"] * 4
    found = ERRORS(view_of(make_view, texts))[0]
    values = np.array([0] * 10 + [0.5] * 6 + [0.25] * 4)
    low, high = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, low, high))
    assert found.extra == {"exact": 10, "unreadable": 0, "no_sign": 0}


def test_what_cannot_be_read_has_no_error_rate(make_view):
    texts, kinds = ["EXIT"] * 10 + [None] * 7, ["sign"] * 13 + ["could not tell"] + ["painting"] * 3
    found = ERRORS(view_of(make_view, texts, kinds=kinds))[0]
    assert (found.value, found.n, found.missing) == (0, 10, 7)
    assert found.extra == {"exact": 10, "unreadable": 4, "no_sign": 3}
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 10)), "no error in ten is not no error ever"


def test_errors_are_covered(make_view):
    rng, hits = np.random.default_rng(3), 0
    texts = np.array(["EXIT", "EXTI", "EXIF", "BAKN"], dtype=object)
    shares, errors = [0.6, 0.25, 0.1, 0.05], [0, 0.5, 0.25, 1]
    for _ in range(300):
        found = ERRORS(view_of(make_view, rng.choice(texts, 40, p=shares)))[0]
        hits += found.low <= np.dot(shares, errors) <= found.high
    assert hits / 300 >= 0.92


@pytest.mark.parametrize("metric", [EXACT, ERRORS])
def test_prompts_that_ask_for_no_word_are_none_of_its_business(make_view, metric):
    view = view_of(make_view, ["EXIT"] * 12 + [None] * 12, words=["EXIT"] * 12 + [None] * 12)
    assert (metric(view)[0].n, metric(view)[0].missing) == (12, 0)
    none = metric(view_of(make_view, [None] * 12, words=[None] * 12))
    bare = metric(make_view(12, operating=reader(), scene__text=["EXIT"] * 12, scene__kind=["sign"] * 12))
    for found in (none, bare):
        assert [(e.status, e.value) for e in found] == [(Status.UNAVAILABLE, None)]
        assert "no prompt asks for a word" in found[0].why


@pytest.mark.parametrize("metric", [EXACT, ERRORS])
def test_no_data_no_number(make_view, metric):
    refused = {"outcome": ["refused"] * 12, "kinds": [None] * 12}
    for view in (view_of(make_view, ["EXIT"] * 9), view_of(make_view, [None] * 12, **refused)):
        assert [(e.status, e.value) for e in metric(view)] == [(Status.INSUFFICIENT, None)]
    assert metric(make_view(12))[0].status is Status.UNAVAILABLE


def test_a_reader_without_counts_is_not_trusted(make_view):
    view = view_of(make_view, ["EXIT"] * 20, operating={"scene.kind": reader()["scene.text"]})
    assert [e.status for e in EXACT(view)] == [Status.UNAVAILABLE]
    assert ERRORS(view)[0].value == 0, "as read: needs no counts"
