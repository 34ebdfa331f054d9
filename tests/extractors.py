# SPDX-License-Identifier: Apache-2.0
"""Feature extractors with weights that are the same everywhere: seeded Inception-v3, small models, TorchScript."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


@functools.cache
def inception_weights(seed: int = 0) -> dict[str, Any]:
    """A state dict of the FID Inception-v3, drawn by numpy so that it does not depend on the version of torch."""
    import torch

    from audit.features.inception import InceptionV3

    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in InceptionV3().state_dict().items()}
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(np.asarray(_drawn(name, shape, rng))) for name, shape in sorted(shapes.items())}


def _drawn(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return np.array(0)
    if name.endswith("conv.weight") or name == "fc.weight":
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
    low, high = {"weight": (0.8, 1.2), "running_var": (0.5, 1.5)}.get(last, (-0.1, 0.1))
    return rng.uniform(low, high, shape).astype(np.float32)


def save_inception(path: Path) -> Path:
    """Seeded weights as the published ones are saved."""
    import torch

    torch.save(inception_weights(), path)
    return path


def save_sscd(path: Path) -> Path:
    """A small convolutional net as SSCD is published: TorchScript, any picture size, rows of unit length."""
    import torch
    from torch import Tensor, nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 12, 5, stride=4)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.normalize(torch.relu(self.conv(x)).mean(dim=(2, 3)), dim=1)

    torch.manual_seed(20)
    torch.jit.trace(Net().eval(), torch.zeros(2, 3, 64, 64)).save(str(path))
    return path


def save_vision(folder: Path, kind: str) -> Path:
    """A small random vision model with its processor: "convnext", "dinov2", "siglip", "clip" or "vit"."""
    import torch
    import transformers as t

    makers: dict[str, tuple[Any, Any]] = {
        "vit": (t.ViTModel, t.ViTConfig(**_SMALL)),
        "dinov2": (t.Dinov2Model, t.Dinov2Config(**{**_SMALL, "mlp_ratio": 2})),
        "siglip": (t.SiglipVisionModel, t.SiglipVisionConfig(**_SMALL)),
        "clip": (t.CLIPVisionModelWithProjection, t.CLIPVisionConfig(**_SMALL, projection_dim=24)),
        "convnext": (
            t.ConvNextModel,
            t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32),
        ),
    }
    torch.manual_seed(21)
    model, config = makers[kind]
    model(config).save_pretrained(folder)
    if kind == "dinov2":
        published = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
        crop = {"height": 32, "width": 32}
        t.BitImageProcessorPil(size={"shortest_edge": 36}, crop_size=crop, **published).save_pretrained(folder)
    elif kind == "clip":
        crop = {"height": 32, "width": 32}
        t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    else:
        t.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
