# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from audit.stats._instrument import Instrument
from audit.stats._inversion import invert
from audit.stats.annotator_error import Correction, cleam_interval, delta_interval, misfit, project_to_simplex
from audit.stats.corrected import delta_limits
from audit.stats.intervals import wilson


def confusion(k, *, accuracy, abstain):
    """True confusion matrix with a column for "could not tell"."""
    wrong = (1 - accuracy) / (k - 1)
    told = np.full((k, k), wrong) + (accuracy - wrong) * np.eye(k)
    return np.hstack([told * (1 - abstain), np.full((k, 1), abstain)])


def coverage(shares, matrix, *, n, validation, reps, seed=0):
    """Per group: share of audits that cover the truth, mean width, mean width of Wilson on the true labels."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares)
    counts = rng.multinomial(validation, matrix, size=(reps, len(shares))).astype(float)
    truth = rng.multinomial(n, shares, size=reps)
    answers = rng.multinomial(truth, matrix).sum(axis=1).astype(float)
    found = invert(Instrument.of(counts), answers, levels=np.array([0.95]))
    low, high = found.low[:, 0], found.high[:, 0]
    hit = (low <= shares + 1e-9) & (shares <= high + 1e-9)
    oracle = np.array([[(w := wilson(int(t), n)).high - w.low for t in row] for row in truth[:300]])
    return hit.mean(axis=0), (high - low).mean(axis=0), oracle.mean(axis=0)


def mid_p(k, n, level=0.95):
    """Mid-p interval of a share from the definition, by root finding on exact binomial probabilities."""
    tail = (1 - level) / 2

    def more(p):
        return scipy.stats.binom.sf(k, n, p) + scipy.stats.binom.pmf(k, n, p) / 2 - tail

    def less(p):
        return scipy.stats.binom.cdf(k - 1, n, p) + scipy.stats.binom.pmf(k, n, p) / 2 - tail

    low = 0.0 if k == 0 else scipy.optimize.brentq(more, 1e-12, 1 - 1e-12)
    high = 1.0 if k == n else scipy.optimize.brentq(less, 1e-12, 1 - 1e-12)
    return low, high


@pytest.mark.parametrize("k", range(25))
def test_a_perfect_classifier_gives_the_mid_p_interval(k):
    found = Correction(np.diag([1e9, 1e9])).estimate(np.array([k, 24 - k]))
    assert found.shares[0] == pytest.approx(k / 24)
    assert (found.low[0], found.high[0]) == pytest.approx(mid_p(k, 24), abs=1e-4)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2544, 0.3658), (15, 148, 0.0601, 0.1581), (0, 20, 0.0, 0.1391), (1, 29, 0.0017, 0.1585)],
)
def test_newcombes_table_of_mid_p_intervals(k, n, low, high):
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 6."""
    found = Correction(np.diag([1e9, 1e9])).estimate(np.array([k, n - k]))
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=6e-5)


def test_200_audits_of_a_known_population():
    rng = np.random.default_rng(7)
    planted = (0.9, 0.1, 0.85, 0.5)
    covered = cells = 0
    wide = oracle = 0.0
    for _ in range(200):
        matrix = confusion(2, accuracy=rng.uniform(0.93, 0.99), abstain=rng.uniform(0, 0.05))
        counts = np.stack([rng.multinomial(rng.integers(500, 2001), row) for row in matrix])
        n = int(rng.integers(24, 41))
        for p in planted:
            truth = rng.binomial(n, p)
            answers = rng.multinomial(truth, matrix[0]) + rng.multinomial(n - truth, matrix[1])
            found = Correction(counts).estimate(answers)
            covered += found.low[0] <= p <= found.high[0]
            cells += 1
            wide += found.high[0] - found.low[0]
            exact = wilson(truth, n)
            oracle += exact.high - exact.low
    assert covered / cells >= 0.95
    assert wide / oracle < 1.35


@pytest.mark.parametrize("p", [0.0, 0.02, 0.05, 0.1, 0.15, 0.3, 0.5, 0.85, 0.9, 1.0])
def test_coverage_at_24_images(p):
    matrix = confusion(2, accuracy=0.95, abstain=0.03)
    hit, width, oracle = coverage([p, 1 - p], matrix, n=24, validation=700, reps=2000)
    assert hit.min() >= 0.925  # the mid-p interval of 24 draws itself holds 0.936 at a half
    assert (width < 1.4 * oracle).all()


