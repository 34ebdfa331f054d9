# SPDX-License-Identifier: Apache-2.0
"""Published and independently computed figures for bias statistics, to the digits in which they were printed.

Sources: statsmodels 0.15 for intervals, sample sizes and powers; ppi-python 0.2.3 for prediction-powered intervals;
Teo et al. 2023 (CLEAM) and the outputs of its code for the correction of answers.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
import pytest
from scipy import optimize, stats

from audit.stats.annotator_error import Correction, cleam_interval, delta_interval
from audit.stats.differences import miettinen_nurminen
from audit.stats.floor import binomial_floor, multinomial_floor
from audit.stats.intervals import agresti_coull, clopper_pearson, jeffreys, newcombe, wald, wilson
from audit.stats.multinomial import dirichlet_jeffreys, goodman
from audit.stats.power import (
    effect_size,
    images_for_effect,
    images_for_fit,
    images_for_half_width,
    images_per_arm,
    images_to_detect,
    inflation,
    power_of_arms,
)
from audit.stats.ppi import ppi_mean
from audit.stats.published import cleam_fairness, cleam_point, dalleval_mad


def printed(digits):
    """Half a unit of the last printed digit, and rounding."""
    return 0.51 * 10.0**-digits


class TestNoiseFloor:
    """Expected index of a generator that draws equal shares."""

    @pytest.mark.parametrize(
        ("n", "two", "ten"),
        [
            (8, 0.1366, 0.0862),
            (9, 0.1365, 0.0775),
            (50, 0.0562, 0.0333),
            (100, 0.0399, 0.0237),
            (250, 0.0252, 0.0151),
        ],
    )
    def test_mean_absolute_deviation(self, n, two, ten):
        # The table was simulated; the closed form is exact. They differ by the table's own simulation error.
        assert binomial_floor(n, 0.5) == pytest.approx(two, abs=2.5e-4)
        assert np.mean(multinomial_floor(n, (0.1,) * 10).gap) == pytest.approx(ten, abs=2.5e-4)

    def test_ends_of_the_index(self):
        assert dalleval_mad([1, 0]) == 0.5
        assert dalleval_mad([1] + [0] * 9) == pytest.approx(0.18)

    @pytest.mark.parametrize(("n", "tv"), [(50, 0.166), (250, 0.075)])
    def test_total_variation_of_ten_groups(self, n, tv):
        assert multinomial_floor(n, (0.1,) * 10).tv == pytest.approx(tv, abs=printed(3))

    @pytest.mark.parametrize(("n", "k"), [(250, 10), (400, 4)])
    def test_bias_of_plug_in_divergence(self, n, k):
        counts = np.random.default_rng(0).multinomial(n, [1 / k] * k, size=20_000)
        divergence = stats.entropy(counts.T, np.full((k, 1), 1 / k)).mean()
        assert divergence == pytest.approx((k - 1) / (2 * n), rel=0.03)


class TestPredictionPowered:
    LABELS = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1.0])
    ANSWERS = np.array([1, 0, 1, 0, 0, 0, 1, 1, 1, 1.0])
    REST = np.array([1.0] * 60 + [0.0] * 40)

    @pytest.mark.parametrize(
        ("lam", "low", "high"),
        [(0, 0.29636369, 0.90363631), (1, 0.30665945, 0.89334055), (None, 0.34765609, 0.85234391)],
    )
    def test_ppi_python(self, lam, low, high):
        found = ppi_mean(self.LABELS, self.ANSWERS, self.REST, lam=lam)
        assert found is not None
        assert found.interval.value == pytest.approx(0.6)
        assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=printed(8))


class TestCoverageOfCleam:
    """The published interval against the delta method and no correction at all; the truth is 0.642."""

    @pytest.mark.parametrize(
        ("n", "a", "validation", "batch", "cleam", "plain"),
        [
            (2000, (0.947, 0.983), 1000, 400, 0.493, 0.270),
            (9000, (0.947, 0.983), 1320, 1000, 0.542, 0.000),
            (400, (0.869, 0.885), 200, 400, 0.230, 0.562),
        ],
    )
    def test_coverage(self, n, a, validation, batch, cleam, plain):
        rng = np.random.default_rng(0)
        p, reps = 0.642, 1000
        hits = np.zeros(3)
        for _ in range(reps):
            answers = int(rng.binomial(n, p * a[0] + (1 - p) * (1 - a[1])))
            h0, h1 = rng.binomial(validation, a) / validation
            batches = rng.binomial(batch, answers / n, 30) / batch  # drawn from the answers with replacement
            uncorrected = wald(answers, n)
            found = (
                cleam_interval(batches, a0=h0, a1=h1),
                delta_interval(answers / n, n=n, a0=h0, n0=validation, a1=h1, n1=validation),
                (uncorrected.low, uncorrected.high),
            )
            hits += [low <= p <= high for low, high in found]
        assert hits[0] / reps < 0.6
        assert hits[0] / reps == pytest.approx(cleam, abs=0.06)
        assert hits[1] / reps >= 0.93
        assert hits[2] / reps == pytest.approx(plain, abs=0.06)


class TestIntervals:
    @pytest.mark.parametrize(
        ("interval", "low", "high"),
        [
            (wald, 0.2774493440, 0.3945506560),
            (clopper_pearson, 0.2777082577, 0.3982346678),
            (wilson, 0.2803229471, 0.3966407752),
            (jeffreys, 0.2795994844, 0.3961730551),
        ],
    )
    def test_84_of_250(self, interval, low, high):
        found = interval(84, 250)
        assert (found.low, found.high) == pytest.approx((low, high), abs=printed(10))

    def test_agresti_coull_of_84_of_250(self):
        """Printed 0.2802708166 to 0.3966928996, the latter off in its eighth digit: both have the middle of Wilson."""
        found = agresti_coull(84, 250)
        assert found.low == pytest.approx(0.2802708166, abs=printed(10))
        assert found.high == pytest.approx(0.2803229471 + 0.3966407752 - 0.2802708166, abs=2e-10)
        assert found.high == pytest.approx(0.3966928996, abs=1e-8)

    @pytest.mark.parametrize(
        ("interval", "k", "n", "low", "high"),
        [
            (wilson, 11, 250, 0.024744, 0.077058),
            (clopper_pearson, 11, 250, 0.022166, 0.077363),
            (wilson, 0, 250, 0.0, 0.015133),
            (clopper_pearson, 0, 250, 0.0, 0.014647),
            (wilson, 4, 8, 0.215216, 0.784784),
            (clopper_pearson, 250, 250, 0.985353, 1.0),
        ],
    )
    def test_few_and_none(self, interval, k, n, low, high):
        found = interval(k, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=printed(6))

    def test_goodman(self):
        expected = [(0.37884, 0.62116), (0.20008, 0.42341), (0.08162, 0.25949), (0.01737, 0.13548)]
        found = [(i.low, i.high) for i in goodman([50, 30, 15, 5])]
        np.testing.assert_allclose(found, expected, rtol=0, atol=printed(5))

    def test_dirichlet_jeffreys(self):
        expected = [(0.1306, 0.5557), (0.1306, 0.5557), (0.0558, 0.4208), (0.0269, 0.3442)]
        found = [(i.low, i.high) for i in dirichlet_jeffreys([5, 5, 3, 2])]
        np.testing.assert_allclose(found, expected, rtol=0, atol=printed(4))

    def test_newcombe(self):
        found = newcombe(84, 250, 137, 246)
        assert (found.low, found.high) == pytest.approx((-0.303298402, -0.133843117), abs=printed(9))

    def test_score_interval_of_a_difference(self):
        """The figure of statsmodels comes from a wrong coefficient in its cubic (its issue 10269), ours does not.

        Printed -0.303082735 to -0.134322254; the latter with two pairs of digits swapped, from -0.134324225.
        """
        printed_figure, published = (-0.303082735, -0.134322254), (-0.303082735, -0.134324225)
        k1, n1, k2, n2 = 84, 250, 137, 246
        z = stats.norm.ppf(0.975)

        def statistic(d, linear):
            cubic = (n1 + n2, (n1 + 2 * n2) * d - n1 - n2 - k1 - k2)
            cubic += ((linear * d - n1 - n2 - 2 * k2) * d + k1 + k2, k2 * d * (1 - d))
            second = min((r.real for r in np.roots(cubic) if -d <= r.real <= 1), key=lambda r: abs(r - k2 / n2))
            first = second + d
            variance = (first * (1 - first) / n1 + second * (1 - second) / n2) * (n1 + n2) / (n1 + n2 - 1)
            return (k1 / n1 - k2 / n2 - d) / sqrt(variance)

        def inverted(linear):
            return (
                optimize.brentq(lambda d: statistic(d, linear) - z, -0.35, -0.23),
                optimize.brentq(lambda d: statistic(d, linear) + z, -0.21, -0.05),
            )

        found = miettinen_nurminen(k1, n1, k2, n2)
        assert inverted(k2) == pytest.approx(published, abs=printed(9))  # the count where the size belongs
        assert inverted(n2) == pytest.approx((found.low, found.high), abs=1e-9)
        assert (found.low, found.high) == pytest.approx(printed_figure, abs=1.5e-3)


class TestPlanner:
    def test_statsmodels(self):
        assert images_per_arm(0.1, level=0.975) == pytest.approx(469.19956, abs=printed(5))
        assert power_of_arms(400, 0.1) == pytest.approx(0.8125163, abs=printed(7))
        assert effect_size(0.6, 0.5) == pytest.approx(0.20135792, abs=printed(8))
        assert images_for_effect(effect_size(0.6, 0.5), arms=1) == pytest.approx(193.5839, abs=printed(4))
        assert images_for_effect(effect_size(0.6, 0.5)) == pytest.approx(387.1677, abs=printed(4))

    def test_half_width(self):
        # 384.1459 images for plus or minus 0.05, read through an inflation of ten thousand.
        assert images_for_half_width(0.05, inflation=1e4) == pytest.approx(3841459, abs=1)
        assert images_for_half_width(0.05) == ceil(384.1459)

    @pytest.mark.parametrize(
        ("shift", "one", "arms", "seen", "width"),
        [
            (0.02, 4904, 9806, 5670, 2401),
            (0.05, 783, 1565, 905, 385),
            (0.10, 194, 388, 225, 97),
            (0.15, 85, 170, 99, 43),
            (0.20, 47, 93, 54, 25),
        ],
    )
    def test_table_of_shifts(self, shift, one, arms, seen, width):
        cost = inflation(0.947, 0.983)
        assert cost == pytest.approx(1.156, abs=printed(3))
        assert images_to_detect(shift) == one
        assert ceil(images_per_arm(shift)) == arms
        assert images_to_detect(shift, inflation=cost) == seen
        assert images_for_half_width(shift) == width

    @pytest.mark.parametrize(
        ("groups", "images"),
        [
            (2, (785, 197, 88, 32)),
            (4, (1091, 273, 122, 44)),
            (7, (1363, 341, 152, 55)),
            (9, (1503, 376, 167, 61)),
            (10, (1565, 392, 174, 63)),
        ],
    )
    def test_table_of_fits(self, groups, images):
        assert tuple(images_for_fit(w, groups) for w in (0.1, 0.2, 0.3, 0.5)) == images


class TestCleamArithmetic:
    """Accuracies in the published code, and the chain from the published baselines to the published corrections."""

    RATES = (
        (0.9471627486437613, 0.9829294755877035),  # ResNet-18, perceived gender
        (0.8693939393939394, 0.8848484848484849),  # ResNet-18, black hair
        (0.9384086799276673, 0.9747377938517179),  # MobileNetV2
        (0.8387878787878787, 0.8806060606060606),
        (0.7910849909584087, 0.9196383363471971),  # VGG-16
        (0.8500909090909091, 0.8363636363636363),
        (0.9981911911006602, 0.9798317807723614),  # CLIP on the outputs of a diffusion model
    )

    @pytest.mark.parametrize(("a0", "a1"), RATES)
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.642, 1.0])
    def test_forward_then_back(self, a0, a1, share):
        correction = Correction(np.array([[a0, 1 - a0], [1 - a1, a1]]))
        answers = correction.forward(np.array([share, 1 - share]))
        assert cleam_point(float(answers[0]), a0=a0, a1=a1) == pytest.approx(share, abs=1e-12)
        assert correction.linear(answers)[0] == pytest.approx(share, abs=1e-12)

    @pytest.mark.parametrize(
        ("row", "answers", "cost"),
        [(0, 0.8541535262206148, 1.07516), (1, 0.793969696969697, 1.32583), (4, 0.7200126582278481, 1.40702)],
    )
    def test_forward_and_inverse_of_the_determinant(self, row, answers, cost):
        a0, a1 = self.RATES[row]
        forward = Correction(np.array([[a0, 1 - a0], [1 - a1, a1]])).forward(np.array([0.9, 0.1]))
        assert forward[0] == pytest.approx(answers, abs=1e-15)
        assert 1 / (a0 + a1 - 1) == pytest.approx(cost, abs=printed(5))
        assert sqrt(inflation(a0, a1)) == pytest.approx(cost, abs=printed(5))

    def test_perfect_rates_change_nothing(self):
        assert cleam_point(0.37, a0=1, a1=1) == pytest.approx(0.37)

    def test_no_information_is_refused(self):
        with pytest.raises(ValueError, match="sum to 1"):
            cleam_point(0.5, a0=0.75, a1=0.25)

    def test_from_0_610_to_0_638(self):
        """The abstract's 4.98 % and 0.62 %, StyleGAN2 with perceived gender."""
        truth, baseline = 0.642, 0.610
        point = cleam_point(baseline, a0=0.947, a1=0.983)
        assert point == pytest.approx(0.6376, abs=printed(4))
        assert round(point, 3) == 0.638
        assert 100 * (truth - baseline) / truth == pytest.approx(4.984, abs=printed(3))
        assert 100 * (truth - round(point, 3)) / truth == pytest.approx(0.623, abs=printed(3))
        assert 100 * (0.641766 - baseline) / 0.641766 == pytest.approx(4.95, abs=printed(2))
        assert 100 * (0.641766 - round(point, 3)) / 0.641766 == pytest.approx(0.587, abs=printed(3))

    @pytest.mark.parametrize(
        ("row", "baseline", "point", "published"),
        [(0, 0.620, 0.6484, 0.648), (1, 0.612, 0.6592, 0.659), (1, 0.599, 0.6419, 0.642)],
    )
    def test_other_rows(self, row, baseline, point, published):
        rates = [round(rate, 3) for rate in self.RATES[row]]
        found = cleam_point(baseline, a0=rates[0], a1=rates[1])
        assert found == pytest.approx(point, abs=printed(4))
        assert round(found, 3) == published
        if row == 1 and baseline == 0.599:
            assert 100 * abs(0.643 - published) / 0.643 == pytest.approx(0.156, abs=printed(3))

    def test_discrepancy_of_two_groups(self):
        assert cleam_fairness([0.642, 0.358]) == pytest.approx(sqrt(2) * abs(0.642 - 0.5))
