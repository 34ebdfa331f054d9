# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import DiffusersGenerator
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask, png
from tests.checkpoints import save_stable_diffusion


def make(folder, **more):
    params = more.pop("params", {"steps": 2})
    return DiffusersGenerator("sd", model=str(folder), params=params, options={"lanes": 4, "device": "cpu", **more})


def pixels(answer):
    return pixels_of(answer)


@pytest.fixture(scope="module")
def generator(sd):
    return make(sd)


def test_draws_rgb_png_of_the_asked_size(generator):
    answers = generator.generate([ask(), ask(params={"width": 48, "height": 24})])
    assert [pixels(a).shape for a in answers] == [(32, 32, 3), (24, 48, 3)]
    assert all(a.outcome is Outcome.IMAGE and a.pixels.dtype == np.uint8 and a.seconds > 0 for a in answers)


def test_an_image_depends_on_its_request_only(generator):
    batch = [ask(f"a {word}", repetition=k) for k, word in enumerate(("nurse", "ceo", "man", "woman", "builder"))]
    together = {a.request_id: png(a) for a in generator.generate(batch)}
    alone = {r.id: png(generator.generate([r])[0]) for r in batch}
    turned = {a.request_id: png(a) for a in generator.generate(batch[::-1])}
    assert together == alone == turned
    assert len(set(together.values())) == len(batch)


def test_seed_and_prompt_and_negative_matter(generator):
    same, again, other, negated, empty = generator.generate(
        [ask(seed=1), ask(seed=1), ask(seed=2), ask(seed=1, negative="glasses man"), ask(seed=1, negative="")]
    )
    assert png(same) == png(again)
    assert len({png(same), png(other), png(negated)}) == 3
    assert png(empty) == png(same)  # for this pipeline no negative prompt is an empty one


def test_constant_negative_prompt_equals_that_of_the_prompt(generator, sd):
    constant = make(sd, params={"steps": 2, "negative": "glasses man"}).generate([ask(seed=1)])
    assert png(constant[0]) == png(generator.generate([ask(seed=1, negative="glasses man")])[0])


def test_parameters_of_the_request_reach_the_pipeline(generator):
    short, long = generator.generate([ask(params={"steps": 2}), ask(params={"steps": 4})])
    assert png(short) != png(long)
    assert png(short) == png(generator.generate([ask(params={"num_inference_steps": 2})])[0])


def test_spec_says_what_it_is_without_loading_weights(sd):
    generator = make(sd)
    spec = generator.spec
    assert spec.details["pipeline"] == "StableDiffusionPipeline"
    assert spec.details["scheduler"] == "DDIMScheduler"
    assert {"text", "negative", "seed", "size"} <= spec.capabilities
    assert len(spec.digest) == 64
    assert generator._pipeline is None


def test_digest_follows_the_weights_and_not_the_card(tmp_path):
    folder = save_stable_diffusion(tmp_path / "m")
    before = make(folder).spec.digest
    (folder / "README.md").write_text("---\nlicense: openrail++\n---\n# card")
    with_card = make(folder).spec
    assert (with_card.digest, with_card.licence) == (before, "openrail++")
    index = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps({**index, "center_input_sample": True}))
    assert make(folder).spec.digest != before


def test_unknown_parameter_lists_what_the_pipeline_takes(sd):
    with pytest.raises(ConfigError, match="takes no parameter 'step'") as caught:
        _ = make(sd, params={"step": 3}).spec
    assert "did you mean 'steps'" in caught.value.hint
    assert "guidance" in caught.value.hint
    assert "prompt_embeds" not in caught.value.hint


def test_parameter_set_twice(sd):
    with pytest.raises(ConfigError, match="set twice"):
        make(sd).generate([ask(params={"num_inference_steps": 7})])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devise": "cpu"}, "unknown option"),
        ({"lanes": 0}, "lanes"),
        ({"lanes": 6}, "power of two"),
        ({"lanes": True}, "must be int"),
        ({"dtype": "int8"}, "dtype"),
    ],
)
def test_wrong_options(sd, options, message):
    with pytest.raises(ConfigError, match=message):
        DiffusersGenerator("sd", model=str(sd), options=options)


def test_half_precision_needs_a_gpu(sd):
    with pytest.raises(ConfigError, match="float16 does not run on a CPU"):
        make(sd, dtype="float16").load()


