# SPDX-License-Identifier: Apache-2.0
"""Where a network lies: a folder, one file in it, or a snapshot of the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.checkpoints import digest_folder, digest_of, quiet, resolve_model
from audit.errors import ConfigError, GeneratorError
from audit.generators._pickles import SUFFIXES, is_pickle, is_torchscript, refuse
from audit.generators.networks._declared import FILE_NAME

__all__ = ["artefact", "digest", "download", "place"]


def place(model: str | None, *, where: str) -> tuple[Path | None, Path | None]:
    """Folder and file that ``model`` names; no file where it names a folder, neither where it is a hub id.

    Raises:
        ConfigError: none of these.
    """
    path = Path(str(model or "")).expanduser()
    if model and path.is_file():
        return path.parent, path
    return resolve_model(model, where=where, error=GeneratorError), None


def download(model: str, options: Mapping[str, Any], suffixes: Sequence[str], *, where: str) -> Path:
    """The snapshot of a hub id, from the cache or the network: texts, and weights with ``suffixes``, nothing else.

    Raises:
        GeneratorError: not in the cache, and no network.
    """
    from huggingface_hub import snapshot_download

    texts = ["*.json", "*.md", "*.txt", "*.model"]
    with quiet():
        try:
            folder = snapshot_download(
                model,
                revision=options.get("revision"),
                local_files_only=bool(options.get("local_files_only")),
                allow_patterns=[*texts, *(f"*{suffix}*" for suffix in suffixes)],
            )
        except Exception as error:  # huggingface_hub and its transport each have their own errors
            message = f"{model} is not in the cache and cannot be downloaded: {type(error).__name__}"
            hint = f"where there is network: hf download {model}; or set `model` to a folder or a file"
            raise GeneratorError(message, where=where, hint=hint) from error
    return Path(folder)


def artefact(folder: Path, wish: str | None, suffixes: Sequence[str], *, trusted: bool, where: str) -> Path:
    """The file with the network: the one that is wished for, else the only one with one of ``suffixes``.

    Raises:
        ConfigError: no such file, or several.
        GeneratorError: there is none; where there are pickles instead, why they are not read.
    """
    if wish is not None:
        path = folder / wish
        if not path.is_file():
            raise ConfigError(f"there is no file {path}", where=where, hint="check the path and the option `file`")
        return _checked(path, trusted, where)
    allowed = (*suffixes, *(SUFFIXES if trusted else ()))
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix.lower() in allowed]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(f"{folder} holds {names}", where=where, hint="say which one with the option `file`")
    if not found:
        pickles = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]
        if pickles:
            raise refuse(pickles[0], where=where)
        named = " or ".join(suffixes)
        raise GeneratorError(f"{folder} holds no {named} file", where=where, hint="set `model` to the folder or file")
    return _checked(found[0], trusted, where)


def _checked(path: Path, trusted: bool, where: str) -> Path:
    """``path``, unless it is a pickle that nobody trusts, or code that no longer is a format of its own."""
    pickled = path.suffix.lower() in SUFFIXES or (path.suffix.lower() != ".pt2" and is_pickle(path))
    if is_torchscript(path) or (pickled and not trusted):
        raise refuse(path, where=where)
    return path


def digest(folder: Path, file: Path | None, more: Sequence[Path] = ()) -> str:
    """sha256 (hex) over the folder; where the model is one file, over that, its external data and its declaration.

    Args:
        folder: that holds everything.
        file: the file that was named, None where it was the folder.
        more: folders that belong to it (a tokenizer).
    """
    if file is None:
        return digest_folder(folder)
    beside = [file, file.with_name(file.name + ".data"), file.with_name(file.stem + ".data"), folder / FILE_NAME]
    sums = {path.name: _sum(path) for path in beside if path.is_file()}
    return digest_of(sums | {f"{path.name}/": digest_folder(path) for path in more if path.is_dir()})


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
