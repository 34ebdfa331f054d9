# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from audit.stats._resample import _TABLE, count, resample
from audit.stats.annotator_error import Correction
from audit.stats.bootstrap import bootstrap_shares, draw_instruments
from audit.stats.corrected import delta_intervals
from audit.stats.intervals import cluster_bootstrap


def rows(n, *, slices=4, answers=3, clusters=None, seed=0):
    """Codes of n rows; clusters differ in what they answer."""
    rng = np.random.default_rng(seed)
    where = rng.integers(0, slices, n)
    cluster = rng.integers(0, clusters or n, n)
    lean = rng.dirichlet(np.full(answers, 2.0), clusters or n)
    said = (rng.random(n)[:, None] > np.cumsum(lean[cluster], axis=1)).sum(axis=1)
    return where, np.minimum(said, answers - 1), cluster


def plain(where, said, cluster, *, shape, draws, seed=1):
    """The usual way: draw clusters, take all of their rows, count; (draws, S, r)."""
    rng = np.random.default_rng(seed)
    names = np.unique(cluster)
    members = [np.flatnonzero(cluster == name) for name in names]
    found = np.empty((draws, *shape))
    for i in range(draws):
        kept = np.concatenate([members[j] for j in rng.integers(0, len(names), len(names))])
        counts = np.bincount(where[kept] * shape[1] + said[kept], minlength=shape[0] * shape[1]).reshape(shape)
        found[i] = counts / counts.sum(axis=1, keepdims=True)
    return found


def test_counting():
    where, said = np.array([0, 1, 1, 0, 2, 1, -1]), np.array([1, 0, 0, 1, -1, 2, 0])
    cluster = np.array([7, 7, 5, 7, 9, 5, 5])
    found = count(where, said, cluster, shape=(3, 3))
    entries = {
        (int(c), int(p) // 3, int(p) % 3): n for c, p, n in zip(found.cluster, found.place, found.number, strict=True)
    }
    assert entries == {(0, 1, 0): 1, (0, 1, 2): 1, (1, 0, 1): 2, (1, 1, 0): 1}
    assert found.starts.tolist() == [0, 2]


def test_draws_of_rows_are_multinomial():
    where, said, _ = rows(600)
    shares = bootstrap_shares(where, said, shape=(4, 3), draws=4000)
    assert shares.n.tolist() == shares.clusters.tolist() == np.bincount(where).tolist()
    expected = np.sqrt(shares.shares * (1 - shares.shares) / shares.n[:, None])
    assert shares.draws.std(axis=2) == pytest.approx(expected, rel=0.06)
    assert shares.draws.mean(axis=2) == pytest.approx(shares.shares, abs=0.003)


@pytest.mark.parametrize("clusters", [60, 600])
def test_seeds_that_span_slices_against_drawing_rows(clusters):
    """Few clusters are drawn in exact number, many have Poisson weights; both must do what drawing rows does."""
    where, said, cluster = rows(6000, clusters=clusters)
    found = bootstrap_shares(where, said, cluster, shape=(4, 3), draws=1500)
    usual = plain(where, said, cluster, shape=(4, 3), draws=600)
    assert found.draws.std(axis=2) == pytest.approx(usual.std(axis=0), rel=0.15)
    together = np.corrcoef(found.draws[0, 0], found.draws[1, 0])[0, 1]
    assert together == pytest.approx(np.corrcoef(usual[:, 0, 0], usual[:, 1, 0])[0, 1], abs=0.12)
    low, high = found.intervals(kind="percentile")
    assert low == pytest.approx(np.quantile(usual, 0.025, axis=0), abs=0.012)
    assert high == pytest.approx(np.quantile(usual, 0.975, axis=0), abs=0.012)


@pytest.mark.parametrize("clusters", [40, 2000])
def test_clusters_within_slices_against_one_slice_at_a_time(clusters):
    where, said, cluster = rows(8000, clusters=clusters, answers=2)
    found = bootstrap_shares(where, said, where * 10_000 + cluster, shape=(4, 2), draws=2000)
    low, high = found.intervals(kind="percentile")
    for j in range(4):
        mine = where == j
        peer = cluster_bootstrap((said[mine] == 0).astype(float), cluster[mine], reps=2000)
        assert found.clusters[j] == peer.clusters
        assert (low[j, 0], high[j, 0]) == pytest.approx((peer.low, peer.high), abs=0.008)


def test_a_difference_keeps_what_slices_share():
    """Every seed leans to the same answer in both slices: their difference varies far less than independent ones."""
    rng = np.random.default_rng(3)
    lean = rng.random(80) < 0.5
    cluster = np.repeat(np.arange(80), 2)
    where, said = np.tile([0, 1], 80), np.where(rng.random(160) < 0.95, lean[cluster], ~lean[cluster]).astype(int)
    shared = bootstrap_shares(where, said, cluster, shape=(2, 2), draws=4000)
    value, low, high = shared.difference(0, 1)
    own = bootstrap_shares(where, said, where * 80 + cluster, shape=(2, 2), draws=4000)
    _, own_low, own_high = own.difference(0, 1)
    assert value == pytest.approx(shared.shares[0] - shared.shares[1])
    assert (high - low)[0] < 0.6 * (own_high - own_low)[0]
    pairs = said[where == 0].astype(float) - said[where == 1]
    exact = 2 * 1.96 * pairs.std() / 80**0.5
    assert (high - low)[0] == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize("kind", ["bca", "percentile", "basic"])
def test_intervals_are_scipys(kind):
    values = (np.arange(60) < 6).astype(float)
    peer = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method=kind, rng=np.random.default_rng(0)
    ).confidence_interval
    found = bootstrap_shares(np.zeros(60, dtype=int), 1 - values.astype(int), shape=(1, 2), draws=9999)
    low, high = found.intervals(kind=kind)
    assert (low[0, 0], high[0, 0]) == pytest.approx((max(peer.low, 0.0), peer.high), abs=1 / 60 + 1e-9)
    skewness = scipy.stats.skew(values) / (6 * 60**0.5)
    assert found.acceleration[0, 0] == pytest.approx(skewness, rel=1e-6)


