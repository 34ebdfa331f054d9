# SPDX-License-Identifier: Apache-2.0
"""The picture that a generated one is held against: out of a folder, or drawn by a generator of another run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import check_options, digest_of
from audit.errors import AnnotatorError, ConfigError
from audit.types import ImageRecord

__all__ = ["TargetFolder", "TargetRun", "Targets", "read_target", "targets"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_HINT = "against: targets/ (a folder), or against: {run: runs/before, generator: sd15}"

Key = tuple[str, str, int]


class Targets(Protocol):
    """Where targets come from."""

    def find(self, image: ImageRecord) -> Path | None:
        """The file that ``image`` is held against, None where there is none."""
        ...

    def digest(self) -> str:
        """sha256 over all files there are."""
        ...


@dataclass(frozen=True, slots=True)
class TargetFolder:
    """Files named after prompts: ``<prompt id>_<repetition>.png``, or ``<prompt id>.png`` for all repetitions.

    A ``/`` in the id is written ``__``; ``.jpg``, ``.jpeg`` and ``.webp`` are read as well. Where the folder has a
    subfolder with the name of the probe set, its files are the targets of that set: ids are unique within a set only.

    Attributes:
        files: path by name below the folder.
    """

    files: Mapping[str, Path]

    @classmethod
    def read(cls, folder: Path) -> TargetFolder:
        """The pictures that are in ``folder`` now."""
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        return cls({path.relative_to(folder).as_posix(): path for path in paths})

    def find(self, image: ImageRecord) -> Path | None:
        """The file for this prompt and repetition, or for this prompt."""
        own = f"{image.probe}/"
        start = own if any(name.startswith(own) for name in self.files) else ""
        stem = start + image.prompt_id.replace("/", "__")
        names = (f"{name}{suffix}" for name in (f"{stem}_{image.repetition}", stem) for suffix in _SUFFIXES)
        return next((self.files[name] for name in names if name in self.files), None)

    def digest(self) -> str:
        """sha256 over names and contents."""
        return digest_of({name: _sha256(path) for name, path in self.files.items()})


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class TargetRun:
    """What one generator of another run drew for the same prompt and repetition.

    Attributes:
        folder: of the run.
        generator: its name there.
        files: name below ``folder`` by probe set, prompt and repetition.
    """

    folder: Path
    generator: str
    files: Mapping[Key, str]

    @classmethod
    def read(cls, folder: Path, generator: str | None, *, where: str) -> TargetRun:
        """The images of a finished run. Raises ConfigError where there is no such run or generator."""
        if not (folder / "manifest.json").is_file():
            raise ConfigError(f"{str(folder)!r} is no finished run", where=where, hint=_HINT)
        asked = {row["request_id"]: row for row in _rows(folder / "requests.parquet")}
        there = sorted({str(row["generator"]) for row in asked.values()})
        if generator not in there:
            hint = f"generators of that run: {', '.join(there)}"
            raise ConfigError(f"the run has no generator {generator!r}", where=where, hint=hint)
        files = {}
        for part in sorted((folder / "generations").glob("part-*.parquet")):
            for row in _rows(part):
                request = asked[row["request_id"]]
                if request["generator"] == generator and row["sha256"]:
                    ending = _EXTENSIONS.get(row["media_type"], "bin")
                    key = request["probe"], request["prompt_id"], int(request["repetition"])
                    files[key] = f"images/{row['sha256'][:2]}/{row['sha256']}.{ending}"
        return cls(folder, str(generator), files)

    def find(self, image: ImageRecord) -> Path | None:
        """The image that was drawn for the same probe set, prompt and repetition."""
        name = self.files.get((image.probe, image.prompt_id, image.repetition))
        return self.folder / name if name is not None else None

    def digest(self) -> str:
        """sha256 over the digests of the images, which are their names."""
        return digest_of({"|".join(map(str, key)): name for key, name in self.files.items()})


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()


def targets(raw: Any, *, where: str) -> Targets:
    """What the option ``against`` names: a folder, or ``{run: ..., generator: ...}``.

    Raises:
        ConfigError: neither, or it is not there.
    """
    if isinstance(raw, dict):
        check_options(raw, {"run": str, "generator": str}, where=where)
        if not raw.get("run"):
            raise ConfigError("names no run", where=where, hint=_HINT)
        return TargetRun.read(Path(raw["run"]).expanduser(), raw.get("generator"), where=where)
    folder = Path(str(raw)).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{raw!r} is not a folder", where=where, hint=_HINT)
    return TargetFolder.read(folder)


def read_target(path: Path) -> NDArray[np.uint8]:
    """Decoded pixels, uint8 (height, width, 3). Raises AnnotatorError."""
    from audit.images import decode  # Pillow is imported on first use

    try:
        return decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AnnotatorError(f"target cannot be read: {error}", where=str(path), hint="replace the file") from None
