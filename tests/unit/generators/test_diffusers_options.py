# SPDX-License-Identifier: Apache-2.0
"""Schedulers, adapters, learned words, memory options, and pipelines that cannot be driven."""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import DiffusersGenerator
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask
from tests.checkpoints import save_stable_diffusion
from tests.pipelines_unet import save_sdxl

REQUEST = ask("a portrait of a nurse", seed=5)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make(folder, *, params=None, **options):
    return DiffusersGenerator(
        "sd", model=str(folder), params=params or {"steps": 2}, options={"lanes": 1, "device": "cpu", **options}
    )


def drawn(folder, request=REQUEST, **options):
    generator = make(folder, **options)
    return pixels_of(generator.generate([request])[0]).astype(int)


@pytest.fixture(scope="module")
def plain(sd):
    return drawn(sd)


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    return save_sdxl(tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="module")
def lora(sd, tmp_path_factory):
    """A LoRA for the attention of the network, as training scripts write it."""
    return save_lora(sd, tmp_path_factory.mktemp("lora"), seed=0)


def save_lora(sd, folder, *, seed):
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    unet = UNet2DConditionModel.from_pretrained(sd / "unet")
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(unet))
    return folder


# --- scheduler ---------------------------------------------------------------------------------------------------


def test_a_scheduler_by_name_is_the_one_that_diffusers_would_use(sd, plain):
    import torch
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionPipeline

    made = drawn(sd, scheduler={"class": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"})
    pipeline = StableDiffusionPipeline.from_pretrained(sd)
    config = pipeline.scheduler.config
    generator = torch.Generator("cpu").manual_seed(5)
    with warnings.catch_warnings(action="ignore"):  # of diffusers about numpy
        pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(config, timestep_spacing="trailing")
        truth = pipeline(REQUEST.prompt.text, num_inference_steps=2, generator=generator, output_type="np").images[0]
    assert np.array_equal(made, np.rint(truth * 255).astype(int))
    assert not np.array_equal(made, plain)


def test_the_specification_names_scheduler_and_settings(sd):
    own, other = make(sd).spec, make(sd, scheduler="EulerDiscreteScheduler").spec
    changed = make(sd, scheduler={"timestep_spacing": "trailing"}).spec
    assert [one.details["scheduler"] for one in (own, other, changed)] == [
        "DDIMScheduler",
        "EulerDiscreteScheduler",
        "DDIMScheduler",
    ]
    assert json.loads(changed.details["scheduler_settings"]) == {"timestep_spacing": "trailing"}
    assert len({one.digest for one in (own, other, changed)}) == 3
    json.dumps(dict(changed.details))


@pytest.mark.parametrize(
    ("wish", "message", "hint"),
    [
        (
            "EulerDiscreetScheduler",
            "has no scheduler 'EulerDiscreetScheduler'",
            "did you mean 'EulerDiscreteScheduler'",
        ),
        ("StableDiffusionPipeline", "has no scheduler", "DPMSolverMultistepScheduler"),
        ({"timestep_spacings": "trailing"}, "has no setting 'timestep_spacings'", "did you mean 'timestep_spacing'"),
    ],
)
def test_wrong_schedulers(sd, wish, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        _ = make(sd, scheduler=wish).spec
    assert hint in caught.value.hint


def test_a_setting_with_a_wrong_value(sd):
    wish = {"class": "DPMSolverMultistepScheduler", "algorithm_type": "nonsense"}
    with pytest.raises(ConfigError, match="cannot be made with"):
        make(sd, scheduler=wish).load()


# --- LoRA --------------------------------------------------------------------------------------------------------


def test_a_lora_changes_the_picture_by_its_weight(sd, lora, plain):
    file = lora / "pytorch_lora_weights.safetensors"
    none, full = drawn(sd, lora=[{"model": str(lora), "weight": 0}]), drawn(sd, lora=[str(file)])
    assert np.array_equal(none, plain)
    assert not np.array_equal(full, plain)
    # Truth without peft's layers: the product of the two matrices added to the weights.
    assert np.abs(full - drawn_with_sum(sd, file)).max() <= 1


def drawn_with_sum(sd, file):
    from safetensors.torch import load_file

    generator = make(sd)
    generator.load()
    weights = load_file(file)
    modules = dict(generator._pipeline.unet.named_modules())
    for key in (key for key in weights if key.endswith("lora_A.weight")):
        name = key.removeprefix("unet.").removesuffix(".lora_A.weight")
        modules[name].weight.data += weights[key.replace("lora_A", "lora_B")] @ weights[key]
    return pixels_of(generator.generate([REQUEST])[0]).astype(int)


def test_two_loras_are_both_applied_and_pinned(sd, lora, tmp_path):
    other = save_lora(sd, tmp_path / "other", seed=1)
    both = [{"model": str(lora), "weight": 0.5}, {"model": str(other), "weight": 2}]
    first, second, pair = drawn(sd, lora=both[:1]), drawn(sd, lora=both[1:]), drawn(sd, lora=both)
    assert len({one.tobytes() for one in (first, second, pair)}) == 3
    spec = make(sd, lora=both).spec
    assert "x 0.5 sha256:" in spec.details["lora"]
    assert len({make(sd, lora=wish).spec.digest for wish in (None, both, both[:1], both[1:])}) == 4
    assert make(sd, lora=[{**both[0], "weight": 0.7}]).spec.digest != make(sd, lora=both[:1]).spec.digest


def test_a_lora_of_another_network_is_refused(sdxl, tmp_path):
    import torch
    from safetensors.torch import save_file

    rows = {"unet.nowhere.to_q.lora_A.weight": torch.ones(2, 8), "unet.nowhere.to_q.lora_B.weight": torch.ones(8, 2)}
    save_file(rows, tmp_path / "other.safetensors")
    with pytest.raises(GeneratorError, match="does not fit the pipeline"):
        make(sdxl, lora=[str(tmp_path / "other.safetensors")]).load()


def test_a_pipeline_without_lora(ddpm, lora):
    with pytest.raises(ConfigError, match="DDPMPipeline takes no LoRA"):
        make(ddpm, lora=[str(lora)]).load()


def test_without_peft_the_hint_says_what_to_install(sd, lora, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match="needs the package peft") as caught:
        _ = make(sd, lora=[str(lora)]).spec
    assert caught.value.hint == 'pip install "genaudit[lora]"'


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (3, "is no entry"),
        ({"model": "x/y", "wait": 1}, "unknown option 'wait'"),
        ({"model": "nowhere"}, "is not a folder"),
        ({}, "no model given"),
    ],
)
def test_wrong_lora_entries(sd, wish, message):
    with pytest.raises(ConfigError, match=message) as caught:
        _ = make(sd, lora=[wish]).spec
    assert "lora[0]" in caught.value.where


def test_pickled_and_missing_extra_files(sd, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x")
    with pytest.raises(ConfigError, match="not in the safetensors format"):
        _ = make(sd, lora=[str(tmp_path / "a.bin")]).spec
    with pytest.raises(ConfigError, match=r"has no pytorch_lora_weights\.safetensors"):
        _ = make(sd, lora=[str(tmp_path)]).spec
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"x")
    with pytest.raises(ConfigError, match="has no") as caught:
        _ = make(sd, lora=[str(tmp_path)]).spec
    assert caught.value.hint == "set `file` to one of a.safetensors, b.safetensors"
    with pytest.raises(GeneratorError, match="does not fit"):
        make(sd, lora=[{"model": str(tmp_path), "file": "a.safetensors"}]).load()


# --- learned words -----------------------------------------------------------------------------------------------


def test_a_learned_word_matters_where_it_is_used(sd, plain, tmp_path):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(3)
    save_file({"<mole>": torch.randn(32)}, tmp_path / "learned_embeds.safetensors")
    with_word = ask("a portrait of a <mole>", seed=5)
    known = {"textual_inversion": [str(tmp_path)]}
    assert np.array_equal(drawn(sd, **known), plain)
    assert not np.array_equal(drawn(sd, with_word, **known), drawn(sd, with_word))
    renamed = {"textual_inversion": [{"model": str(tmp_path), "token": "<wart>"}]}
    as_wart = drawn(sd, ask("a portrait of a <wart>", seed=5), **renamed)
    assert np.array_equal(as_wart, drawn(sd, with_word, **known))
    digests = {make(sd, **known).spec.digest, make(sd, **renamed).spec.digest, make(sd).spec.digest}
    assert len(digests) == 3
    assert "as <wart>" in make(sd, **renamed).spec.details["textual_inversion"]


def test_a_learned_word_for_two_encoders(sdxl, tmp_path):
    import torch
    from safetensors.torch import save_file

    file = tmp_path / "mole.safetensors"
    words = {"clip_l": torch.randn(1, 32), "clip_g": torch.randn(1, 32)}
    save_file(words, file)
    request = ask("a portrait of a <mole>", seed=5)
    entry = {"model": str(file), "token": "<mole>"}
    both = drawn(sdxl, request, textual_inversion=[entry])
    save_file({**words, "clip_g": words["clip_g"] + 5}, file)
    assert not np.array_equal(both, drawn(sdxl, request, textual_inversion=[entry]))
    save_file({**words, "clip_l": words["clip_l"] + 5}, file)
    assert not np.array_equal(both, drawn(sdxl, request, textual_inversion=[entry]))


def test_a_word_of_the_wrong_width(sd, tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"<mole>": torch.randn(7)}, tmp_path / "w.safetensors")
    with pytest.raises(GeneratorError, match="does not fit the pipeline"):
        make(sd, textual_inversion=[str(tmp_path)]).load()


