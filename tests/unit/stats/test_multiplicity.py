# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm


@pytest.mark.parametrize(("ours", "theirs"), [(benjamini_hochberg, "bh"), (benjamini_yekutieli, "by")])
def test_false_discovery_rates_equal_scipy(ours, theirs):
    rng = np.random.default_rng(0)
    for m in (1, 2, 7, 200):
        p = np.round(rng.beta(0.4, 2, m), 2)  # rounded: ties
        np.testing.assert_allclose(ours(p), stats.false_discovery_control(p, method=theirs))


def test_holm_by_hand():
    # 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 raised to what came before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06, 0.06, 0.06])


def test_the_example_of_benjamini_and_hochberg():
    # Benjamini and Hochberg 1995, sec. 4: 15 p-values; at 0.05 their procedure rejects four, Bonferroni three.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    p += [0.7590, 1.0000]
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (np.array(p) * 15 <= 0.05).sum() == 3
    assert (holm(p) <= 0.05).sum() == 3


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg, benjamini_yekutieli])
def test_tests_that_were_not_made_do_not_count(adjust):
    p = np.array([0.01, np.nan, 0.2, 0.03, np.nan])
    found = adjust(p)
    assert np.isnan(found).tolist() == [False, True, False, False, True]
    np.testing.assert_allclose(found[[0, 2, 3]], adjust(p[[0, 2, 3]]))
    assert np.isnan(adjust([np.nan, np.nan])).all()
    assert adjust([]).shape == (0,)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg, benjamini_yekutieli])
def test_adjusting_never_helps_and_keeps_the_order(adjust):
    p = np.random.default_rng(1).uniform(size=50)
    found = adjust(p)
    assert (found >= p).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(p)]) >= 0).all()


@pytest.mark.parametrize("p", [[0.1, 1.2], [-0.1], [[0.1, 0.2]]])
def test_what_is_no_list_of_p_values(p):
    with pytest.raises(ValueError, match="p-values"):
        holm(p)


def test_error_rates():
    """20 tests, 12 of them of nothing, correlated through a common factor: Holm's family rate and BH's share."""
    rng = np.random.default_rng(2)
    family, unadjusted, shares = 0, 0, []
    for _ in range(2000):
        z = 0.6 * rng.normal() + 0.8 * rng.normal(size=20)
        z[12:] += 3
        p = stats.norm.sf(z)
        family += bool((holm(p)[:12] <= 0.05).any())
        unadjusted += bool((p[:12] <= 0.05).any())
        found = benjamini_hochberg(p) <= 0.05
        shares.append(found[:12].sum() / max(found.sum(), 1))
    assert family / 2000 <= 0.05
    assert unadjusted / 2000 > 0.2
    assert np.mean(shares) <= 0.05
