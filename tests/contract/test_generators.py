# SPDX-License-Identifier: Apache-2.0
"""What holds for every registered generator."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from audit.checkpoints import reference_folder
from audit.errors import AuditError, ConfigError
from audit.images import file_of, pixels_of
from audit.registry import GENERATORS
from audit.types import Generation, Generator, GeneratorSpec, Outcome
from tests import networks
from tests.asking import ask, png
from tests.checkpoints import save_gan, save_recurrent, save_stable_diffusion, save_vae
from tests.servers import keep_serving

TEXTS = ("a portrait of a nurse", "a photo of a CEO", "a builder", "")


def requests():
    return [ask(text, prompt_id=f"p{i}", repetition=k) for i, text in enumerate(TEXTS) for k in range(3)]


def diffusers_case(folder):
    return {"model": str(save_stable_diffusion(folder)), "params": {"steps": 2}, "options": {"lanes": 4}}


def gan_case(folder):
    return {"model": str(save_gan(folder))}


def vae_case(folder):
    return {"model": str(save_vae(folder))}


def recurrent_case(folder):
    return {"model": str(save_recurrent(folder))}


def folder_case(folder):
    rows = []
    for index, request in enumerate(requests()):
        rng = np.random.default_rng(index)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / f"{index}.png")
        row = {"file_name": f"{index}.png", "text": request.prompt.text, "prompt_id": request.prompt.id}
        rows.append(row if index != 4 else {**row, "outcome": "refused", "message": "no"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return {"model": str(folder)}


def renderer_case(folder):
    return {"options": {"size": 32, "refuse": ["ceo"], "cycle": 3, "memorised": 0.3, "duplicates": 2}}


def callable_case(folder):
    return {"model": "tests.networks:draw", "params": {"size": 24}}


def module_case(folder):
    return {"model": str(networks.save_text(folder)), "options": {"class": "tests.networks:TextHub", "lanes": 4}}


def program_case(folder):
    return {"model": str(networks.save_program(folder / "g.pt2")), "options": {"lanes": 4, "truncation": 0.7}}


def onnx_case(folder):
    io = {"labels": list(networks.CLASSES), "output": {"range": [0, 1]}}
    classes = {"*nurse": 0, "ceo": "CEO", "builder": "builder"}
    return {"model": str(networks.save_onnx(folder / "g.onnx")), "options": {"io": io, "classes": classes}}


def automatic1111_case(folder):
    return {"options": {"base_url": keep_serving()[0]}}


def comfyui_case(folder):
    inputs = {"prompt": "6.inputs.text", "seed": "3.inputs.seed"}
    graph = {
        "3": {"class_type": "KSampler", "inputs": {"seed": 0, "positive": ["6", 0], "latent_image": ["5", 0]}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 16, "height": 16}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "out", "images": ["3", 0]}},
    }
    (folder / "workflow.json").write_text(json.dumps(graph))
    told = {"workflow": str(folder / "workflow.json"), "inputs": inputs, "poll": 0.01}
    return {"options": {"base_url": keep_serving()[0], **told}}


def huggingface_case(folder):
    return {"model": keep_serving()[0]}


def openai_case(folder):
    return {"model": "small", "options": {"base_url": f"{keep_serving()[0]}/v1"}}


# A generator that is added to the registry needs a line here.
CASES = {
    "automatic1111": automatic1111_case,
    "comfyui": comfyui_case,
    "huggingface": huggingface_case,
    "openai": openai_case,
    "callable": callable_case,
    "diffusers": diffusers_case,
    "folder": folder_case,
    "gan": gan_case,
    "module": module_case,
    "onnx": onnx_case,
    "program": program_case,
    "recurrent": recurrent_case,
    "renderer": renderer_case,
    "vae": vae_case,
}
HOSTED = {"comfyui", "huggingface", "openai"}  # nobody outside can see their weights
LOCAL = [name for name in GENERATORS if GENERATORS.describe(name).distribution == "genaudit"]


@pytest.fixture(scope="module", params=LOCAL)
def generator(request, tmp_path_factory) -> Generator:
    case = CASES[request.param](tmp_path_factory.mktemp(request.param))
    return GENERATORS.get(request.param)(request.param, **{"model": None, "params": {}, "options": {}, **case})


def content(answer: Generation):
    return (answer.outcome, png(answer), answer.media_type, answer.message, answer.meta)


def test_it_is_a_generator_with_a_steady_spec(generator):
    assert isinstance(generator, Generator)
    spec = generator.spec
    assert isinstance(spec, GeneratorSpec)
    assert (spec.name, spec.kind) == (generator.name, generator.name)
    assert spec.digest is None if spec.kind in HOSTED else len(spec.digest) == 64
    assert generator.spec == spec
    json.dumps(dict(spec.details))


def test_every_request_is_answered_once(generator):
    batch = requests()
    answers = generator.generate(batch)
    assert sorted(a.request_id for a in answers) == sorted(r.id for r in batch)
    for answer in answers:
        assert answer.outcome in set(Outcome)
        if answer.outcome is not Outcome.IMAGE:
            assert answer.message
        else:
            data, media_type = file_of(answer)
            with Image.open(io.BytesIO(data)) as image:
                assert f"image/{image.format.lower()}" == media_type
                np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels_of(answer))
        json.dumps(dict(answer.meta))
    assert any(a.outcome is Outcome.IMAGE for a in answers)


def test_answers_depend_on_the_request_only(generator):
    batch = requests()
    together = {a.request_id: content(a) for a in generator.generate(batch)}
    turned = {a.request_id: content(a) for a in generator.generate(batch[::-1])}
    alone = {r.id: content(generator.generate([r])[0]) for r in batch}
    odd = {a.request_id: content(a) for part in (batch[:5], batch[5:]) for a in generator.generate(part)}
    assert together == turned == alone == odd


def test_an_empty_batch_is_answered_with_nothing(generator):
    assert list(generator.generate([])) == []


@pytest.mark.parametrize("name", LOCAL)
def test_unknown_options_are_refused_at_once(name, tmp_path):
    case = {"model": None, "params": {}, "options": {}, **CASES[name](tmp_path)}
    with pytest.raises(ConfigError, match="unknown option 'nonsense'") as caught:
        GENERATORS.get(name)("g", **{**case, "options": {"nonsense": 1}})
    assert "'g'" in caught.value.where


@pytest.mark.parametrize("name", [name for name in LOCAL if name != "renderer"])
def test_an_empty_folder_is_an_error_with_place_and_hint(name, tmp_path):
    with pytest.raises(AuditError) as caught:
        GENERATORS.get(name)("g", model=str(tmp_path), params={}, options={}).generate([ask()])
    assert caught.value.exit_code in (2, 20)
    assert "'g'" in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize(("kind", "model"), [("diffusers", "diffusion"), ("gan", "gan")])
def test_bundled_models_draw_the_same_alone_and_in_a_batch(kind, model):
    if not reference_folder(model).is_dir():
        pytest.skip(f"the bundled {model} model is not in this checkout")
    params = {"steps": 3} if kind == "diffusers" else {}
    generator = GENERATORS.get(kind)("g", model=f"reference:{model}", params=params, options={})
    batch = [ask(f"a portrait of a {job}", repetition=k) for job in ("nurse", "CEO", "chef", "pilot") for k in range(3)]
    answers = generator.generate(batch)
    assert {a.outcome for a in answers} == {Outcome.IMAGE}
    assert len({png(a) for a in answers}) == len(batch)
    assert [png(generator.generate([r])[0]) for r in batch[::4]] == [png(a) for a in answers[::4]]
