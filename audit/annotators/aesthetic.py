# SPDX-License-Identifier: Apache-2.0
"""How much people would like the look of a picture, by a linear head on CLIP's image features (LAION aesthetics)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators.clip import ClipAnnotator
from audit.annotators.standard import CLIP
from audit.checkpoints import check_options, digest_of
from audit.errors import AnnotatorError, ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["AestheticAnnotator", "Head"]

_WHERE = "annotator 'aesthetic'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "batch": int,
    "device": str,
    "head": str,
    "local_files_only": bool,
    "model": str,
    "revision": str,
}
_LAYERS = ("layers.0", "layers.2", "layers.4", "layers.6", "layers.7")
_HINT = "name sac+logos+ava1-l14-linearMSE.pth of the improved aesthetic predictor, or the same as .safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The five published layers as the one affine map that they are: nothing bends between them.

    Attributes:
        weight: shape (D,), float64.
        bias: a number.
    """

    weight: NDArray[np.float64]
    bias: float

    @classmethod
    def folded(cls, state: Mapping[str, NDArray[Any]]) -> Head:
        """Multiply the layers out.

        Args:
            state: arrays ``layers.0.weight``, ``layers.0.bias`` and so on, of layers 0, 2, 4, 6 and 7.

        Raises:
            ValueError: other layers, shapes that do not fit, or more than one output.
        """
        lacking = [name for layer in _LAYERS for name in (f"{layer}.weight", f"{layer}.bias") if name not in state]
        if lacking or len(state) != 2 * len(_LAYERS):
            raise ValueError(f"no {lacking[0]}" if lacking else f"{len(state)} arrays, expected {2 * len(_LAYERS)}")
        weights, biases = (
            [state[f"{layer}.{part}"].astype(np.float64) for layer in _LAYERS] for part in ("weight", "bias")
        )
        weight, bias = weights[0], biases[0]
        for matrix, shift in zip(weights[1:], biases[1:], strict=True):
            weight, bias = matrix @ weight, matrix @ bias + shift
        if weight.shape[0] != 1 or bias.shape != (1,):
            raise ValueError(f"{weight.shape[0]} outputs, expected 1")
        return cls(weight[0], float(bias[0]))

    def scores(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Scores (n,) of image features (n, D), which are brought to unit length first; NaN for features of zero."""
        wide = features.astype(np.float64)
        norms = np.linalg.norm(wide, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: NDArray[np.float64] = wide @ self.weight / np.where(norms > 0, norms, np.nan) + self.bias
        return found


class AestheticAnnotator:
    """Scores of the improved aesthetic predictor (Schuhmann 2022), about 1 to 10.

    It was fitted to ratings of AI art (SAC), logos, and photographs handed in to contests (AVA): what it tells is the
    taste of the people who rate such pictures.

    Args:
        **options: ``head`` (file of the published head), ``model`` (CLIP ViT-L/14, the one that the head was trained
            on; a folder or a hub id), ``revision``, ``local_files_only``, ``device`` (auto), ``batch`` (32).

    Raises:
        AnnotatorError: model or head is missing, or they do not fit each other.
        ConfigError: an unknown option, or no head.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        if not options.get("head"):
            raise ConfigError("no head given", where=_WHERE, hint=_HINT)
        self._file = Path(options["head"]).expanduser()
        if not self._file.is_file():
            raise ConfigError(f"{options['head']!r} is not a file", where=_WHERE, hint=_HINT)
        rest = {name: value for name, value in options.items() if name != "head"}
        # The instrument `clip` embeds: a picture is embedded once for both.
        self._clip = ClipAnnotator(**{**rest, "model": options.get("model") or CLIP.hub_id, "reference": None})

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. A hub id is downloaded first."""
        clip, head = self._clip.spec, hashlib.sha256(self._file.read_bytes()).hexdigest()
        return AnnotatorSpec(
            name="aesthetic",
            version=self.version,
            digest=digest_of({"version": self.version, "clip": clip.digest, "head": head}),
            columns={"score": "aesthetic score, about 1 to 10"},
            licence=clip.licence,
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The column of `spec`, one row an image."""
        features, head = self._clip.features(images), self._head
        if features.shape[1] != len(head.weight):
            message = f"the head reads {len(head.weight)} features, the model gives {features.shape[1]}"
            raise AnnotatorError(message, where=_WHERE, hint="name the model that the head was trained on")
        return {"score": head.scores(features).astype(np.float32)}

    @functools.cached_property
    def _head(self) -> Head:
        try:
            return Head.folded(_state(self._file))
        except Exception as error:  # torch, pickle and safetensors raise whatever they like
            message = f"{self._file} holds no aesthetic head: {' '.join(str(error).split())[:300]}"
            raise AnnotatorError(message, where=_WHERE, hint=_HINT) from error


def _state(file: Path) -> dict[str, NDArray[Any]]:
    if file.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return dict(load_file(file))
    import torch

    state = torch.load(file, map_location="cpu", weights_only=True)
    return {str(name): tensor.float().numpy() for name, tensor in state.items()}
