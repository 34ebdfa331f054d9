# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.shares import clustered_share
from tests.midp import mid_p


@pytest.mark.parametrize(("k", "n"), [(0, 12), (3, 40), (20, 50), (50, 50)])
def test_independent_shares_have_the_mid_p_interval(k, n):
    found = clustered_share(np.arange(n) < k)
    assert (found.low, found.high) == pytest.approx(mid_p(k, n), abs=1e-6)
    assert (found.value, found.n, found.clusters, found.method) == (k / n, n, n, "mid-p")


def test_clusters_that_agree_count_as_one():
    hits = np.repeat(np.arange(20) < 8, 5)
    alone, together = clustered_share(hits), clustered_share(hits, np.repeat(np.arange(20), 5))
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert (together.clusters, together.method) == (20, "mid-p, robust to 20 clusters")


def test_all_hits_are_not_certain():
    found = clustered_share(np.ones(30, dtype=bool), np.arange(30) % 10)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.7 < found.low < 0.95


def test_one_cluster_says_nothing_of_others():
    found = clustered_share(np.arange(30) < 9, np.zeros(30))
    assert (found.clusters, found.method) == (30, "mid-p")


def test_it_covers_the_truth_of_clustered_shares():
    """Beta-binomial prompts with an intraclass correlation of 0.2; the truth is covered about as often as said."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        p = rng.beta(0.7 * 4, 0.3 * 4, 40)
        hits = rng.random((40, 5)) < p[:, None]
        found = clustered_share(hits.ravel(), np.repeat(np.arange(40), 5))
        covered += found.low <= 0.7 <= found.high
    assert covered >= stats.binom.ppf(0.001, 300, 0.95)
