# SPDX-License-Identifier: Apache-2.0
"""Models that embed pictures and texts in one space (CLIP, SigLIP, AltCLIP, ...), on transformers 4.57 and 5."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._hub import snapshot
from audit.annotators._pretrained import Pretrained, pooled
from audit.annotators.standard import STANDARD
from audit.errors import AnnotatorError

__all__ = ["DualEncoder", "cosine", "download", "width_of"]

Floats = NDArray[np.float32]
_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "model*.safetensors", "README.md"]
#: Kinds that read a text by its end token; the others read its first token, or pad every text to one length.
_ENDED = frozenset({"clip", "clipseg", "metaclip_2", "xclip"})
_TEXTS = 64  # embedded at once
_MOST_TEXTS = 20_000  # kept: a run asks for every prompt many times


class DualEncoder:
    """Images and texts to embeddings, before normalisation.

    Args:
        model: of a class with ``get_image_features`` and ``get_text_features``.
        processor: where tokenizer and image processor lie, if not beside the weights.

    Raises:
        AnnotatorError: the model cannot be loaded, or has no such features.
    """

    def __init__(self, model: Pretrained, *, processor: Pretrained | None = None) -> None:
        self._model, self._parts = model, processor or model
        self._kind = str(model.config.get("model_type", ""))
        self._network = model.network("AutoModel")
        if not (hasattr(self._network, "get_image_features") and hasattr(self._network, "get_text_features")):
            message = f"{model.model} is a {type(self._network).__name__}, which has no image and text features"
            raise AnnotatorError(message, where=model.where, hint="name a CLIP or SigLIP model")
        self._processor = self._parts.part("AutoImageProcessor")
        self._tokenizer = self._parts.part("AutoTokenizer")
        self._known: dict[str, Floats] = {}

    def images(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        """Embeddings (n, d) of RGB pictures of any sizes, uint8 (height, width, 3).

        Raises:
            AnnotatorError: a picture is not of levels 0 to 255.
        """
        import torch

        parts = []
        for start in range(0, len(images), self._model.batch):
            pictures = list(images[start : start + self._model.batch])
            self._check(pictures)
            # The format is stated because it cannot be told from a picture that is one or three pixels high.
            inputs = self._processor(images=pictures, return_tensors="pt", input_data_format="channels_last")
            with torch.inference_mode():
                parts.append(pooled(self._network.get_image_features(**self._model.moved(inputs))))
        return np.concatenate(parts) if parts else np.empty((0, self.width), np.float32)

    def texts(self, texts: Sequence[str]) -> Floats:
        """Embeddings (n, d) of texts; long ones are cut at the model's limit and keep their end token."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(fresh) > _MOST_TEXTS:
            self._known.clear()
            fresh = list(dict.fromkeys(texts))
        for part, ids in self._tokens(fresh):
            self._known.update(zip(part, self._texts(ids), strict=True))
        return np.stack([self._known[text] for text in texts]) if texts else np.empty((0, self.width), np.float32)

    def refuse_longer(self, texts: Sequence[str]) -> None:
        """Refuse texts that would be cut. Raises AnnotatorError."""
        longest = max(len(ids) for ids in self._tokenizer(list(texts))["input_ids"])
        if longest > self._limit:
            message = f"a prompt has {longest} tokens, the model reads {self._limit}"
            raise AnnotatorError(
                message, where=self._model.where, hint="shorten it: what stands after that would be cut off"
            )

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return width_of(self._model)

    @property
    def scale(self) -> float | None:
        """What cosines were multiplied by in training; None where that was not learned."""
        learned = getattr(self._network, "logit_scale", None)
        return None if learned is None else float(np.exp(learned.detach().cpu().item()))

    def _check(self, pictures: Sequence[NDArray[np.uint8]]) -> None:
        # Processors rescale by 1/255 whatever they get: of fractions nothing but near-black would be left, unnoticed.
        for picture in pictures:
            if picture.dtype != np.uint8:
                message = f"a picture of {picture.dtype}, needs levels 0 to 255 as uint8"
                raise AnnotatorError(message, where=self._model.where, hint="multiply fractions by 255 and round")

    def _tokens(self, texts: Sequence[str]) -> Iterator[tuple[list[str], Any]]:
        """Texts and their tokens, those of one length together: nothing is padded, so no text depends on another.

        SigLIP was trained on texts all padded to the full length, and without a mask.
        """
        import torch

        padding = "max_length" if self._kind.startswith("siglip") else False
        options = {"padding": padding, "truncation": True, "max_length": self._limit}
        rows = self._tokenizer(list(texts), **options)["input_ids"] if texts else []
        by_length: dict[int, list[int]] = {}
        for place, ids in enumerate(rows):
            by_length.setdefault(len(ids), []).append(place)
        for places in by_length.values():
            for start in range(0, len(places), _TEXTS):
                part = places[start : start + _TEXTS]
                yield [texts[i] for i in part], torch.tensor([rows[i] for i in part])

    def _texts(self, ids: Any) -> Floats:
        import torch

        if self._kind in _ENDED:
            self._check_end(ids)
        with torch.inference_mode():
            return pooled(self._network.get_text_features(**self._model.moved({"input_ids": ids})))

    def _check_end(self, ids: Any) -> None:
        end = self._tokenizer.eos_token_id
        if end is None or not bool((ids == end).any(dim=1).all()):
            message = "the tokenizer puts no end token after a text, which CLIP reads it by"
            hint = "save the tokenizer that the model was trained with"
            raise AnnotatorError(message, where=self._model.where, hint=hint)

    @functools.cached_property
    def _limit(self) -> int:
        """Tokens that the text tower reads; RoBERTa numbers its positions from behind the padding token."""
        text = getattr(self._network.config, "text_config", self._network.config)
        places = int(text.max_position_embeddings)
        if self._kind == "altclip":
            places -= int(text.pad_token_id) + 1
        return min(places, int(self._tokenizer.model_max_length))


def cosine(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Row-wise cosine of (n, d) and (n, d), in float64; NaN where an embedding is zero."""
    one, other = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norms > 0, (one * other).sum(axis=1) / norms, np.nan)


def width_of(model: Pretrained) -> int:
    """Length of an embedding, read off the configuration. Raises AnnotatorError."""
    written = model.config.get("projection_dim")
    if isinstance(written, int):
        return written
    config = model.part("AutoConfig")
    found = getattr(config, "projection_dim", None) or getattr(
        getattr(config, "vision_config", None), "hidden_size", None
    )
    if not isinstance(found, int):
        message = f"{model.model} is a {type(config).__name__}, which has no image and text features"
        raise AnnotatorError(message, where=model.where, hint="name a CLIP or SigLIP model")
    return found


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
