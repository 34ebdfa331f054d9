# SPDX-License-Identifier: Apache-2.0
"""Small random networks of several shapes, saved as their users save theirs, and functions that draw."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from PIL import Image
from torch import nn

from tests.checkpoints import tokenizer

CLASSES = ("nurse", "CEO", "builder", "chef")


class Unconditional(nn.Module):
    """z (N, 8) to (N, 3, 16, 16) in [-1, 1]."""

    def __init__(self, noise: int = 8, size: int = 16) -> None:
        super().__init__()
        self.size, self.line = size, nn.Linear(noise, 3 * size * size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.line(z)).reshape(-1, 3, self.size, self.size)


class Conditional(nn.Module):
    """z (N, 8) and y (N,) to (N, 16, 16, 3) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.table = nn.Linear(8, 3 * 16 * 16), nn.Embedding(len(CLASSES), 8)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.line(z + self.table(y)).reshape(-1, 16, 16, 3))


class OneHot(nn.Module):
    """z (N, 8, 1, 1), a row a class, and a number; a dictionary of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.classes = nn.Linear(8, 16 * 16), nn.Linear(len(CLASSES), 8)

    def forward(self, z: torch.Tensor, c: torch.Tensor, gain: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = z.flatten(1) * gain + self.classes(c)
        return {"mask": hidden, "picture": torch.tanh(self.line(hidden)).reshape(-1, 1, 16, 16)}


class TextHub(nn.Module, PyTorchModelHubMixin, license="mit"):
    """Token ids and noise to (N, 4, 16, 16) in [0, 1], the last channel transparency."""

    def __init__(self, words: int = 16, width: int = 8) -> None:
        super().__init__()
        self.table, self.line = nn.Embedding(words, width), nn.Linear(width, 4 * 16 * 16)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        words = self.table(ids) * mask[..., None]
        return torch.sigmoid(self.line(words.mean(1) * 4 + noise)).reshape(-1, 4, 16, 16)


class Restless(nn.Module):
    """Adds random numbers of its own, as StyleGAN does."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(8, 3 * 8 * 8)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        rows = self.line(z)
        return torch.tanh(rows + torch.randn_like(rows)).reshape(-1, 3, 8, 8)


class Hungry(Unconditional):
    """Takes no more than so many rows at once."""

    most = 3

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if len(z) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return super().forward(z)


class Faulty(Unconditional):
    """NaN where the first number of the latent is above 0; other faults on demand."""

    fault = "nan"

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        image = super().forward(z)
        if self.fault == "few":
            return image[:-1]
        if self.fault == "flat":
            return image.flatten(1)
        if self.fault == "unit":
            return image * 100
        return torch.where(z[:, :1, None, None] > 0, torch.nan, image)


def seeded(kind: Any, **arguments: Any) -> Any:
    """A network with random weights that are the same every time."""
    torch.manual_seed(7)
    return kind(**arguments).eval()


def save_module(folder: Path, kind: Any = Unconditional, *, io: dict[str, Any] | None = None, **arguments: Any) -> Path:
    """``model.safetensors``, ``config.json`` and ``generator.json``."""
    from safetensors.torch import save_model

    folder.mkdir(exist_ok=True, parents=True)
    save_model(seeded(kind, **arguments), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(arguments))
    described = {"inputs": {"noise": {"shape": [8]}}, "output": {"range": [-1, 1]}}
    (folder / "generator.json").write_text(json.dumps(described if io is None else io))
    return folder


def save_text(folder: Path) -> Path:
    """A mixin class by its own ``save_pretrained``, with a tokenizer beside it."""
    seeded(TextHub).save_pretrained(folder)
    tokenizer().save_pretrained(folder / "words")
    io = {
        "inputs": {
            "text": {"name": "ids", "tokenizer": "words", "length": 12, "mask": "mask"},
            "noise": {"name": "noise", "shape": [8], "distribution": "uniform"},
        },
        "output": {"layout": "NCHW", "range": [0, 1], "channels": 4},
    }
    (folder / "generator.json").write_text(json.dumps(io))
    return folder


def inputs_of(kind: Any, rows: int = 2) -> tuple[torch.Tensor, ...]:
    """Inputs to export with."""
    if kind is Conditional:
        return torch.zeros(rows, 8), torch.zeros(rows, dtype=torch.int64)
    if kind is OneHot:
        return torch.zeros(rows, 8, 1, 1), torch.zeros(rows, len(CLASSES)), torch.tensor(1.0)
    return (torch.zeros(rows, 8),)


def _dynamic(kind: Any, axis: Any) -> Any:
    names = {Conditional: ("z", "y"), OneHot: ("z", "c", "gain")}.get(kind, ("z",))
    return {name: None if name == "gain" else {0: axis} for name in names}


def save_program(path: Path, kind: Any = Unconditional, *, frozen: int | None = None) -> Path:
    """A program of torch.export, for any batch or one that is ``frozen``."""
    axis = torch.export.Dim("batch", min=1)
    shapes = None if frozen else _dynamic(kind, axis)
    program = torch.export.export(seeded(kind), inputs_of(kind, frozen or 2), dynamic_shapes=shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path)
    return path


def save_onnx(path: Path, kind: Any = Conditional, *, frozen: int | None = None) -> Path:
    """An ONNX file by the exporter of torch that is built on torch.export."""
    shapes = None if frozen else _dynamic(kind, torch.export.Dim("batch", min=1))
    names = list(_dynamic(kind, None))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            seeded(kind),
            inputs_of(kind, frozen or 2),
            path,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=names,
            verbose=False,
        )
    return path


def draw(prompt: str, seed: int, size: int = 16) -> Image.Image | None:
    """A picture that depends on both; nothing for an empty prompt."""
    if not prompt:
        return None
    rng = np.random.default_rng([seed, *prompt.encode()])
    return Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8))


def draw_many(prompts: list[str], seeds: list[int], size: int = 16) -> list[np.ndarray]:
    """The same as floats, for lists; one prompt that it cannot stand."""
    if any("knife" in prompt for prompt in prompts):
        raise RuntimeError("no knives")
    images = [draw(prompt, seed, size) for prompt, seed in zip(prompts, seeds, strict=True)]
    return [None if image is None else np.asarray(image) / 255.0 for image in images]


draw_many.batched = True