# --- memory options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["attention_slicing", "vae_slicing", "channels_last"])
def test_options_for_memory_keep_the_picture(sd, plain, option):
    assert np.abs(drawn(sd, **{option: True}) - plain).max() <= 1
    assert make(sd, **{option: True}).spec.details[option] is True


def test_tiling_reaches_the_decoder(sd):
    generator = make(sd, vae_tiling=True)
    generator.load()
    assert generator._pipeline.vae.use_tiling
    assert generator.spec.digest != make(sd).spec.digest
    assert make(sd, vae_tiling=False).spec.digest == make(sd).spec.digest


def test_a_pipeline_without_decoder(ddpm):
    with pytest.raises(ConfigError, match="DDPMPipeline has no autoencoder that `vae_tiling`"):
        make(ddpm, vae_tiling=True).load()


def test_offload_needs_an_accelerator(sd):
    with pytest.raises(ConfigError, match="needs an accelerator") as caught:
        _ = make(sd, offload="model").spec
    assert "offload" in caught.value.hint
    with pytest.raises(ConfigError, match="offload must be one of none, model, sequential"):
        make(sd, offload="disk")
    assert make(sd, offload="none").spec.details["offload"] == "none"


@pytest.mark.slow
def test_a_compiled_network_draws_the_same(ddpm):
    generator = make(ddpm, params={"steps": 1}, compile=True)
    compiled = pixels_of(generator.generate([REQUEST])[0]).astype(int)
    assert generator._pipeline.unet._compiled_call_impl is not None
    assert np.abs(compiled - drawn(ddpm, params={"steps": 1})).max() <= 2


