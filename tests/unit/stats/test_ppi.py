# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.intervals import mean_interval
from audit.stats.ppi import indicators, ppi_mean, ppi_shares

SHARES = np.array([0.5, 0.3, 0.2])


def draw(rng, total, *, shares=SHARES, accuracy=0.9, abstain=0.1):
    """True groups and an instrument's one-hot answers, zeros where it could not tell."""
    k = len(shares)
    truth = rng.choice(k, size=total, p=shares)
    said = np.where(rng.random(total) < accuracy, truth, rng.integers(0, k, total))
    answers = np.eye(k)[said]
    answers[rng.random(total) < abstain] = 0
    return truth, answers


def test_indicators():
    rows = indicators(["a", "could not tell", None, "b"], ["a", "b"])
    assert rows.tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]
    assert indicators([], ["a", "b", "c"]).shape == (0, 3)


def test_labels_alone_are_the_classical_interval():
    rng = np.random.default_rng(0)
    labels, answers, rest = rng.normal(size=30), rng.normal(size=30), rng.normal(size=300)
    found = ppi_mean(labels, answers, rest, lam=0, level=0.9)
    assert found is not None
    theirs = stats.norm(labels.mean(), labels.std() / 30**0.5).interval(0.9)
    assert (found.interval.low, found.interval.high) == pytest.approx(theirs)
    assert (found.gain, found.answered, found.interval.n) == (pytest.approx(1.0), 330, 30)
    small = ppi_mean(labels, answers, rest, lam=0, level=0.9, quantile="t")
    t = stats.ttest_1samp(labels, 0).confidence_interval(0.9)
    assert small is not None
    assert (small.interval.low, small.interval.high) == pytest.approx((t.low, t.high))


def test_answers_that_are_always_right_count_like_labels():
    rng = np.random.default_rng(1)
    y = (rng.random(2000) < 0.3).astype(float)
    found = ppi_mean(y[:100], y[:100], y[100:], lam=1)
    assert found is not None
    assert found.interval.value == pytest.approx(y[100:].mean())
    assert found.gain == pytest.approx(19, rel=0.25)


def test_the_tuned_weight_has_the_least_variance():
    rng = np.random.default_rng(2)
    y = rng.normal(size=500)
    f = y + rng.normal(size=500)
    tuned = ppi_mean(y[:400], f[:400], f[400:])
    assert tuned is not None
    widths = {lam: ppi_mean(y[:400], f[:400], f[400:], lam=lam) for lam in np.linspace(0, 1, 101)}
    best = min(widths, key=lambda lam: widths[lam].interval.high - widths[lam].interval.low)
    assert tuned.lam == pytest.approx(best, abs=0.02)


def test_clusters_of_labels_alone_are_the_cluster_robust_interval():
    rng = np.random.default_rng(3)
    names = np.repeat(np.arange(15), 6)
    y = rng.normal(size=90) + rng.normal(size=15)[names]
    found = ppi_mean(y, y, np.zeros(20), lam=0, clusters=(names, np.full(20, 99)), quantile="t")
    plain = mean_interval(y, names)
    assert found is not None
    assert plain is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((plain.low, plain.high))


@pytest.mark.parametrize(("n", "m"), [(0, 5), (1, 5), (5, 0), (5, 1)])
def test_too_little_is_no_estimate(n, m):
    assert ppi_mean(np.ones(n), np.ones(n), np.ones(m)) is None


def test_one_labelled_cluster_is_no_estimate():
    names = (np.array(["a"] * 4), np.array(["a", "b", "c"]))
    assert ppi_mean(np.arange(4.0), np.arange(4.0), np.arange(3.0), clusters=names) is None
    answers = np.eye(2)[[0, 1, 0, 1]]
    assert ppi_shares(answers[:1], answers, np.array([0])) is None
    assert ppi_shares(answers[:2], answers, np.array([0, 1]), clusters=np.array(["a", "a", "b", "b"])) is None
    assert ppi_shares(np.zeros((2, 2)), answers, np.array([0, 1]), told=True) is None


@pytest.mark.parametrize(("lam", "quantile"), [(1.0, "z"), (None, "z"), (None, "t")])
def test_the_mean_is_covered(lam, quantile):
    rng, hit = np.random.default_rng(4), 0
    for _ in range(1000):
        truth, answers = draw(rng, 600)
        y, f = (truth == 0).astype(float), answers[:, 0]
        found = ppi_mean(y[:80], f[:80], f[80:], lam=lam, quantile=quantile)
        hit += found.interval.low <= SHARES[0] <= found.interval.high
    assert 0.93 <= hit / 1000 <= 0.97