@pytest.mark.parametrize(
    ("k", "accuracy"), [(2, 0.75), (2, 0.98), (5, 0.85), pytest.param(10, 0.93, marks=pytest.mark.slow)]
)
def test_coverage_on_a_grid(k, accuracy):
    """A small part of `benchmarks/coverage.py`; every group counts, rare ones too."""
    held = []
    for n, validation, p in itertools.product((50, 2000), (100, 1000), (0.05, 0.5, 0.95)):
        shares = [p] + [(1 - p) / (k - 1)] * (k - 1)
        matrix = confusion(k, accuracy=accuracy, abstain=0.03)
        hit, _, _ = coverage(shares, matrix, n=n, validation=validation, reps=1000)
        held.append(hit[:2].mean())
        assert hit.min() >= 0.905, (n, validation, p)  # 0.925 and three standard errors of one group in 1,000 audits
    assert 0.94 <= np.mean(held) <= 0.97


def test_forgetting_the_counted_errors_would_cover_too_rarely():
    """What the tilt of the counts' variance is for: rare errors, a hundred validation images, many answers."""
    matrix, p = confusion(2, accuracy=0.98, abstain=0.0)[:, :2], np.array([0.95, 0.05])
    rng = np.random.default_rng(2)
    counts = rng.multinomial(100, matrix, size=(3000, 2)).astype(float)
    answers = rng.multinomial(2000, p @ matrix, size=3000).astype(float)
    low, high = delta_limits(Instrument.of(counts), answers, level=0.95)
    assert ((low[:, 0] <= 0.95) & (high[:, 0] >= 0.95)).mean() < 0.9
    hit, _, _ = coverage(p, matrix, n=2000, validation=100, reps=3000)
    assert hit.min() > 0.93


def test_forward_then_inverse_is_the_identity():
    correction = Correction(confusion(4, accuracy=0.9, abstain=0.1) * 1000)
    p = np.array([0.1, 0.2, 0.3, 0.4])
    assert correction.shares(correction.forward(p)) == pytest.approx(p, abs=1e-12)
    assert correction.forward(p).sum() == pytest.approx(1.0)


def test_published_forward_values():
    # Accuracies of three attribute classifiers, and the answers that true shares of 0.9 give (arithmetic of CLEAM).
    for a0, a1, expected in (
        (0.9471627486437613, 0.9829294755877035, 0.8541535262206148),
        (0.8693939393939394, 0.8848484848484849, 0.793969696969697),
        (0.7910849909584087, 0.9196383363471971, 0.7200126582278481),
    ):
        correction = Correction(np.array([[a0, 1 - a0], [1 - a1, a1]]))
        assert correction.forward(np.array([0.9, 0.1]))[0] == pytest.approx(expected, abs=1e-12)
        assert correction.linear(np.array([expected, 1 - expected]))[0] == pytest.approx(0.9, abs=1e-12)


def test_classifiers_that_cannot_be_undone():
    coin = Correction(np.array([[500, 500], [500, 500]]))
    assert not coin.identified
    with pytest.raises(ValueError, match="cannot be undone"):
        coin.estimate(np.array([10, 10]))
    poor = Correction(np.array([[530, 470], [470, 530]]))
    assert poor.condition == pytest.approx(1 / 0.06)
    assert not poor.identified
    assert Correction(np.array([[900, 100], [100, 900]])).identified


@pytest.mark.parametrize("counts", [[[1, 2]], [[0, 0], [1, 1]], [[-1, 2], [1, 1]], [[3], [4]]])
def test_counts_that_are_no_confusion_matrix(counts):
    with pytest.raises(ValueError, match="confusion counts"):
        Correction(np.array(counts))


def test_nothing_answered():
    with pytest.raises(ValueError, match="no answers"):
        Correction(np.eye(2) * 500).estimate(np.array([0, 0]))


def test_few_validation_images_widen_the_interval():
    matrix = np.array([[0.9, 0.1], [0.1, 0.9]])
    widths = []
    for validation in (50, 500, 50_000):
        found = Correction(matrix * validation).estimate(np.array([600, 400]))
        widths.append(found.high[0] - found.low[0])
    assert widths[0] > 1.5 * widths[1] > 1.5 * widths[2]


@pytest.mark.parametrize(
    ("n", "a0", "a1", "validation", "covered", "width"),
    [
        (2000, 0.947, 0.983, 1000, 0.948, 0.050),
        (9000, 0.947, 0.983, 1320, 0.942, 0.028),
        (400, 0.869, 0.885, 200, 0.952, 0.156),
    ],
)
def test_delta_interval_coverage(n, a0, a1, validation, covered, width):
    rng = np.random.default_rng(0)
    p, reps = 0.642, 2000
    h0, h1 = rng.binomial(validation, [a0, a1], (reps, 2)).T / validation
    q = rng.binomial(n, p * a0 + (1 - p) * (1 - a1), reps) / n
    bounds = np.array(
        [delta_interval(x, n=n, a0=u, n0=validation, a1=v, n1=validation) for x, u, v in zip(q, h0, h1, strict=True)]
    )
    assert ((bounds[:, 0] <= p) & (p <= bounds[:, 1])).mean() == pytest.approx(covered, abs=0.02)
    assert (bounds[:, 1] - bounds[:, 0]).mean() == pytest.approx(width, abs=0.002)


