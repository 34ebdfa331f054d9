# SPDX-License-Identifier: Apache-2.0
"""Clusters, many audits at once, and the other intervals of corrected shares."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from audit.stats._alike import _moments, robust_variance
from audit.stats._instrument import Instrument
from audit.stats._inversion import invert
from audit.stats.annotator_error import Correction, delta_interval
from audit.stats.corrected import bootstrap_intervals, delta_intervals
from audit.stats.intervals import mean_interval


class TestManyAtOnce:
    """Curves over levels, slices and batches say what single calls say."""

    COUNTS = np.array([[480, 10, 4, 6], [12, 470, 9, 9], [3, 8, 484, 5]])
    LEVELS = 1 - 0.05 / 2.0 ** np.arange(-2, 11)

    def test_a_curve_holds_the_interval_of_each_level(self):
        correction, answers = Correction(self.COUNTS), np.array([40, 25, 10, 2])
        low, high = correction.curve(answers, levels=self.LEVELS)
        assert low.shape == high.shape == (13, 3)
        for level, below, above in zip(self.LEVELS, low, high, strict=True):
            alone = correction.estimate(answers, level=level)
            assert np.array_equal(below, alone.low)
            assert np.array_equal(above, alone.high)
        assert (np.diff(low, axis=0) <= 1e-6).all()
        assert (np.diff(high, axis=0) >= -1e-6).all()

    def test_a_curve_with_clusters(self):
        table = np.random.default_rng(0).multinomial(9, [0.5, 0.3, 0.15, 0.05], size=7)
        low, high = Correction(self.COUNTS).curve(table.sum(axis=0), levels=self.LEVELS, clusters=table)
        alone = Correction(self.COUNTS).estimate(table.sum(axis=0), level=self.LEVELS[2], clusters=table)
        assert np.array_equal(low[2], alone.low)
        assert np.array_equal(high[2], alone.high)

    def test_slices(self):
        answers = np.random.default_rng(1).multinomial(60, [0.5, 0.3, 0.15, 0.05], size=20)
        correction = Correction(self.COUNTS)
        for one, found in zip(answers, correction.estimate_many(answers, level=0.9), strict=True):
            alone = correction.estimate(one, level=0.9)
            assert (found.n, found.clusters, found.method) == (alone.n, alone.clusters, alone.method)
            for name in ("shares", "low", "high", "raw", "effective"):
                assert np.allclose(getattr(found, name), getattr(alone, name), atol=1e-12), name

    def test_batches_of_instruments(self):
        rng = np.random.default_rng(2)
        counts = rng.multinomial(400, self.COUNTS / 500, size=(5, 3))
        tables = rng.multinomial(10, [0.5, 0.3, 0.15, 0.05], size=(5, 6))
        found = invert(
            Instrument.of(counts.astype(float)),
            tables.sum(axis=1).astype(float),
            levels=np.array([0.95]),
            clusters=tables.astype(float),
        )
        for i in range(5):
            alone = Correction(counts[i]).estimate(tables[i].sum(axis=0), clusters=tables[i])
            assert np.allclose(found.low[i, 0], alone.low, atol=1e-9)
            assert np.allclose(found.high[i, 0], alone.high, atol=1e-9)


def clustered(p, *, sizes, correlation, reps, seed=0):
    """Answers of a perfect two-way instrument by cluster, (reps, G, 2), with beta shares of the clusters."""
    rng = np.random.default_rng(seed)
    a = 1 / correlation - 1
    share = rng.beta(p * a, (1 - p) * a, size=(reps, len(sizes)))
    seen = rng.binomial(sizes, share)
    return np.stack([seen, sizes - seen], axis=-1).astype(float)


class TestClusters:
    """Images of one prompt or seed are alike."""

    PERFECT = Correction(np.diag([1e9, 1e9]))

    def test_the_robust_variance_of_equal_clusters_is_that_of_their_means(self):
        table = clustered(0.3, sizes=np.full(9, 12), correlation=0.2, reps=1)[0]
        labels = np.repeat(np.arange(9), 12)
        values = np.concatenate([np.repeat([1.0, 0.0], row.astype(int)) for row in table])
        peer = mean_interval(values, labels)
        found = robust_variance(self.PERFECT.instrument, table, self.PERFECT.linear(table.sum(axis=0)))
        half = scipy.stats.t.ppf(0.975, found.degrees[0]) * found.variance[0] ** 0.5
        assert found.degrees[0] == pytest.approx(8)
        assert half == pytest.approx(peer.high - peer.value, rel=1e-9)

    def test_degrees_of_freedom_of_unequal_clusters_by_matrices(self):
        sizes = np.array([2.0, 3.0, 5.0, 8.0, 40.0, 1.0])
        working = np.diag(sizes * (1 + (sizes - 1) * 0.3))
        residual = np.eye(6) - np.outer(sizes / sizes.sum(), np.ones(6))
        spread = residual @ working @ residual.T
        whole, trace, square = (float(x[0]) for x in _moments(sizes, np.array([sizes.sum()])))
        assert whole == pytest.approx(working.sum())
        assert trace == pytest.approx(np.trace(spread))
        assert square == pytest.approx(np.trace(spread @ spread))

    def test_the_variance_is_that_of_repeated_audits(self):
        sizes = np.array([5, 10, 20, 50] * 5)
        tables = clustered(0.4, sizes=sizes, correlation=0.3, reps=4000)
        raw = tables[..., 0].sum(axis=1) / sizes.sum()
        said = [
            robust_variance(self.PERFECT.instrument, t, np.array([p, 1 - p])).variance[0]
            for t, p in zip(tables, raw, strict=True)
        ]
        assert np.mean(said) == pytest.approx(raw.var(), rel=0.05)

    def test_the_effective_number_is_known_from_the_design(self):
        """Kish 1965: n / (1 + (m - 1) * correlation)."""
        table = clustered(0.4, sizes=np.full(2000, 10), correlation=0.2, reps=1)[0]
        found = self.PERFECT.estimate(table.sum(axis=0), clusters=table)
        assert found.effective[0] == pytest.approx(20_000 / (1 + 9 * 0.2), rel=0.05)
        assert (found.n, found.clusters) == (20_000, 2000)
        assert found.method.endswith("robust to 2000 clusters")

    @pytest.mark.parametrize("p", [0.05, 0.5, 0.8])
    @pytest.mark.parametrize("sizes", [(50,) * 8, (10,) * 20, (5, 10, 20, 50) * 3])
    def test_coverage(self, p, sizes):
        tables = clustered(p, sizes=np.array(sizes), correlation=0.3, reps=2000)
        instrument, answers = Instrument.of(np.diag([1e9, 1e9])), tables.sum(axis=1)

        def held(clusters):
            found = invert(instrument, answers, levels=np.array([0.95]), clusters=clusters)
            return ((found.low[:, 0, 0] <= p) & (p <= found.high[:, 0, 0])).mean()

        assert held(tables) >= 0.92
        assert held(None) < 0.85

    def test_clusters_of_one_image_are_independent_images(self):
        table = np.repeat(np.eye(2), [13, 27], axis=0)
        alone, found = (
            self.PERFECT.estimate(table.sum(axis=0)),
            self.PERFECT.estimate(table.sum(axis=0), clusters=table),
        )
        assert found.effective == pytest.approx([40.0, 40.0])
        assert found.low == pytest.approx(alone.low, abs=0.01)
        assert found.high == pytest.approx(alone.high, abs=0.01)

    def test_a_single_cluster_says_nothing_of_others(self):
        alone = self.PERFECT.estimate(np.array([10, 30]))
        found = self.PERFECT.estimate(np.array([10, 30]), clusters=np.array([[10, 30], [0, 0]]))
        assert np.array_equal(found.low, alone.low)
        assert found.clusters == found.n == 40
        assert found.method.endswith("one cluster: images as units")
        assert "cluster" not in alone.method

    def test_clusters_that_agree_by_luck_do_not_narrow_the_interval(self):
        table = np.tile([6.0, 14.0], (8, 1))
        alone, found = (
            self.PERFECT.estimate(table.sum(axis=0)),
            self.PERFECT.estimate(table.sum(axis=0), clusters=table),
        )
        assert (found.low <= alone.low).all()
        assert (found.high >= alone.high).all()
        assert (found.effective <= 160).all()

    def test_a_group_that_no_cluster_shows_may_hide_in_others(self):
        """All of 8 x 50 images agree: not 400 independent ones, nor 8 images either."""
        table = np.tile([50.0, 0.0], (8, 1))
        found = self.PERFECT.estimate(table.sum(axis=0), clusters=table)
        assert 0.05 ** (1 / 400) - 0.02 > found.low[0] > 0.05 ** (1 / 8)  # mid-p limits of 400 and of 8 images
        assert found.high[0] == 1.0

    def test_clusters_have_no_order(self):
        table = clustered(0.4, sizes=np.array([5, 9, 14]), correlation=0.2, reps=1)[0]
        found = self.PERFECT.estimate(table.sum(axis=0), clusters=table)
        moved = self.PERFECT.estimate(table.sum(axis=0), clusters=table[[2, 0, 1]])
        assert found.low == pytest.approx(moved.low, abs=1e-6)

    @pytest.mark.parametrize("table", [[[1, 2], [3, 5]], [[4, 6, 0]], [4, 6]])
    def test_clusters_that_are_not_the_answers(self, table):
        with pytest.raises(ValueError, match="add up"):
            self.PERFECT.estimate(np.array([4, 6]), clusters=np.array(table))


class TestOtherIntervals:
    """Delta method and bootstrap."""

    COUNTS = np.array([[947, 53], [17, 983]])

    def test_the_delta_method_for_two_groups_is_the_published_one(self):
        found = delta_intervals(Correction(self.COUNTS), np.array([1230, 770]))
        low, high = delta_interval(0.615, n=2000, a0=0.947, n0=1000, a1=0.983, n1=1000)
        assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=1e-12)
        assert found.shares == pytest.approx(found.raw)

    def test_three_ways_agree_far_from_the_edges(self):
        counts = np.array([[950, 30, 20], [40, 920, 40], [30, 60, 910]])
        answers = np.array([900, 700, 400])
        table = np.random.default_rng(4).multinomial(20, answers / 2000, size=100)
        for clusters in (None, table):
            said = answers if clusters is None else table.sum(axis=0)
            ours = Correction(counts).estimate(said, clusters=clusters)
            delta = delta_intervals(Correction(counts), said, clusters=clusters)
            boot = bootstrap_intervals(Correction(counts), said, clusters=clusters, draws=4000)
            assert ours.low == pytest.approx(delta.low, abs=0.005)
            assert ours.high == pytest.approx(delta.high, abs=0.005)
            assert boot.low == pytest.approx(delta.low, abs=0.005)
            assert boot.high == pytest.approx(delta.high, abs=0.005)

    @pytest.mark.parametrize("intervals", [delta_intervals, bootstrap_intervals])
    def test_refusals(self, intervals):
        with pytest.raises(ValueError, match="cannot be undone"):
            intervals(Correction(np.array([[530, 470], [470, 530]])), np.array([10, 10]))
        with pytest.raises(ValueError, match="no answers"):
            intervals(Correction(self.COUNTS), np.array([0, 0]))

    def test_counts_that_are_too_few_to_say_whether_groups_are_told_apart(self):
        with pytest.raises(ValueError, match="too few counts"):
            bootstrap_intervals(Correction(np.array([[3, 1], [1, 3]])), np.array([10, 10]))
