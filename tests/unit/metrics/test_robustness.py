# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audit.metrics._base import mean_estimate
from audit.metrics.quality.clip_score import METRIC as CLIP_SCORE
from audit.metrics.quality.robustness import METRIC
from audit.stats.frechet_pairs import frechet_difference
from audit.types import Status

ARMS = ("original", "typos", "de")


@pytest.fixture
def worded(make_view):
    """Prompts by repetitions by wordings, in this order; columns are arrays of that shape."""

    def make(prompts, times, *, arms=ARMS, **columns):
        shape = (prompts, times, len(arms))
        place = np.indices(shape).reshape(3, -1)
        flat = {name: np.broadcast_to(values, shape).ravel() for name, values in columns.items()}
        view = make_view(
            place.shape[1],
            prompt_id=[f"p{p}.{arms[w]}" for p, _, w in place.T],
            pair=[f"p{p}" for p in place[0]],
            repetition=place[1],
            axis__wording=[arms[w] for w in place[2]],
            **flat,
        )
        return replace(view, paired={"wording": arms})

    return make


def one(found, **where):
    (match,) = [e for e in found if all(e.slice.get(k) == v for k, v in where.items())]
    return match


def test_the_change_is_the_paired_one_with_prompts_as_clusters(worded):
    rng = np.random.default_rng(1)
    cosine = rng.normal(0.25, 0.05, (6, 5, 3))
    found = METRIC(worded(6, 5, clip__similarity=cosine))
    made = one(found, wording="typos", score="CLIP score")
    change = 100 * (cosine[..., 1] - cosine[..., 0])
    means = change.mean(axis=1)  # equal repetitions: the t interval of the prompts' means
    low, high = stats.t.interval(0.95, 5, loc=means.mean(), scale=means.std(ddof=1) / 6**0.5)
    assert (made.value, made.low, made.high) == pytest.approx((change.mean(), low, high))
    assert (made.n, made.clusters, made.missing, made.unit) == (60, 6, 0, "score difference")
    assert made.extra["original"] == pytest.approx(100 * cosine[..., 0].mean())
    assert made.extra["reworded"] == pytest.approx(100 * cosine[..., 1].mean())
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1)
    exact = (np.abs(signs.T @ means) >= abs(means.sum()) - 1e-12).mean()
    assert made.extra["p"] == pytest.approx(exact)
    assert {e.slice["score"] for e in found} == {"answered", "CLIP score", "CLIP-S"}
    assert {e.slice["wording"] for e in found} == {"typos", "de"}


def test_the_interval_covers_a_known_change_and_owes_nothing_to_what_pairs_share(worded):
    rng = np.random.default_rng(5)
    covered, widths = 0, []
    for _ in range(400):
        shared = rng.normal(0, 20, (12, 4, 1))  # of a prompt and seed: as large as anything, and cancelled
        effect = rng.normal(-3, 2, (12, 1, 3)) * [0, 1, 0]
        resolution = 64 + shared + effect + rng.normal(0, 1, (12, 4, 3))
        made = one(
            METRIC(worded(12, 4, faults__effective_resolution=resolution)),
            wording="typos",
            score="effective resolution",
        )
        covered += made.low <= -3 <= made.high
        widths.append(made.high - made.low)
    assert stats.binomtest(covered, 400, 0.95).pvalue > 0.01
    expected = 2 * stats.t.ppf(0.975, 11) * ((4 + 2 / 4) / 12) ** 0.5
    assert np.mean(widths) == pytest.approx(expected, rel=0.05)


def test_without_a_change_p_is_uniform(worded):
    rng = np.random.default_rng(8)
    p = []
    for _ in range(300):
        cosine = 0.2 + rng.normal(0, 0.1, (8, 1, 1)) + rng.normal(0, 0.02, (8, 2, 2))
        found = METRIC(worded(8, 2, arms=("original", "synonyms"), clip__similarity=cosine))
        p.append(one(found, score="CLIP score").extra["p"])
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_requests_without_an_image_are_a_measure_themselves(worded):
    outcome = np.full((5, 4, 3), "image", dtype=object)
    outcome[:3, :2, 1] = "refused"
    cosine = np.full((5, 4, 3), 0.3)
    cosine[..., 1] = 0.2
    cosine[outcome != "image"] = np.nan
    found = METRIC(worded(5, 4, clip__similarity=cosine, outcome=outcome))
    answered = one(found, wording="typos", score="answered")
    assert answered.value == pytest.approx(-6 / 20)
    assert (answered.extra["changed_to"], answered.extra["changed_from"]) == (0, 6)
    assert answered.extra["mcnemar_p"] == pytest.approx(stats.binomtest(0, 6, 0.5).pvalue)
    assert answered.unit == "share difference"
    assert "Bonett" in answered.method
    score = one(found, wording="typos", score="CLIP score")
    assert score.value == pytest.approx(-10)
    assert (score.n, score.missing, score.extra["missing_refused"]) == (28, 12, 6)


def test_prompts_without_a_wording_are_counted_and_too_few_pairs_give_no_number(worded):
    rng = np.random.default_rng(3)
    view = worded(4, 5, clip__similarity=rng.normal(0.3, 0.1, (4, 5, 3)))
    keep = ~((view.columns["axis.wording"] == "de") & np.isin(view.columns["pair"], ["p0", "p1", "p2"]))
    found = METRIC(view.take(keep))
    made = one(found, wording="de", score="CLIP score")
    assert (made.status, made.value) == (Status.INSUFFICIENT, None)
    assert "5 pairs" in made.why
    keep = ~((view.columns["axis.wording"] == "de") & (view.columns["pair"] == "p3"))
    assert one(METRIC(view.take(keep)), wording="de", score="CLIP score").extra["prompts_without"] == 1


