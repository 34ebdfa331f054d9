# SPDX-License-Identifier: Apache-2.0
"""Metrics of torchmetrics by name, from the audit file to the estimate."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.errors import ConfigError, PluginError
from audit.registry import METRICS
from audit.runs import make_plan
from audit.runs.instruments import annotator_options
from audit.stats.intervals import mean_interval
from audit.types import Metric, Status

SSIM, TV = "StructuralSimilarityIndexMeasure", "TotalVariation"
NAME = f"torchmetrics:{SSIM}"


def config(**changes):
    base = {
        "generators": [{"name": "g", "kind": "renderer"}],
        "probes": [{"set": "portraits", "limit": 1}],
        "gallery": None,
    }
    return AuditConfig.model_validate({**base, **changes})


def test_a_class_becomes_a_metric():
    metric = METRICS.get(NAME)
    assert isinstance(metric, Metric)
    assert NAME in METRICS
    assert NAME not in list(METRICS)
    assert METRICS.describe(NAME).distribution == "genaudit"
    spec = metric.spec
    assert (spec.id, spec.direction, spec.bounds) == (NAME, "higher", (-1.0, 1.0))
    assert spec.title == "Structural similarity index measure"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("SSIM", "no image metric called 'SSIM'", f"did you mean torchmetrics:{SSIM}?"),
        ("StructuralSimilarityIndex", "no image metric", f"did you mean torchmetrics:{SSIM}?"),
        ("Accuracy", "no image metric called 'Accuracy'", "known: ErrorRelative"),
        ("FrechetInceptionDistance", "number of a set", "quality.frechet_distance"),
        ("LearnedPerceptualImagePatchSimilarity", "needs torchvision", "torchmetrics:MultiScale"),
        ("CLIPScore", "transformers 5", "quality.clip_score"),
        ("QualityWithNoReference", "multispectral", "torchmetrics:Universal"),
    ],
)
def test_what_cannot_be_used_is_told(name, message, hint):
    with pytest.raises(PluginError, match=message) as caught:
        METRICS.get(f"torchmetrics:{name}")
    assert hint in caught.value.hint
    with pytest.raises(PluginError, match=message):  # before the first image
        make_plan(config(metrics=[f"torchmetrics:{name}"]))


def test_naming_the_metric_switches_the_instrument_on():
    plan = make_plan(config(metrics=[f"torchmetrics:{TV}"], instruments={"annotators": ["faults"]}))
    assert plan.annotators == ("faults", "torchmetrics")
    assert f"torchmetrics:{TV}" in plan.metrics
    assert annotator_options("torchmetrics", plan.config) == {"metrics": {TV: None}}


def test_an_option_for_the_instrument_names_the_metric():
    options = {"torchmetrics": {"metrics": {SSIM: {"sigma": 2.0}}, "against": "targets"}}
    plan = make_plan(config(instruments={"options": options}))
    assert NAME in plan.metrics
    assert "quality.clip_score" in plan.metrics
    both = config(metrics=[f"torchmetrics:{TV}", NAME], instruments={"options": options})
    expected = {"metrics": {TV: None, SSIM: {"sigma": 2.0}}, "against": "targets"}
    assert annotator_options("torchmetrics", both) == expected


def test_without_a_wish_there_is_none():
    plan = make_plan(config())
    assert "torchmetrics" not in plan.annotators
    assert not any(name.startswith("torchmetrics") for name in plan.metrics)


@pytest.mark.parametrize("wrong", [SSIM, [{SSIM: {}}], 3])
def test_metrics_of_another_form_are_told(wrong):
    with pytest.raises(ConfigError, match="must be a list of names") as caught:
        make_plan(config(instruments={"options": {"torchmetrics": {"metrics": wrong}}}))
    assert caught.value.where == "instruments.options.torchmetrics.metrics"


def columns(values, why=None):
    why = [None if np.isfinite(v) else "no target" for v in values] if why is None else why
    return {f"torchmetrics__{SSIM}": np.array(values), f"torchmetrics__{SSIM}_why": why}


def test_the_mean_over_pictures_with_prompts_as_clusters(make_view):
    values = np.random.default_rng(0).uniform(0.2, 0.8, 12)
    view = make_view(12, **columns(values))
    (found,) = METRICS.get(NAME)(view)
    expected = mean_interval(values, view.columns["prompt_id"].astype(str), level=0.95)
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)
    assert (found.n, found.clusters, found.missing) == (12, 4, 0)
    (scores,) = METRICS.get(NAME).scores(view)
    np.testing.assert_array_equal(scores.values, values)


def test_pictures_without_a_number_are_missing(make_view):
    (found,) = METRICS.get(NAME)(make_view(5, **columns([0.5, np.nan, 0.7, 0.6, np.nan])))
    assert (found.n, found.missing) == (3, 2)
    assert found.value == pytest.approx(0.6)


def test_no_number_says_why(make_view):
    why = ["no target", "no target", "the picture has 8x8 pixels", None]
    (found,) = METRICS.get(NAME)(make_view(4, **columns([np.nan] * 3 + [0.5], why)))
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)
    assert found.why == "1 values, needs 2; 2 pictures: no target"
    (found,) = METRICS.get(NAME)(make_view(3))
    assert found.status is Status.UNAVAILABLE


def test_naming_no_such_metric_brings_no_torch():
    code = "import sys; from audit.registry import METRICS; METRICS.describe('torchmetrics:X'); import audit.runs"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
