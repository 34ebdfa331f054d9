# SPDX-License-Identifier: Apache-2.0
"""How a generator is named on a command line: a model, its kind where nothing tells it, and ``name=value`` words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from audit.checkpoints import resolve_model
from audit.errors import ConfigError, GeneratorError
from audit.registry import GENERATORS

__all__ = ["guess_kind", "name_of", "parse_pairs"]

_MODEL_TYPES = {"conditional-gan": "gan", "vae": "vae", "recurrent": "recurrent"}
_SUFFIXES = {".onnx": "onnx", ".pt2": "program"}


def name_of(model: str) -> str:
    """A short name for a model.

    >>> name_of("reference:diffusion"), name_of("owner/my model")
    ('diffusion', 'my-model')
    """
    last = Path(model.partition(":")[2] or model).name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._")[:64] or "model"


def guess_kind(model: str) -> str:
    """The kind of generator that reads ``model``.

    Raises:
        ConfigError: nothing there says so.
        GeneratorError: a bundled model is missing.

    >>> guess_kind("reference:gan")
    'gan'
    """
    if model == "reference:renderer":
        return "renderer"
    if Path(model).expanduser().is_file():
        return _told_by_files([Path(model)], model)
    folder = resolve_model(model, where="serve", error=GeneratorError)
    if folder is None or (folder / "model_index.json").is_file():
        return "diffusers"  # a hub id is taken for a pipeline
    kind = _MODEL_TYPES.get(_model_type(folder / "config.json") or "")
    return kind or _told_by_files(sorted(folder.iterdir()), model)


def _told_by_files(files: list[Path], model: str) -> str:
    found = {kind for path in files for suffix, kind in _SUFFIXES.items() if path.suffix.lower() == suffix}
    if len(found) != 1:
        hint = f"name it with --kind: {', '.join(GENERATORS)}"
        raise ConfigError("cannot tell what kind of generator reads this", where=model, hint=hint)
    return found.pop()


def _model_type(path: Path) -> str | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = found.get("model_type") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else None


def parse_pairs(words: list[str], *, where: str) -> dict[str, Any]:
    """``name=value`` words as a mapping; a value that is JSON is read as such, anything else is text.

    Raises:
        ConfigError: a word without ``=``, or a name given twice.

    >>> parse_pairs(["steps=20", "device=cuda", 'refuse=["knife"]'], where="--param")
    {'steps': 20, 'device': 'cuda', 'refuse': ['knife']}
    """
    pairs: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{word!r} is no name=value", where=where, hint=f"{where} steps=20")
        if name.strip() in pairs:
            raise ConfigError(f"{name.strip()!r} is given twice", where=where)
        try:
            pairs[name.strip()] = json.loads(text)
        except ValueError:
            pairs[name.strip()] = text
    return pairs
