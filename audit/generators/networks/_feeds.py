# SPDX-License-Identifier: Apache-2.0
"""The arrays that a network is fed for a batch of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audit.errors import ConfigError, GeneratorError
from audit.generators.networks._classes import ClassMap
from audit.generators.networks._declared import Noise, Text, Truncation
from audit.generators.networks._latents import latents
from audit.generators.networks._plan import Plan
from audit.types import Request

__all__ = ["Feeder", "load_tokenizer", "truncation_of"]


@dataclass(frozen=True, slots=True)
class Feeder:
    """Fills the inputs of a plan.

    Attributes:
        plan: which inputs there are.
        classes: prompts to classes; None where the network takes no class.
        tokenizer: of transformers; None where it takes no text.
        truncation: of the options, for every noise that declares none.
        params: of the configuration; those of a request win.
        where: place for messages.
    """

    plan: Plan
    classes: ClassMap | None
    tokenizer: Any
    truncation: Truncation | None
    params: Mapping[str, Any]
    where: str

    def check(self, request: Request) -> None:
        """Raises ValueError for a request that the network has no class for."""
        if self.classes is not None:
            self.classes.of(request)

    def fill(self, filled: Sequence[Request]) -> dict[str, Any]:
        """Arrays by input name, a row a request; constants are the same for all. Raises ConfigError, GeneratorError."""
        feeds: dict[str, Any] = {}
        for index, (name, (noise, shape)) in enumerate(self.plan.noises.items()):
            psi = [self._psi(noise, request) for request in filled]
            seeds = [request.seed for request in filled]
            feeds[name] = latents(noise, shape, seeds=seeds, index=index, psi=psi).astype(self._dtype(name, "float32"))
        if self.plan.label is not None and self.classes is not None:
            name = str(self.plan.label.name)
            numbers = np.array([self.classes.of(request) for request in filled], dtype=np.int64)
            one_hot = self.plan.label.encoding == "one_hot"
            rows = np.eye(int(self.plan.label.classes or 0))[numbers] if one_hot else numbers
            feeds[name] = rows.astype(self._dtype(name, "float32" if one_hot else "int64"))
        if self.plan.text is not None:
            feeds |= self._tokens(self.plan.text, [request.prompt.text for request in filled])
        return feeds | self._constants(filled)

    def _psi(self, noise: Noise, request: Request) -> Truncation | None:
        own = noise.truncation or self.truncation
        wish = {**self.params, **request.params}.get("truncation")
        return own if wish is None else truncation_of(wish, own, noise=noise, where=f"{self.where}: params")

    def _constants(self, filled: Sequence[Request]) -> dict[str, Any]:
        wishes = {**self.params, **filled[0].params}
        out: dict[str, Any] = {}
        for name, default in self.plan.constants.items():
            value, slot = wishes.get(name, default), self.plan.slots[name]
            if slot.dtype is None:
                out[name] = value  # a Python function takes a Python number
                continue
            shape = tuple(len(filled) if size is None else size for size in slot.shape or ())
            out[name] = np.broadcast_to(np.asarray(value, dtype=slot.dtype), shape).copy()
        return out

    def _tokens(self, text: Text, prompts: Sequence[str]) -> dict[str, Any]:
        length = text.length or int(self.tokenizer.model_max_length)
        if length > 8192:  # what transformers writes for "no limit"
            raise GeneratorError(
                "how many tokens the network takes is not known", where=self.where, hint="say inputs.text.length"
            )
        coded = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="np"
        )
        out = {str(text.name): coded["input_ids"].astype(self._dtype(str(text.name), "int64"))}
        if text.mask:
            out[text.mask] = coded["attention_mask"].astype(self._dtype(text.mask, "int64"))
        return out

    def _dtype(self, name: str, default: str) -> str:
        return self.plan.slots[name].dtype or default


def truncation_of(wish: Any, own: Truncation | None, *, noise: Noise, where: str) -> Truncation:
    """The truncation that a parameter asks for: its kind is the declared one, else threshold (scale for uniform noise).

    Raises:
        ConfigError: not a number, or out of range.
    """
    kind = own.kind if own else ("scale" if noise.distribution == "uniform" else "threshold")
    number = isinstance(wish, int | float) and not isinstance(wish, bool)
    try:
        if not number:
            raise ValueError("not a number")
        return Truncation(kind=kind, value=float(wish), mean=own.mean if own else 0.0)
    except ValueError:
        hint = "threshold: 0.01 to 10, scale: above 0, at most 1"
        raise ConfigError(f"truncation {wish!r} makes no sense ({kind})", where=where, hint=hint) from None


def load_tokenizer(text: Text, folder: Path, *, where: str) -> Any:
    """The tokenizer in a folder, beside the weights or elsewhere on this machine. Raises GeneratorError."""
    from transformers import AutoTokenizer

    path = folder / Path(text.tokenizer).expanduser()
    if not path.is_dir():
        raise GeneratorError(
            f"{path} is not a folder", where=where, hint="inputs.text.tokenizer: a folder beside the weights"
        )
    try:
        loader: Any = AutoTokenizer
        tokenizer = loader.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises what its parsers raise
        message = f"{path} holds no tokenizer: {str(error).strip()[:200]}"
        raise GeneratorError(message, where=where, hint="write one with tokenizer.save_pretrained") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
