# SPDX-License-Identifier: Apache-2.0
"""The text metrics on a general reader, on quoted words, and on two readers at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.metrics.text import character_error_rate, edit_similarity, exact_match
from audit.metrics.text._asked import quoted
from audit.stats.intervals import wilson
from audit.stats.text import ReadingError
from audit.types import OperatingCharacteristics, Status

EXACT, ERRORS, SIMILAR = exact_match.METRIC, character_error_rate.METRIC, edit_similarity.METRIC
ERROR = ReadingError(100, 95, 100, 2, 0.03, 0.01, "words rendered for the test")
ANSWERS = ("as asked", "otherwise", "could not tell")
SCENE = OperatingCharacteristics("text", ANSWERS[:2], ANSWERS, ((960, 20, 20), (10, 960, 30)), "signs")


def view_of(make_view, texts, *, words="OPEN", error=ERROR, **more):
    n = len(texts)
    if isinstance(words, str):
        words = [words] * n
    boxes = np.array([np.nan if text is NotImplemented else float(text is not None) for text in texts])
    texts = [None if text is NotImplemented else text for text in texts]
    references = {} if error is None else {"ocr_error": error}
    more = {"references": references, "axis__word": words, **more}
    return make_view(n, ocr__text=texts, ocr__boxes=boxes, **more)


def test_the_share_is_corrected_by_the_error_that_was_counted(make_view):
    (found,) = EXACT(view_of(make_view, ["open"] * 30 + ["OPFN"] * 15 + [None] * 5))
    assert found.value == pytest.approx((0.6 - 0.02) / (0.95 - 0.02))
    assert found.low < found.value < found.high
    assert (found.n, found.missing, found.slice) == (50, 0, {})
    assert found.extra["instrument_exact"] == 0.95
    assert found.extra["instrument_exact_low"] == pytest.approx(stats.beta.ppf(0.025, 95, 6))
    assert (found.extra["instrument_cer"], found.extra["instrument_n"]) == (0.03, 100)
    assert found.extra["measured_on"] == "words rendered for the test"


def test_without_counts_it_is_as_read_and_says_so(make_view):
    (found,) = EXACT(view_of(make_view, ["open"] * 30 + ["OPFN"] * 15 + [None] * 5, error=None))
    expected = wilson(30, 50)
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)
    assert "not corrected" in found.method
    assert "instrument_exact" not in found.extra


def test_a_reader_that_cannot_tell_right_from_wrong_gives_no_number(make_view):
    useless = ReadingError(100, 50, 100, 50, 0.5, 0.1, "noise")
    found = EXACT(view_of(make_view, ["open"] * 20, error=useless, axis__job=["a"] * 20, by=("job",)))
    assert [(e.status, e.value) for e in found] == [(Status.UNIDENTIFIED, None)]


def test_how_texts_are_compared(make_view):
    same = ["open now", "OPEN  NOW", " Open\nnow "]
    other = ["OPEN NOW!", "OPENNOW", "we are open now"]
    (found,) = EXACT(view_of(make_view, same * 4 + other * 4, words="Open Now", error=None))
    assert found.value == 0.5
    assert found.extra["among_others"] == 4, "OPEN NOW stands in the longer text; with ! it is another word"
    composed, combined = "caf\u00e9", "cafe\u0301"
    (found,) = EXACT(view_of(make_view, [combined] * 10, words=composed, error=None))
    assert found.value == 1
    (found,) = EXACT(view_of(make_view, ["cafe"] * 10, words=composed, error=None))
    assert found.value == 0, "an accent counts"


# Distances by python-Levenshtein 0.27.5: 4, 3, 4, 1 and 7.
GOLDEN = [
    ("open", "exit", 1 - 4 / 4, 4 / 4),
    ("kitten", "sitting", 1 - 3 / 7, 3 / 6),
    ("happy birthday", "hapy brithday!", 1 - 4 / 14, 4 / 14),
    ("caf\u00e9 bar", "cafe bar", 1 - 1 / 8, 1 / 8),
    ("stop", "a stop sign", 1 - 7 / 11, 7 / 4),
]


@pytest.mark.parametrize(("asked", "read", "similarity", "errors"), GOLDEN)
def test_golden_similarities_and_error_rates(make_view, asked, read, similarity, errors):
    view = view_of(make_view, [read.upper()] * 10, words=asked)
    assert SIMILAR(view)[0].value == pytest.approx(similarity)
    assert ERRORS(view)[0].value == pytest.approx(errors)


def test_without_text_nothing_is_similar_and_no_error_rate(make_view):
    view = view_of(make_view, ["open"] * 10 + ["ope"] * 10 + [None] * 5, outcome=["image"] * 24 + ["error"])
    values = np.array([1.0] * 10 + [0.75] * 10 + [0.0] * 4)
    (similar,) = SIMILAR(view)
    low, high = stats.t.interval(0.95, 23, values.mean(), stats.sem(values))
    assert (similar.value, similar.low, similar.high) == pytest.approx((values.mean(), low, high))
    assert (similar.n, similar.missing) == (24, 1)
    assert (similar.extra["exact"], similar.extra["no_sign"]) == (10, 4)
    assert similar.extra["instrument_cer"] == 0.03
    (errors,) = ERRORS(view)
    assert (errors.n, errors.value) == (20, pytest.approx(0.125))
    assert errors.extra["no_sign"] == 4


def test_all_exact_is_no_certainty(make_view):
    (found,) = SIMILAR(view_of(make_view, ["open"] * 10))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.025 ** (1 / 10))


def test_two_readers_are_reported_side_by_side(make_view):
    n = 20
    view = view_of(
        make_view,
        ["open"] * n,
        scene__text=["OPEN"] * 10 + [None] * 10,
        scene__kind=["sign"] * 10 + ["person"] * 5 + ["could not tell"] * 5,
        operating={"scene.text": SCENE},
        axis__job=["a"] * n,
        by=("job",),
    )
    for metric in (EXACT, ERRORS, SIMILAR):
        slices = [(e.slice["reader"], e.slice.get("job")) for e in metric(view)]
        assert slices == [("ocr", None), ("ocr", "a"), ("scene", None), ("scene", "a")]
    by = {e.slice["reader"]: e for e in SIMILAR(view)}
    assert (by["ocr"].n, by["ocr"].value) == (20, 1)
    assert (by["scene"].n, by["scene"].value) == (15, pytest.approx(10 / 15)), "what cannot be told is left out"
    assert "instrument_cer" not in by["scene"].extra
    assert {e.slice["reader"]: e for e in EXACT(view)}["scene"].extra["measured_on"] == "signs"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ('a sign that says "OPEN"', "OPEN"),
        ("a poster with the words \u201cHappy  Birthday\u201d in gold", "Happy Birthday"),
        ("two signs, 'LEFT' and 'RIGHT'", "LEFT RIGHT"),
        ("a label reading \u2018it\u2019s fresh\u2019", "it\u2019s fresh"),
        ("the dog's bowl and the cats' bed", None),
        ("'tis a sign, 'it's OPEN'", "it's OPEN"),
        ('an empty "" and a lone " mark', None),
        ("a plain portrait", None),
        (None, None),
    ],
)
def test_words_in_quotation_marks(prompt, words):
    assert quoted(prompt) == words


def test_quoted_words_are_asked_for_only_where_no_prompt_has_the_axis(make_view):
    n = 24
    prompts = ['a sign that says "OPEN"'] * 12 + ["a sign"] * 12
    (found,) = SIMILAR(view_of(make_view, ["open"] * n, words=[None] * n, text=prompts))
    assert (found.n, found.missing, found.value) == (12, 0, 1)
    (found,) = SIMILAR(view_of(make_view, ["open"] * n, words=[None] * 12 + ["EXIT"] * 12, text=prompts))
    assert (found.n, found.value) == (12, 1 - 4 / 4), "the axis says what is asked for, and only where it stands"


@pytest.mark.parametrize("metric", [EXACT, ERRORS, SIMILAR])
def test_no_data_no_number(make_view, metric):
    few = view_of(make_view, ["open"] * 9)
    refused = view_of(make_view, [NotImplemented] * 12, outcome=["refused"] * 12)
    unasked = view_of(make_view, ["open"] * 12, words=[None] * 12)
    for view, status in (
        (few, Status.INSUFFICIENT),
        (refused, Status.INSUFFICIENT),
        (unasked, Status.UNAVAILABLE),
        (make_view(12, axis__word=["OPEN"] * 12), Status.UNAVAILABLE),
    ):
        assert [(e.status, e.value) for e in metric(view)] == [(status, None)]


def test_a_planted_misspelling_behind_a_known_error_is_covered(make_view):
    rng, hits = np.random.default_rng(2), 0
    read = ("OPEN", "OPFN")
    for _ in range(150):
        right, wrong = rng.binomial(150, 0.93), rng.binomial(150, 0.04)
        error = ReadingError(150, int(right), 150, int(wrong), 0.02, 0.01, "simulated")
        p = np.where(rng.random(40) < 0.7, 0.93, 0.04)
        texts = [read[int(u)] for u in rng.random(40) >= p]
        (found,) = EXACT(view_of(make_view, texts, error=error))
        hits += found.low <= 0.7 <= found.high
    assert hits / 150 >= 0.93
