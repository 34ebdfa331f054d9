# SPDX-License-Identifier: Apache-2.0
"""A CLIPModel with its tokenizer and image processor, on transformers 4.57 and 5."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._hub import snapshot
from audit.annotators.standard import STANDARD
from audit.checkpoints import quiet
from audit.errors import AnnotatorError

__all__ = ["ClipEncoder", "download"]

Floats = NDArray[np.float32]
_FILES = ["*.json", "*.txt", "*.model", "model.safetensors"]


class ClipEncoder:
    """Images and texts to embeddings, before normalisation.

    Args:
        folder: what ``save_pretrained`` of model, tokenizer and image processor wrote.
        device: e.g. "cpu".
        where: place for messages.

    Raises:
        AnnotatorError: the folder holds no CLIPModel.
    """

    def __init__(self, folder: Path, *, device: str, where: str) -> None:
        import torch
        import transformers

        self._torch, self._device, self._where = torch, torch.device(device), where
        # The PIL processor gives the same numbers with and without torchvision; transformers 4 knows only that one.
        processor: Any = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
        loader: Any = transformers.CLIPModel
        with quiet():
            try:
                self._check(folder)
                model = loader.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True)
                self._processor = processor.from_pretrained(folder, local_files_only=True)
                self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            except AnnotatorError:
                raise
            except Exception as error:  # loaders of transformers, tokenizers and safetensors raise whatever they like
                message = f"{folder} holds no CLIPModel with tokenizer and processor: {str(error).strip()[:300]}"
                raise AnnotatorError(message, where=where, hint="name the folder of a saved CLIPModel") from error
        self._model = model.to(self._device).eval()
        self._limit = int(model.config.text_config.max_position_embeddings)

    def _check(self, folder: Path) -> None:
        import json

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = (config.get("architectures") or [config.get("model_type")])[0]
        if kind not in ("CLIPModel", "clip"):
            message = f"{folder} holds a {kind}, not a CLIPModel"
            raise AnnotatorError(message, where=self._where, hint="name the folder of a CLIPModel")

    def images(self, images: Sequence[NDArray[np.uint8]], *, batch: int = 32) -> Floats:
        """Embeddings (n, d) of RGB pictures of any sizes."""
        parts = []
        for start in range(0, len(images), batch):
            pictures = list(images[start : start + batch])
            # Levels, never floats: the processor rescales by 1/255 whatever it gets. The format is stated because it
            # cannot be told from a picture that is one or three pixels high.
            inputs = self._processor(pictures, return_tensors="pt", input_data_format="channels_last")
            with self._torch.inference_mode():
                pixels = inputs["pixel_values"].to(self._device)
                parts.append(_pooled(self._model.get_image_features(pixel_values=pixels)))
        return np.concatenate(parts) if parts else np.empty((0, self.width), np.float32)

    def texts(self, texts: Sequence[str]) -> Floats:
        """Embeddings (n, d) of texts; long ones are cut at the model's limit and keep their end token."""
        if not texts:
            return np.empty((0, self.width), np.float32)
        inputs = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._limit, return_tensors="pt"
        )
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        end = self._tokenizer.eos_token_id
        if end is None or not bool((ids == end).any(dim=1).all()):
            message = "the tokenizer puts no end token after a text, which CLIP reads it by"
            raise AnnotatorError(message, where=self._where, hint="save the tokenizer that the model was trained with")
        with self._torch.inference_mode():
            out = self._model.get_text_features(input_ids=ids.to(self._device), attention_mask=mask.to(self._device))
        return _pooled(out)

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return int(self._model.config.projection_dim)


def _pooled(out: Any) -> Floats:
    """A tensor (transformers 4) or an object that holds it (5), as float32."""
    tensor = out if hasattr(out, "detach") else out.pooler_output
    array: Floats = tensor.detach().to("cpu").float().numpy()
    return array


def download(model: str, revision: str | None, *, local_files_only: bool, where: str) -> Path:
    """The folder of a hub id, from the cache or the network; weights of known models are checked.

    Raises:
        AnnotatorError: not cached and no network, or weights that are not the known ones.
    """
    known = next((public for public in STANDARD.values() if public.hub_id == model), None)
    revision = revision or (known.revision if known else None)
    folder = snapshot(model, revision, files=_FILES, local_files_only=local_files_only, where=where)
    if known and revision == known.revision:
        _verify(folder / "model.safetensors", known.sha256, where=where)
    return folder


def _verify(path: Path, sha256: str, *, where: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        message = f"{path.name} has sha256 {found}, expected {sha256}"
        raise AnnotatorError(message, where=where, hint="delete the cached copy and download it again")
