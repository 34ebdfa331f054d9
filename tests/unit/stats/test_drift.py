# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from audit.stats.drift import cohen_kappa, drift, two_judgements

DAY = 86_400.0


def table(both, only_first, only_second, neither):
    """Two judgements with these counts."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def fleiss_error(first, second):
    """Large-sample standard error of kappa (Fleiss, Cohen and Everitt 1969, eq. 13), from the table's cells."""
    p = np.array([[np.mean((first == i) & (second == j)) for j in (True, False)] for i in (True, False)])
    rows, columns = p.sum(1), p.sum(0)
    observed, expected = np.trace(p), rows @ columns
    kappa = (observed - expected) / (1 - expected)
    a = sum(p[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in range(2))
    b = (1 - kappa) ** 2 * sum(p[i, j] * (columns[i] + rows[j]) ** 2 for i in range(2) for j in range(2) if i != j)
    c = (kappa - expected * (1 - kappa)) ** 2
    return np.sqrt((a + b - c) / (len(first) * (1 - expected) ** 2))


def test_kappa_of_the_textbook():
    """Fifty grant proposals, 20 and 15 judged alike: kappa 0.4 (Wikipedia, "Cohen's kappa", simple example)."""
    first, second = table(20, 5, 10, 15)
    assert cohen_kappa(first, second).value == pytest.approx(0.4)


@pytest.mark.parametrize("cells", [(20, 5, 10, 15), (60, 3, 9, 8), (5, 1, 2, 92), (10, 30, 40, 20)])
def test_kappa_and_its_error_are_those_of_the_literature(cells):
    first, second = table(*cells)
    found = cohen_kappa(first, second)
    n = len(first)
    assert found.value == pytest.approx(cohen_kappa_score(first, second))
    half = stats.t.ppf(0.975, n - 1) * fleiss_error(first, second) * np.sqrt(n / (n - 1))
    assert found.low == pytest.approx(max(-1, found.value - half))
    assert found.high == pytest.approx(min(1, found.value + half))


def test_kappa_where_nobody_disagrees_is_not_certain():
    first, second = table(12, 0, 0, 8)
    found = cohen_kappa(first, second)
    assert (found.value, found.high) == (1.0, 1.0)
    most = 1 - 0.025 ** (1 / 20)  # exact limit on none of 20
    assert found.low == pytest.approx(1 - most / (2 * 0.6 * 0.4))


def test_kappa_of_two_constants_is_none():
    assert cohen_kappa(*table(10, 0, 0, 0)) is None
    assert cohen_kappa(*table(0, 10, 0, 0)).value == 0.0


def test_kappa_covers_the_truth_in_clusters():
    """Images of a prompt err together; the kappa of many prompts is the truth."""
    rng = np.random.default_rng(1)

    def sample(prompts):
        right = np.repeat(rng.random(prompts) < 0.6, 4) ^ (rng.random(4 * prompts) < 0.2)
        flips = np.repeat(rng.random(prompts) < 0.15, 4) & (rng.random(4 * prompts) < 0.7)
        return right, right ^ flips, np.repeat(np.arange(prompts), 4)

    truth = cohen_kappa(*sample(100_000)).value
    covered = 0
    for _ in range(300):
        found = cohen_kappa(*sample(60))
        covered += found.low <= truth <= found.high
    assert covered >= stats.binom.ppf(0.001, 300, 0.93)


def test_two_judgements():
    first, second = table(40, 12, 3, 45)
    found = two_judgements(first, second)
    assert (found.agreement.value, found.up, found.down) == (0.85, 3, 12)
    assert found.change.value == pytest.approx(-0.09)
    assert found.change.low < -0.09 < found.change.high < 0
    assert found.p == pytest.approx(stats.binomtest(3, 15).pvalue)
    # Bonett and Price 2012: one pair more each way.
    centre, n = -9 / 102, 102
    half = stats.t.ppf(0.975, 99) * np.sqrt(((17 / n) - centre**2) / n)
    assert (found.change.low, found.change.high) == pytest.approx((centre - half, centre + half), abs=5e-4)


def simulated(rng, *, prompts, later, images=4, drift_of=0.0):
    """Judgements of known drift: of images that people call wrong, 5 % are called right, later ``drift_of`` more."""
    hard = np.repeat(rng.beta(2, 2, prompts), images)
    n = prompts * images
    people = rng.random(n) < hard
    at = rng.permutation(n) * DAY
    late = at > np.median(at)
    judge = np.where(people, rng.random(n) > 0.05, rng.random(n) < 0.05 + drift_of * late)
    return judge.astype(float) - people, at, np.repeat(np.arange(prompts), images) if later else None


@pytest.mark.parametrize(("prompts", "of"), [(40, 0.0), (40, 0.4), (100, 0.2)])
def test_drift_covers_what_was_put_in(prompts, of):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        found = drift(*simulated(rng, prompts=prompts, later=True, drift_of=of))
        covered += found.change.low <= of / 2 <= found.change.high  # half of the images are wrong
    assert covered >= stats.binom.ppf(0.001, 200, 0.95)


def test_a_drift_like_that_of_geneval_is_found():
    """17.7 points (arXiv:2512.16853), in a benchmark of 553 prompts with four images."""
    errors, at, prompts = simulated(np.random.default_rng(3), prompts=553, later=True, drift_of=2 * 0.177)
    found = drift(errors, at, prompts)
    assert found.change.low > 0.12
    assert found.change.value == pytest.approx(0.177, abs=0.04)
    assert found.late.value - found.early.value == pytest.approx(found.change.value)
    assert found.slope.low > 0


def test_a_judge_that_never_errs_has_not_been_seen_to_drift():
    found = drift(np.zeros(80), np.arange(80) * DAY, np.arange(80) % 20)
    assert found.change.value == 0.0
    assert found.change.low == pytest.approx(-found.change.high)
    assert 0.02 < found.change.high < 0.12


def test_luck_of_a_prompt_that_both_halves_share_cancels():
    rng = np.random.default_rng(4)
    wrong = np.repeat(rng.random(40) < 0.5, 6).astype(float)  # the judge errs on whole prompts
    at = np.tile(np.arange(6), 40) * DAY
    flat = drift(wrong, at, np.repeat(np.arange(40), 6))
    apart = drift(wrong, at, None)
    assert flat.change.high - flat.change.low < 0.7 * (apart.change.high - apart.change.low)


def test_slope_is_that_of_least_squares():
    rng = np.random.default_rng(5)
    at, errors = rng.uniform(0, 90 * DAY, 200), rng.choice([-1.0, 0.0, 1.0], 200)
    found = drift(errors, at).slope
    expected = stats.linregress(at / DAY, errors)
    assert found.value == pytest.approx(expected.slope)
    assert (found.high - found.low) / 2 == pytest.approx(expected.stderr * stats.t.ppf(0.975, 198), rel=0.15)


@pytest.mark.parametrize(("at", "cut"), [([0, 1, 2, 3], 1), ([0, 0, 0, 1, 2], 0), ([0, 1, 2, 2, 2, 2], 1)])
def test_judgements_of_one_moment_stay_together(at, cut):
    assert drift(np.zeros(len(at)), np.array(at, dtype=float)).cut == cut


@pytest.mark.parametrize("at", [[5, 5, 5, 5, 5], [0, 1, 1, 1], [0, 1]])
def test_without_two_judgements_on_either_side_there_is_no_drift(at):
    assert drift(np.zeros(len(at)), np.array(at, dtype=float)) is None


def test_clusters_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 clusters for 4 images"):
        drift(np.zeros(4), np.arange(4.0), np.arange(3))
