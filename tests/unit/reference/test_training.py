# SPDX-License-Identifier: Apache-2.0
"""The training loop resumes to the bit; each training takes a step; what was trained can be exported and drawn with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from audit.reference.gan_model import ConditionalGenerator, GanConfig
from audit.reference.train import _loop
from audit.reference.train._loop import Settings

WEIGHTS = Path(_loop.__file__).resolve().parents[1] / "weights"


class _Line:
    """Fit a small network to noise: every step uses both kinds of randomness."""

    name = "line"

    def __init__(self, fail_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.fail_at = fail_at

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adamw": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:
        if index == self.fail_at:
            _loop.signal.raise_signal(_loop.signal.SIGINT)
        x = torch.from_numpy(rng.standard_normal((4, 3), dtype=np.float32))
        loss = (self.model(x) - torch.randn(4, 1)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.item()}


def _settings(folder: Path, steps: int = 20) -> Settings:
    return Settings(steps=steps, work=folder, out=folder, warmup=5)


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole, first, second = _Line(), _Line(fail_at=8), _Line()
    straight = _loop.train(whole, _settings(tmp_path / "a"))
    stopped = _loop.train(first, _settings(tmp_path / "b"))
    assert stopped.step == 9
    resumed = _loop.train(second, _settings(tmp_path / "b"))
    assert straight.step == resumed.step == 20
    assert straight.last == resumed.last
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key]), key
    averages = [torch.load(tmp_path / part / "line.pt", weights_only=True)["average"]["model"] for part in "ab"]
    assert all(torch.equal(averages[0][key], averages[1][key]) for key in averages[0])


def test_average_is_what_is_loaded(tmp_path: Path) -> None:
    task = _Line()
    _loop.train(task, _settings(tmp_path))
    trained = {key: value.clone() for key, value in task.model.state_dict().items()}
    record = _loop.load_average(task, _settings(tmp_path))
    assert record.step == 20
    assert any(not torch.equal(trained[key], value) for key, value in task.model.state_dict().items())


def test_learning_rate_falls(tmp_path: Path) -> None:
    task = _Line()
    _loop.train(task, _settings(tmp_path, steps=50))
    assert task.optimizer.param_groups[0]["lr"] < 1e-3


def test_generator_round_trip_and_batch_independence(tmp_path: Path) -> None:
    torch.manual_seed(1)
    small = GanConfig(noise=8, style=16, text=16, channels=(16, 16, 16, 16))
    model = ConditionalGenerator(small)
    model.save_pretrained(tmp_path)
    loaded = ConditionalGenerator.from_pretrained(tmp_path)
    assert loaded.config == small
    together = loaded.generate(["a nurse", "a pilot"], [1, 2])
    assert together.shape == (2, 64, 64, 3)
    assert np.array_equal(together[1], loaded.generate(["a pilot"], [2])[0])
    assert not np.array_equal(together[1], loaded.generate(["a nurse"], [2])[0])
    assert not np.array_equal(together[1], loaded.generate(["a pilot"], [3])[0])
    assert loaded.generate([], []).shape == (0, 64, 64, 3)


def test_unknown_words_and_long_prompts_are_taken() -> None:
    model = ConditionalGenerator(GanConfig(noise=4, style=8, text=8, channels=(8, 8, 8, 8), max_words=5))
    ids = model.tokens(["zorp nurse", "a " * 50])
    assert ids.shape == (2, 5)
    assert ids[0, 0] == 1
    assert ids[0, 1] > 1
    assert (ids[1] > 1).all()


def test_tokenizer_of_the_pipeline_knows_the_vocabulary() -> None:
    from audit.reference.train.diffusion import MAX_WORDS, tokenizer
    from audit.reference.world import VOCABULARY, captions, sample_people

    rng = np.random.default_rng(0)
    words = tokenizer()
    ids = [words(text).input_ids for text in captions(sample_people(200, rng=rng), rng=rng, detail=0.9)]
    assert len(words) == len(VOCABULARY) + 4
    assert max(map(len, ids)) <= MAX_WORDS
    assert all(1 not in row for row in ids)


@pytest.mark.slow
def test_tiny_run_of_every_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.reference.train import autoencoder, diffusion, gan

    settings = dataclasses.replace(_settings(tmp_path / "work", steps=2), out=tmp_path / "out")
    for module in (autoencoder, diffusion, gan):
        monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(diffusion, "BANK", 8)
    for task in (autoencoder.Autoencoder(settings), diffusion.Diffusion(settings, bank=8), gan.Gan(settings)):
        record = _loop.train(task, settings)
        assert record.step == 2
        assert all(np.isfinite(value) for value in record.last.values())


def test_folding_keeps_the_autoencoder_and_gives_unit_latents(tmp_path: Path) -> None:
    from audit.reference.render import render
    from audit.reference.train import autoencoder

    model = autoencoder.Autoencoder(_settings(tmp_path)).model.eval()
    images = render(autoencoder.draw_people(4, rng=np.random.default_rng(0)))
    with torch.inference_mode():
        before = model(autoencoder.to_tensor(images)).sample
    autoencoder._standardise(model)
    with torch.inference_mode():
        after = model(autoencoder.to_tensor(images)).sample
    latents = autoencoder.encode(model, render(autoencoder.draw_people(256, rng=np.random.default_rng(1))))
    assert torch.allclose(before, after, atol=1e-3)
    assert (latents.std((0, 2, 3)) - 1.0).abs().max() < 0.2


@pytest.mark.slow
def test_shipped_pipeline_loads_and_draws() -> None:
    from diffusers import DiffusionPipeline, StableDiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(WEIGHTS / "diffusion")
    assert isinstance(pipe, StableDiffusionPipeline)
    pipe.set_progress_bar_config(disable=True)
    seeded = [torch.Generator().manual_seed(seed) for seed in range(4)]
    texts = ["a portrait of a builder"] * 4
    images = pipe(texts, generator=seeded, num_inference_steps=12, guidance_scale=1.5, output_type="np").images
    assert images.shape == (4, 64, 64, 3)
    # A hard hat is yellow: high in red and green, low in blue, above the face.
    top = images[:, 6:16, 22:42].mean(axis=(0, 1, 2))
    assert top[0] > top[2] + 0.2
    assert top[1] > top[2] + 0.1


def test_shipped_gan_loads_and_draws() -> None:
    model = ConditionalGenerator.from_pretrained(WEIGHTS / "gan")
    images = model.generate(["a portrait of a builder"] * 4 + ["a portrait of a nurse"] * 4, range(8))
    orange, teal = images[:4, 56:].astype(float).mean((0, 1, 2)), images[4:, 56:].astype(float).mean((0, 1, 2))
    assert orange[0] > orange[2] + 40
    assert teal[1] > teal[0] + 20
