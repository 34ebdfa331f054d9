# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from audit.stats._betting import bets_until, log_wealth
from audit.stats.annotator_error import Correction
from audit.stats.sequential import Spending, hopeless, outlook, refuted, sequential_estimate, share_sequence

PERFECT = Correction(np.diag([1e12, 1e12]))
NETWORK = Correction(np.array([[2870, 39, 100], [60, 2799, 132]]))  # of the bundled network, about presentation
THREE = Correction(np.array([[480, 12, 8, 20], [15, 450, 25, 10], [5, 30, 455, 10]]))
CORRECTIONS = pytest.mark.parametrize("correction", [PERFECT, NETWORK, THREE], ids=["perfect", "network", "three"])


def capital(gains, *, tested, cap):
    """Wealth after each of a sequence of gains, by the definition: a bettor for each stake, one gain at a time."""
    purses = [1 / 12] * 12
    for gain in gains:
        purses = [purse * (1 + bet * (gain / tested - 1)) for purse, bet in zip(purses, bets_until(cap), strict=True)]
        yield sum(purses)


@pytest.mark.parametrize("tested", [0.05, 0.3, 0.9, 1.2])
def test_wealth_is_the_product_of_the_bets_in_any_order(tested):
    gains = np.array([0.0, 0.4, 1.1])
    told = [2, 0, 0, 1, 2, 2, 1, 0, 2]
    counts = np.bincount(told, minlength=3).astype(float)
    wealth = log_wealth(counts, gains[:, None], np.array([tested]), bets_until(250))[0]
    for order in (told, told[::-1], sorted(told)):
        *_, last = capital(gains[order], tested=tested, cap=250)
        assert math.exp(wealth) == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize("chances", [(0.5, 0.3, 0.2), (0.9, 0.05, 0.05), (0.0, 1.0, 0.0)])
def test_a_true_claim_is_a_fair_game(chances):
    """Over all 3^6 sequences the mean wealth is 1 at the true mean, and less where the claim holds with room."""
    gains = np.array([0.0, 0.4, 1.1])
    mean = float(gains @ chances)
    expected = {1.0: 0.0, 1.3: 0.0}
    for told in itertools.product(range(3), repeat=6):
        counts = np.bincount(told, minlength=3).astype(float)
        for factor in expected:
            wealth = log_wealth(counts, gains[:, None], np.array([mean * factor]), bets_until(50))[0]
            expected[factor] += math.prod(chances[a] for a in told) * math.exp(wealth)
    assert expected[1.0] == pytest.approx(1.0, rel=1e-12)
    assert expected[1.3] < 0.9


@CORRECTIONS
def test_what_is_refuted_falls_with_the_share(correction):
    k, r = correction.counts.shape
    grid = np.linspace(0, 1, 201)
    for counts in np.random.default_rng(0).multinomial(150, np.ones(r) / r, size=5).astype(float):
        at_most, at_least = (
            np.array([refuted(correction, counts, np.full(k, t), above=above, cap=250) for t in grid])
            for above in (False, True)
        )
        assert (np.diff(at_most.astype(int), axis=0) <= 0).all()
        assert (np.diff(at_least.astype(int), axis=0) >= 0).all()
        assert not (at_most & at_least).any()


@CORRECTIONS
def test_the_interval_is_what_is_not_refuted(correction):
    _, r = correction.counts.shape
    answers = np.array([90, 40, 15, 5][:r])
    found = sequential_estimate(correction, answers, cap=250, final=False)
    for above, end, inwards in ((False, found.low, 1e-6), (True, found.high, -1e-6)):
        edge = (end == 0) | (end == 1)
        assert (refuted(correction, answers, end, above=above, cap=250) | edge).all()
        assert not refuted(correction, answers, end + inwards, above=above, cap=250).any()
    assert (found.low < found.shares).all()
    assert (found.shares < found.high).all()


