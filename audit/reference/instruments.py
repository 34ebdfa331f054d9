# SPDX-License-Identifier: Apache-2.0
"""The small instruments of the reference world: an attribute classifier and a face embedder.

Both are ordinary ``torch`` modules with a ``config.json`` and a float16 ``model.safetensors``; both look at pictures
of 64x64 and resize anything else to that size, so a figure does not depend on the resolution that a generator draws.
The answers are perceived: the classifier says how a drawn person is presented, never who anybody is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audit.errors import AnnotatorError
from audit.reference.world import AGES, OCCUPATIONS, PLAIN, PRESENTATIONS

IMAGE_SIZE: Final = 64
OCCUPATION_CUES: Final[tuple[str, ...]] = (*OCCUPATIONS, PLAIN)
COULD_NOT_TELL: Final = "could not tell"
HEADS: Final[dict[str, tuple[str, ...]]] = {
    "presentation": PRESENTATIONS,
    "age": AGES,
    "occupation": OCCUPATION_CUES,
    "glasses": ("no glasses", "glasses"),
    "face": ("no face", "face"),
}
Images: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]


def weights_dir(name: str) -> Path:
    """Return the folder of a bundled model, ``audit/reference/weights/<name>``.

    Args:
        name: ``"attributes"``, ``"faces"``, ``"clip"``, or another bundled model.
    """
    return Path(__file__).resolve().parent / "weights" / name


def to_tensor(images: Images, *, size: int = IMAGE_SIZE) -> Tensor:
    """Turn pictures into what the networks read.

    Args:
        images: uint8 (n, h, w, 3), RGB.
        size: edge of the result in pixels.

    Returns:
        float32 (n, 3, size, size) in [-1, 1]; resized bilinearly with antialiasing where needed.
    """
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return x


def crop_faces(x: Tensor, boxes: Tensor, *, size: int, margin: float) -> Tensor:
    """Cut a square around each face.

    Args:
        x: float (n, 3, h, w), square pictures.
        boxes: float (n, 4): cx, cy, rx, ry in [0, 1] of the picture.
        size: edge of a crop in pixels.
        margin: half edge of the crop in units of the larger radius.

    Returns:
        float (n, 3, size, size); what lies outside the picture repeats its border.
    """
    half = (margin * torch.maximum(boxes[:, 2], boxes[:, 3])).clamp(0.03, 0.75)
    theta = torch.zeros(len(x), 2, 3, dtype=x.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = 2 * half
    theta[:, 0, 2] = 2 * boxes[:, 0] - 1
    theta[:, 1, 2] = 2 * boxes[:, 1] - 1
    grid = F.affine_grid(theta, [len(x), x.shape[1], size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _convolve(wide_in: int, wide_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(wide_out)
    )


class _Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut; a stride of 2 halves the picture."""

    def __init__(self, wide_in: int, wide_out: int, stride: int) -> None:
        super().__init__()
        self.first = _convolve(wide_in, wide_out, stride)
        self.second = _convolve(wide_out, wide_out, 1)
        self.stride = stride
        self.project = nn.Conv2d(wide_in, wide_out, 1, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, wide_in, h, w) to (n, wide_out, h / stride, w / stride)."""
        shortcut = self.project(F.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        out: Tensor = F.silu(self.second(F.silu(self.first(x))) + shortcut)
        return out


def trunk(widths: tuple[int, ...]) -> nn.Sequential:
    """A 5x5 stem and a residual block for each width; the stem and every block but the first halve the picture."""
    stem = nn.Sequential(
        nn.Conv2d(3, widths[0], 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(widths[0]), nn.SiLU()
    )
    pairs = zip((widths[0], *widths[:-1]), widths, strict=True)
    return nn.Sequential(stem, *(_Residual(a, b, 1 if k == 0 else 2) for k, (a, b) in enumerate(pairs)))


@dataclass(frozen=True, slots=True)
class AttributeConfig:
    """Shape and calibration of an `AttributeNet`.

    Attributes:
        widths: channels of the stages, each but the first halving the picture.
        hidden: width of the layer under the heads.
        temperatures: per head, what its logits are divided by (fitted on a validation split).
        thresholds: per head, the probability under which the answer is "could not tell".
    """

    widths: tuple[int, ...] = (24, 48, 80, 128)
    hidden: int = 192
    temperatures: tuple[tuple[str, float], ...] = tuple((head, 1.0) for head in HEADS)
    thresholds: tuple[tuple[str, float], ...] = tuple((head, 0.0) for head in HEADS)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> AttributeConfig:
        """Read what `as_json` wrote."""
        return cls(
            widths=tuple(raw["widths"]),
            hidden=int(raw["hidden"]),
            temperatures=tuple((h, float(raw["temperatures"][h])) for h in HEADS),
            thresholds=tuple((h, float(raw["thresholds"][h])) for h in HEADS),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``config.json``."""
        return {
            "architecture": "AttributeNet",
            "image_size": IMAGE_SIZE,
            "widths": list(self.widths),
            "hidden": self.hidden,
            "temperatures": dict(self.temperatures),
            "thresholds": dict(self.thresholds),
            "heads": {head: list(names) for head, names in HEADS.items()},
        }


