# SPDX-License-Identifier: Apache-2.0
"""The prompts that finished images answer, so that a probe set can be made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from audit.errors import GeneratorError
from audit.generators.finished._open import open_layout
from audit.generators.finished._rows import Row
from audit.generators.finished._table import digest_model, make_table
from audit.probes.importers import Draft, Origin

__all__ = ["Count", "prompts_of"]

Count = Literal["fewest", "most"]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def prompts_of(
    model: str, *, options: Mapping[str, Any] | None = None, count: Count = "fewest"
) -> tuple[list[Draft], Origin]:
    """Each distinct prompt once, in order, and how many images each has.

    Args:
        model: folder or file of finished images.
        options: of the generator ``folder``.
        count: repetitions of the set: as many as every prompt has, or as many as any has.

    Raises:
        ConfigError: nothing that is known is there.
        GeneratorError: a broken row, or one without the text of its prompt.
    """
    layout = open_layout(model, options or {}, where=model)
    try:
        rows = make_table(layout).rows
        digest = digest_model(Path(model).expanduser(), layout.files(rows))
    finally:
        layout.close()
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.text is None:
            hint = "write the prompt into the column text"
            raise GeneratorError("the row has a prompt_id, but no prompt", where=row.place, hint=hint)
        groups.setdefault(row.prompt_id or row.text, []).append(row)
    sizes = [len(found) for found in groups.values()]
    times = min(sizes) if count == "fewest" else max(sizes)
    drafts = [Draft(str(found[0].text), found[0].place, id=_id(found[0])) for found in groups.values()]
    source = f"finished images in {Path(model).expanduser().resolve().name} (layout {layout.name}, sha256 {digest})"
    notes = (f"read as {layout.name}: {len(rows)} rows, {len(groups)} prompts", *_notes(sizes, times, count))
    return drafts, Origin("images", "the prompts that finished images answer", source, notes=notes, repetitions=times)


def _notes(sizes: list[int], times: int, count: Count) -> list[str]:
    if min(sizes) == max(sizes):
        return []
    span = f"prompts have {min(sizes)} to {max(sizes)} images; repetitions: {times}, the {count}"
    if count == "fewest":
        return [f"{span}; {sum(sizes) - times * len(sizes)} images will not be asked for"]
    return [f"{span}; {times * len(sizes) - sum(sizes)} requests will find no image and become ERROR rows"]


def _id(row: Row) -> str | None:
    bare = (row.prompt_id or "").rpartition("/")[2]
    return bare if _ID.fullmatch(bare) else None
