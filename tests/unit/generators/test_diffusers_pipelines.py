# SPDX-License-Identifier: Apache-2.0
"""Every pipeline class that people use, made small, through the generator."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from audit.generators import DiffusersGenerator
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask
from tests.pipelines import CASES


def content(answers):
    return [pixels_of(answer).tobytes() for answer in answers]


@pytest.fixture(scope="module", params=sorted(CASES))
def driven(request, tmp_path_factory):
    """The case, its generator, its requests and the answers to all of them at once."""
    import torch

    case, name = CASES[request.param], request.param.partition(" ")[0]
    torch.manual_seed(7)
    with warnings.catch_warnings(action="ignore"):  # of diffusers about itself and numpy
        folder = case.save(tmp_path_factory.mktemp("pipeline"))
    generator = DiffusersGenerator(
        "g", model=str(folder), params=case.params, options={"lanes": 4, "device": "cpu", "local_files_only": True}
    )
    batch = [ask(text, seed=seed, repetition=seed) for seed in (1, 2) for text in case.texts]
    return name, case, generator, batch, generator.generate(batch)


def test_pictures_of_the_asked_size(driven):
    _, case, _, batch, answers = driven
    assert [answer.request_id for answer in answers] == [request.id for request in batch]
    assert {answer.outcome for answer in answers} == {Outcome.IMAGE}
    assert {pixels_of(answer).shape for answer in answers} == {(case.size[1], case.size[0], 3)}
    assert {pixels_of(answer).dtype for answer in answers} == {np.dtype(np.uint8)}
    # A random network draws noise, never one colour.
    assert all(pixels_of(answer).std() > 1 for answer in answers)


def test_text_and_seed_matter(driven):
    *_, answers = driven
    assert len(set(content(answers))) == len(answers)


def test_alone_and_in_another_order_the_same(driven):
    _, _, generator, batch, answers = driven
    assert content([generator.generate([request])[0] for request in batch]) == content(answers)
    assert content(generator.generate(batch[::-1]))[::-1] == content(answers)


def test_the_specification_says_what_it_is(driven):
    name, case, generator, batch, answers = driven
    spec = generator.spec
    assert spec.details["pipeline"] == name
    expected = "text" if len(case.texts) > 1 and " " in case.texts[0] else "class" if len(case.texts) > 1 else "none"
    assert spec.details["conditioning"] == expected
    assert ("text" in spec.capabilities, "class" in spec.capabilities) == (expected == "text", expected == "class")
    assert "seed" in spec.capabilities
    assert spec.details["size"] == (None if case.plain is None else "{}x{}".format(*case.plain))
    assert all(answer.meta["seed"] == request.seed for answer, request in zip(answers, batch, strict=True))


def test_without_a_size_it_draws_what_the_specification_says(driven):
    _, case, generator, batch, _ = driven
    if case.plain is None or case.plain[0] > 64:
        pytest.skip("no size is promised, or a large one")
    params = {key: value for key, value in case.params.items() if key != "size"}
    other = DiffusersGenerator("g", model=generator.spec.model, params=params, options={"lanes": 1, "device": "cpu"})
    assert pixels_of(other.generate(batch[:1])[0]).shape == (case.plain[1], case.plain[0], 3)