@dataclass(frozen=True, slots=True)
class FaceConfig:
    """Shape of a `FaceEmbedder`.

    Attributes:
        widths: channels of the stages.
        size: edge of the face crop in pixels.
        margin: half edge of the crop in units of the larger face radius.
        dimensions: length of an embedding.
    """

    widths: tuple[int, ...] = (32, 64, 96, 144)
    size: int = 48
    margin: float = 1.3
    dimensions: int = 128

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> FaceConfig:
        """Read what `as_json` wrote."""
        return cls(tuple(raw["widths"]), int(raw["size"]), float(raw["margin"]), int(raw["dimensions"]))

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``config.json``."""
        return {"architecture": "FaceEmbedder", "image_size": IMAGE_SIZE, **asdict(self), "widths": list(self.widths)}


def read_weights(folder: Path | str, architecture: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read ``config.json`` and float32 weights of a folder. Raises AnnotatorError unless it holds ``architecture``."""
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    except (OSError, ValueError) as error:
        message = f"{architecture}: no readable config.json and model.safetensors in {folder}"
        raise AnnotatorError(message, hint=f"python -m audit.reference.train {folder.name}") from error
    if config.get("architecture") != architecture:
        message = f"{folder} holds a {config.get('architecture')!r}, not a {architecture}"
        raise AnnotatorError(message, hint=f"name the folder of a {architecture}")
    return config, weights


