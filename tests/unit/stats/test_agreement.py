# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit.stats.agreement import agreement, agreement_shares
from audit.stats.annotator_error import Correction

PERFECT = Correction(np.diag([1e9, 1e9, 1e9]))
PLANTED = np.array([0.6, 0.25, 0.15])
READER = np.array([[0.90, 0.05, 0.02, 0.03], [0.06, 0.88, 0.02, 0.04], [0.02, 0.03, 0.90, 0.05]])


def pairs(answers):
    """Share of pairs that agree, by listing them all."""
    flat = np.repeat(np.arange(len(answers)), np.asarray(answers, dtype=int))
    return np.mean([a == b for a, b in itertools.combinations(flat, 2)])


def test_a_perfect_instrument_counts_pairs():
    prompts = np.array([[5, 3, 2], [4, 0, 0], [1, 1, 1]])
    found = agreement(prompts.astype(float), PERFECT)
    assert found.value == pytest.approx(np.mean([pairs(row) for row in prompts]), abs=1e-6)
    assert (found.n, found.clusters) == (17, 3)
    np.testing.assert_allclose(agreement_shares(prompts.astype(float), PERFECT).sum(), 1)


def test_the_jackknife_is_that_of_leaving_pictures_out():
    row = np.array([5, 3, 2])
    left = np.repeat([pairs(row - np.eye(3, dtype=int)[k]) for k in range(3)], row)
    expected = 9 / 10 * ((left - left.mean()) ** 2).sum()
    from scipy import stats

    half = stats.t.ppf(0.975, 9) * expected**0.5
    found = agreement(row[None].astype(float), PERFECT)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-4)


def test_a_constant_style_agrees_with_itself_up_to_the_exact_limit():
    found = agreement(np.array([[20.0, 0, 0]]), PERFECT)
    assert (found.value, found.high) == pytest.approx((1, 1))
    assert found.low == pytest.approx(0.025 ** (2 / 20), abs=1e-3)
    # Every prompt may have its own style.
    assert agreement(np.array([[20.0, 0, 0], [0, 20.0, 0]]), PERFECT).value == pytest.approx(1)


@pytest.mark.parametrize("answers", [np.zeros((0, 3)), np.array([[2.0, 0, 0]])])
def test_too_few_pictures(answers):
    with pytest.raises(ValueError, match="at least 3 pictures"):
        agreement(answers, PERFECT)


def simulate(prompts, *, matrix, validation, reps, seed=0):
    rng = np.random.default_rng(seed)
    truth = float(np.mean([(shares**2).sum() for shares, _ in prompts]))
    values, hits = [], 0
    for _ in range(reps):
        counts = np.stack([rng.multinomial(validation, row) for row in matrix])
        answers = np.stack([rng.multinomial(n, shares @ matrix) for shares, n in prompts]).astype(float)
        found = agreement(answers, Correction(counts))
        values.append(found.value)
        hits += found.low <= truth <= found.high
    return np.mean(values) - truth, np.std(values) / reps**0.5, hits / reps


@pytest.mark.parametrize(
    "prompts",
    [
        [(PLANTED, 12)] * 8,
        [(PLANTED, 40)],
        [(PLANTED, 24), (np.array([0.2, 0.5, 0.3]), 24), (np.array([0.9, 0.05, 0.05]), 24)],
    ],
)
def test_the_planted_agreement_is_covered_behind_an_imperfect_reader(prompts):
    bias, error, covered = simulate(prompts, matrix=READER, validation=600, reps=400)
    assert abs(bias) < 4 * error + 0.003
    assert 0.92 <= covered <= 1.0


def test_without_correction_the_same_answers_would_mislead():
    """The correction does something: uncorrected pairs agree clearly less often than the truth."""
    answers = (8_000 * PLANTED @ READER)[None]
    told = answers[0, :3] / answers[0, :3].sum()
    assert (told**2).sum() < 0.43
    assert agreement(answers, Correction(1e6 * READER)).value == pytest.approx(0.445, abs=1e-3)
