# SPDX-License-Identifier: Apache-2.0
"""Metrics of torchmetrics by name: the numbers that torchmetrics gives when it is called directly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import fftconvolve
from torchmetrics import image as tm

from audit.annotators.torchmetrics import TorchmetricsAnnotator
from audit.borrowed import borrow
from audit.torchmetrics import FrechetDistance
from tests.asking import record

UNIT = {"data_range": 1.0}
CASES = {
    "ErrorRelativeGlobalDimensionlessSynthesis": (tm.ErrorRelativeGlobalDimensionlessSynthesis, {}, 64),
    "MultiScaleStructuralSimilarityIndexMeasure": (tm.MultiScaleStructuralSimilarityIndexMeasure, UNIT, 176),
    "PeakSignalNoiseRatio": (tm.PeakSignalNoiseRatio, UNIT, 64),
    "SpatialCorrelationCoefficient": (tm.SpatialCorrelationCoefficient, {}, 32),
    "SpectralAngleMapper": (tm.SpectralAngleMapper, {}, 64),
    "StructuralSimilarityIndexMeasure": (tm.StructuralSimilarityIndexMeasure, UNIT, 64),
    "TotalVariation": (tm.TotalVariation, {}, 64),
    "UniversalImageQualityIndex": (tm.UniversalImageQualityIndex, {}, 64),
}


def pictures(side: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(side)
    x = np.linspace(0, 12, side)
    smooth = 128 + 90 * np.sin(x)[:, None, None] * np.cos(x)[None, :, None] * np.array([1, 0.8, 0.5])
    noisy = 0.8 * smooth + 20 + rng.normal(0, 12, smooth.shape)
    return tuple(np.clip(p, 0, 255).astype(np.uint8) for p in (noisy, smooth))


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb.transpose(2, 0, 1).copy()).float()[None] / 255


@pytest.mark.filterwarnings("ignore:.*in buffer")
@pytest.mark.parametrize("name", CASES)
def test_the_same_number(name, tmp_path):
    cls, options, side = CASES[name]
    rgb, target = pictures(side)
    Image.fromarray(target).save(tmp_path / "p.png")
    found = TorchmetricsAnnotator(metrics=[name], against=str(tmp_path))
    ours = found.annotate([replace(record(rgb), prompt_id="p")])[name]
    given = [tensor(rgb)] if name == "TotalVariation" else [tensor(rgb), tensor(target)]
    assert ours[0] == float(cls(**options)(*given))


def test_visual_information_on_the_levels_that_its_noise_is_for():
    """Its noise variance of 2 is that of levels up to 255; on [0, 1] it drowns every picture, however good."""
    rgb, target = (torch.from_numpy(p.transpose(2, 0, 1).copy()) for p in pictures(64))
    found = borrow("VisualInformationFidelity")
    metric = tm.VisualInformationFidelity()
    on_levels = float(metric(rgb.float()[None], target.float()[None]))
    assert float(found.score(found.make({}), rgb, target)) == pytest.approx(on_levels, rel=1e-5)
    by_hand = vif(rgb.double().numpy(), target.double().numpy())
    assert on_levels == pytest.approx(by_hand, rel=1e-3)
    metric.reset()
    assert abs(float(metric(rgb.float()[None] / 255, target.float()[None] / 255)) - by_hand) > 0.1


def vif(x: np.ndarray, y: np.ndarray) -> float:
    """Sheikh and Bovik 2006 in the pixel domain, by scipy: mean over channels, each (height, width)."""
    return float(np.mean([vif_of_channel([a, b]) for a, b in zip(x, y, strict=True)]))


def vif_of_channel(pair: list[np.ndarray]) -> float:
    told = known = 0.0
    for n in (17, 9, 5, 3):
        if n < 17:
            pair = [blur(z, n)[::2, ::2] for z in pair]
        va, vb = (np.maximum(blur(z * z, n) - blur(z, n) ** 2, 0) for z in pair)
        both = blur(pair[0] * pair[1], n) - blur(pair[0], n) * blur(pair[1], n)
        gain = np.maximum(both / (vb + 1e-10), 0)
        rest = np.maximum(np.where(both < 0, va, va - gain * both), 1e-10)
        told += np.log10(1 + gain**2 * vb / (rest + 2)).sum()
        known += np.log10(1 + vb / 2).sum()
    return told / known


def blur(z: np.ndarray, n: int) -> np.ndarray:
    t = np.arange(n) - (n - 1) / 2
    window = np.exp(-(t[:, None] ** 2 + t[None] ** 2) / (2 * (n / 5) ** 2))
    return fftconvolve(z, window / window.sum(), mode="valid")


def test_a_larger_spectral_distortion_is_worse_whatever_the_class_says():
    rgb, target = (torch.from_numpy(p.transpose(2, 0, 1).copy()) for p in pictures(64))
    found = borrow("SpectralDistortionIndex")
    metric = found.make({})
    turned = rgb[[2, 0, 1]].contiguous()
    assert float(found.score(metric, target, target)) < 1e-6 < float(found.score(metric, turned, target))
    assert (tm.SpectralDistortionIndex.higher_is_better, found.direction) == (True, "lower")


def test_why_the_relative_average_spectral_error_is_refused():
    """An error of 0.1 everywhere on a picture of 0.5 everywhere is 20 % of its mean."""
    target = torch.full((1, 3, 32, 32), 0.5)
    assert float(tm.RelativeAverageSpectralError()(target + 0.1, target)) == pytest.approx(64 * 20, rel=1e-4)


@pytest.mark.parametrize("name", [name for name in CASES if name not in {"TotalVariation", "PeakSignalNoiseRatio"}])
def test_a_picture_against_itself_is_at_the_better_end(name):
    found = borrow(name)
    rgb, target = (torch.from_numpy(p.transpose(2, 0, 1).copy()) for p in pictures(CASES[name][2]))
    metric = found.make({})
    best, worse = (float(found.score(metric, picture, target)) for picture in (target, rgb))
    assert best > worse if found.direction == "higher" else best < worse
    low, high = found.bounds
    assert low is None or low <= worse
    assert high is None or best <= high + 1e-6


def test_the_plug_in_frechet_distance_of_one_network():
    """The same images and network in both: what torchmetrics prints is our ``raw``."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Network(torch.nn.Module):
        num_features = 12

        def forward(self, images):
            return torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)

    rng = torch.Generator().manual_seed(0)
    real = torch.randint(0, 256, (120, 3, 16, 16), generator=rng, dtype=torch.uint8)
    made = torch.randint(0, 200, (90, 3, 16, 16), generator=rng, dtype=torch.uint8)
    ours, theirs = FrechetDistance(Network()), FrechetInceptionDistance(feature=Network(), normalize=False)
    for metric in (ours, theirs):
        metric.update(real, real=True)
        metric.update(made, real=False)
    found = ours.compute()
    assert float(found["raw"]) == pytest.approx(float(theirs.compute()), rel=1e-5)
    assert found["low"] < found["value"] < found["raw"]
