# SPDX-License-Identifier: Apache-2.0
"""The key of an export: which item of which rater is which image. Raters never see it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from audit.errors import StoreError

__all__ = ["SCHEMA", "Export", "Item", "key_bytes", "open_export"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One picture shown to one rater.

    Attributes:
        rater: "rater-1" and so on.
        item: its neutral name, unlike all others of the export.
        occasion: 1, or 2 where the same rater is shown the picture again.
        position: 0-based, in the order of the rater's sheet.
        request_id, generator, probe, sha256, pixels: of the image.
        slice: JSON of the axis values it is sliced by.
        stratum: it was drawn from.
        inclusion: probability of being drawn.
        sensitive: whether it is veiled on the page.
    """

    rater: str
    item: str
    occasion: int
    position: int
    request_id: str
    generator: str
    probe: str
    sha256: str
    pixels: str
    slice: str
    stratum: str
    inclusion: float
    sensitive: bool


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it lies on disk.

    Attributes:
        path: its folder.
        card: what was drawn and how; see `docs/labels.md`.
        items: all pictures shown, rater by rater.
    """

    path: Path
    card: Mapping[str, Any]
    items: tuple[Item, ...]

    @property
    def id(self) -> str:
        """Names the export: the digest of its key."""
        return str(self.card["export"])

    @property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Groups by attribute that were asked about."""
        return {name: tuple(groups) for name, groups in self.card["attributes"].items()}

    @property
    def strata(self) -> dict[str, int]:
        """Images of the run by stratum, drawn or not."""
        return {stratum["name"]: stratum["images"] for stratum in self.card["strata"]}


def key_bytes(items: Sequence[Item]) -> bytes:
    """The key as CSV; same items, same bytes."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, [field.name for field in fields(Item)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**asdict(item), "sensitive": int(item.sensitive)} for item in items)
    return sink.getvalue().encode()


def open_export(path: Path) -> Export:
    """The export in a folder. Raises StoreError where there is none, or its key was changed."""
    if not (path / "key" / "sample.json").is_file():
        hint = "make one with `genaudit labels export`"
        raise StoreError("is not an export of labels (no key/sample.json)", where=str(path), hint=hint)
    try:
        card = json.loads((path / "key" / "sample.json").read_text(encoding="utf-8"))
        data = (path / "key" / "key.csv").read_bytes()
        if card["schema"] != SCHEMA:
            raise StoreError(f"export has format {card['schema']}, this is format {SCHEMA}", where=str(path))
        if hashlib.sha256(data).hexdigest() != card["key_sha256"]:
            hint = "restore key/key.csv: spreadsheets change it when they save it"
            raise StoreError("key was changed since it was written", where=str(path / "key" / "key.csv"), hint=hint)
        items = tuple(_item(row) for row in csv.DictReader(io.StringIO(data.decode(), newline="")))
        return Export(path, card, items)
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "restore the folder `key`, or export again"
        raise StoreError(f"is damaged: {error!r}", where=str(path / "key"), hint=hint) from None


def _item(row: Mapping[str, str]) -> Item:
    numbers = {"occasion": int(row["occasion"]), "position": int(row["position"]), "inclusion": float(row["inclusion"])}
    return Item(**{**row, **numbers, "sensitive": row["sensitive"] == "1"})  # type: ignore[arg-type]
