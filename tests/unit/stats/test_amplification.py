# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.amplification import Cell, correlations, difference, mean_difference, training_interval
from audit.stats.annotator_error import Correction
from audit.stats.intervals import Interval, clopper_pearson, newcombe, wilson

MATRIX = np.array([[0.93, 0.04, 0.03], [0.06, 0.92, 0.02]])
TRAINED, DRAWN = np.array([0.8, 0.7, 0.65, 0.75]), np.array([0.7, 0.65, 0.6, 0.8])
AUDITS, IMAGES, VALIDATION, SAMPLE = 400, 150, 60, 100


def holds(interval: Interval, true: float) -> bool:
    return interval.low <= true <= interval.high


@pytest.fixture(scope="module")
def audits():
    """Corrections and cells of audits of known shares: training shares exact, and counted in a sample."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(AUDITS):
        correction = Correction(np.array([rng.multinomial(VALIDATION, row) for row in MATRIX], dtype=float))
        exact, sampled = [], []
        for p, p0 in zip(DRAWN, TRAINED, strict=True):
            seen = correction.estimate(rng.multinomial(IMAGES, np.array([p, 1 - p]) @ MATRIX).astype(float))
            drawn = Interval(float(seen.shares[0]), float(seen.low[0]), float(seen.high[0]), IMAGES, IMAGES, "")
            counted = rng.binomial(SAMPLE, p0) / SAMPLE
            exact.append(Cell(0, seen.shares, drawn, training_interval(float(p0), None)))
            sampled.append(Cell(0, seen.shares, drawn, training_interval(counted, SAMPLE)))
        found.append((correction, exact, sampled))
    return found


@pytest.mark.parametrize("kind", [1, 2], ids=["exact", "sampled"])
def test_intervals_hold_the_truth_at_their_level(audits, kind):
    true = DRAWN - TRAINED
    one = [holds(difference(c.drawn, c.trained), t) for a in audits for c, t in zip(a[kind], true, strict=True)]
    mean = [holds(mean_difference(a[kind], a[0]), float(true.mean())) for a in audits]
    assert 0.92 <= np.mean(one) <= 0.99
    assert 0.92 <= np.mean(mean) <= 0.99


def test_a_mean_that_forgets_the_shared_confusion_counts_says_too_much(audits):
    true, held = float((DRAWN - TRAINED).mean()), []
    for _, cells, _ in audits:
        parts = [difference(c.drawn, c.trained) for c in cells]
        value = np.mean([p.value for p in parts])
        below, above = np.linalg.norm([(p.value - p.low, p.high - p.value) for p in parts], axis=0) / len(parts)
        held.append(value - below <= true <= value + above)
    assert np.mean(held) < 0.92


def test_correlations_are_those_of_repeated_audits(audits):
    errors = np.array([[c.drawn.value - c.trained.value for c in cells] for _, cells, _ in audits])
    seen = np.corrcoef(errors.T)
    said = np.mean([correlations(cells, correction) for correction, cells, _ in audits], axis=0)
    assert np.diagonal(said) == pytest.approx(np.ones(4))
    assert seen[~np.eye(4, dtype=bool)].mean() == pytest.approx(said[~np.eye(4, dtype=bool)].mean(), abs=0.06)
    assert said[0, 1] > 0.2


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), [(56, 70, 48, 80), (9, 10, 3, 10), (0, 20, 0, 30), (10, 10, 0, 20)])
def test_two_wilson_intervals_give_newcombes(k1, n1, k2, n2):
    found, expected = difference(wilson(k1, n1), training_interval(k2 / n2, n2)), newcombe(k1, n1, k2, n2)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_newcombes_own_table():
    """Newcombe 1998, table II, method 10, contrast (a): 56/70 - 48/80 is 0.2, with 0.0524 to 0.3339."""
    found = difference(wilson(56, 70), training_interval(48 / 80, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_an_exact_share_only_moves_the_interval():
    drawn = clopper_pearson(20, 24)
    found = difference(drawn, training_interval(0.7, None))
    assert (found.low, found.high) == pytest.approx((drawn.low - 0.7, drawn.high - 0.7))


def test_an_instrument_without_error_leaves_occupations_independent():
    correction = Correction(np.array([[1e9, 0.0], [0.0, 1e9]]))
    cells = []
    for k, p0 in ((20, 0.7), (9, 0.4), (15, 0.5)):
        drawn = clopper_pearson(k, 24)
        cells.append(Cell(0, np.array([k / 24, 1 - k / 24]), drawn, training_interval(p0, None)))
    assert correlations(cells, correction) == pytest.approx(np.eye(3), abs=1e-6)
    found = mean_difference(cells, correction)
    below = np.sqrt(sum((c.drawn.value - c.drawn.low) ** 2 for c in cells)) / 3
    assert found.value == pytest.approx((20 + 9 + 15) / 72 - 1.6 / 3)
    assert found.low == pytest.approx(found.value - below, abs=1e-6)
    assert (found.n, found.clusters) == (72, 3)


def test_opposite_groups_share_the_error_with_opposite_sign():
    correction = Correction(np.array([[90.0, 10.0], [10.0, 90.0]]))
    half, drawn = np.array([0.5, 0.5]), Interval(0.5, 0.4, 0.6, 100, 100, "")
    cells = [Cell(group, half, drawn, training_interval(0.5, None)) for group in (0, 1)]
    same = correlations([cells[0], cells[0]], correction)
    assert correlations(cells, correction)[0, 1] == pytest.approx(-same[0, 1])
    assert same[0, 1] > 0
