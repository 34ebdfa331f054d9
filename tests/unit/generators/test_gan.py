# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from audit.errors import ConfigError, GeneratorError
from audit.generators import GanGenerator
from audit.reference.gan_model import ConditionalGenerator, GanConfig
from tests.asking import ask


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("gan")
    ConditionalGenerator(GanConfig(noise=8, style=16, text=8, channels=(16, 16, 8, 8))).save_pretrained(path)
    return path


def test_image_depends_on_prompt_and_seed_only(folder):
    generator = GanGenerator("g", model=str(folder))
    batch = [ask("a nurse", seed=1), ask("a nurse", seed=2), ask("a builder", seed=1), ask("a nurse", seed=2**62)]
    images = [a.image for a in generator.generate(batch)]
    assert len(set(images)) == 4
    assert [generator.generate([r])[0].image for r in batch] == images
    assert generator.generate([]) == []


def test_spec(folder):
    spec = GanGenerator("g", model=str(folder)).spec
    assert (spec.kind, spec.details["resolution"], len(spec.digest)) == ("gan", 64, 64)


def test_a_checkpoint_of_another_class(clip_folder):
    with pytest.raises(GeneratorError, match="no conditional GAN generator"):
        GanGenerator("g", model=str(clip_folder)).generate([ask()])


def test_options_and_hub_ids_are_refused(folder):
    with pytest.raises(ConfigError, match="unknown option 'lanes'"):
        GanGenerator("g", model=str(folder), options={"lanes": 2})
    with pytest.raises(ConfigError, match="unknown option 'steps'"):
        GanGenerator("g", model=str(folder), params={"steps": 2})
    with pytest.raises(ConfigError, match="is not a folder"):
        GanGenerator("g", model="nobody/nothing")