@pytest.mark.parametrize(("k", "n"), [(0, 40), (3, 40), (20, 40), (84, 250), (249, 250)])
def test_a_perfect_instrument_gives_the_plain_betting_interval(k, n):
    """Scanned share by share with one bettor a stake, each side with half of the error spent early."""
    grid = np.linspace(1e-4, 1 - 1e-4, 4000)

    def refutes(seen, share):
        purses = [seen * np.log(1 + bet * (1 / share - 1)) + (n - seen) * np.log(1 - bet) for bet in bets_until(250)]
        return np.logaddexp.reduce(purses) - np.log(12) >= np.log(2 / (0.05 * Spending().early))

    kept = grid[~refutes(k, grid) & ~refutes(n - k, 1 - grid)]
    found = sequential_estimate(PERFECT, np.array([k, n - k]), cap=250, final=False)
    assert found.shares[0] == k / n
    assert found.low[0] == pytest.approx(0 if k == 0 else kept[0], abs=3e-4)
    assert found.high[0] == pytest.approx(1 if k == n else kept[-1], abs=3e-4)
    assert (found.low[1], found.high[1]) == pytest.approx((1 - found.high[0], 1 - found.low[0]), abs=1e-6)


def test_confusion_counts_widen_the_interval():
    """Fewer validation images, wider; with very many, as wide as where the errors are known exactly."""
    answers = np.array([140, 100, 10])
    matrix = np.array([[0.94, 0.03, 0.03], [0.04, 0.92, 0.04]])
    widths = []
    for images in (100, 1000, 1e5, 1e12):
        found = sequential_estimate(Correction(matrix * images), answers, cap=250, final=False)
        widths.append(found.high[0] - found.low[0])
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 1.2 * widths[-1]
    assert widths[2] == pytest.approx(widths[3], rel=0.05)


def test_confusion_counts_that_could_be_anything_refute_nothing():
    few = Correction(np.array([[3, 1], [1, 3]]))
    found = sequential_estimate(few, np.array([5000, 5000]), cap=250, final=False)
    assert (found.low == 0).all()
    assert (found.high == 1).all()


def ever(chance, stops):
    """Probability that a walk of so many answers, each one with ``chance``, ever meets a state in ``stops[n, k]``."""
    caught, free = 0.0, np.array([1.0])
    for n in range(1, len(stops)):
        free = np.append(free * (1 - chance), 0.0) + np.append(0.0, free * chance)
        caught += free[stops[n, : n + 1]].sum()
        free[stops[n, : n + 1]] = 0.0
    return caught


def states(cap):
    """(counts, exists) for all n and k up to ``cap``: shape (cap + 1, cap + 1, 2) and (cap + 1, cap + 1)."""
    n, k = np.meshgrid(np.arange(cap + 1), np.arange(cap + 1), indexing="ij")
    return np.stack([k, n - k], axis=-1).clip(min=0).astype(float), (k <= n) & (n > 0)


@pytest.mark.parametrize("limit", [0.15, 0.5, 0.7])
@pytest.mark.parametrize("cap", [24, 250])
def test_error_at_any_stopping_time_is_as_promised(limit, cap):
    """Exact, by following every sequence of answers: a true claim is refuted early, or at the cap, in 2.5 % at most."""
    counts, exists = states(cap)
    stops = refuted(PERFECT, counts, np.array([limit, 1.0]), above=False, cap=cap)[..., 0] & exists
    early = ever(limit, stops)
    assert 0.0 < early < 0.025 * Spending().early
    for k in range(cap + 1):
        stops[cap, k] = sequential_estimate(PERFECT, counts[cap, k], cap=cap, final=True).low[0] > limit
    assert early <= ever(limit, stops) < 0.025


def test_an_ordinary_interval_errs_when_it_is_looked_at_again_and_again():
    """Why all this: the exact fixed interval, 2.5 % a side, read after every image until it says something."""
    counts, exists = states(250)
    k, n = counts[..., 0], counts.sum(axis=-1)
    low = scipy.stats.beta.ppf(0.025, np.maximum(k, 1), n - k + 1)
    assert ever(0.7, (low > 0.7) & (k > 0) & exists) > 0.06
    once = (low > 0.7) & (n == 250)
    assert ever(0.7, once) < 0.025