def test_acceleration_of_clusters_by_hand():
    where, said, cluster = rows(300, slices=1, answers=2, clusters=25)
    found = bootstrap_shares(where, said, cluster, shape=(1, 2), draws=10)
    sizes, hits = np.bincount(cluster, minlength=25), np.bincount(cluster, weights=said == 0, minlength=25)
    away = hits - sizes * found.shares[0, 0]
    assert found.acceleration[0, 0] == pytest.approx((away**3).sum() / (6 * (away**2).sum() ** 1.5))


@pytest.mark.parametrize("kind", ["bca", "percentile", "basic"])
def test_intervals_hold_the_truth(kind):
    """Sixty prompts of five images, whose shares vary with a correlation of 0.2."""
    rng, held = np.random.default_rng(4), 0
    cluster, where = np.repeat(np.arange(60), 5), np.zeros(300, dtype=int)
    for i in range(400):
        said = (rng.random(300) > np.repeat(rng.beta(1.2, 2.8, 60), 5)).astype(int)
        low, high = bootstrap_shares(where, said, cluster, shape=(1, 2), draws=400, seed=i).intervals(kind=kind)
        held += bool(low[0, 0] <= 0.3 <= high[0, 0])
    assert 0.91 <= held / 400 <= 0.98


def test_corrected_shares_vary_as_the_delta_method_says():
    correction = Correction(np.array([[280, 12, 8], [20, 270, 10]]))
    where, group, cluster = rows(3000, slices=1, answers=2, clusters=100)
    told = np.cumsum(correction.matrix, axis=1)[group]
    said = (np.random.default_rng(1).random(3000)[:, None] > told).sum(axis=1)
    table = np.zeros((100, 3))
    np.add.at(table, (cluster, said), 1)
    for clusters in (None, cluster):
        found = bootstrap_shares(where, said, clusters, shape=(1, 3), correction=correction, draws=4000)
        delta = delta_intervals(correction, table.sum(axis=0), clusters=None if clusters is None else table)
        half = (delta.high - delta.low)[0] / 2
        quantile = 1.96 if clusters is None else scipy.stats.t.ppf(0.975, 99)
        assert found.draws[0, 0].std() == pytest.approx(half / quantile, rel=0.06)
        assert found.shares[0] == pytest.approx(correction.shares(table.sum(axis=0)))


