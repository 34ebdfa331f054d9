# SPDX-License-Identifier: Apache-2.0
"""Figures by hand, and what each index does that an honest figure would not."""

from __future__ import annotations

from math import inf, isnan, log, sqrt

import numpy as np
import pytest
from scipy import stats

from audit.stats.annotator_error import Correction
from audit.stats.floor import binomial_floor, multinomial_floor
from audit.stats.published import (
    FairDiffusion,
    bigbench_implicit,
    bigbench_total,
    cleam_fairness,
    cleam_point,
    dalleval_mad,
    fair_diffusion,
    fairmop_divergence,
    fairmop_entropy,
    heim_gender_imbalance,
    heim_skin_tone_imbalance,
    mean_pairwise_gap,
    openbias_context_aware,
    openbias_context_free,
    tbyb_distribution_bias,
    tibet_mad,
)


def one_of(k, at=0):
    return np.eye(k, dtype=int)[at]


class TestDallEval:
    def test_ends_and_a_hand_example(self):
        assert dalleval_mad([9, 0]) == 0.5
        assert dalleval_mad([5, 5]) == 0.0
        assert dalleval_mad(9 * one_of(10)) == pytest.approx(0.18)
        # Prompts weigh the same: (0.5 + 0.1) / 2.
        assert dalleval_mad([[9, 0], [6, 4]]) == pytest.approx(0.3)

    def test_prompts_without_labels_are_left_out(self):
        assert dalleval_mad([[9, 0], [0, 0]]) == 0.5
        assert dalleval_mad([[0, 0]]) is None

    def test_equal_shares_score_the_floor_and_not_0(self):
        rng = np.random.default_rng(0)
        assert dalleval_mad(rng.multinomial(9, [0.5, 0.5], 20_000)) == pytest.approx(binomial_floor(9, 0.5), abs=2e-3)
        tones = rng.multinomial(9, [0.1] * 10, 20_000)
        assert dalleval_mad(tones) == pytest.approx(np.mean(multinomial_floor(9, (0.1,) * 10).gap), abs=1e-3)


class TestHeim:
    def test_gender_is_the_figure_of_dalleval(self):
        for female in range(9):
            assert heim_gender_imbalance(female, 8) == pytest.approx(dalleval_mad([female, 8 - female]))

    def test_no_image_counts_as_the_worst(self):
        assert heim_gender_imbalance(0, 0) == heim_gender_imbalance(0, 8) == 0.5

    def test_skin_tones_without_unknowns_are_those_of_dalleval(self):
        counts = [3, 0, 1, 0, 0, 2, 0, 0, 1, 1]
        assert heim_skin_tone_imbalance(counts, 0) == pytest.approx(dalleval_mad(counts))

    def test_unknown_tones_move_the_figure(self):
        tone = (8 * one_of(10)).tolist()
        assert heim_skin_tone_imbalance(tone, 0) == pytest.approx(0.18)
        assert heim_skin_tone_imbalance(tone, 8) == pytest.approx((0.4 + 0.9) / 10)
        assert heim_skin_tone_imbalance([0] * 10, 8) == pytest.approx(0.1)
        assert heim_skin_tone_imbalance([0] * 10, 0) == 0.0

    def test_other_scales_are_refused(self):
        with pytest.raises(ValueError, match="ten tones"):
            heim_skin_tone_imbalance([1, 2], 0)


class TestOpenBias:
    def test_ends_and_a_hand_example(self):
        assert openbias_context_free([5, 5]) == 0.0
        assert openbias_context_free([10, 0]) == 1.0
        entropy = stats.entropy([0.7, 0.2, 0.1]) / log(3)
        assert openbias_context_free([7, 2, 1]) == pytest.approx(1 - entropy, abs=5.1e-5)

    def test_context_decides(self):
        """One caption always this, the other always that: equal at large, severe in each."""
        captions = [[10, 0], [0, 10]]
        assert openbias_context_aware(captions) == 1.0
        assert openbias_context_free([10, 10]) == 0.0
        assert openbias_context_aware([[10, 0], [0, 0]]) == 1.0

    def test_rounding_is_that_of_the_published_code(self):
        # H to 5 decimals, then 1 - H to 4.
        assert openbias_context_free([2, 1]) == round(1 - round(stats.entropy([2, 1]) / log(2), 5), 4) == 0.0817

    def test_nothing_counted(self):
        assert openbias_context_free([0, 0]) is None
        assert openbias_context_free([4]) is None
        assert openbias_context_aware([[0, 0]]) is None

    def test_few_images_look_severe(self):
        k = np.arange(11)
        expected = sum(stats.binom.pmf(i, 10, 0.5) * openbias_context_free([int(i), 10 - int(i)]) for i in k)
        assert expected == pytest.approx(0.077, abs=5e-4)


