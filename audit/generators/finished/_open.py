# SPDX-License-Identifier: Apache-2.0
"""Which layout finished images lie in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.checkpoints import check_options
from audit.errors import ConfigError
from audit.generators.finished import _files
from audit.generators.finished._parquet import ParquetLayout
from audit.generators.finished._rows import Layout, Names
from audit.generators.finished._tar import TarLayout

__all__ = ["LAYOUTS", "OPTIONS", "open_layout"]

OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "allow_outside": bool,
    "image_column": str,
    "layout": str,
    "max_bytes": int,
    "metadata": str,
    "text_column": str,
}
_METADATA = ("metadata.jsonl", "metadata.csv")
_TABLES = frozenset({".jsonl", ".csv", ".tsv", ".json"})
_STATE = "scenario_state.json"
_HINT = 'write metadata.jsonl, one line an image: {"file_name": "0001.png", "text": "a portrait of a nurse"}'


def open_layout(model: str | None, options: Mapping[str, Any], *, where: str) -> Layout:
    """The layout at ``model``, a folder or a file. Nothing but names is read.

    Args:
        model: as the user wrote it.
        options: of the generator.
        where: place for messages.

    Raises:
        ConfigError: nothing is there, nothing that is known, or several things; an unknown option.
    """
    check_options(options, OPTIONS, where=f"{where}: options")
    given = {name: value for name, value in options.items() if value is not None}
    path = Path(model or "").expanduser()
    if not model or not path.exists():
        hint = "set `model` to the folder of images, or to a .jsonl, .csv, .parquet or .tar file"
        raise ConfigError(f"{model!r} is not a folder or file", where=where, hint=hint)
    if given.get("max_bytes", 1) < 1:
        raise ConfigError("max_bytes must be at least 1", where=f"{where}: options")
    names = Names(given.get("text_column"), given.get("image_column"), given.get("max_bytes", Names().max_bytes))
    base = path if path.is_dir() else path.parent
    name = _asked(given, where) or (_of_folder(path, given, where) if path.is_dir() else _of_file(path, where))
    if path.is_file() and name in _FOLDERS:
        raise ConfigError(f"{path} is a file; the layout {name!r} is a folder", where=where, hint=_WANTED[name])
    files = _LAYOUTS[name](path, given) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"{path} holds nothing in the layout {name!r}", where=where, hint=_WANTED[name])
    allow = bool(given.get("allow_outside", False))
    if name == "parquet":
        return ParquetLayout(base, files, names)
    if name == "webdataset":
        return TarLayout(base, files, names)
    rows: Mapping[str, Callable[[], Any]] = {
        "metadata": lambda: _files.metadata(files, base, names),
        "list": lambda: _files.metadata(files, base, names),
        "geneval": lambda: _files.geneval(base),
        "t2i-compbench": lambda: _files.compbench(base),
        "heim": lambda: _files.heim(files[0]),
    }
    return _files.FileLayout(name, base, rows[name], names=names, allow_outside=allow)


def _asked(options: Mapping[str, Any], where: str) -> str | None:
    name = options.get("layout")
    if name is not None and name not in _LAYOUTS:
        raise ConfigError(f"no layout {name!r}", where=f"{where}: options", hint=f"one of: {', '.join(_LAYOUTS)}")
    return None if name is None else str(name)


def _of_file(path: Path, where: str) -> str:
    suffix, lower = path.suffix.lower(), path.name.lower()
    if path.name == _STATE:
        return "heim"
    if suffix in _TABLES:
        return "list"
    if suffix in (".parquet", ".tar"):
        return "parquet" if suffix == ".parquet" else "webdataset"
    if lower.endswith((".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")):
        raise ConfigError(f"{path} is compressed", where=where, hint="unpack the compression only: gunzip NAME.tar.gz")
    raise ConfigError(
        f"{path} is no kind of file that is known", where=where, hint="a folder, .jsonl, .csv, .parquet or .tar"
    )


def _of_folder(path: Path, options: Mapping[str, Any], where: str) -> str:
    """A metadata file at the top decides; a lone table only where nothing else is there."""
    if options.get("metadata") or any((path / name).is_file() for name in _METADATA):
        return "metadata"
    found = [name for name in ("heim", "geneval", "parquet", "webdataset", "t2i-compbench") if _LAYOUTS[name](path, {})]
    if "geneval" not in found and _LAYOUTS["metadata"](path, {}):
        found.append("metadata")
    found = found or (["list"] if _LAYOUTS["list"](path, {}) else [])
    if not found:
        message = f"{path} has no {' or '.join(_METADATA)} and is in no other layout that is known"
        raise ConfigError(message, where=where, hint=_HINT)
    if len(found) > 1:
        message = f"{path} could be in the layouts {' and '.join(found)}"
        raise ConfigError(message, where=where, hint=f"say which: options: {{layout: {found[0]}}}")
    return found[0]


def _metadata(path: Path, options: Mapping[str, Any]) -> Sequence[Path]:
    """One file at the top, else those of the folders below, as Hugging Face splits have them."""
    names = [options["metadata"]] if options.get("metadata") else _METADATA
    top = next((path / name for name in names if (path / name).is_file()), None)
    if top is not None or options.get("metadata"):
        return [] if top is None else [top]
    return sorted(found for name in names for found in path.glob(f"*/**/{name}") if found.is_file())


def _tables(path: Path, _: Mapping[str, Any]) -> Sequence[Path]:
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _TABLES and file.is_file())
    return found if len(found) == 1 else []


def _suffixed(suffix: str) -> Callable[[Path, Mapping[str, Any]], Sequence[Path]]:
    def files(path: Path, _: Mapping[str, Any]) -> Sequence[Path]:
        found = (file for file in path.rglob(f"*{suffix}") if file.is_file())
        return sorted(file for file in found if not any(p.startswith(".") for p in file.relative_to(path).parts))

    return files


def _geneval(path: Path, _: Mapping[str, Any]) -> Sequence[Path]:
    return [found for found in path.glob("*/metadata.jsonl") if (found.parent / "samples").is_dir()]


def _compbench(path: Path, _: Mapping[str, Any]) -> Sequence[Path]:
    """Auto-detected only in a folder called samples: ``photo_000001.png`` elsewhere is no prompt "photo"."""
    folder = path / "samples" if (path / "samples").is_dir() else path
    if folder.name != "samples":
        return []
    return [file for file in folder.iterdir() if _files.is_image(file.name)]


def _heim(path: Path, _: Mapping[str, Any]) -> Sequence[Path]:
    return [path / _STATE] if (path / _STATE).is_file() else []


_LAYOUTS: Mapping[str, Callable[[Path, Mapping[str, Any]], Sequence[Path]]] = {
    "metadata": _metadata,
    "list": _tables,
    "parquet": _suffixed(".parquet"),
    "webdataset": _suffixed(".tar"),
    "geneval": _geneval,
    "t2i-compbench": _compbench,
    "heim": _heim,
}
LAYOUTS = tuple(_LAYOUTS)
_FOLDERS = frozenset({"geneval", "t2i-compbench"})
_WANTED = {
    "metadata": _HINT,
    "list": "exactly one .jsonl, .csv, .tsv or .json file, or name the file as `model`",
    "parquet": "files called *.parquet",
    "webdataset": "files called *.tar, not compressed",
    "geneval": "folders 00000, 00001 ... each with metadata.jsonl and samples/",
    "t2i-compbench": "a folder samples/ of images called: a green bench_000000.png",
    "heim": f"HELM's {_STATE}",
}