def simulate(*, reps, n, total, seed, sample=None, people=0.0, told=False, clusters=0, accuracy=0.9):
    """Coverage, mean error and mean gain of the three shares."""
    rng = np.random.default_rng(seed)
    hit, error, gain = np.zeros(3), np.zeros(3), np.zeros(3)
    # People cannot tell group 0 twice as often as the others.
    kept = 1 - people * np.array([2, 1, 1])
    truth_told = SHARES * kept / ((SHARES * kept).sum() if told else 1.0)
    for _ in range(reps):
        names = rng.integers(0, clusters, total) if clusters else None
        truth, answers = draw(rng, total, accuracy=accuracy)
        if names is not None:
            shares = rng.dirichlet(SHARES * 8, size=clusters)
            truth = (rng.random(total)[:, None] > np.cumsum(shares[names], axis=1)[:, :2]).sum(axis=1)
            answers = np.eye(3)[np.where(rng.random(total) < 0.9, truth, rng.integers(0, 3, total))]
        labels = np.eye(3)[truth]
        labels[rng.random(total) > kept[truth]] = 0
        if sample is None:
            rows, inclusion = rng.choice(total, n, replace=False), None
        else:
            chance = sample(answers, n / total)
            rows = np.flatnonzero(rng.random(total) < chance)
            inclusion = chance[rows]
        found = ppi_shares(labels[rows], answers, rows, inclusion=inclusion, told=told, clusters=names)
        hit += [f.interval.low <= p <= f.interval.high for f, p in zip(found, truth_told, strict=True)]
        error += [f.interval.value - p for f, p in zip(found, truth_told, strict=True)]
        gain += [f.gain for f in found]
    return hit / reps, error / reps, gain / reps


def test_shares_are_covered_and_answers_help():
    hit, error, gain = simulate(reps=600, n=100, total=1500, seed=5)
    assert (hit >= 0.94).all()
    assert (hit <= 0.995).all()
    assert np.abs(error).max() < 0.005
    assert (gain > 1.8).all()


def test_an_instrument_that_knows_nothing_does_no_harm():
    hit, error, gain = simulate(reps=300, n=60, total=600, seed=6, accuracy=0.0)
    assert (hit >= 0.93).all()
    assert np.abs(error).max() < 0.008
    assert gain == pytest.approx(1.0, abs=0.1)


def test_unequal_sampling_is_undone_by_its_weights():
    def doubtful_first(answers, share):
        return np.where(answers[:, 0] == 1, 0.5 * share, 1.8 * share)

    hit, error, _ = simulate(reps=500, n=90, total=900, seed=7, sample=doubtful_first)
    assert (hit >= 0.93).all()
    assert np.abs(error).max() < 0.008
    rng = np.random.default_rng(8)
    truth, answers = draw(rng, 50_000)
    chance = doubtful_first(answers, 0.3)
    rows = np.flatnonzero(rng.random(50_000) < chance)
    naive = ppi_shares(np.eye(3)[truth[rows]], answers, rows, lam=0)
    assert naive[0].interval.value < 0.4  # without the weights the first group would be missed out


def test_people_who_cannot_tell():
    hit, error, _ = simulate(reps=400, n=100, total=900, seed=9, people=0.15, told=True)
    assert (hit >= 0.93).all()
    assert np.abs(error).max() < 0.008
    hit, error, _ = simulate(reps=400, n=100, total=900, seed=10, people=0.15)
    assert (hit >= 0.93).all()
    assert np.abs(error).max() < 0.008


def test_clustered_images_are_covered():
    hit, _, _ = simulate(reps=400, n=120, total=900, seed=11, clusters=40)
    assert (hit >= 0.92).all()


@pytest.mark.parametrize("share", [0.01, 0.03, 0.08])
def test_a_rare_group_is_covered(share):
    rng, hit = np.random.default_rng(12), 0
    for _ in range(400):
        truth, answers = draw(rng, 600, shares=np.array([1 - share, share]))
        rows = rng.choice(600, 60, replace=False)
        found = ppi_shares(np.eye(2)[truth[rows]], answers, rows)
        hit += found[1].interval.low <= share <= found[1].interval.high
    assert hit / 400 >= 0.93


def test_labels_alone_by_hand():
    """24, 12 and 4 of 48 labels name a group, 8 none; the answers are not used."""
    labels = np.zeros((48, 3))
    labels[:24, 0] = labels[24:36, 1] = labels[36:40, 2] = 1
    answers = np.random.default_rng(13).dirichlet(np.ones(3), 480)
    rows = np.arange(0, 480, 10)
    t = stats.t.ppf(0.975, 47)
    for told, size in ((False, 48), (True, 40)):
        for found, count in zip(ppi_shares(labels, answers, rows, lam=0, told=told), (24, 12, 4), strict=True):
            p = count / size
            half = t * (p * (1 - p) / size * 48 / 47 + (t / size) ** 2 / 2) ** 0.5
            assert found.interval.value == pytest.approx(p)
            assert found.interval.low == pytest.approx(max(0, p - half))
            assert found.interval.high == pytest.approx(p + half)
            assert found.gain == pytest.approx(1.0)


def test_a_group_that_nobody_saw_may_still_be_there():
    answers = np.tile([1.0, 0.0], (500, 1))
    found = ppi_shares(answers[:30], answers, np.arange(30))
    assert (found[1].interval.value, found[1].interval.low) == (0, 0)
    # Half of the variance (t / n)^2, so t^2 / (sqrt(2) n); 3 / n would be the rule of three.
    assert found[1].interval.high == pytest.approx(stats.t.ppf(0.975, 29) ** 2 / 2**0.5 / 30)


@pytest.mark.parametrize(
    ("labels", "rows", "inclusion", "what"),
    [
        (np.ones((2, 3)), [0, 1], None, "fit together"),
        (np.ones((2, 2)), [0, 1, 2], None, "fit together"),
        (np.ones((2, 2)), [1, 1], None, "two rows"),
        (np.ones((2, 2)), [0, 1], np.array([0.5, 0.0]), "inclusion"),
    ],
)
def test_what_does_not_fit(labels, rows, inclusion, what):
    with pytest.raises(ValueError, match=what):
        ppi_shares(labels, np.ones((5, 2)), np.array(rows), inclusion=inclusion)