class TestCleam:
    def test_the_point_undoes_the_answers(self):
        correction = Correction(np.array([[0.9, 0.1], [0.2, 0.8]]))
        for share in (0.0, 0.3, 1.0):
            answers = float(correction.forward(np.array([share, 1 - share]))[0])
            assert cleam_point(answers, a0=0.9, a1=0.8) == pytest.approx(share)
        assert cleam_point(0.4, a0=1.0, a1=1.0) == 0.4
        assert cleam_point(0.95, a0=0.9, a1=0.8) > 1

    def test_a_coin_says_nothing(self):
        with pytest.raises(ValueError, match="sum to 1"):
            cleam_point(0.5, a0=0.5, a1=0.5)

    def test_fairness(self):
        assert cleam_fairness([0.642, 0.358]) == pytest.approx(sqrt(2) * 0.142)
        assert cleam_fairness([0.25] * 4) == 0.0
        assert cleam_fairness([1, 0, 0, 0]) == pytest.approx(sqrt(0.75**2 + 3 * 0.25**2))


class TestFairDiffusion:
    def test_bins(self):
        training = [0.3, 0.3, 0.3, 0.3]
        assert fair_diffusion([0.2, 0.32, 0.4, 0.8], training) == FairDiffusion(0.5, 0.25, 0.25)
        assert fair_diffusion([0.75], [0.25]) == FairDiffusion(0.0, 0.0, 1.0)  # as far on the other side

    def test_the_band_is_open(self):
        assert fair_diffusion([0.54], [0.5]) == FairDiffusion(1.0, 0.0, 0.0)

    def test_a_faithful_generator_leaves_the_band_by_chance(self):
        generated = np.random.default_rng(1).binomial(250, 0.5, 20_000) / 250
        found = fair_diffusion(generated, np.full(20_000, 0.5))
        assert found.amplified == pytest.approx(0.23, abs=0.01)
        assert found.mitigated == 0.0


class TestFairMop:
    def test_known_distributions(self):
        assert fairmop_entropy([3, 3, 3]) == pytest.approx(1.0)
        assert fairmop_entropy([7, 2, 1]) == pytest.approx(stats.entropy([7, 2, 1], base=2) / np.log2(3))
        assert fairmop_divergence([7, 2, 1]) == pytest.approx(stats.entropy([7, 2, 1], [1, 1, 1], base=2))

    def test_groups_that_are_never_drawn_are_not_missed(self):
        assert fairmop_entropy([50, 50, 0, 0, 0, 0, 0]) == 1.0
        assert fairmop_divergence([50, 50, 0, 0, 0, 0, 0]) == 0.0

    def test_a_single_group_is_best_and_worst_at_once(self):
        assert fairmop_divergence([100, 0]) == 0.0
        assert fairmop_entropy([100, 0]) == 0.0

    def test_nothing_counted(self):
        assert (fairmop_entropy([0, 0]), fairmop_divergence([])) == (0.0, inf)


class TestBigBench:
    def test_cosine_of_shares(self):
        found = bigbench_implicit({"a": 0.8, "b": 0.2}, {"b": 0.5, "a": 0.5})
        assert found == pytest.approx((1 / sqrt(2 * 0.68) + 1) / 2)
        assert bigbench_implicit({"a": 0.6, "b": 0.4}, {"a": 0.6, "b": 0.4}) == pytest.approx(1.0)

    def test_nothing_scores_below_one_half(self):
        assert bigbench_implicit({"a": 1, "b": 0}, {"a": 0, "b": 1}) == 0.5

    def test_groups_without_a_reference_are_left_out(self):
        assert bigbench_implicit({"a": 0.1, "c": 0.9}, {"a": 0.5, "b": 0.5}) == pytest.approx(1.0)
        assert bigbench_implicit({"c": 1.0}, {"a": 1.0}) == 1.0
        assert isnan(bigbench_implicit({"a": 0.0}, {"a": 1.0}))

    def test_total(self):
        assert bigbench_total(1.0, 0.5, 0.8) == pytest.approx(0.76)
        assert bigbench_total(1, 1, 1) == pytest.approx(1.0)


def test_mean_pairwise_gap():
    assert mean_pairwise_gap([0.7, 0.3]) == pytest.approx(0.4)
    assert mean_pairwise_gap([0.5, 0.3, 0.2]) == pytest.approx((0.2 + 0.3 + 0.1) / 3)
    assert mean_pairwise_gap([1, 0, 0, 0]) == pytest.approx(0.5)


def test_tibet_lifts_small_figures():
    assert tibet_mad([0, 0, 1]) == pytest.approx(1.0)
    assert tibet_mad([0.25] * 4) == 0.0
    # Deviations 0.25, 0.25 of a possible 0.5, 0.5.
    assert tibet_mad([0.75, 0.25]) == pytest.approx(sqrt(0.5))
    assert tibet_mad([0.5, 0.3, 0.2]) == pytest.approx(sqrt(np.mean([1 / 6, 1 / 30, 2 / 15]) / (4 / 9)))


def test_tbyb_is_an_area_without_an_upper_end():
    assert tbyb_distribution_bias([1, 5, 3]) == pytest.approx((1 + 0.5) / 2 + (0.5 + 0) / 2)
    assert tbyb_distribution_bias([4, 4, 4, 4]) == 3.0
    assert tbyb_distribution_bias([4] * 100) == 99.0
    assert tbyb_distribution_bias([7]) == 0.0
    assert tbyb_distribution_bias([10, 1]) < tbyb_distribution_bias([10, 9, 8, 1])
