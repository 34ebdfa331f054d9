# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit.stats.intervals import clopper_pearson, wilson
from audit.stats.raters import (
    design_effect_of_disagreement,
    krippendorff_alpha,
    pairwise_agreement,
    percent_agreement,
)


def matrix(*rows):
    return np.array([[np.nan if v == "." else float(v) for v in row.split()] for row in rows])


# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", sec. C and D.
PUBLISHED = matrix(
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


@pytest.mark.parametrize(("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example(scale, alpha):
    found = krippendorff_alpha(PUBLISHED, scale)
    assert found is not None
    assert found.value == pytest.approx(alpha, abs=5e-4)
    assert found.n == 11  # the twelfth unit has one rating
    assert found.low < alpha < found.high


def test_the_published_binary_example():
    # Krippendorff 2011, sec. B: two observers, ten units, alpha = 0.095.
    found = krippendorff_alpha(matrix("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"))
    assert found is not None
    assert found.value == pytest.approx(0.095, abs=5e-4)


def by_definition(ratings, difference):
    """1 - observed / expected disagreement, pair by pair."""
    units = [[v for v in unit if not np.isnan(v)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = [v for unit in units for v in unit]
    n = len(everything)
    observed = sum(sum(difference(a, b) for a, b in itertools.permutations(u, 2)) / (len(u) - 1) for u in units) / n
    expected = sum(difference(a, b) for a, b in itertools.permutations(everything, 2)) / (n * (n - 1))
    return 1 - observed / expected


@pytest.mark.parametrize("seed", range(4))
def test_by_definition(seed):
    rng = np.random.default_rng(seed)
    ratings = rng.integers(1, 5, (3, 15)).astype(float)
    ratings[rng.random((3, 15)) < 0.2] = np.nan
    found = krippendorff_alpha(ratings, "nominal", reps=10)
    assert found is not None
    assert found.value == pytest.approx(by_definition(ratings, lambda a, b: float(a != b)))
    found = krippendorff_alpha(ratings, "interval", reps=10)
    assert found is not None
    assert found.value == pytest.approx(by_definition(ratings, lambda a, b: (a - b) ** 2))


def test_two_ordered_values_have_one_alpha():
    ratings = np.random.default_rng(5).integers(0, 2, (4, 30)).astype(float)
    values = [krippendorff_alpha(ratings, scale, reps=10).value for scale in ("nominal", "ordinal", "interval")]
    assert values == pytest.approx([values[0]] * 3)


def test_only_the_order_counts_on_the_ordinal_scale():
    stretched = np.where(PUBLISHED >= 4, PUBLISHED * 100, PUBLISHED)
    plain, other = krippendorff_alpha(PUBLISHED, "ordinal", reps=10), krippendorff_alpha(stretched, "ordinal", reps=10)
    assert plain == other
    assert krippendorff_alpha(stretched, "interval", reps=10) != krippendorff_alpha(PUBLISHED, "interval", reps=10)


def panel(rng, *, units, raters, spread):
    """Binary labels; the chance of a 1 differs between images as Beta(spread, spread) does."""
    chance = rng.beta(spread, spread, units)
    return chance, (rng.random((raters, units)) < chance).astype(float)


def test_alpha_is_the_share_of_variance_between_images_and_is_covered():
    rng = np.random.default_rng(6)
    truth = 1 / (2 * 0.5 + 1)  # intraclass correlation of Beta(a, a) chances
    hit, values = 0, []
    for _ in range(300):
        found = krippendorff_alpha(panel(rng, units=80, raters=3, spread=0.5)[1], reps=400)
        hit += found.low <= truth <= found.high
        values.append(found.value)
    assert np.mean(values) == pytest.approx(truth, abs=0.01)
    assert 0.91 <= hit / 300 <= 0.98


def test_chance_gives_zero_and_the_bootstrap_repeats():
    ratings = np.random.default_rng(7).integers(0, 3, (3, 400)).astype(float)
    found = krippendorff_alpha(ratings)
    assert found is not None
    assert found.low < 0 < found.high
    assert found.value == pytest.approx(0, abs=0.07)
    assert found == krippendorff_alpha(ratings)
    assert found != krippendorff_alpha(ratings, seed=1)


def test_full_agreement_of_few_units_is_not_certain():
    same = matrix("1 2 1 2 1 2", "1 2 1 2 1 2")
    found = krippendorff_alpha(same)
    assert found is not None
    assert (found.value, found.high) == (1.0, 1.0)
    # Expected disagreement of 6 ones and 6 twos is 6 / 11.
    assert found.low == pytest.approx(1 - clopper_pearson(0, 6).high * 11 / 6)
    wider = krippendorff_alpha(np.tile(same, 40))
    assert wider is not None
    assert 0.95 < wider.low < 1


@pytest.mark.parametrize("ratings", [matrix("1 . 2", ". 1 ."), matrix("1 .", "2 ."), matrix("3 3 3", "3 3 3")])
def test_nothing_to_agree_about(ratings):
    assert krippendorff_alpha(ratings) is None


def test_percent_agreement():
    pairs = matrix("1 2 3 1", "1 2 1 .")
    found = percent_agreement(pairs)
    assert found is not None
    expected = wilson(2, 3)
    assert (found.value, found.low, found.high, found.n) == (2 / 3, expected.low, expected.high, 3)
    found = percent_agreement(PUBLISHED)
    assert found is not None
    units = [[v for v in unit if not np.isnan(v)] for unit in PUBLISHED.T]
    shares = [np.mean([a == b for a, b in itertools.combinations(u, 2)]) for u in units if len(u) > 1]
    assert found.value == pytest.approx(np.mean(shares))
    assert found.low < found.value < found.high <= 1
    assert percent_agreement(matrix("1 .", "1 .")) is None


def test_pairs_find_the_rater_who_reads_otherwise():
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 2, 60).astype(float)
    flip = np.abs(truth - (rng.random(60) < 0.4))
    found = pairwise_agreement(np.stack([truth, truth, flip, np.full(60, np.nan)]))
    assert [(p.first, p.second) for p in found] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    by_pair = {(p.first, p.second): p for p in found}
    assert by_pair[0, 1].agreement.value == 1.0
    assert by_pair[0, 2].agreement.high < by_pair[0, 1].agreement.low
    assert by_pair[0, 2].alpha.high < by_pair[0, 1].alpha.low
    assert (by_pair[0, 3].agreement, by_pair[0, 3].alpha) == (None, None)


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_disagreement_widens_as_the_formula_says(labels):
    rng = np.random.default_rng(9)
    shares, settled = [], []
    for _ in range(4000):
        chance, given = panel(rng, units=40, raters=labels, spread=0.5)
        shares.append(given.mean())
        settled.append(chance.mean())
    assert np.var(shares) / np.var(settled) == pytest.approx(design_effect_of_disagreement(0.5, labels), rel=0.08)


def test_ends_of_the_design_effect():
    assert design_effect_of_disagreement(1.0) == 1.0
    assert design_effect_of_disagreement(0.8) == pytest.approx(1.25)
    assert design_effect_of_disagreement(0.0, 3) == float("inf")
    assert design_effect_of_disagreement(-0.1) == float("inf")
    with pytest.raises(ValueError, match="at most 1"):
        design_effect_of_disagreement(1.1)
    with pytest.raises(ValueError, match="raters by units"):
        krippendorff_alpha(np.ones(3))
