# SPDX-License-Identifier: Apache-2.0
"""Weights that are pickles: recognised by their first bytes, refused, or read on somebody's word.

A pickle is a program: reading one runs whatever its author put in. Safetensors hold numbers and nothing else.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit.errors import ConfigError, GeneratorError

__all__ = ["SUFFIXES", "TRUST", "is_pickle", "is_safetensors", "is_torchscript", "read_pickle", "refuse", "tensors_of"]

SUFFIXES = (".pt", ".pth", ".pkl", ".bin", ".ckpt")
TRUST = "i_trust_this_pickle_and_its_author"


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: 8 bytes with the length of a JSON header, and the header."""
    with path.open("rb") as stream:
        head = stream.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8


def is_pickle(path: Path) -> bool:
    """Whether a file begins as pickles of protocol 2 and later do, or is a zip that holds one (``torch.save``)."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if head != b"PK\x03\x04":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def is_torchscript(path: Path) -> bool:
    """Whether a zip holds the code of a TorchScript model."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def refuse(path: Path, *, where: str) -> GeneratorError:
    """The error that says why a pickle is not read and what to do instead."""
    if is_torchscript(path):
        hint = "in the code that made it: torch.export.save(torch.export.export(model, inputs), 'model.pt2')"
        return GeneratorError(f"{path} is a TorchScript archive, which is not read", where=where, hint=hint)
    named = "" if path.suffix.lower() in SUFFIXES else f", in spite of its name ({path.suffix or 'no suffix'})"
    message = f"{path} is a pickle{named}; reading one runs whatever code its author put into it"
    to = path.with_suffix(".safetensors") if path.suffix != ".safetensors" else path.with_stem(path.stem + "-converted")
    hint = f"python -m audit.generators.convert {path} {to}; a file that needs its author's code does not convert so"
    return GeneratorError(message, where=where, hint=hint)


def read_pickle(path: Path, *, trusted: bool, where: str) -> Any:
    """What a file of ``torch.save`` holds, as data (``weights_only``); all of it only where it is ``trusted``.

    Raises:
        GeneratorError: it needs code to be read and is not trusted, or cannot be read at all.
    """
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        if not trusted:
            why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            message = f"{path} holds more than weights, or is damaged: {why}"
            hint = "save the state dict where the code is: torch.save(model.state_dict(), path) (StyleGAN pickles too)"
            raise GeneratorError(message, where=where, hint=hint) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        message = f"{path} cannot be read: {type(error).__name__}: {str(error).strip()[:200]}"
        raise GeneratorError(message, where=where, hint="the code of its author must be importable") from error


def tensors_of(loaded: Any, *, key: str | None, path: Path, where: str) -> dict[str, Any]:
    """The state dict in what a checkpoint holds: itself, what stands under ``key``, or the only one it contains.

    Raises:
        ConfigError: there is none, or which is not clear.
    """
    found = {name: state for name, state in _states(loaded) if key is None or name == key}
    if "" in found:
        return found[""]
    if len(found) == 1:
        return next(iter(found.values()))
    have = ", ".join(name for name, _ in _states(loaded) if name) or "none"
    asked = f"no state dict under {key!r}" if key else "not one state dict"
    raise ConfigError(f"{path} holds {asked}; it has: {have}", where=where, hint="name one of them with `key`")


def _states(loaded: Any) -> list[tuple[str, dict[str, Any]]]:
    """State dicts by name, the whole as ``""``."""
    whole = _state(loaded)
    if whole is not None:
        return [("", whole)]
    parts = loaded.items() if isinstance(loaded, Mapping) else ()
    return [(str(name), state) for name, part in parts if (state := _state(part)) is not None]


def _state(part: Any) -> dict[str, Any] | None:
    import torch

    if isinstance(part, torch.nn.Module):
        part = part.state_dict()
    if not isinstance(part, Mapping) or not part or not all(isinstance(v, torch.Tensor) for v in part.values()):
        return None
    return {str(name): value for name, value in part.items()}