def test_weights_stored_as_float16_run_as_float32(tmp_path):
    import torch

    generator = make(save_stable_diffusion(tmp_path / "half", dtype="float16"))
    generator.load()
    parts = (generator._pipeline.unet, generator._pipeline.vae, generator._pipeline.text_encoder)
    assert {part.dtype for part in parts} == {torch.float32}
    assert generator.generate([ask()])[0].outcome is Outcome.IMAGE


def test_a_checkpoint_of_another_class_is_named(clip_folder):
    with pytest.raises(GeneratorError, match="holds a CLIPModel, not a diffusers pipeline") as caught:
        make(clip_folder).generate([ask()])
    assert caught.value.exit_code == 20


def test_unknown_pipeline_class(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "OsPipeline"}')
    with pytest.raises(GeneratorError, match="has no pipeline 'OsPipeline'"):
        _ = make(tmp_path).spec


def test_code_beside_the_weights_is_never_run(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": ["pipeline", "Mine"]}')
    (tmp_path / "pipeline.py").write_text("raise SystemExit('run')")
    with pytest.raises(GeneratorError, match="has no pipeline"):
        _ = make(tmp_path).spec


def test_broken_weights(tmp_path):
    folder = save_stable_diffusion(tmp_path / "m")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(GeneratorError, match="does not load"):
        make(folder).generate([ask()])


def test_pickled_weights_are_refused(tmp_path):
    import torch

    folder = save_stable_diffusion(tmp_path / "m")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    torch.save({}, folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(GeneratorError, match="does not load"):
        make(folder).generate([ask()])


def test_missing_folder_and_missing_bundled_model(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        make(tmp_path / "nowhere" / "deep")
    with pytest.raises(GeneratorError, match="no bundled model 'nothing'") as caught:
        make("reference:nothing")
    assert "python -m audit.reference.train" in caught.value.hint
    with pytest.raises(ConfigError, match="no model given"):
        DiffusersGenerator("sd", model=None)


def test_hub_id_that_is_not_cached():
    with pytest.raises(GeneratorError, match="nobody/nothing is not in the cache and cannot be downloaded") as caught:
        _ = make("nobody/nothing", local_files_only=True).spec
    assert "hf download nobody/nothing" in caught.value.hint


def test_safety_checker_withholds(tmp_path):
    answer = make(save_stable_diffusion(tmp_path / "m", checker=True)).generate([ask()])[0]
    assert (answer.outcome, answer.pixels) == (Outcome.BLOCKED, None)
    assert "safety filter" in answer.message


def test_pixels_that_are_not_numbers_are_an_error(tmp_path):
    import torch

    generator = make(save_stable_diffusion(tmp_path / "m"))
    generator.load()
    with torch.no_grad():
        generator._pipeline.vae.post_quant_conv.bias.fill_(float("nan"))
    answer = generator.generate([ask()])[0]
    assert answer.outcome is Outcome.ERROR
    assert "not numbers" in answer.message


def test_one_image_too_large_for_memory_says_what_to_set(tmp_path):
    generator = make(save_stable_diffusion(tmp_path / "m"))
    # 2^44 latents: more than any allocator gives.
    with pytest.raises(GeneratorError, match="one image does not fit into memory") as caught:
        generator.generate([ask(params={"width": 2**24, "height": 2**23})])
    assert "vae_tiling" in caught.value.hint


def test_unconditional_pipeline(ddpm):
    generator = make(ddpm)
    assert generator.spec.capabilities == {"seed", "steps"}
    batch = [ask("anything", repetition=k) for k in range(5)]
    answers = generator.generate(batch)
    assert pixels(answers[0]).shape == (16, 16, 3)
    assert png(generator.generate(batch[3:4])[0]) == png(answers[3])


def test_class_conditional_pipeline(dit):
    generator = make(dit)
    batch = [ask(text, seed=5) for text in ("nurse", "0", "BOSS", "1", "astronaut")]
    nurse, zero, boss, one, unknown = generator.generate(batch)
    assert png(nurse) == png(zero) != png(boss) == png(one)
    assert unknown.outcome is Outcome.ERROR
    assert "no class 'astronaut'" in unknown.message
    by_axis = ask("a portrait of a boss", seed=5, axes={"class": "boss"})
    assert png(generator.generate([by_axis])[0]) == png(boss)


def test_close_forgets_and_loads_again(sd):
    generator = make(sd)
    first = png(generator.generate([ask()])[0])
    generator.close()
    assert png(generator.generate([ask()])[0]) == first
