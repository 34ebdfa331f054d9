# SPDX-License-Identifier: Apache-2.0
"""Ours against torch-fidelity's Inception-v3, tap by tap, on the same seeded weights and pictures.

    pip download --no-deps torch-fidelity==0.4.0 -d tf && unzip -d tf tf/*.whl
    python -m benchmarks.scripts.inception_parity tf/torch_fidelity

Their package imports torchvision; the file of the network itself does not, so it is imported under a bare package.
The last lines are the numbers that tests/parity/test_inception_parity.py holds ours against.
"""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audit.features.inception import load
from audit.features.resize import tf1_bilinear
from tests.extractors import save_inception

TAPS = ("64", "192", "768", "2048", "logits_unbiased")
SHAPES = ((299, 299), (64, 48), (512, 640), (32, 32))


def pictures(shape: tuple[int, int]) -> Any:
    """Two pictures, uint8 (2, h, w, 3): noise, and a slope."""
    rng = np.random.default_rng(shape[0])
    noise = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    slope = np.linspace(0, 255, shape[0])[:, None, None] * np.ones((1, shape[1], 3))
    return np.stack([noise, slope.astype(np.uint8)])


def theirs(folder: Path, weights: Path) -> Any:
    """The network of torch-fidelity."""
    package = types.ModuleType("torch_fidelity")
    package.__path__ = [str(folder)]
    sys.modules["torch_fidelity"] = package
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3("theirs", list(TAPS), feature_extractor_weights_path=str(weights))


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        weights = save_inception(Path(work) / "seeded.pth")
        other, own = theirs(folder, weights), load(weights, where="parity")
    for shape in SHAPES:
        rgb = pictures(shape)
        levels = torch.from_numpy(np.stack([tf1_bilinear(picture, (299, 299)) for picture in rgb]))
        with torch.inference_mode():
            expected = dict(zip(TAPS, other(torch.from_numpy(rgb).permute(0, 3, 1, 2)), strict=True))
            found = {**own.taps(levels), "logits_unbiased": own(levels)[1]}
        for tap in TAPS:
            gap = float((found[tap] - expected[tap]).abs().max() / expected[tap].abs().max())
            first = [round(float(value), 5) for value in expected[tap][0, :3]]
            norms = [round(float(value), 4) for value in expected[tap].double().norm(dim=1)]
            print(f"{shape} {tap}: largest difference {gap:.1e} of the largest value; {first} norms {norms}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
