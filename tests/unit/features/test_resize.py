# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchmetrics.image import fid

from audit.features.resize import (
    KERNELS,
    Preparation,
    bicubic_no_antialias,
    pil_bicubic_clean,
    pil_bicubic_uint8,
    pil_bilinear_uint8,
    tf1_bilinear,
    torch_bilinear,
    torch_bilinear_antialias,
)

SIZES = [((37, 52), (29, 31)), ((16, 16), (40, 33)), ((200, 120), (30, 30)), ((1, 1), (7, 5)), ((3, 7), (3, 7))]


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def planes(rgb):
    return torch.from_numpy(rgb.transpose(2, 0, 1).astype(np.float32))[None]


@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("name", KERNELS)
def test_shape_and_type(name, shape, size):
    out = KERNELS[name](noise(shape), size)
    assert (out.shape, out.dtype, out.flags["C_CONTIGUOUS"]) == ((3, *size), np.float32, True)
    flat = KERNELS[name](np.full((*shape, 3), (0, 77, 255), np.uint8), size)
    np.testing.assert_allclose(flat, np.array([0, 77, 255])[:, None, None] * np.ones((1, *size)), atol=1e-3)


def test_nothing_changes_at_the_same_size():
    rgb = noise((20, 24))
    for name, kernel in KERNELS.items():
        np.testing.assert_allclose(kernel(rgb, (20, 24)), rgb.transpose(2, 0, 1), atol=1e-3, err_msg=name)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_clean_is_float_by_channel(shape, size):
    """As clean-fid writes it: mode F, one channel at a time, (width, height)."""
    rgb = noise(shape)
    channels = [
        np.asarray(Image.fromarray(rgb[:, :, k].astype(np.float32)).resize(size[::-1], resample=Image.BICUBIC))
        for k in range(3)
    ]
    np.testing.assert_array_equal(pil_bicubic_clean(rgb, size), np.stack(channels))


def test_clean_is_not_rounded_and_overshoots():
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[:, 16:] = 255
    out = pil_bicubic_clean(rgb, (50, 50))
    assert out.min() < -1
    assert out.max() > 256
    rounded = pil_bicubic_uint8(rgb, (50, 50))
    np.testing.assert_array_equal(rounded, np.round(rounded))
    assert np.abs(rounded - out.clip(0, 255)).max() <= 1


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_levels_by_pillow(shape, size):
    rgb = noise(shape)
    for kernel, method in ((pil_bicubic_uint8, Image.BICUBIC), (pil_bilinear_uint8, Image.BILINEAR)):
        expected = np.asarray(Image.fromarray(rgb).resize(size[::-1], method)).transpose(2, 0, 1)
        np.testing.assert_array_equal(kernel(rgb, size), expected)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_torch_kernels(shape, size):
    rgb = noise(shape)
    for kernel, options in (
        (torch_bilinear, {"mode": "bilinear", "align_corners": False}),
        (bicubic_no_antialias, {"mode": "bicubic"}),
        (torch_bilinear_antialias, {"mode": "bilinear", "align_corners": False, "antialias": True}),
    ):
        expected = F.interpolate(planes(rgb), size=size, **options)[0].numpy()
        np.testing.assert_array_equal(kernel(rgb, size), expected)


def test_torch_bilinear_is_what_pytorch_fid_does_to_fractions():
    rgb = noise((80, 61))
    theirs = 2 * F.interpolate(planes(rgb) / 255, size=(40, 40), mode="bilinear", align_corners=False) - 1
    np.testing.assert_allclose(2 * torch_bilinear(rgb, (40, 40)) / 255 - 1, theirs[0].numpy(), atol=1e-6)


def test_torchmetrics_resizes_with_antialiasing(monkeypatch):
    """Its forward without its network, which wants torch-fidelity: what reaches the first layer."""
    seen = []

    class First(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            raise StopIteration

    net = fid.NoTrainInceptionV3.__new__(fid.NoTrainInceptionV3)
    torch.nn.Module.__init__(net)
    net.use_antialias, net.INPUT_IMAGE_SIZE, net.Conv2d_1a_3x3 = True, 40, First()
    net.features_list, net.feature_extractor_internal_dtype = ["64"], torch.float32
    monkeypatch.setattr(fid, "vassert", lambda *_: None)
    rgb = noise((90, 70))
    with pytest.raises(StopIteration):
        net._torch_fidelity_forward(torch.from_numpy(rgb.transpose(2, 0, 1))[None])
    np.testing.assert_allclose(seen[0][0] * 128 + 128, torch_bilinear_antialias(rgb, (40, 40)), atol=1e-4)


def test_tensorflow_1_by_hand():
    """Result i lies at i * in / out of the source, the last source repeated beyond the edge."""
    row = np.array([[0, 100, 200]], np.uint8)
    rgb = np.repeat(row[..., None], 3, axis=2)
    np.testing.assert_allclose(tf1_bilinear(rgb, (1, 6))[0], [[0, 50, 100, 150, 200, 200]], atol=1e-5)
    np.testing.assert_allclose(tf1_bilinear(rgb, (1, 2))[0], [[0, 150]], atol=1e-5)
    np.testing.assert_allclose(tf1_bilinear(rgb, (1, 1))[0], [[0]], atol=1e-5)
    square = np.repeat(np.array([[0, 40], [80, 120]], np.uint8)[..., None], 3, axis=2)
    expected = [[0, 20, 40, 40], [40, 60, 80, 80], [80, 100, 120, 120], [80, 100, 120, 120]]
    np.testing.assert_allclose(tf1_bilinear(square, (4, 4))[0], expected, atol=1e-5)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_tensorflow_1_by_its_definition(shape, size):
    """Four sources and their shares, one pixel at a time, in float64."""
    rgb = noise(shape).astype(np.float64)
    expected = np.empty((3, *size))
    for y in range(size[0]):
        for x in range(size[1]):
            top, left = y * shape[0] / size[0], x * shape[1] / size[1]
            y0, x0 = int(np.float32(top)), int(np.float32(left))
            y1, x1, dy, dx = min(y0 + 1, shape[0] - 1), min(x0 + 1, shape[1] - 1), top - y0, left - x0
            upper = rgb[y0, x0] * (1 - dx) + rgb[y0, x1] * dx
            lower = rgb[y1, x0] * (1 - dx) + rgb[y1, x1] * dx
            expected[:, y, x] = upper * (1 - dy) + lower * dy
    np.testing.assert_allclose(tf1_bilinear(noise(shape), size), expected, atol=5e-3)


def test_kernels_differ_by_many_levels_when_they_shrink():
    """Why the kernel is part of the identity: without widening, shrinking aliases."""
    rgb = noise((512, 512), seed=3)
    gap = np.abs(torch_bilinear(rgb, (100, 100)) - torch_bilinear_antialias(rgb, (100, 100)))
    assert gap.mean() > 20
    gap = np.abs(bicubic_no_antialias(rgb, (100, 100)) - pil_bicubic_clean(rgb, (100, 100)))
    assert gap.mean() > 40


def test_preparation():
    square = Preparation("pil_bicubic_clean", 30)
    assert square(noise((50, 20))).shape == (3, 30, 30)
    assert square.words == "pil_bicubic_clean to 30x30"
    shape = Preparation("pil_bilinear_uint8", 288, keep="shape")
    assert [shape.target(*size) for size in ((288, 400), (100, 50), (700, 1100), (3, 7))] == [
        (288, 400),
        (576, 288),
        (288, 452),
        (288, 672),
    ]
    assert shape.target(1, 100_000) == (288, 8 * 288)
    assert pickle.loads(pickle.dumps(shape)) == shape
