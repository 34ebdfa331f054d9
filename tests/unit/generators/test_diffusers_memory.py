# SPDX-License-Identifier: Apache-2.0
"""Memory that runs out for real, and random numbers that no request seeded."""

from __future__ import annotations

import pytest

from audit.errors import GeneratorError
from audit.generators import DiffusersGenerator
from audit.generators._memory import out_of_memory, random_state, seeded
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask

BATCH = [ask(f"a {word}", repetition=k) for k, word in enumerate(("nurse", "ceo", "man", "woman", "builder"))]


def make(folder, lanes, **more):
    return DiffusersGenerator(
        "sd", model=str(folder), params={"steps": 1}, options={"lanes": lanes, "device": "cpu", **more}
    )


def short_of_memory(generator, most):
    """Let the network fail for more than ``most`` images as it does on a small machine; counts its calls."""
    import torch

    widths = []

    def claim(_, arguments):
        # With guidance every image goes through the network twice.
        widths.append(arguments[0].shape[0] // 2)
        if widths[-1] > most:
            torch.empty(2**50)

    generator.load()
    generator._pipeline.unet.register_forward_pre_hook(claim)
    return widths


def content(answers):
    return [pixels_of(answer).tobytes() for answer in answers]


def test_the_width_is_halved_until_it_fits_and_stays(sd):
    generator = make(sd, 8)
    widths = short_of_memory(generator, 3)
    answers = generator.generate(BATCH)
    assert widths == [8, 4, 2, 2, 2]
    assert {answer.meta["lanes"] for answer in answers} == {2}
    assert content(answers) == content(make(sd, 2).generate(BATCH))
    generator.generate(BATCH[:1])
    assert widths[5:] == [2]


def test_one_image_that_does_not_fit_is_an_error_with_a_hint(sd):
    generator = make(sd, 2)
    short_of_memory(generator, 0)
    with pytest.raises(GeneratorError, match="one image does not fit into memory") as caught:
        generator.generate(BATCH[:1])
    assert "size" in caught.value.hint
    assert caught.value.exit_code == 20


def test_another_error_of_the_pipeline_is_not_taken_for_it(sd):
    generator = make(sd, 2)
    with pytest.raises(ValueError, match="divisible by 8"):
        generator.generate([ask(params={"size": 33})])
    assert generator._width == 2


def test_a_resumed_run_goes_on_with_the_smallest_width(sd):
    generator = make(sd, 8)
    generator.recall([{"seed": 1, "lanes": 4}, {"seed": 2, "lanes": 2}, {"seed": 3}, {"seed": 4, "lanes": None}])
    widths = short_of_memory(generator, 8)
    assert {answer.meta["lanes"] for answer in generator.generate(BATCH)} == {2}
    assert widths == [2, 2, 2]
    generator.recall([])
    assert generator._width == 2
    assert make(sd, 2).spec == make(sd, 2).spec


def test_what_counts_as_out_of_memory():
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert out_of_memory(caught.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))


def test_a_pipeline_that_draws_from_elsewhere_is_still_reproducible(sd):
    import torch

    def noisy(_, __, out):
        # Some schedulers do so: their noise comes from torch's own generator whatever they are given.
        return (out[0] + torch.randn_like(out[0]),)

    generator = make(sd, 4)
    generator.load()
    generator._pipeline.unet.register_forward_hook(noisy)
    together = generator.generate(BATCH)
    before = torch.get_rng_state()
    alone = [generator.generate([request])[0] for request in BATCH[::-1]][::-1]
    assert torch.equal(before, torch.get_rng_state())
    assert content(alone) == content(together)
    assert len(set(content(together))) == len(BATCH)
    assert {answer.meta["lanes"] for answer in together} == {1}


def test_seeding_leaves_no_trace():
    import random

    import numpy as np
    import torch

    before = random_state()
    with seeded(2**62):
        first = (torch.rand(1).item(), random.random(), np.random.rand())
    with seeded(2**62):
        assert (torch.rand(1).item(), random.random(), np.random.rand()) == first
    assert random_state() == before
    torch.rand(1)
    assert random_state() != before


def test_answers_stay_images(sd):
    assert {answer.outcome for answer in make(sd, 4).generate(BATCH)} == {Outcome.IMAGE}
