# SPDX-License-Identifier: Apache-2.0
"""Writes what raters get: pictures under neutral names, a sheet, a page; and the key that stays with who asks."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audit.errors import ConfigError, StoreError
from audit.images import decode, encode_png
from audit.labels import _page
from audit.labels._attributes import Groups, attributes_of, declared_groups
from audit.labels._key import SCHEMA, Export, Item, key_bytes, open_export
from audit.labels._sample import Image, Sample, draw, frame
from audit.runs import _files
from audit.runs.store import Run

__all__ = ["Design", "export"]

Progress = Callable[[str, int, int], None]
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that are read as another
_LENGTH = 8
_GAP = 4  # a repeated picture comes back after a quarter of the others at the soonest


@dataclass(frozen=True, slots=True)
class Design:
    """How people are asked.

    Attributes:
        attributes: ``name=group,group`` or names of declared ones; none: all that the probe sets declare.
        n: images to draw.
        per_slice: of each stratum, or all it has.
        raters: each is shown all images drawn.
        repeat: share of the images that each rater is shown twice.
        by_answer: column whose answers are strata as well.
        allow_race: whether attributes of race may be asked about.
        seed: same seed, same sample and names.
        form: of the sheets.
    """

    attributes: tuple[str, ...] = ()
    n: int = 200
    per_slice: int = 10
    raters: int = 2
    repeat: float = 0.0
    by_answer: str | None = None
    allow_race: bool = False
    seed: int = 0
    form: Literal["csv", "jsonl"] = "csv"


def _silent(what: str, done: int, total: int) -> None:
    """No progress shown."""


def export(run: Run, out: Path, design: Design, *, progress: Progress = _silent) -> Export:
    """Draws a sample of the images of a run and writes a folder for each rater.

    Args:
        run: finished.
        out: folder to make; filled sheets are never overwritten.
        design: how many, of what, for whom.
        progress: called with (what, done, total).

    Raises:
        ConfigError: the folder holds something, or the design does not fit the run.
        StoreError: the run is not complete or damaged, or the disk says no.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        hint = "choose another folder: sheets that may have been filled in are not overwritten"
        raise ConfigError("is there already", where=str(out), hint=hint)
    _check(design)
    groups = attributes_of(design.attributes, declared_groups(run.plan), allow_race=design.allow_race)
    rng = np.random.default_rng(design.seed)
    images = frame(run, attributes=list(groups), answers=design.by_answer)
    sample = draw(images, n=design.n, least=design.per_slice, rng=rng)
    items = _items(sample, design, rng)
    with _files.disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=out.parent, prefix=".tmp-"))
        try:
            _write(made, run, sample, items, groups=groups, design=design, progress=progress)
            made.chmod(0o755)
            if out.is_dir():
                out.rmdir()
            made.replace(out)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    return open_export(out)


def _check(design: Design) -> None:
    if design.n < 1 or design.per_slice < 0 or design.raters < 1 or not 0 <= design.repeat <= 1:
        raise ConfigError("needs an image, a rater and a share of repeats from 0 to 1", where="labels export")


def _items(sample: Sample, design: Design, rng: np.random.Generator) -> list[Item]:
    """Every rater gets all images in an order and under names of their own: nobody can compare notes."""
    inclusion = {stratum.name: stratum.inclusion for stratum in sample.strata}
    taken: set[str] = set()
    items: list[Item] = []
    for number in range(1, design.raters + 1):
        for position, (place, occasion) in enumerate(_order(len(sample.images), design.repeat, rng)):
            image = sample.images[place]
            name = _name(taken, rng)
            shared = {key: getattr(image, key) for key in ("request_id", "generator", "probe", "sha256", "pixels")}
            slice_ = _files.to_json(dict(image.slice))
            chance, veiled = inclusion[image.stratum], image.sensitive
            named: dict[str, Any] = {"stratum": image.stratum, "inclusion": chance, "sensitive": veiled}
            items.append(Item(f"rater-{number}", name, occasion, position, **shared, slice=slice_, **named))
    return items


