# SPDX-License-Identifier: Apache-2.0
"""Counted operations against arithmetic by hand, against torch's own counter, and that counting changes no image."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from audit.generators._operations import OperationCounter
from audit.reference.gan_model import ConditionalGenerator, GanConfig
from audit.registry import GENERATORS
from tests.asking import ask


def count(work) -> OperationCounter:
    with torch.inference_mode(), OperationCounter() as counter:
        work()
    return counter


def convolution(inputs: int, outputs: int, kernel: int, side: int) -> int:
    return 2 * inputs * outputs * kernel * kernel * side * side


def test_the_bundled_gan_takes_what_its_architecture_says():
    """Every layer of the generator by hand: 2 operations a multiply-add, biases and elementwise work left out."""
    c = GanConfig()
    text = 2 * c.max_words * 3 * c.text * 2 * c.text + 2 * (2 * c.text) * c.text
    mapping = 2 * (c.noise + c.text) * c.style + 2 * c.style * c.style + 2 * c.style * c.channels[0] * 16
    blocks, inputs, side = 0, c.channels[0], 4
    for number, outputs in enumerate(c.channels):
        side *= 2 if number else 1
        blocks += convolution(inputs, outputs, 3, side) + convolution(outputs, outputs, 3, side)
        blocks += convolution(inputs, outputs, 1, side) + 2 * c.style * 4 * outputs
        inputs = outputs
    expected = text + mapping + blocks + convolution(inputs, 12, 3, side)
    net = ConditionalGenerator(c).eval()
    counter = count(lambda: net.generate(["a portrait of a nurse"] * 3, [1, 2, 3]))
    assert counter.total == 3 * expected
    assert not counter.uncounted


def test_layers_that_torch_counts_as_nothing():
    lstm, x = nn.LSTM(12, 20, num_layers=2, bidirectional=True), torch.randn(7, 3, 12)
    first, second = 4 * 20 * (12 + 20), 4 * 20 * (2 * 20 + 20)
    assert count(lambda: lstm(x)).total == 2 * 7 * 3 * 2 * (first + second)
    query, key = torch.randn(2, 4, 9, 16), torch.randn(2, 4, 11, 16)
    work = lambda: functional.scaled_dot_product_attention(query, key, key)  # noqa: E731
    assert count(work).total == 2 * (2 * 2 * 4 * 9 * 11 * 16)
    with torch.inference_mode(), FlopCounterMode(display=False) as theirs:
        work()
    assert theirs.get_total_flops() == 0


def test_all_else_agrees_with_torch_s_own_counter():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, groups=1),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 6, 4, stride=2),
        nn.Conv2d(6, 6, 3, groups=3),
        nn.Flatten(2),
        nn.Linear(20 * 20, 10),
    )
    x = torch.randn(2, 3, 23, 23)
    extra = torch.randn(5, 4, 10)

    def work():
        return net(x), torch.einsum("bij,bjk->bik", extra, extra.mT), torch.baddbmm(extra @ extra.mT, extra, extra.mT)

    with torch.inference_mode(), FlopCounterMode(display=False) as theirs:
        work()
    assert count(work).total == theirs.get_total_flops() > 0


def test_counts_of_well_known_networks_on_meta_tensors():
    """ViT-B/32 of CLIP, without any weights: 8.82 GFLOP are published for it."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    with torch.device("meta"):
        net = CLIPVisionModel(CLIPVisionConfig()).eval()
        x = torch.empty(1, 3, 224, 224)
    assert count(lambda: net(pixel_values=x)).total / 1e9 == pytest.approx(8.82, abs=0.05)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_counting_does_not_change_how_a_picture_is_resized(mode):
    """torch's own counter does: it runs a Python version of these, which rounds otherwise."""
    x, found = torch.randn(1, 3, 17, 17), []
    work = lambda: found.append(functional.interpolate(x, size=(40, 41), mode=mode, align_corners=False))  # noqa: E731
    work()
    count(work)
    with torch.inference_mode(), FlopCounterMode(display=False):
        work()
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("kind", "model", "params", "options"),
    [
        ("gan", "reference:gan", {}, {}),
        ("vae", "reference:vae", {}, {}),
        ("recurrent", "reference:recurrent", {}, {}),
        ("diffusers", "reference:diffusion", {"steps": 3, "guidance": 1.5}, {"lanes": 4}),
    ],
)
def test_counting_changes_no_image(kind, model, params, options):
    generator = GENERATORS.get(kind)("g", model=model, params=params, options=options)
    batch = [ask(repetition=k, params=params) for k in range(4)]
    plain = generator.generate(batch)
    with OperationCounter() as counter:
        counted = generator.generate(batch)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(plain, counted, strict=True))
    assert counter.total > 0


def test_what_has_no_formula_and_may_be_heavy_is_named():
    x = torch.randn(8, 8)
    assert set(count(lambda: torch.linalg.svdvals(x @ x)).uncounted) == {"aten._linalg_svd"}
    assert not count(lambda: (x @ x).relu().softmax(1).sum() + x.mean()).uncounted


def test_no_compiler_is_imported_for_it():
    import subprocess

    code = (
        "import sys, torch; from audit.generators._operations import OperationCounter as C\n"
        "with C() as c: torch.nn.functional.interpolate(torch.randn(1, 1, 4, 4) @ torch.randn(4, 4), scale_factor=2)\n"
        "assert c.total and 'sympy' not in sys.modules and 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
