# SPDX-License-Identifier: Apache-2.0
"""Where a model lies, which weights it holds, and which options it was given: shared by generators and annotators."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audit.errors import AuditError, ConfigError

__all__ = ["check_options", "digest_folder", "digest_of", "licence_of", "quiet", "reference_folder", "resolve_model"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Cards and sheets say what a model is; they do not change what it answers.
_NOT_WEIGHTS = frozenset({".md", ".png", ".jpg", ".svg", ".txt~", ".lock"})
_SEEN: dict[tuple[Any, ...], str] = {}


def check_options(options: Mapping[str, Any], known: Mapping[str, type | tuple[type, ...]], *, where: str) -> None:
    """Refuse unknown options and wrong types.

    Args:
        options: what the user wrote.
        known: option -> type or types it may have (``bool`` is no ``int`` here).
        where: place for the message, e.g. ``"generator 'sd': options"``.

    Raises:
        ConfigError: naming the option and the nearest known one.
    """
    for key, value in options.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
            raise ConfigError(f"unknown option {key!r}", where=where, hint=hint)
        allowed = known[key]
        kinds = allowed if isinstance(allowed, tuple) else (allowed,)
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if not fits and value is not None:
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"option {key!r} must be {names}, got {value!r:.60}", where=where)


def reference_folder(name: str) -> Path:
    """The folder of a bundled model, whether or not it is there."""
    return Path(__file__).parent / "reference" / "weights" / name


def resolve_model(model: str | None, *, where: str, error: type[AuditError]) -> Path | None:
    """The folder that ``model`` names, or None where it is a hub id (``owner/name``).

    Args:
        model: a folder, ``reference:<name>`` or a hub id.
        where: place for the message.
        error: what to raise when a bundled model is not there.

    Raises:
        ConfigError: neither a folder nor anything that could be a hub id.
    """
    if not model:
        raise ConfigError("no model given", where=where, hint="set `model` to a folder, reference:<name> or a hub id")
    if model.startswith("reference:"):
        name = model.partition(":")[2]
        folder = reference_folder(name)
        if not re.fullmatch(r"[a-z_]+", name) or not folder.is_dir():
            there = sorted(path.name for path in folder.parent.glob("*/")) if folder.parent.is_dir() else []
            message = f"there is no bundled model {name!r}; bundled: {', '.join(there) or 'none'}"
            raise error(message, where=where, hint="reinstall genaudit, or train it: python -m audit.reference.train")
        return folder
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if _HUB_ID.fullmatch(model):
        return None
    raise ConfigError(f"{model!r} is not a folder", where=where, hint="check the path; a hub id reads owner/name")


def digest_folder(folder: Path, *, every: bool = False) -> str:
    """sha256 (hex) over the sorted names and contents of the files that decide what a model answers.

    Hidden files, cards (``.md``) and pictures are left out, unless ``every`` file is to count. The answer is kept in
    memory until a size or time changes.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [path for path in files if every or _counts(path.relative_to(folder))]
    stats = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    key = (str(folder.resolve()), tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))
    if key not in _SEEN:
        whole = hashlib.sha256()
        for path, (name, _) in zip(files, stats, strict=True):
            with path.open("rb") as stream:
                whole.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
        _SEEN[key] = whole.hexdigest()
    return _SEEN[key]


def _counts(path: Path) -> bool:
    return path.suffix.lower() not in _NOT_WEIGHTS and not any(part.startswith(".") for part in path.parts)


def digest_of(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of JSON content, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def licence_of(folder: Path) -> str | None:
    """The licence that the card of a model states in its front matter, None where it states none.

    Bundled models come under the licence of this project.
    """
    if folder.resolve().is_relative_to(reference_folder("").resolve()):
        return "Apache-2.0"
    card = folder / "README.md"
    if not card.is_file():
        return None
    text = card.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^licen[sc]e:\s*(\S+)", front.group(1), re.MULTILINE | re.IGNORECASE) if front else None
    return found.group(1).strip("\"'") if found else None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and advice of diffusers and transformers out of our output while a model loads."""
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    modules: tuple[Any, ...] = (diffusers_logging, transformers_logging)
    before = [(module, module.get_verbosity(), _bars(module)) for module in modules]
    for module in modules:
        module.set_verbosity(logging.ERROR)
        module.disable_progress_bar()
    try:
        yield
    finally:
        for module, level, bars in before:
            module.set_verbosity(level)
            if bars:
                module.enable_progress_bar()


def _bars(module: Any) -> bool:
    shown = getattr(module, "is_progress_bar_enabled", None)  # not in every version
    return shown is None or bool(shown())
