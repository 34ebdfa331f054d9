# SPDX-License-Identifier: Apache-2.0
"""From folders to a measured sample on disk: which images, with which instruments, and the files that come of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from audit import __version__
from audit.errors import ConfigError, StoreError
from audit.provenance._files import replace_file
from audit.provenance.survive._journal import Journal, disk_errors
from audit.provenance.survive.edits import EDITS_VERSION, edits_digest
from audit.provenance.survive.matrix import Cell, Survival
from audit.provenance.survive.measure import Plan, survive
from audit.stats.intervals import Interval

__all__ = ["SCHEMA", "Sample", "document", "draw", "find_images", "fingerprint", "home", "run", "write"]

SCHEMA: Final = 1
#: What people read beside the numbers.
NOTE: Final = (
    "The chains are like what platforms do and were measured on no platform. Broken is worse than gone: it reads as "
    "tampering, or says something false."
)
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_LIBRARIES: Final = ("Pillow", "numpy", "scipy", "c2pa-python")
_CODECS: Final = ("libjpeg_turbo", "webp", "avif", "freetype2", "zlib")
_IMAGES: Final = "images"
_FOLDER: Final = "survival"


@dataclass(frozen=True, slots=True)
class Sample:
    """Images drawn from those that were found.

    Attributes:
        images: path by name.
        found: how many there were.
        seed: of the draw.
    """

    images: Mapping[str, Path]
    found: int
    seed: int


def run(
    sample: Sample,
    plan: Plan,
    out: Path,
    *,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> tuple[Survival, dict[str, Any]]:
    """Measure a sample and write what was found to ``out``; images that are finished there are not measured again.

    Args:
        sample: of images.
        plan: what to do with each.
        out: folder for ``findings.jsonl`` (as it goes), ``matrix.parquet`` and ``survival.json`` (at the end).
        workers: processes.
        force: forget findings that were made in another way.
        progress: told what, how many are done, of how many.

    Returns:
        What was found, and the content of ``survival.json``.

    Raises:
        StoreError: no image has any layer, for instance as none can be read; ``out`` holds findings of another plan, or
            cannot be written.
        ConfigError: no images, or the chain or the C2PA library cannot be used.
    """
    journal = Journal(out / "findings.jsonl", fingerprint(plan))
    if force:
        journal.remove()
    survival = survive(sample.images, plan, workers=workers, journal=journal, progress=progress)
    if not survival.images:
        first = survival.findings[0]
        message = f"nothing to lose in any of {len(survival.findings)} images; the first ({first.image}): {first.note}"
        raise StoreError(message, hint="give images that can be read, with credentials or a mark, or add --restamp")
    content = document(survival, plan, sample)
    write(out, survival, content)
    return survival, content


# -- images ----------------------------------------------------------------------------------------------------


def find_images(paths: Iterable[Path]) -> dict[str, Path]:
    """Image files by name: files as given, of a run folder those in its ``images``, of other folders all.

    Raises:
        ConfigError: a path that does not exist, or no images.
    """
    found: dict[str, Path] = {}
    paths = list(paths)
    for path in paths:
        if not path.exists():
            raise ConfigError("does not exist", where=str(path), hint="check the path")
        if path.is_file():
            found[path.name if path.name not in found else str(path)] = path
            continue
        root = path / _IMAGES if _is_run(path) else path
        for file in sorted(p for p in root.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file()):
            name = file.relative_to(path).as_posix()
            found[name if name not in found else str(file)] = file
    if not found:
        where = ", ".join(map(str, paths))
        raise ConfigError("no images found", where=where, hint="give PNG, JPEG or WebP files, or folders of them")
    return found


def draw(images: Mapping[str, Path], *, n: int, seed: int) -> Sample:
    """``n`` of the images at random, or all where there are fewer.

    What is drawn depends on names and seed alone, and a larger sample holds the smaller one, so that its images need
    not be measured again.
    """

    def place(name: str) -> str:
        return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogateescape")).hexdigest()

    drawn = sorted(images, key=place)[:n]
    return Sample({name: images[name] for name in sorted(drawn)}, len(images), seed)


def home(paths: Sequence[Path]) -> Path:
    """Where results go unless told otherwise: into the one folder that was given, else into the working directory."""
    return paths[0] / _FOLDER if len(paths) == 1 and paths[0].is_dir() else Path(_FOLDER)


def _is_run(path: Path) -> bool:
    return (path / "plan.json").is_file() and (path / "requests.parquet").is_file()


# -- files -----------------------------------------------------------------------------------------------------


def fingerprint(plan: Plan) -> str:
    """sha256 (hex) over all that decides what is found on an image."""
    return _sha(
        [
            edits_digest(plan.edits),
            sorted(plan.layers),
            plan.watermark.spec.digest if plan.watermark else None,
            plan.anchors,
            plan.stamper is not None,
            plan.restamp,
            _libraries(),
            __version__,
        ]
    )


def document(survival: Survival, plan: Plan, sample: Sample) -> dict[str, Any]:
    """Content of ``survival.json``; everything in it is plain JSON."""
    measured = [finding for finding in survival.findings if finding.layers]
    return {
        "schema": SCHEMA,
        "tool": {"name": "genaudit", "version": __version__},
        "finished": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fingerprint": fingerprint(plan),
        "level": plan.level,
        "images": {
            "found": sample.found,
            "drawn": len(sample.images),
            "measured": len(measured),
            "fresh": sum(finding.fresh for finding in measured),
            "seed": sample.seed,
            "notes": {finding.image: finding.note for finding in survival.findings if finding.note},
        },
        "layers": {
            str(layer): sum(layer in finding.layers for finding in measured) for layer in plan.layers
        },
        "edits": [
            {"id": e.id, "title": e.title, "family": str(e.family), "parameters": dict(e.parameters),
             "changes_picture": e.changes_picture}
            for e in plan.edits
        ],
        "cells": [_cell(cell) for cell in survival.cells],
        "cost": asdict(survival.cost) if survival.cost else None,
        "instruments": {
            "edits": {"version": EDITS_VERSION, "digest": edits_digest(plan.edits)},
            "watermark": asdict(plan.watermark.spec) if plan.watermark else None,
            "anchors": _sha(plan.anchors) if plan.anchors else None,
            "libraries": _libraries(),
        },
        "note": NOTE,
    }  # fmt: skip


def write(out: Path, survival: Survival, content: Mapping[str, Any]) -> None:
    """``matrix.parquet`` (image, edit, layer, outcome, fresh) and ``survival.json``, each whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fresh = {finding.image: finding.fresh for finding in survival.findings}
    columns = {
        "image": [row.image for row in survival.rows],
        "edit": [row.edit for row in survival.rows],
        "layer": [str(row.layer) for row in survival.rows],
        "outcome": [str(row.outcome) for row in survival.rows],
        "fresh": [fresh[row.image] for row in survival.rows],
    }
    types = {name: pa.bool_() if name == "fresh" else pa.string() for name in columns}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=pa.schema(types)), sink, compression="zstd")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    replace_file(out / "matrix.parquet", sink.getvalue().to_pybytes())
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    replace_file(out / "survival.json", (text + "\n").encode("utf-8", "backslashreplace"))


def _cell(cell: Cell) -> dict[str, Any]:
    counts = {"kept": cell.kept, "broken": cell.broken, "gone": cell.gone, "missing": cell.missing}
    shares = {"kept_share": _share(cell.kept_share), "broken_share": _share(cell.broken_share)}
    return {"edit": cell.edit, "layer": str(cell.layer), "n": cell.n, **counts, **shares}


def _share(interval: Interval | None) -> dict[str, float] | None:
    return {"value": interval.value, "low": interval.low, "high": interval.high} if interval else None


def _libraries() -> dict[str, str]:
    from PIL import features

    found = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found | {name: str(version) for name in _CODECS if (version := features.version(name))}


def _sha(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