def test_lower_precision_is_close_and_another_digest(sd, plain):
    assert 0 < np.abs(drawn(sd, dtype="bfloat16") - plain).mean() < 8
    assert make(sd, dtype="bfloat16").spec.digest != make(sd).spec.digest == make(sd, dtype="float32").spec.digest


def test_the_safety_filter_can_be_left_out_and_that_is_said(tmp_path, sd):
    folder = save_stable_diffusion(tmp_path / "m", checker=True)
    kept, without = make(folder), make(folder, safety_checker=False)
    assert kept.generate([REQUEST])[0].outcome is Outcome.BLOCKED
    assert without.generate([REQUEST])[0].outcome is Outcome.IMAGE
    assert kept.spec.details["safety_checker"] == "as in the checkpoint"
    assert without.spec.details["safety_checker"] == "left out"
    assert kept.spec.digest != without.spec.digest
    assert make(sd).spec.details["safety_checker"] is None
    assert make(sd, safety_checker=False).spec.digest == make(sd).spec.digest


# --- the hub -----------------------------------------------------------------------------------------------------


def test_a_hub_id_is_pinned_to_the_commit_that_was_used(tmp_path, monkeypatch, lora):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--nobody--tiny"
    save_stable_diffusion(model / "snapshots" / COMMIT)
    adapter = tmp_path / "models--nobody--lora" / "snapshots" / COMMIT
    adapter.mkdir(parents=True)
    (adapter / "pytorch_lora_weights.safetensors").write_bytes((lora / "pytorch_lora_weights.safetensors").read_bytes())
    for repository in (model, adapter.parents[1]):
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
    generator = make("nobody/tiny", local_files_only=True, lora=["nobody/lora"])
    assert generator.spec.details["revision"] == COMMIT
    assert f"nobody/lora@{COMMIT}/" in generator.spec.details["lora"]
    assert generator.generate([REQUEST])[0].outcome is Outcome.IMAGE
    with pytest.raises(GeneratorError, match=r"pytorch_lora_weights\.safetensors of nobody/other is not in the cache"):
        _ = make("nobody/tiny", local_files_only=True, lora=["nobody/other"]).spec