def wrong(matrix, validation, *, cap, audits, limit=0.7, exact=False, seed=0):
    """Rate at which "group 0 is at most the limit" is ever refuted though it is, with confusion counts drawn anew."""
    rng = np.random.default_rng(seed)
    matrix = np.asarray(matrix)
    told = np.array([limit, *[(1 - limit) / (len(matrix) - 1)] * (len(matrix) - 1)]) @ matrix
    refutals = 0
    for _ in range(audits):
        counts = np.stack([rng.multinomial(validation, row) for row in matrix]) * (1e9 if exact else 1)
        drawn = rng.choice(len(told), cap, p=told)
        path = np.cumsum(drawn[:, None] == np.arange(len(told)), axis=0)
        tested = np.full(len(matrix), limit)
        refutals += refuted(Correction(counts), path, tested, above=False, cap=cap)[:, 0].any()
    return refutals / audits


@pytest.mark.parametrize(
    ("matrix", "validation"),
    [
        ([[0.97, 0.03], [0.03, 0.97]], 100),
        ([[0.80, 0.15, 0.05], [0.10, 0.85, 0.05]], 150),
        ([[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.02, 0.08, 0.90]], 300),
    ],
)
def test_error_behind_a_measured_instrument(matrix, validation):
    assert wrong(matrix, validation, cap=250, audits=300) < 0.025


def test_an_instrument_that_made_no_error_among_few_is_not_taken_for_perfect():
    """Without "plus four" a row it is 4.5 %: whenever no member of group 1 of 30 was mistaken, though one in ten is."""
    assert wrong([[0.90, 0.10], [0.10, 0.90]], 30, cap=1000, audits=300, limit=0.05) < 0.025


def test_without_the_share_for_the_matrix_the_error_would_not_be_held():
    matrix = [[0.90, 0.10], [0.10, 0.90]]
    assert wrong(matrix, 100, cap=3000, audits=100) < 0.025
    assert wrong(matrix, 100, cap=3000, audits=100, exact=True) > 0.1


@CORRECTIONS
def test_at_the_cap_the_usual_interval_counts_as_well(correction):
    _, r = correction.counts.shape
    spending = Spending(early=0.3, matrix=0.1, final=0.6)
    for answers in np.random.default_rng(1).multinomial(100, np.ones(r) / r, size=5):
        so_far, at_cap = (
            sequential_estimate(correction, answers, cap=100, final=final, spending=spending) for final in (False, True)
        )
        usual = correction.estimate(answers, level=0.97)
        assert np.array_equal(at_cap.low, np.maximum(so_far.low, usual.low))
        assert np.array_equal(at_cap.high, np.minimum(so_far.high, usual.high))
        assert np.array_equal(at_cap.shares, usual.shares)
        assert (at_cap.low <= at_cap.shares).all()
        assert (at_cap.shares <= at_cap.high).all()


def test_the_interval_always_holds_the_estimate():
    rng = np.random.default_rng(2)
    for n in (1, 3, 10, 200):
        for answers in rng.multinomial(n, rng.dirichlet(np.ones(4) / 2, size=4)):
            found = sequential_estimate(THREE, answers, cap=250, final=bool(rng.integers(2)))
            assert found.n == n
            assert found.shares.sum() == pytest.approx(1)
            assert ((found.low >= 0) & (found.low <= found.shares)).all()
            assert ((found.high <= 1) & (found.high >= found.shares)).all()


def test_an_answer_that_no_group_ever_gave_says_nothing():
    never = Correction(np.array([[90, 10, 0], [10, 90, 0]]))
    two = Correction(np.array([[90, 10], [10, 90]]))
    found = sequential_estimate(never, np.array([30, 10, 7]), cap=60, final=False)
    assert found.n == 40
    heard = sequential_estimate(two, np.array([30, 10]), cap=60, final=False)
    assert (*found.low, *found.high) == pytest.approx((*heard.low, *heard.high), abs=1e-7)


