# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.bounds import TOGETHER, bounds_of_share, worst_case
from audit.stats.intervals import clopper_pearson


def test_both_ends_by_hand():
    found = worst_case(30, 80, 20)
    assert (found.lower, found.upper) == (0.30, 0.50)
    assert (found.n, found.unseen) == (100, 20)
    assert found.width == pytest.approx(0.2)
    assert found.low < 0.30 < 0.50 < found.high
    interval = found.as_interval()
    assert (interval.value, interval.low, interval.high) == (pytest.approx(0.4), found.low, found.high)


def test_nothing_unseen_is_the_exact_interval():
    found, plain = worst_case(30, 80, 0), clopper_pearson(30, 80)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    assert found.lower == found.upper == plain.value


def test_wide_bounds_have_one_sided_limits():
    found = worst_case(30, 80, 20)
    assert found.low == pytest.approx(clopper_pearson(30, 100, level=0.9).low)
    assert found.high == pytest.approx(clopper_pearson(50, 100, level=0.9).high)


@pytest.mark.parametrize("unseen", [1, 3, 5])
def test_the_quantile_solves_the_equation_of_imbens_and_manski(unseen):
    n = 80 + unseen
    found = worst_case(30, 80, unseen)
    spread = max(p * (1 - p) / n for p in (found.lower, found.upper)) ** 0.5
    c = stats.norm.isf(stats.binom.sf(29, n, found.low))  # the tail that the lower limit leaves
    assert c == pytest.approx(stats.norm.isf(stats.binom.cdf(30 + unseen, n, found.high)))
    assert 1.645 < c < 1.96
    assert stats.norm.cdf(c + found.width / spread) - stats.norm.cdf(-c) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("hidden", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("share_unseen", [0.0, 0.01, 0.1, 0.4])
def test_the_true_share_is_covered_wherever_it_lies(hidden, share_unseen):
    """``hidden`` is the share of the group among the unseen: at the ends the truth is a bound itself."""
    rng = np.random.default_rng(0)
    truth = 0.3 * (1 - share_unseen) + hidden * share_unseen
    hit = 0
    for _ in range(800):
        unseen = int(rng.binomial(150, share_unseen))
        found = worst_case(int(rng.binomial(150 - unseen, 0.3)), 150 - unseen, unseen)
        hit += found.low <= truth <= found.high
    assert hit / 800 >= 0.945


def test_kinds_apart_and_together():
    found = bounds_of_share(30, 80, {"could not tell": 10, "refused": 6, "blocked": 4})
    assert list(found) == ["could not tell", "refused", "blocked", TOGETHER]
    assert found["could not tell"] == worst_case(30, 80, 10)
    assert found["refused"] == worst_case(30, 80, 6)
    assert found[TOGETHER] == worst_case(30, 80, 20)
    assert found[TOGETHER].width > found["could not tell"].width > found["blocked"].width


def test_nothing_seen_says_nothing():
    found = worst_case(0, 0, 12)
    assert (found.lower, found.upper, found.low, found.high) == (0.0, 1.0, 0.0, 1.0)
    only = bounds_of_share(0, 0, {"refused": 3, "blocked": 0})
    assert list(only) == ["refused", TOGETHER]
    assert bounds_of_share(0, 0, {"refused": 0}) == {}


def test_none_among_few_is_not_none():
    found = worst_case(0, 20, 0)
    assert found.high == pytest.approx(clopper_pearson(0, 20).high)
    assert worst_case(0, 20, 2).high > 0.2


@pytest.mark.parametrize("counts", [(5, 4, 1), (-1, 4, 1), (1, 4, -1), (0, 0, 0)])
def test_counts_that_do_not_fit(counts):
    with pytest.raises(ValueError, match="needs 0 <= group"):
        worst_case(*counts)


def test_the_name_of_all_kinds_is_taken():
    with pytest.raises(ValueError, match="all kinds"):
        bounds_of_share(1, 2, {TOGETHER: 1})
