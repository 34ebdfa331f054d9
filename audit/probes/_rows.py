# SPDX-License-Identifier: Apache-2.0
"""Prompts in a table beside the probe set: JSON lines, or tab-separated values with a header."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.errors import ProbeError
from audit.probes.format import PromptBlock

__all__ = ["read_rows"]


def read_rows(path: Path) -> Iterator[tuple[PromptBlock, str]]:
    """Each prompt of ``path`` with the place it stands at, ``file:line``. Raises ProbeError with that place."""
    try:
        # newline="" keeps the csv module's own line ends; utf-8-sig forgives the mark that spreadsheets write
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.readlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(
            f"rows cannot be read: {error}", where=str(path), hint="`rows` names a file beside it"
        ) from None
    for number, raw in _tsv(lines, path) if path.suffix == ".tsv" else _jsonl(lines, path):
        place = f"{path}:{number}"
        try:
            yield PromptBlock.model_validate(raw), place
        except ValidationError as error:
            item = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in item["loc"])
            text = "unknown column" if item["type"] == "extra_forbidden" else item["msg"]
            known = ", ".join(PromptBlock.model_fields)
            raise ProbeError(f"{name}: {text}", where=place, hint=f"columns: {known}; in TSV axis.<name>") from None


def _jsonl(lines: list[str], path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise ProbeError(f"not JSON: {error.msg}", where=f"{path}:{number}:{error.colno}") from None


def _tsv(lines: list[str], path: Path) -> Iterator[tuple[int, Any]]:
    """Rows of a tab-separated table; quotes mean nothing, so that a prompt may hold them."""
    table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(table, [])
    if len(set(header)) != len(header):
        raise ProbeError("two columns have the same name", where=f"{path}:1")
    for cells in table:
        if not any(cells):
            continue
        if len(cells) != len(header):
            wrong = f"{len(cells)} cells under {len(header)} columns"
            raise ProbeError(wrong, where=f"{path}:{table.line_num}", hint="one tab between cells")
        yield table.line_num, _prompt(dict(zip(header, cells, strict=True)))


def _prompt(row: Mapping[str, str]) -> dict[str, Any]:
    """A TSV row as a prompt block; an empty cell means: not given."""
    given = {name: cell.strip() for name, cell in row.items() if cell.strip() or name == "text"}
    axes = {name.removeprefix("axis."): given.pop(name) for name in list(given) if name.startswith("axis.")}
    tags = [tag.strip() for tag in given.pop("tags", "").split(",") if tag.strip()]
    return {**given, "axes": axes, "tags": tags}
