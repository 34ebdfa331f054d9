# SPDX-License-Identifier: Apache-2.0
"""What a generator was trained on: share by occupation, attribute and group, from a file or the reference world."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.errors import ConfigError
from audit.probes.canonical import sha256_of
from audit.reference.people import AGES, PRESENTATIONS, TONE_BANDS, planted

__all__ = ["WORLD", "Composition", "Training", "load_training"]

#: Name of the planted tables that the bundled generators were trained on.
WORLD = "reference:world"
_TOLERANCE = 0.005  # shares written with two or three decimals

Text = Annotated[str, Field(pattern=r"\S")]


@dataclass(frozen=True, slots=True)
class Composition:
    """Who stands for one occupation in the training data, by one attribute.

    Attributes:
        shares: by group, sum 1.
        n: people counted, where the shares are those of a sample; None where they are exact.
    """

    shares: Mapping[str, float]
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """The training data of one generator.

    Attributes:
        source: file, or "reference:world".
        rows: by (occupation, attribute).
    """

    source: str
    rows: Mapping[tuple[str, str], Composition]

    @property
    def digest(self) -> str:
        """Of the numbers, wherever they came from."""
        return sha256_of([[*key, dict(row.shares), row.n] for key, row in sorted(self.rows.items())])


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    occupation: Text
    attribute: Text
    group: Text
    share: float = Field(ge=0, le=1, allow_inf_nan=False)
    n: int | None = Field(None, ge=1)


def load_training(source: str, *, occupations: Collection[str], groups: Mapping[str, Collection[str]]) -> Training:
    """The training composition called ``source``.

    Args:
        source: "reference:world", or path of a CSV file with a header, or of a JSON list of objects, with the columns
            occupation, attribute, group, share and, where the shares are those of a sample, its size n.
        occupations: all that the probe sets ask for; a file may lack some, but name no others.
        groups: declared groups by attribute; likewise, but an occupation's attribute needs all its groups.

    Raises:
        ConfigError: unknown name, unreadable file, a wrong row, or shares that do not sum to 1.
    """
    if source.startswith("reference:"):
        if source != WORLD:
            raise ConfigError(f"no training composition is called {source!r}", hint=f"known: {WORLD}, or a file")
        return Training(source, _world())
    path = Path(source)
    cells: dict[tuple[str, str], dict[str, _Row]] = {}
    for row, place in _rows(path):
        _check("occupation", row.occupation, occupations, place)
        _check("attribute", row.attribute, groups, place)
        _check(f"group of {row.attribute}", row.group, groups[row.attribute], place)
        cell = cells.setdefault((row.occupation, row.attribute), {})
        if row.group in cell:
            raise ConfigError(f"{row.occupation}, {row.attribute}: {row.group!r} stands twice", where=place)
        cell[row.group] = row
    if not cells:
        raise ConfigError("training composition has no rows", where=source)
    rows = {key: _composition(path, key, cell, groups[key[1]]) for key, cell in cells.items()}
    return Training(source, rows)


def _composition(path: Path, key: tuple[str, str], cell: Mapping[str, _Row], groups: Collection[str]) -> Composition:
    name = ", ".join(key)
    lacking = [group for group in groups if group not in cell]
    if lacking:
        hint = "give every declared group; share 0 where there was nobody"
        raise ConfigError(f"{name}: no share of {lacking[0]!r}", where=str(path), hint=hint)
    sizes = {row.n for row in cell.values()}
    if len(sizes) > 1:
        hint = "n is the size of the sample that all groups' shares are of"
        raise ConfigError(f"{name}: n differs from group to group", where=str(path), hint=hint)
    total = sum(row.share for row in cell.values())
    if abs(total - 1) > _TOLERANCE:
        raise ConfigError(f"{name}: shares sum to {total:.6g}, not to 1", where=str(path), hint="correct the shares")
    return Composition({group: cell[group].share / total for group in groups}, sizes.pop())


def _check(what: str, name: str, known: Collection[str], place: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the probe sets know: {', '.join(known)}"
        raise ConfigError(f"unknown {what} {name!r}", where=place, hint=hint)


def _rows(path: Path) -> Iterator[tuple[_Row, str]]:
    """Each row with its place. Raises ConfigError."""
    if path.suffix not in {".csv", ".json"}:
        raise ConfigError("training composition must be .csv or .json", where=str(path), hint=f"or {WORLD}")
    try:
        # utf-8-sig forgives the mark that spreadsheets write; newline="" keeps the csv module's own line ends
        with path.open(encoding="utf-8-sig", newline="") as file:
            raw = list(_csv(file, path) if path.suffix == ".csv" else _json(file, path))
    except FileNotFoundError:
        raise ConfigError("training composition does not exist", where=str(path), hint="check the path") from None
    except (OSError, ValueError, csv.Error, RecursionError) as error:  # what is no text or no JSON is a ValueError
        raise ConfigError(f"training composition cannot be read: {error}", where=str(path)) from None
    for item, place in raw:
        try:
            yield _Row.model_validate(item), place
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            unknown = first["type"] == "extra_forbidden"
            said = "unknown column" if unknown else str(first["msg"])
            name = ".".join(str(part) for part in first["loc"]) or "row"
            hint = f"columns: {', '.join(_Row.model_fields)}"
            raise ConfigError(f"{name}: {said}", where=place, hint=hint) from None


def _csv(file: Any, path: Path) -> Iterator[tuple[Any, str]]:
    table = csv.DictReader(file, restkey="(beyond the header)", strict=True)
    header = table.fieldnames or []
    if len(set(header)) != len(header):
        raise ConfigError("two columns have the same name", where=f"{path}:1")
    for row in table:  # an empty cell means: not given
        yield {name: cell for name, cell in row.items() if cell not in (None, "")}, f"{path}:{table.line_num}"


def _json(file: Any, path: Path) -> Iterator[tuple[Any, str]]:
    data = json.load(file)
    if not isinstance(data, list):
        raise ConfigError("training composition must be a list of rows", where=str(path))
    yield from ((item, f"{path}, row {number}") for number, item in enumerate(data, start=1))


def _world() -> dict[tuple[str, str], Composition]:
    """The planted shares of people in occupations; those called by name in their captions are not among them."""
    rows: dict[tuple[str, str], Composition] = {}
    for job, given in planted()["occupations"].items():
        feminine, tone = float(given["feminine"]), [float(share) for share in given["tone"]]
        bands = {band: sum(tone[t - 1] for t in tones) for band, tones in TONE_BANDS.items()}
        rows[job, "presentation"] = Composition(dict(zip(PRESENTATIONS, (feminine, 1 - feminine), strict=True)))
        rows[job, "age"] = Composition(dict(zip(AGES, map(float, given["age"]), strict=True)))
        rows[job, "tone_band"] = Composition(bands)
        rows[job, "tone"] = Composition({str(t): share for t, share in enumerate(tone, start=1)})
    return rows
