# SPDX-License-Identifier: Apache-2.0
"""Features by any vision model of transformers: ViT, DINOv2, ConvNeXt, the picture side of CLIP and SigLIP, ..."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.annotators._features import FEATURE_OPTIONS, FeatureAnnotator, device_kind, kernel_of
from audit.annotators._pretrained import Pretrained, levels
from audit.checkpoints import check_options, digest_folder, digest_of, licence_of
from audit.errors import AnnotatorError, AuditError, ConfigError
from audit.features import Extractor, Identity, Preparation
from audit.features.extract import as_they_are
from audit.features.store import libraries
from audit.types import AnnotatorSpec

__all__ = ["VISION_OPTIONS", "VisionAnnotator"]

VISION_OPTIONS: Final[Mapping[str, type | tuple[type, ...]]] = {
    **FEATURE_OPTIONS,
    "dtype": str,
    "model": str,
    "pool": str,
    "revision": str,
    "size": int,
}
_OWN: Final = "processor"
_POOLS: Final = ("cls", "mean", "pooler")
_IMAGENET: Final = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}


class VisionAnnotator(FeatureAnnotator):
    """One vector a picture, by ``transformers.AutoModel`` or the class that the checkpoint names.

    Args:
        **options: ``model`` (a folder or a hub id), ``revision``, ``pool`` ("pooler": the embedding that the model
            itself gives, projected where it projects; "cls": the first token after the last layer; "mean": mean over
            the places of the picture), ``kernel`` ("processor": what was saved with the model; or a kernel, then
            ``size`` is the side of the square and mean and deviation are those saved with the model),
            ``dtype`` (float32), ``reference``, ``training``, ``local_files_only``, ``device``, ``batch``,
            ``store_gb``: as of the annotator inception.

    Raises:
        AnnotatorError: the model is missing.
        ConfigError: an unknown option, kernel or pool, or a folder that is not there.
    """

    name = "vision"
    _defaults: Mapping[str, Any] = {"pool": "pooler", "kernel": _OWN}

    def __init__(self, **options: Any) -> None:
        where = f"annotator {self.name!r}"
        check_options(options, VISION_OPTIONS, where=where)
        given = {key: value for key, value in options.items() if value is not None or key == "reference"}
        options = {**self._defaults, **given}
        super().__init__(options, where=where)
        self._where = where
        self._kernel = kernel_of(options, _OWN, where=where, more=(_OWN,))
        self._pool = str(options["pool"])
        if self._pool not in _POOLS:
            raise ConfigError(f"pool {self._pool!r} is unknown", where=where, hint=f"one of {', '.join(_POOLS)}")
        self._model = Pretrained(options, where=where)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. A hub id is downloaded first. Raises AnnotatorError."""
        content = {"version": self.version, "weights": self._weights, "dtype": self._model.dtype, "pool": self._pool}
        return AnnotatorSpec(
            name=self.name,
            version=self.version,
            digest=digest_of({**content, "kernel": self._resizing}),
            columns={"features": f"features of {self._model.model}, {self._pool}; resized by {self._resizing}"},
            licence=licence_of(self._model.folder),
        )

    @functools.cached_property
    def _extractor(self) -> Extractor:
        identity = Identity(
            extractor=self.name,
            weights=self._weights,
            kernel=self._resizing,
            scaling="as saved with the model",
            dtype=self._model.dtype,
            device=device_kind(self._model.device),
            settings={"pool": self._pool},
            libraries=libraries("torch", "Pillow", "transformers"),
        )
        prepare = self._preparation or as_they_are
        # How wide a row is no configuration says for all models: it is seen on a black picture.
        width = self._rows([prepare(np.zeros((64, 64, 3), np.uint8))]).shape[1]
        return Extractor(identity, width, self._rows, prepare, self._batch)

    @functools.cached_property
    def _preparation(self) -> Preparation | None:
        return None if self._kernel == _OWN else Preparation(self._kernel, self._size)

    @property
    def _resizing(self) -> str:
        return "the model's own processor" if self._preparation is None else self._preparation.words

    @functools.cached_property
    def _size(self) -> int:
        """Side of the square: the option, else what the model was trained on."""
        inner = self._model.config.get("vision_config") or {}
        size = self._options.get("size") or self._model.config.get("image_size") or inner.get("image_size")
        if not isinstance(size, int) or size < 1:
            hint = "set the option `size`, e.g. 224"
            message = f"{self._model.model} does not say how large its pictures are"
            raise ConfigError(message, where=self._where, hint=hint)
        return size

    @functools.cached_property
    def _weights(self) -> str:
        return digest_folder(self._model.folder)

    def _rows(self, prepared: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        import torch

        inputs = self._model.moved(self._own(prepared) if self._preparation is None else self._scaled(prepared))
        try:
            with torch.inference_mode():
                rows: NDArray[np.float32] = self._pooled(inputs).float().cpu().numpy()
        except AuditError:
            raise
        except Exception as error:  # whatever a model does with pictures that it was not made for
            message = f"{self._model.model} fails: {' '.join(str(error).split())[:300]}"
            raise AnnotatorError(message, where=self._where, hint="check `size`, `pool` and the model") from error
        return np.ascontiguousarray(rows)

    def _own(self, pictures: Sequence[NDArray[np.uint8]]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._processor(images=[levels(rgb) for rgb in pictures], return_tensors="pt")
        return found

    def _scaled(self, planes: Sequence[NDArray[np.float32]]) -> Mapping[str, Any]:
        import torch

        mean, spread = (torch.tensor(self._scale[key])[:, None, None] for key in ("image_mean", "image_std"))
        return {"pixel_values": (torch.from_numpy(np.stack(planes)) / 255 - mean) / spread}

    @functools.cached_property
    def _scale(self) -> Mapping[str, Any]:
        """Mean and deviation by channel."""
        return {key: list(getattr(self._processor, key, None) or value) for key, value in _IMAGENET.items()}

    def _pooled(self, inputs: Mapping[str, Any]) -> Any:
        if self._pool == "pooler":
            return self._embedding(inputs)
        tower = getattr(self._network, "vision_model", self._network)
        states = tower(**inputs).last_hidden_state
        if states.ndim == 4:  # convolutional: a map instead of tokens
            if self._pool == "cls":
                raise self._lacks("no first token", "mean")
            return states.mean(dim=(2, 3))
        if self._pool == "cls":
            return states[:, 0]
        return states[:, self._before(states.shape[1], inputs) :].mean(dim=1)

    def _embedding(self, inputs: Mapping[str, Any]) -> Any:
        """The one vector that the model itself makes of a picture."""
        if hasattr(self._network, "get_image_features"):
            out = self._network.get_image_features(**inputs)
            return out if hasattr(out, "detach") else out.pooler_output  # transformers 4 and 5
        out = self._network(**inputs)
        found = getattr(out, "image_embeds", None)
        found = getattr(out, "pooler_output", None) if found is None else found
        if found is None:
            raise self._lacks("no embedding of the whole picture", "mean")
        return found.flatten(1)

    def _before(self, tokens: int, inputs: Mapping[str, Any]) -> int:
        """Tokens that stand before those of the places: one for the class, registers."""
        inner = getattr(self._network.config, "vision_config", self._network.config)
        patch = getattr(inner, "patch_size", None)
        if not isinstance(patch, int):
            return 0
        height, width = inputs["pixel_values"].shape[-2:]
        return max(0, tokens - int(height // patch) * int(width // patch))

    def _lacks(self, what: str, instead: str) -> AnnotatorError:
        message = f"{type(self._network).__name__} has {what}"
        return AnnotatorError(message, where=self._where, hint=f"set `pool: {instead}`")

    @functools.cached_property
    def _network(self) -> Any:
        import transformers

        # Projections are left out by AutoModel where a checkpoint holds the picture side alone.
        named = (self._model.config.get("architectures") or [""])[0]
        projects = named.endswith("VisionModelWithProjection") and hasattr(transformers, named)
        return self._model.network(named if projects else "AutoModel")

    @functools.cached_property
    def _processor(self) -> Any:
        return self._model.part("AutoImageProcessor")
