# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from audit.provenance.survive import psnr, ssim


@pytest.mark.parametrize(("height", "width", "sigma"), [(64, 64, 2), (48, 97, 10), (33, 20, 40), (11, 11, 5)])
def test_structural_similarity_agrees_with_torchmetrics(draw_picture, height, width, sigma) -> None:
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    one = draw_picture(height, width)
    noise = np.random.default_rng(1).normal(0, sigma, one.shape)
    other = np.clip(one + noise, 0, 255).astype(np.uint8)
    tensors = [torch.from_numpy(x.astype(np.float64)).permute(2, 0, 1)[None] for x in (one, other)]
    _, index = structural_similarity_index_measure(*tensors, data_range=255.0, return_full_image=True)
    inside = index[0, :, 5:-5, 5:-5]  # their mean takes in windows over a reflected border; Wang's does not
    assert ssim(one, other) == pytest.approx(float(inside.mean()), abs=1e-9)


def test_the_ends_of_both_scales(draw_picture) -> None:
    one = draw_picture(32, 32)
    assert ssim(one, one) == pytest.approx(1)
    assert psnr(one, one) == math.inf
    assert psnr(np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)) == 0
    shifted = np.clip(one, 0, 250) + np.uint8(5)
    assert psnr(np.clip(one, 0, 250), shifted) == pytest.approx(20 * math.log10(255 / 5))


def test_contrast_alone_against_the_formula() -> None:
    """Two flat pictures: the structure terms cancel, and equation 13 leaves (2ab + C1) / (a^2 + b^2 + C1)."""
    a, b, c1 = 100, 140, (0.01 * 255) ** 2
    flat = [np.full((20, 20, 3), level, np.uint8) for level in (a, b)]
    assert ssim(*flat) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1))


def test_pictures_that_cannot_be_compared(draw_picture) -> None:
    with pytest.raises(ValueError, match="shape"):
        psnr(draw_picture(20, 20), draw_picture(20, 21))
    with pytest.raises(ValueError, match="11x11"):
        ssim(draw_picture(10, 40), draw_picture(10, 40))