def test_variants_are_told_apart_and_taken_together(worded):
    rng = np.random.default_rng(4)
    cosine = rng.normal(0.3, 0.1, (5, 4, 3))
    found = METRIC(worded(5, 4, arms=("original", "typos-1", "typos-2"), clip__similarity=cosine))
    parts = [one(found, wording=name, score="CLIP score") for name in ("typos-1", "typos-2", "typos")]
    assert parts[2].value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert [(e.n, e.extra["pairs"], e.clusters) for e in parts] == [(40, 20, 5), (40, 20, 5), (60, 40, 5)]


def test_a_generator_that_draws_the_same_says_so(worded):
    found = METRIC(worded(6, 4, faults__noise=np.arange(24.0).reshape(6, 4, 1)))
    made = one(found, wording="typos", score="noise")
    assert (made.value, made.low, made.high, made.extra["unchanged"], made.extra["p"]) == (0, 0, 0, 1, 1)
    assert "no width" in made.method
    assert made.extra["changing_prompts_high"] == pytest.approx(1 - 0.025 ** (1 / 6))


def test_other_pairs_of_the_set_are_kept_apart(worded):
    cosine = np.zeros((4, 6, 2))
    cosine[:, ::2, 1], cosine[:, 1::2, 1] = 0.1, 0.3
    view = worded(4, 6, arms=("original", "typos"), clip__similarity=cosine)
    swap = np.tile(np.repeat(["man", "woman"], 2), 12).astype(object)  # man and woman in turn: as many repetitions each
    columns = {**view.columns, "axis.swap": swap, "repetition": view.columns["repetition"] // 2}
    view = replace(view, columns=columns, paired={"swap": ("man", "woman"), "wording": ("original", "typos")})
    made = one(METRIC(view), wording="typos", score="CLIP score")
    assert (made.value, made.extra["pairs"], made.clusters) == (pytest.approx(20), 24, 4)


@pytest.mark.parametrize("reader", ["ocr", "scene"])
def test_words_in_pictures_are_compared_with_the_word_asked_for(worded, reader):
    texts = np.full((4, 4, 2), "open", dtype=object)
    texts[:2, :, 1], texts[2, :, 1] = "oqen", None
    seen = (
        {"ocr__boxes": np.ones((4, 4, 2))} if reader == "ocr" else {"scene__kind": np.full((4, 4, 2), "sign", object)}
    )
    word = np.full((4, 4, 2), "OPEN", dtype=object)
    view = worded(4, 4, arms=("original", "typos"), axis__word=word, **{f"{reader}__text": texts}, **seen)
    made = one(METRIC(view), score={"ocr": "word as asked", "scene": "sign as asked"}[reader])
    assert made.value == pytest.approx(-0.75)
    assert (made.extra["original"], made.extra["reworded"]) == (1, 0.25)


def test_the_distance_to_the_reference_changes_where_there_are_enough_pairs(worded):
    rng = np.random.default_rng(9)
    drawn = rng.normal(size=(10, 20, 3, 4)) * [1, 1, 1, 2] + rng.normal(size=(10, 1, 1, 4)) / 4
    drawn[:, :, 1] += 1.0  # typing errors move every picture away from the reference
    reference = rng.normal(size=(600, 4)) * [1, 1, 1, 2]
    view = worded(10, 20)
    columns = {**view.columns, "clip.features": drawn.reshape(-1, 4).astype(np.float32)}
    view = replace(view, columns=columns, references={"features.clip": reference.astype(np.float32)})
    found = METRIC(view)
    made = one(found, wording="typos", score="Frechet distance")
    assert made.slice["features"] == "clip"
    flat = [drawn[:, :, w].reshape(-1, 4).astype(np.float32) for w in (1, 0)]
    own = frechet_difference(*flat, reference.astype(np.float32), clusters=np.repeat(np.arange(10), 20), level=0.95)
    assert (made.value, made.low, made.high) == pytest.approx((own.value, own.low, own.high), rel=1e-6)
    assert made.low > 2  # four features moved by 1: a distance of 4, less what the prompts' own offsets take
    assert one(found, wording="de", score="Frechet distance").low < 0
    few = METRIC(view.take(view.columns["repetition"] < 1))
    assert "Frechet distance" not in {e.slice["score"] for e in few}


def test_a_set_in_one_wording_has_no_number(make_view):
    (found,) = METRIC(make_view(10))
    assert found.status is Status.UNAVAILABLE
    assert "wordings" in found.why


def test_means_over_paired_prompts_take_what_shares_seeds_as_one(worded):
    rng = np.random.default_rng(6)
    cosine = np.repeat(rng.normal(0.3, 0.1, (8, 1, 1)), 3, axis=2) + np.zeros((8, 2, 3))
    view = worded(8, 2, clip__similarity=cosine)
    (made,) = CLIP_SCORE(view)
    alone = mean_estimate(
        replace(view, paired={}).take(view.columns["axis.wording"] == "original"),
        CLIP_SCORE.spec,
        {},
        100 * cosine[..., 0].ravel(),
    )
    assert made.clusters == alone.clusters == 8
    assert (made.low, made.high) == pytest.approx((alone.low, alone.high))
