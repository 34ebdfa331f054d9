# SPDX-License-Identifier: Apache-2.0
"""Real checkpoints, held in this process, keep their promises; and what words on the command line mean."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import yaml

from audit.config import GeneratorConfig
from audit.contract import Inquiry, opened, prove
from audit.contract import targets as _targets
from audit.errors import AuditError
from tests.checkpoints import save_ddpm, save_dit, save_gan, save_stable_diffusion


def targets(model, *, prompts=(), images=12, tolerance=0, **words):
    inquiry = Inquiry.of(prompts, images=images, tolerance=tolerance)
    return _targets(model, inquiry, **words)


def look(kind: str, model: Path, params: dict, images: int = 4) -> dict:
    block = GeneratorConfig(name="g", kind=kind, model=str(model), params=params, isolate=False)
    rows = prove(partial(opened, block), Inquiry(images=images, params=block.params))
    return {row.check: row for row in rows}


@pytest.mark.parametrize(
    ("save", "cannot", "params"),
    [
        (save_ddpm, {"prompts", "odd prompts", "negative", "guidance"}, {}),
        pytest.param(save_dit, {"negative"}, {}, marks=pytest.mark.slow),
        pytest.param(save_stable_diffusion, set(), {}, marks=pytest.mark.slow),
        pytest.param(save_stable_diffusion, {"negative"}, {"guidance_scale": 1}, marks=pytest.mark.slow),
    ],
)
def test_pipelines_keep_every_promise(tmp_path, save, cannot, params):
    rows = look("diffusers", save(tmp_path / "model"), {"steps": 2, **params})
    assert {name for name, row in rows.items() if row.state == "cannot"} == cannot | {"licence"}
    assert {str(row.state) for row in rows.values()} == {"ok", "cannot"}
    assert rows["steps"].figures["changed_largest"] > 0


def test_a_size_that_is_asked_for_is_looked_for(tmp_path):
    rows = look("diffusers", save_stable_diffusion(tmp_path / "model"), {"steps": 2, "width": 32, "height": 16})
    assert rows["size"].state == "ok"
    assert (rows["size"].figures["width"], rows["size"].figures["height"]) == (32, 16)
    assert "64x32 when asked for" in rows["size"].found


def test_weights_that_are_no_numbers_are_seen_in_the_pictures(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_gan(tmp_path / "model")
    path = next(folder.glob("*.safetensors"))
    weights = load_file(path)
    last = [name for name in weights if weights[name].is_floating_point()][-1]
    save_file({**weights, last: weights[last] * float("nan")}, path)
    rows = look("gan", folder, {})
    assert {name for name, row in rows.items() if row.state == "BAD"} == {"content", "seeds", "prompts"}
    assert rows["content"].figures == {"pictures": 4, "one_colour": 4, "black": 4}


def test_what_an_audit_file_names(tmp_path):
    blocks = [{"name": name, "kind": "renderer", "params": {"size": 16}} for name in ("one", "two")]
    text = {"generators": blocks, "probes": [{"set": "occupations"}, {"set": "everyday"}]}
    path = tmp_path / "audit.yaml"
    path.write_text(yaml.safe_dump(text))
    found = targets(str(path))
    assert [block.name for block, _ in found] == ["one", "two"]
    asked = found[0][1]
    assert {prompt.probe for prompt in asked.prompts} == {"occupations", "everyday"}
    assert asked.params == {"size": 16}
    assert [block.name for block, _ in targets(str(path), name="two", images=4)] == ["two"]
    own = targets(str(path), prompts=["a", "b", "a"])[0][1]
    assert [prompt.text for prompt in own.prompts] == ["a", "b"]


@pytest.mark.parametrize(
    ("model", "kind"), [("reference:gan", "gan"), ("reference:renderer", "renderer"), ("owner/name", "diffusers")]
)
def test_the_kind_of_a_model_is_told(model, kind):
    [(block, _)] = targets(model, params={"steps": 3}, options={"device": "cpu"})
    assert (block.kind, block.params, block.options) == (kind, {"steps": 3}, {"device": "cpu"})


@pytest.mark.parametrize(
    ("target", "more", "code", "told"),
    [
        ("nowhere/of/all", {}, 2, "not a folder"),
        ("missing.yaml", {}, 2, "does not exist"),
        ("missing.yaml", {"kind": "gan"}, 2, "go with a model"),
        ("reference:renderer", {"images": 3}, 2, "--images: must be between 4"),
        ("reference:renderer", {"images": 4, "prompts": ["a", "b", "c"]}, 2, "--images: every prompt"),
        ("reference:renderer", {"tolerance": 300}, 2, "--tolerance: must be"),
        ("reference:renderer", {"params": {"size": [1]}}, 2, "--generator: params.size"),
        ("reference:renderer", {"name": "a b"}, 2, "--generator: name"),
        ("reference:nothing", {}, 20, "--generator: there is no bundled model"),
    ],
)
def test_wrong_words_are_told_with_place_and_code(target, more, code, told):
    with pytest.raises(AuditError) as caught:
        targets(target, **more)
    assert caught.value.exit_code == code
    assert told in str(caught.value)