def test_nothing_to_correct_is_an_error():
    with pytest.raises(ValueError, match="no answers"):
        sequential_estimate(NETWORK, np.zeros(3), cap=10, final=False)
    with pytest.raises(ValueError, match="cannot be undone"):
        sequential_estimate(Correction(np.full((2, 2), 50)), np.array([3, 4]), cap=10, final=False)


@pytest.mark.parametrize("shares", [(0.5, 0.0, 0.5), (0.6, 0.2, 0.3), (0.5, 0.6, -0.1)])
def test_spending_more_than_there_is_is_an_error(shares):
    with pytest.raises(ValueError, match="shares of the error"):
        Spending(*shares)


@pytest.mark.parametrize(("k", "n", "best_at"), [(3, 2, 10), (-1, 2, 10), (0, 0, 10), (1, 2, 0)])
def test_impossible_shares_are_an_error(k, n, best_at):
    with pytest.raises(ValueError, match="a share needs"):
        share_sequence(k, n, best_at=best_at)


@pytest.mark.parametrize(("k", "n", "best_at"), [(12, 40, 40), (200, 250, 100)])
def test_the_mixture_is_an_integral_over_a_beta_prior(k, n, best_at):
    """At both ends the likelihood ratio, integrated numerically over the prior, is 1 / 0.05."""
    found = share_sequence(k, n, best_at=best_at)
    for p in (found.low, found.high):
        doubt = 2 * math.log(1 / 0.05)
        rho = p * (1 - p) * best_at / (doubt + math.log(1 + doubt))
        weight = rho - p * (1 - p)
        prior = scipy.stats.beta(weight / (1 - p), weight / p)
        mixed = prior.expect(lambda q: scipy.stats.binom.pmf(k, n, q))
        assert mixed / scipy.stats.binom.pmf(k, n, p) == pytest.approx(20, rel=1e-5)


def predicted(k, n, remaining, limits):
    """Chance of a decision at the cap by the beta-binomial law, from exact intervals of each possible end."""
    level = 0.025 * Spending().final
    total = n + remaining
    ends = k + np.arange(remaining + 1)
    low = np.where(ends > 0, scipy.stats.beta.ppf(level, np.maximum(ends, 1), total - ends + 1), 0.0)
    high = np.where(ends < total, scipy.stats.beta.ppf(1 - level, ends + 1, np.maximum(total - ends, 1)), 1.0)
    decided = ((low >= limits[0]) & (high <= limits[1])) | (high < limits[0]) | (low > limits[1])
    return scipy.stats.betabinom.pmf(np.arange(remaining + 1), remaining, k + 0.5, n - k + 0.5)[decided].sum()


@pytest.mark.parametrize("limits", [(0.3, 0.7), (0.0, 0.2), (0.45, 0.55)])
def test_hopeless_where_the_exact_prediction_says_so(limits):
    """Below 5 % by the normal approximation is between 1 and 12 % by the exact law, skewed as it is near the edges."""
    both = np.array([limits, (-np.inf, np.inf)])
    seen = set()
    for n, remaining in ((10, 240), (100, 150), (150, 100), (200, 50)):
        for k in range(0, n + 1, max(1, n // 25)):
            chance = predicted(k, n, remaining, limits)
            said = hopeless(outlook(PERFECT, np.array([k, n - k]), remaining=remaining), both)[0]
            assert said or chance > 0.01, (n, k, chance)
            assert not said or chance < 0.12, (n, k, chance)
            seen.add(bool(said))
    assert seen == {True, False}


def test_hopeless_takes_many_counts_at_once_and_none():
    limits = np.array([[0.3, 0.7]] * 2)
    counts = np.array([[175, 75, 0], [125, 125, 0], [0, 0, 0]])
    together = hopeless(outlook(NETWORK, counts, remaining=50), limits)
    assert together.shape == (3, 2)
    for row, alone in zip(counts, together, strict=True):
        assert np.array_equal(hopeless(outlook(NETWORK, row, remaining=50), limits), alone)
    assert together[0].all()
    assert not together[1].any()