def test_confusion_counts_are_drawn_once_for_all_slices():
    """With endless images only the counts are uncertain, and a difference of like slices does not see them."""
    correction = Correction(np.array([[90.0, 10.0], [10.0, 90.0]]))
    where, said = np.repeat([0, 1], 50_000), np.tile([0, 0, 0, 1], 25_000)
    found = bootstrap_shares(where, said, shape=(2, 2), correction=correction, draws=2000)
    assert np.corrcoef(found.draws[0, 0], found.draws[1, 0])[0, 1] > 0.99
    _, low, high = found.difference(0, 1)
    own_low, own_high = found.intervals()
    assert (high - low)[0] < 0.25 * (own_high - own_low)[0, 0]


def test_no_data_is_never_a_number():
    where, said = np.array([0, 0, 0, 1, 2, -1]), np.array([0, 1, 1, 0, -1, 0])
    cluster = np.array([0, 1, 1, 2, 3, 4])
    found = bootstrap_shares(where, said, cluster, shape=(3, 2), draws=200)
    low, high = found.intervals()
    assert found.n.tolist() == [3, 1, 0]
    assert found.clusters.tolist() == [2, 1, 0]
    assert np.isnan(found.shares[2]).all()
    assert found.shares[1].tolist() == [1.0, 0.0]
    assert np.isfinite(low[0]).all()
    assert np.isnan(low[1:]).all()
    assert np.isnan(high[1:]).all()
    value, low, high = found.difference(0, 1)
    assert value[0] == pytest.approx(1 / 3 - 1)
    assert np.isnan([low, high]).all()


def test_a_slice_that_a_draw_misses_does_not_spoil_the_others():
    """Two of twelve seeds are in the second slice: one draw in nine holds neither."""
    cluster = np.r_[np.repeat(np.arange(12), 3), 0, 0, 1, 1]
    where, said = np.r_[np.zeros(36, int), np.ones(4, int)], np.r_[np.tile([0, 0, 1], 12), 0, 1, 0, 0]
    found = bootstrap_shares(where, said, cluster, shape=(2, 2), draws=4000)
    missed = np.isnan(found.draws[1, 0]).mean()
    assert missed == pytest.approx((10 / 12) ** 12, abs=0.02)
    assert np.isfinite(found.intervals()).all()


def test_poisson_weights_have_mean_and_variance_one():
    assert _TABLE.mean() == pytest.approx(1.0, abs=1e-4)
    assert _TABLE.var() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("clusters", [None, 30, 3000])
def test_the_same_seed_gives_the_same_draws(clusters):
    where, said, cluster = rows(4000, clusters=clusters)
    units = None if clusters is None else cluster
    first, again = (bootstrap_shares(where, said, units, shape=(4, 3), draws=50, seed=5) for _ in range(2))
    other = bootstrap_shares(where, said, units, shape=(4, 3), draws=50, seed=6)
    assert np.array_equal(first.draws, again.draws)
    assert not np.array_equal(first.draws, other.draws)


def test_blocks_do_not_lose_clusters(monkeypatch):
    """The whole count is drawn whatever the size of a block: the mean weight of 5,000 clusters is one."""
    where, said, cluster = rows(20_000, clusters=5000)
    monkeypatch.setattr("audit.stats._resample._BLOCK", 30_000)
    found = resample(count(where, said, cluster, shape=(4, 3)), np.random.default_rng(0), draws=300, clustered=True)
    assert found.sum(axis=(0, 1)).mean() == pytest.approx(20_000, rel=0.005)
    assert found.mean(axis=2).ravel() == pytest.approx(np.bincount(where * 3 + said), rel=0.02)


def test_confusion_counts_that_cannot_be_undone():
    for counts, why in (([[530, 470], [470, 530]], "cannot be undone"), ([[3, 1], [1, 3]], "too few counts")):
        with pytest.raises(ValueError, match=why):
            draw_instruments(Correction(np.array(counts)), np.random.default_rng(0), draws=200)