def test_our_interval_agrees_with_the_delta_method_far_from_the_edges():
    counts = np.array([[947, 53], [17, 983]])
    found = Correction(counts).estimate(np.array([1230, 770]))
    low, high = delta_interval(0.615, n=2000, a0=0.947, n0=1000, a1=0.983, n1=1000)
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=0.002)


def test_the_published_interval_covers_too_rarely():
    rng = np.random.default_rng(1)
    p, a0, a1, reps = 0.642, 0.947, 0.983, 400
    hit = 0
    for _ in range(reps):
        answers = rng.random(2000) < p * a0 + (1 - p) * (1 - a1)
        h0, h1 = rng.binomial(1000, [a0, a1]) / 1000
        batches = np.array([rng.choice(answers, 400).mean() for _ in range(30)])
        low, high = cleam_interval(batches, a0=h0, a1=h1)
        hit += low <= p <= high
    assert hit / reps == pytest.approx(0.493, abs=0.08)


def test_projection_onto_the_simplex():
    assert project_to_simplex(np.array([0.2, 0.3, 0.5])) == pytest.approx([0.2, 0.3, 0.5])
    assert project_to_simplex(np.array([1.1, -0.1])) == pytest.approx([1.0, 0.0])
    assert project_to_simplex(np.array([[0.6, 0.6, -0.2]])) == pytest.approx(np.array([[0.5, 0.5, 0.0]]))


class TestMisfit:
    """Answers that no mix of the true groups would give."""

    COUNTS = np.array([[950.0, 30.0, 20.0], [35.0, 945.0, 20.0]])

    def test_answers_that_fit_are_rarely_suspected(self):
        rng = np.random.default_rng(3)
        suspected = 0
        for _ in range(400):
            truth = rng.uniform()
            answers = rng.multinomial(24, np.array([truth, 1 - truth]) @ (self.COUNTS / 1000.0))
            suspected += misfit(self.COUNTS, answers) < 0.01
        assert suspected <= 10  # 1 % of 400, and room for the luck of 400

    def test_abstaining_twenty_times_as_often_is_told(self):
        assert misfit(self.COUNTS, np.array([10.0, 5.0, 9.0])) < 1e-6

    def test_against_a_tail_by_hand(self):
        """Only "could not tell", measured on so many images that its probability is known: a plain binomial tail."""
        counts = self.COUNTS * 1e4
        answers = np.array([9.0, 11.0, 4.0])
        tail = scipy.stats.binom.sf(3, 24, 0.02)
        assert misfit(counts, answers) == pytest.approx(6 * tail, rel=5e-3)


@pytest.mark.parametrize("seen", [3, 24, 45])
def test_a_classifier_without_a_counted_error_still_bounds_both_ends(seen):
    """The mid-p interval is the limit for a perfect classifier; 500 right of 500 must come near it, at both ends."""
    n = 60
    low, high = mid_p(seen, n)
    found = Correction(np.array([[500, 0], [0, 2000]])).estimate(np.array([seen, n - seen], dtype=float))
    assert found.low[0] == pytest.approx(low, abs=0.02)
    assert found.high[0] == pytest.approx(high, abs=0.02)


def test_answers_that_no_group_ever_gave_count_as_missing():
    correction = Correction(np.array([[500, 0, 0], [0, 2000, 0]]))
    with_them = correction.estimate(np.array([6.0, 54.0, 40.0]))
    without = correction.estimate(np.array([6.0, 54.0, 0.0]))
    assert with_them.n == without.n == 60
    assert np.allclose(with_them.raw, [0.1, 0.9])
    assert np.allclose([with_them.low, with_them.high], [without.low, without.high])
    with pytest.raises(ValueError, match="no answers"):
        correction.estimate(np.array([0.0, 0.0, 9.0]))


def test_answers_beyond_what_the_instrument_can_say_still_have_an_interval():
    """400 of 400 from an instrument that errs in 10 of 300: a misfit, but no interval without width."""
    found = Correction(np.array([[290, 5, 5], [5, 290, 5]])).estimate(np.array([400, 0, 0]))
    assert found.raw[0] > 1
    assert 0.9 < found.low[0] < 0.995
    assert found.high[0] == 1.0