def _order(n: int, repeat: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Places of images with their occasion: all once, some again well after their first time."""
    shuffled = [int(place) for place in rng.permutation(n)]
    early = max(1, n - n // _GAP)
    again = rng.choice(early, min(round(repeat * n), early), replace=False)
    order = [(place, 1) for place in shuffled]
    slots = sorted(((int(rng.integers(first + n // _GAP + 1, n + 1)), int(first)) for first in again), reverse=True)
    for slot, first in slots:
        order.insert(slot, (shuffled[first], 2))
    return order


def _name(taken: set[str], rng: np.random.Generator) -> str:
    while True:
        name = "".join(_LETTERS[k] for k in rng.integers(0, len(_LETTERS), _LENGTH))
        if name not in taken:
            taken.add(name)
            return name


def _write(
    folder: Path,
    run: Run,
    sample: Sample,
    items: Sequence[Item],
    *,
    groups: Groups,
    design: Design,
    progress: Progress,
) -> None:
    _pictures(folder, run, sample, items, progress)
    for rater in dict.fromkeys(item.rater for item in items):
        mine = [item for item in items if item.rater == rater]
        (folder / rater / f"sheet.{design.form}").write_bytes(_sheet(mine, groups, design.form))
        (folder / rater / "index.html").write_text(_page.page(rater, mine, groups), encoding="utf-8")
        (folder / rater / "README.md").write_text(_page.instructions(rater, groups, design.form), encoding="utf-8")
    key = key_bytes(items)
    (folder / "key").mkdir()
    (folder / "key" / "key.csv").write_bytes(key)
    _files.write_json(folder / "key" / "sample.json", _card(run, sample, key, groups=groups, design=design))
    (folder / "README.md").write_text(_page.overview(design.raters, design.form), encoding="utf-8")


def _pictures(folder: Path, run: Run, sample: Sample, items: Sequence[Item], progress: Progress) -> None:
    """Pixels encoded anew: no credentials, no metadata, no name. One file on disk, a link for each further rater."""
    shown: dict[str, list[Path]] = {}
    for item in items:
        shown.setdefault(item.request_id, []).append(folder / item.rater / "images" / f"{item.item}.png")
    for done, image in enumerate(sample.images, start=1):
        first, *others = shown[image.request_id]
        for path in (first, *others):
            path.parent.mkdir(parents=True, exist_ok=True)
        first.write_bytes(_plain(run, image))
        for path in others:
            _link(first, path)
        progress("copy", done, len(sample.images))


def _plain(run: Run, image: Image) -> bytes:
    path = run.image_path(image.sha256, image.media_type)
    try:
        return encode_png(decode(path.read_bytes()))
    except (OSError, ValueError) as error:
        hint = "the run folder was changed: run the audit again"
        raise StoreError(f"cannot be read: {error}", where=str(path), hint=hint) from None


def _link(first: Path, other: Path) -> None:
    try:
        os.link(first, other)
    except OSError:  # a file system without links
        shutil.copyfile(first, other)


def _sheet(items: Sequence[Item], groups: Groups, form: str) -> bytes:
    rows = [
        {"item": item.item, "image": f"images/{item.item}.png", **dict.fromkeys(groups, ""), "comment": ""}
        for item in items
    ]
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def _card(run: Run, sample: Sample, key: bytes, *, groups: Groups, design: Design) -> Mapping[str, Any]:
    digest = hashlib.sha256(key).hexdigest()
    return {
        "schema": SCHEMA,
        "export": digest[:16],
        "key_sha256": digest,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": {"name": run.manifest["name"], "path": str(run.path)},
        "attributes": {name: list(answers) for name, answers in groups.items()},
        "design": {**asdict(design), "attributes": list(design.attributes)},
        "images": len(sample.images),
        "strata": [asdict(stratum) for stratum in sample.strata],
    }
