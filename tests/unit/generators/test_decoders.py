# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil

import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import GanGenerator, RecurrentGenerator, VaeGenerator
from audit.types import Outcome
from tests.asking import ask, png
from tests.checkpoints import save_gan, save_recurrent, save_vae

KINDS = {
    "gan": (GanGenerator, save_gan),
    "vae": (VaeGenerator, save_vae),
    "recurrent": (RecurrentGenerator, save_recurrent),
}


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    kind, save = KINDS[request.param]
    return kind, save(tmp_path_factory.mktemp(request.param))


def test_image_depends_on_prompt_and_seed_only(made):
    kind, folder = made
    generator = kind("g", model=str(folder))
    batch = [ask("a nurse", seed=1), ask("a nurse", seed=2), ask("a builder", seed=1), ask("a nurse", seed=2**62)]
    images = [png(a) for a in generator.generate(batch)]
    assert len(set(images)) == 4
    assert [png(generator.generate([r])[0]) for r in batch] == images
    assert generator.generate([]) == []
    assert [png(a) for a in generator.generate(batch * 9)] == images * 9, "beyond one lane"


def test_spec(made):
    kind, folder = made
    spec = kind("g", model=str(folder)).spec
    assert (spec.kind, spec.details["resolution"], len(spec.digest)) == (kind.kind, 64, 64)


def test_a_checkpoint_of_another_class(made, clip_folder):
    kind, folder = made
    with pytest.raises(GeneratorError, match="not a"):
        kind("g", model=str(clip_folder)).generate([ask()])
    for other, _ in KINDS.values():
        if other is not kind:
            with pytest.raises(GeneratorError, match=f"not a .{other.model_type}"):
                other("g", model=str(folder)).load()


def test_a_broken_checkpoint(made, tmp_path):
    kind, folder = made
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(GeneratorError, match="holds no"):
        kind("g", model=str(tmp_path)).load()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind.model_type, "generator": {"hidden": 3}}))
    with pytest.raises(GeneratorError, match="holds no"):
        kind("g", model=str(tmp_path)).load()


def test_a_filter_in_the_folder_refuses(made, tmp_path):
    kind, folder = made
    shutil.copytree(folder, tmp_path / "m")
    rule = {"version": 1, "refuse": ["knife"], "message": "not {word}"}
    (tmp_path / "m" / "prompt_filter.json").write_text(json.dumps(rule))
    strict = kind("g", model=str(tmp_path / "m"))
    batch = [ask("a nurse", seed=1), ask("a chef with a knife", seed=1), ask("a builder", seed=1)]
    answers = strict.generate(batch)
    assert [a.outcome for a in answers] == [Outcome.IMAGE, Outcome.REFUSED, Outcome.IMAGE]
    assert answers[1].message == "not knife"
    assert [a.request_id for a in answers] == [r.id for r in batch]
    assert strict.spec.digest != kind("g", model=str(folder)).spec.digest, "a filter changes what is answered"


def test_options_and_hub_ids_are_refused(made):
    kind, folder = made
    with pytest.raises(ConfigError, match="unknown option 'lanes'"):
        kind("g", model=str(folder), options={"lanes": 2})
    with pytest.raises(ConfigError, match="unknown option 'steps'"):
        kind("g", model=str(folder), params={"steps": 2})
    with pytest.raises(ConfigError, match="is not a folder"):
        kind("g", model="nobody/nothing")
