# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from audit.errors import ConfigError
from audit.likeness import Calibration, calibrate, fmr_of_fpir, fpir_of_fmr


def run(scores: Any, **changes: Any) -> Calibration:
    settings = {"fpir": 0.01, "level": 0.95, "gallery_size": 3, "reference_ids": ["R-01", "R-02", "R-03"]}
    return calibrate(scores, **{**settings, "embedder_digest": "ab", **changes})


@pytest.mark.parametrize(
    ("gallery", "fpir", "fmr"),
    [
        (100, 0.01, 1.00498e-4),
        (1_000, 0.003, 3.0045045e-6),
        (10_000, 0.003, 3.0045086e-7),
        (1_000_000, 0.003, 3.0045090e-9),
    ],
)
def test_rate_of_one_comparison(gallery: int, fpir: float, fmr: float) -> None:
    assert fmr_of_fpir(fpir, gallery) == pytest.approx(fmr, rel=5e-6)
    assert fpir_of_fmr(fmr_of_fpir(fpir, gallery), gallery) == pytest.approx(fpir, rel=1e-12)


@pytest.mark.parametrize(
    ("gallery", "fpir"), [(100, 0.0009995), (1_000, 0.0099502), (10_000, 0.0951630), (1_000_000, 0.9999546)]
)
def test_rate_of_one_search(gallery: int, fpir: float) -> None:
    assert fpir_of_fmr(1e-5, gallery) == pytest.approx(fpir, rel=1e-4)


def test_the_interval_is_clopper_pearson() -> None:
    found = run(np.random.default_rng(0).normal(size=2000))
    assert (found.searches, found.false_alarms) == (2000, 19)
    exact = binomtest(19, 2000).proportion_ci(0.95, method="exact")
    assert (found.fpir_low, found.fpir_high) == pytest.approx((exact.low, exact.high), rel=1e-9)
    assert found.fpir_low < 0.01 < found.fpir_high


def test_the_true_rate_is_kept_on_average_and_covered_as_often_as_stated() -> None:
    """Normal scores, where the true rate at any threshold is known: 4,000 calibrations."""
    rng = np.random.default_rng(1)
    target, level, repeats = 0.05, 0.9, 4000
    made = [run(rng.normal(size=200), fpir=target, level=level) for _ in range(repeats)]
    true = norm.sf([c.threshold for c in made])
    error = true.std() / np.sqrt(repeats)
    assert true.mean() <= target + 4 * error
    assert true.mean() == pytest.approx(10 / 201, abs=4 * error)  # (j + 1) / (R + 1) with j = 9
    above = np.mean([c.fpir_high < t for c, t in zip(made, true, strict=True)])
    below = np.mean([c.fpir_low > t for c, t in zip(made, true, strict=True)])
    tail = (1 - level) / 2
    spread = 4 * np.sqrt(tail * (1 - tail) / repeats)
    assert above == pytest.approx(tail, abs=spread)  # exact
    assert below <= tail + spread  # conservative


@given(st.integers(300, 3000), st.sampled_from([0.01, 0.02, 0.05, 0.1, 1 / 3]))
def test_expected_rate_never_exceeds_the_target(searches: int, fpir: float) -> None:
    found = run(np.arange(searches), fpir=fpir)
    assert (found.false_alarms + 1) / (searches + 1) <= fpir * (1 + 1e-9)
    assert (found.false_alarms + 2) / (searches + 1) > fpir * (1 - 1e-9)  # and the next score would
    assert found.false_alarms == (np.arange(searches) > found.threshold).sum()


def test_too_few_searches_are_refused_with_the_number_needed() -> None:
    with pytest.raises(ConfigError, match="299 non-member searches") as caught:
        run(np.arange(299))
    assert "at least 300" in str(caught.value.hint)
    assert run(np.arange(300)).false_alarms == 2
    assert run(np.arange(30), fpir=0.1).searches == 30


@pytest.mark.parametrize("changes", [{"fpir": 0.0}, {"fpir": 1.0}, {"level": 1.0}, {"level": 0.0}])
def test_rates_outside_their_range(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        run(np.arange(1000), **changes)


def test_scores_that_are_no_numbers() -> None:
    with pytest.raises(ConfigError, match="finite"):
        run([np.nan] * 1000)


def test_equal_scores_bound_nothing_from_below() -> None:
    found = run(np.zeros(1000))
    assert (found.threshold, found.false_alarms, found.fpir_low) == (0.0, 0, 0.0)
    assert found.fpir_high > 0.01


def test_order_does_not_matter_and_json_gives_it_back() -> None:
    scores = np.random.default_rng(2).normal(size=1000)
    found = run(scores)
    assert run(scores[::-1]) == found
    again = Calibration.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found
    assert again.digest == found.digest != run(scores + 1e-6).digest