def write_weights(folder: Path, config: dict[str, Any], module: nn.Module) -> None:
    """Write ``config.json`` and the weights of ``module`` as float16 ``model.safetensors``."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {
        k: v.detach().to(torch.float16).contiguous() if v.is_floating_point() else v.contiguous()
        for k, v in module.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    save_file(half, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


class AttributeNet(nn.Module):
    """One picture in, the perceived attributes of the person in it out."""

    def __init__(self, config: AttributeConfig | None = None) -> None:
        super().__init__()
        self.config = config or AttributeConfig()
        last = self.config.widths[-1]
        self.trunk = trunk(self.config.widths)
        # 4x4 cells and no mean: hats are above, clothes below, and the box needs to know where things are.
        cells = (IMAGE_SIZE // 2 ** len(self.config.widths)) ** 2
        self.body = nn.Sequential(nn.Linear(last * cells, self.config.hidden), nn.SiLU(), nn.Dropout(0.1))
        self.heads = nn.ModuleDict({head: nn.Linear(self.config.hidden, len(names)) for head, names in HEADS.items()})
        self.box = nn.Linear(self.config.hidden, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map float (n, 3, 64, 64) in [-1, 1] to logits per head and ``"box"`` (n, 4) in [0, 1]."""
        z = self.body(self.trunk(x).flatten(1))
        out = {head: layer(z) for head, layer in self.heads.items()}
        out["box"] = torch.sigmoid(self.box(z))
        return out

    @torch.inference_mode()
    def predict(self, images: Images, *, batch: int = 256) -> dict[str, Floats]:
        """Measure pictures of any size.

        Args:
            images: uint8 (n, h, w, 3).
            batch: pictures at a time.

        Returns:
            Calibrated probabilities ``presentation_p`` (n, 2), ``age_p`` (n, 3), ``occupation_p`` (n, 9),
            ``glasses_p`` (n,), ``face_p`` (n,) and ``box`` (n, 4): cx, cy, rx, ry in [0, 1].
        """
        self.eval()
        temperature = dict(self.config.temperatures)
        parts: dict[str, list[Tensor]] = {key: [] for key in (*HEADS, "box")}
        for start in range(0, len(images), batch):
            out = self(to_tensor(images[start : start + batch]))
            parts["box"].append(out["box"])
            for head in HEADS:
                parts[head].append(torch.softmax(out[head].float() / temperature[head], dim=1))
        empty = {head: torch.zeros(0, len(names)) for head, names in HEADS.items()} | {"box": torch.zeros(0, 4)}
        whole = {key: torch.cat(p).numpy() if p else empty[key].numpy() for key, p in parts.items()}
        return {
            **{f"{head}_p": whole[head] for head in ("presentation", "age", "occupation")},
            **{f"{head}_p": whole[head][:, 1] for head in ("glasses", "face")},
            "box": whole["box"],
        }

    def answers(self, predicted: dict[str, Floats], head: str) -> list[str]:
        """Turn probabilities into words; below the declared threshold, or without a face, "could not tell".

        Args:
            predicted: what `predict` returned.
            head: a name in `HEADS`.
        """
        thresholds = dict(self.config.thresholds)
        p = predicted[f"{head}_p"]
        p = p if p.ndim == 2 else np.stack([1 - p, p], axis=1)
        sure = p.max(axis=1) >= thresholds[head]
        if head != "face":
            sure &= predicted["face_p"] >= thresholds["face"]
        return [HEADS[head][int(k)] if ok else COULD_NOT_TELL for k, ok in zip(p.argmax(axis=1), sure, strict=True)]

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load ``config.json`` and ``model.safetensors`` from a folder.

        Raises:
            AnnotatorError: if the folder does not hold an AttributeNet.
        """
        raw, weights = read_weights(folder, "AttributeNet")
        net = cls(AttributeConfig.from_json(raw))
        net.load_state_dict(weights, strict=False)
        return net.eval()

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and float16 ``model.safetensors``."""
        write_weights(folder, self.config.as_json(), self)


class FaceEmbedder(nn.Module):
    """A face crop in, a unit vector out; the dot product of two vectors is their similarity."""

    def __init__(self, config: FaceConfig | None = None) -> None:
        super().__init__()
        self.config = config or FaceConfig()
        self.trunk = trunk(self.config.widths)
        cells = (self.config.size // 2 ** len(self.config.widths)) ** 2
        self.project = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(self.config.widths[-1] * cells, self.config.dimensions, bias=False)
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Map float (n, 3, size, size) in [-1, 1] to vectors (n, dimensions), not yet normalised."""
        out: Tensor = self.project(self.trunk(crops).flatten(1))
        return out

    @torch.inference_mode()
    def embed(self, images: Images, boxes: Floats, *, batch: int = 256) -> Floats:
        """Embed the face in each picture.

        Args:
            images: uint8 (n, h, w, 3), any size.
            boxes: float (n, 4): cx, cy, rx, ry in [0, 1], as `AttributeNet.predict` gives them.
            batch: pictures at a time.

        Returns:
            float32 (n, dimensions), of length one each.
        """
        self.eval()
        parts = []
        for start in range(0, len(images), batch):
            x = to_tensor(images[start : start + batch])
            box = torch.from_numpy(np.asarray(boxes[start : start + batch], dtype=np.float32))
            crops = crop_faces(x, box, size=self.config.size, margin=self.config.margin)
            parts.append(F.normalize(self(crops).float(), dim=1))
        return torch.cat(parts).numpy() if parts else np.zeros((0, self.config.dimensions), np.float32)

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load ``config.json`` and ``model.safetensors`` from a folder.

        Raises:
            AnnotatorError: if the folder does not hold a FaceEmbedder.
        """
        raw, weights = read_weights(folder, "FaceEmbedder")
        net = cls(FaceConfig.from_json(raw))
        net.load_state_dict(weights, strict=False)
        return net.eval()

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and float16 ``model.safetensors``."""
        write_weights(folder, self.config.as_json(), self)
