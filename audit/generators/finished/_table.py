# SPDX-License-Identifier: Apache-2.0
"""Which row answers which request, and what the files under it are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from audit.checkpoints import digest_folder
from audit.errors import GeneratorError
from audit.generators.finished._rows import Layout, Row
from audit.types import Prompt

__all__ = ["Table", "digest_model", "make_table"]

Numbered = tuple[int, Row]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with their numbers, by what they can be found under.

    Attributes:
        rows: in order.
        by_id: prompt id -> rows.
        by_row: id in the list and prompt -> rows.
        by_text: prompt -> rows.
    """

    rows: tuple[Row, ...]
    by_id: Mapping[str, tuple[Numbered, ...]]
    by_row: Mapping[tuple[str, str], tuple[Numbered, ...]]
    by_text: Mapping[str, tuple[Numbered, ...]]

    def find(self, prompt: Prompt) -> tuple[Numbered, ...]:
        """Rows of a prompt: by its id; by the id that the list itself gives it, if the text agrees; by the text."""
        text, bare = prompt.text.strip(), prompt.id.rpartition("/")[2]
        return self.by_id.get(prompt.id) or self.by_row.get((bare, text)) or self.by_text.get(text) or ()

    def counts(self) -> dict[str, int]:
        """How many rows, prompts and images there are, and what is odd about them."""
        named = [(row.prompt_id or row.text, row.at) for row in self.rows if row.at is not None]
        each = [len(rows) for rows in self._prompts().values()]
        return {
            "rows": len(self.rows),
            "prompts": len(each),
            "fewest_per_prompt": min(each, default=0),
            "most_per_prompt": max(each, default=0),
            "repeated_images": len(named) - len(set(named)),
        }

    def _prompts(self) -> Mapping[object, tuple[Numbered, ...]]:
        found: dict[object, tuple[Numbered, ...]] = {("text", text): rows for text, rows in self.by_text.items()}
        return found | {key: rows for key, rows in self.by_id.items() if all(row.text is None for _, row in rows)}


def make_table(layout: Layout) -> Table:
    """Read all rows. Raises GeneratorError where there are none."""
    rows: list[Row] = []
    by_id: dict[str, list[Numbered]] = {}
    by_row: dict[tuple[str, str], list[Numbered]] = {}
    by_text: dict[str, list[Numbered]] = {}
    for numbered in enumerate(layout.rows()):
        row = numbered[1]
        rows.append(row)
        if row.prompt_id:
            by_id.setdefault(row.prompt_id, []).append(numbered)
        if row.text:
            by_text.setdefault(row.text, []).append(numbered)
            own = row.row_id or (row.prompt_id or "").rpartition("/")[2]
            if own:
                by_row.setdefault((own, row.text), []).append(numbered)
    if not rows:
        raise GeneratorError(f"the layout {layout.name!r} holds no row", hint="check the folder and the option layout")
    return Table(tuple(rows), _fixed(by_id), _fixed(by_row), _fixed(by_text))


def _fixed(lists: Mapping[K, list[Numbered]]) -> dict[K, tuple[Numbered, ...]]:
    return {key: tuple(found) for key, found in lists.items()}


def digest_model(model: Path, used: Iterable[Path]) -> str:
    """sha256 (hex) over every file of a folder and the files used elsewhere, or over one file and those it names."""
    inside = model.resolve()
    more = {path for path in used if not (model.is_dir() and path.resolve().is_relative_to(inside))}
    if model.is_dir() and not more:
        return digest_folder(model, every=True)
    whole = hashlib.sha256(digest_folder(model, every=True).encode() if model.is_dir() else b"")
    for path in sorted({*([] if model.is_dir() else [model]), *more}):
        with path.open("rb") as stream:
            whole.update(f"{path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()
