# SPDX-License-Identifier: Apache-2.0
"""The variational and the recurrent model: their probabilities are what they say, their trainings run and resume."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from audit.reference._text import UNKNOWN, in_lanes, word_ids
from audit.reference.recurrent_model import RecurrentConfig, TokenLSTM
from audit.reference.train import _loop
from audit.reference.train._loop import Settings
from audit.reference.vae_model import Prior, VaeConfig

WEIGHTS = Path(_loop.__file__).resolve().parents[1] / "weights"


def test_density_of_the_prior_is_that_of_its_map():
    """Change of variables with the full Jacobian, computed by automatic differentiation (Dinh et al. 2017, eq. 2)."""
    torch.manual_seed(0)
    config = VaeConfig(code=12, hidden=16, couplings=4, text=8)
    prior = Prior(config).double()
    for coupling in prior.couplings:
        torch.nn.init.normal_(coupling[-1].weight)
    ids = word_ids(["a portrait of a nurse", "a pilot"], config.vocabulary, longest=8)
    noise = torch.randn(2, 12, dtype=torch.float64)
    found = prior.log_density(prior(noise, ids), ids)
    for k in range(2):
        jacobian = torch.autograd.functional.jacobian(lambda z, k=k: prior(z[None], ids[k : k + 1])[0], noise[k])
        expected = -0.5 * noise[k].square().sum() - torch.linalg.slogdet(jacobian)[1]
        assert found[k].item() == pytest.approx(expected.item(), abs=1e-9)
    assert not torch.allclose(prior(noise[:1], ids[:1]), prior(noise[:1], ids[1:])), "the text matters"


def test_sampled_tokens_are_where_the_numbers_meet_the_trained_distribution():
    """Drawing step by step and scoring the whole picture at once are the same model."""
    torch.manual_seed(1)
    lstm = TokenLSTM(RecurrentConfig(codes=12, side=4, width=8, hidden=16, text=8)).eval()
    ids = word_ids(["a nurse", "a sign that says EXIT"], lstm.config.vocabulary, longest=8)
    uniform = torch.from_numpy(np.random.default_rng(0).random((2, 16), dtype=np.float32))
    with torch.inference_mode():
        tokens = lstm.sample(ids, uniform)
        share = torch.softmax(lstm(tokens, ids).double(), dim=2)
    upper = share.cumsum(2).gather(2, tokens[:, :, None])[:, :, 0]
    lower = upper - share.gather(2, tokens[:, :, None])[:, :, 0]
    assert ((lower - 1e-6 <= uniform) & (uniform <= upper + 1e-6)).all()


def test_word_ids():
    ids = word_ids(["zorp nurse", "a " * 50], ("nurse", "a"), longest=5)
    assert ids.tolist() == [[UNKNOWN, 2, 0, 0, 0], [3] * 5]


def test_lanes_return_every_picture_once():
    def draw(prompts, noise):
        assert len(prompts) == len(noise) == 16
        return noise[:, :1, None, None].expand(-1, 3, 2, 2)

    values = np.linspace(-1, 1, 37, dtype=np.float32)[:, None]
    images = in_lanes(draw, ["x"] * 37, values)
    assert images.shape == (37, 2, 2, 3)
    assert np.array_equal(images[:, 0, 0, 0], np.rint((values[:, 0] + 1) * 127.5).astype(np.uint8))


@pytest.mark.slow
def test_trainings_run_and_the_same_seed_gives_the_same_bits(tmp_path, monkeypatch):
    from audit.reference.train import autoencoder, recurrent, small, tokens, vae

    for module in (autoencoder, tokens, recurrent, vae, small):
        monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(tokens, "_SMOOTH", 1)
    monkeypatch.setattr(tokens, "CODES", 32)
    monkeypatch.setattr(vae, "BANK", 24)
    monkeypatch.setattr(vae, "importance", lambda *_: torch.ones(8, 8, 8))  # half a minute of one-time work

    def run(folder: Path) -> dict[str, torch.Tensor]:
        settings = Settings(steps=2, work=folder, out=folder, warmup=5)
        for build in (autoencoder.Autoencoder, tokens.Tokens):
            _loop.train(build(settings), settings)
        tasks = [recurrent.Recurrent(settings, bank=8), vae.Vae(settings, bank=24)]
        for task in tasks:
            record = _loop.train(task, settings)
            assert all(np.isfinite(value) for value in record.last.values())
        last = small.Small(settings)
        _loop.train(last, dataclasses.replace(settings, steps=1))
        _loop.train(last, settings)
        everything = {f"{t.name}.{m}": module for t in (*tasks, last) for m, module in t.modules().items()}
        return {f"{name}.{k}": v.clone() for name, m in everything.items() for k, v in m.state_dict().items()}

    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    assert all(torch.equal(first[key], second[key]) for key in first)


def _means(name: str, rows: slice) -> dict[str, np.ndarray]:
    from audit.reference.recurrent_model import RecurrentGenerator
    from audit.reference.vae_model import VaeGenerator

    model = (RecurrentGenerator if name == "recurrent" else VaeGenerator).from_pretrained(WEIGHTS / name)
    jobs = ("builder", "nurse")
    images = model.generate([f"a portrait of a {job}" for job in jobs for _ in range(6)], range(12))
    side = images.shape[1]
    part = images[:, int(rows.start * side) : int(rows.stop * side)].astype(float)
    return {job: part[6 * k : 6 * k + 6].mean((0, 1, 2)) for k, job in enumerate(jobs)}


@pytest.mark.parametrize("name", ["recurrent", "vae", "small"])
def test_shipped_weights_draw_what_is_asked(name):
    clothes = _means(name, slice(0.88, 1.0))
    assert clothes["builder"][0] > clothes["builder"][2] + 40, "orange"
    assert clothes["nurse"][1] > clothes["nurse"][0] + 20, "teal"
