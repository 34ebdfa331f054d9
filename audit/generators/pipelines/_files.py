# SPDX-License-Identifier: Apache-2.0
"""Small files put on top of a checkpoint: LoRA adapters and learned words (textual inversion)."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.checkpoints import check_options, resolve_model
from audit.errors import ConfigError, GeneratorError

__all__ = ["Extra", "add_lora", "add_words", "find_extras"]

_KEYS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "lora": {"model": str, "weight": (int, float), "revision": str, "file": str},
    "textual_inversion": {"model": str, "token": str, "revision": str, "file": str},
}
# What diffusers calls them when it writes them.
_USUAL = {"lora": "pytorch_lora_weights.safetensors", "textual_inversion": "learned_embeds.safetensors"}


@dataclass(frozen=True, slots=True)
class Extra:
    """One file that was found.

    Attributes:
        model: as written in the configuration.
        path: of the safetensors file.
        digest: sha256 (hex) of the file.
        commit: of the hub's repository, None for a local file.
        weight: how strongly a LoRA is applied.
        token: the word that stands for a learned embedding, None where the file names it.
    """

    model: str
    path: Path
    digest: str
    commit: str | None = None
    weight: float = 1.0
    token: str | None = None

    @property
    def identity(self) -> str:
        """One line for the specification."""
        at = f"@{self.commit}" if self.commit else ""
        how = f" as {self.token}" if self.token else f" x {self.weight:g}"
        return f"{self.model}{at}/{self.path.name}{how} sha256:{self.digest[:12]}"


def find_extras(kind: str, wishes: Sequence[Any] | None, *, offline: bool, where: str) -> tuple[Extra, ...]:
    """The files that the option ``lora`` or ``textual_inversion`` names, downloaded where they are hub ids.

    Raises:
        ConfigError: an entry that is none, a file that is not there or not in the safetensors format, no ``peft``.
        GeneratorError: a hub id that is neither in the cache nor to be downloaded.
    """
    if kind == "lora" and wishes and importlib.util.find_spec("peft") is None:
        hint = 'pip install "genaudit[lora]"'
        raise ConfigError("the option `lora` needs the package peft, which is not installed", where=where, hint=hint)
    return tuple(
        _find(kind, wish, offline=offline, where=f"{where}: {kind}[{place}]") for place, wish in enumerate(wishes or ())
    )


def _find(kind: str, wish: Any, *, offline: bool, where: str) -> Extra:
    entry = {"model": wish} if isinstance(wish, str) else wish
    if not isinstance(entry, dict):
        raise ConfigError(f"{wish!r:.60} is no entry", where=where, hint="write a path or {model: path or hub id}")
    check_options(entry, _KEYS[kind], where=where)
    model, commit = str(entry.get("model") or ""), None
    if Path(model).expanduser().is_file():
        path = Path(model).expanduser()
    else:
        folder = resolve_model(model, where=where, error=GeneratorError)
        if folder is None:
            path = _fetch(kind, entry, offline=offline, where=where)
            commit = path.parents[len(Path(str(entry.get("file") or "x")).parts) - 1].name
        else:
            path = _inside(folder, kind, entry.get("file"), where=where)
    if path.suffix != ".safetensors":
        raise ConfigError(f"{path.name} is not in the safetensors format", where=where, hint="only that one is read")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    weight = 1.0 if entry.get("weight") is None else float(entry["weight"])
    return Extra(model, path, digest, commit, weight, entry.get("token"))


def _inside(folder: Path, kind: str, file: str | None, *, where: str) -> Path:
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors"))
    found = file or (_USUAL[kind] if _USUAL[kind] in there or len(there) != 1 else there[0])
    if found not in there:
        hint = f"set `file` to one of {', '.join(there)}" if there else "name a folder with a safetensors file"
        raise ConfigError(f"{folder} has no {found}", where=where, hint=hint)
    return folder / found


def _fetch(kind: str, entry: Mapping[str, Any], *, offline: bool, where: str) -> Path:
    from huggingface_hub import hf_hub_download

    model, file = entry["model"], entry.get("file") or _USUAL[kind]
    try:
        return Path(hf_hub_download(model, file, revision=entry.get("revision"), local_files_only=offline))
    except Exception as error:  # the hub's client and its transport each have their own errors
        message = f"{file} of {model} is not in the cache and cannot be downloaded: {type(error).__name__}"
        hint = f"set `file` to its name there; where there is network: hf download {model} {file}"
        raise GeneratorError(message, where=where, hint=hint) from error


def add_lora(pipeline: Any, extras: Sequence[Extra], *, where: str) -> None:
    """Load the adapters and set their weights.

    Raises:
        ConfigError: the pipeline takes no LoRA.
        GeneratorError: a file that does not fit the network.
    """
    if not extras:
        return
    if not hasattr(pipeline, "load_lora_weights"):
        raise ConfigError(f"{type(pipeline).__name__} takes no LoRA", where=where, hint="leave `lora` out")
    names = [f"lora{place}" for place in range(len(extras))]
    for name, extra in zip(names, extras, strict=True):
        _load(pipeline.load_lora_weights, extra, where=where, adapter_name=name, use_safetensors=True)
        # Keys that fit nothing are only warned about.
        if name not in {one for known in pipeline.get_list_adapters().values() for one in known}:
            raise _misfit(extra, "none of its weights belong to a part of the pipeline", where=where)
    pipeline.set_adapters(names, adapter_weights=[extra.weight for extra in extras])


def add_words(pipeline: Any, extras: Sequence[Extra], *, where: str) -> None:
    """Load learned words into the tokenizers and text encoders.

    A file with the keys ``clip_l`` and ``clip_g`` holds one embedding for each of two encoders.

    Raises:
        ConfigError: the pipeline takes none.
        GeneratorError: a file that does not fit the encoder.
    """
    for extra in extras:
        if not hasattr(pipeline, "load_textual_inversion"):
            hint = "leave `textual_inversion` out"
            raise ConfigError(f"{type(pipeline).__name__} takes no learned words", where=where, hint=hint)
        from safetensors.torch import load_file

        known: dict[str, Any] = {} if extra.token is None else {"token": extra.token}
        weights = load_file(extra.path)
        if {"clip_l", "clip_g"} > set(weights) or not weights:
            raise _misfit(extra, "it holds no embedding", where=where)
        if {"clip_l", "clip_g"} == set(weights):
            for key, number in (("clip_l", ""), ("clip_g", "_2")):
                parts = {part: getattr(pipeline, f"{part}{number}") for part in ("tokenizer", "text_encoder")}
                token = extra.token or extra.path.stem
                _load(pipeline.load_textual_inversion, extra, where=where, state={token: weights[key]}, **parts)
        else:
            _load(pipeline.load_textual_inversion, extra, where=where, **known)


def _load(loader: Any, extra: Extra, *, where: str, state: Any = None, **more: Any) -> None:
    file = {} if state is not None else {"weight_name": extra.path.name, "local_files_only": True}
    try:
        loader(str(extra.path.parent) if state is None else state, **file, **more)
    except Exception as error:  # missing keys, wrong shapes, broken files
        raise _misfit(extra, str(error).strip()[:300], where=where) from error


def _misfit(extra: Extra, why: str, *, where: str) -> GeneratorError:
    hint = "it must have been trained for this kind of checkpoint"
    return GeneratorError(f"{extra.model} does not fit the pipeline: {why}", where=where, hint=hint)
