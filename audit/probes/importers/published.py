# SPDX-License-Identifier: Apache-2.0
"""From files of a published prompt list to a probe set."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from audit.errors import ProbeError
from audit.probes.importers.drafts import Columns, drafts_of
from audit.probes.importers.formats import FORMATS, Format, guess, kind_of
from audit.probes.importers.tables import Table, read_table
from audit.probes.importers.write import Imported, Origin, Target, few, write_set

__all__ = ["import_prompts"]


def import_prompts(
    files: Sequence[Path],
    target: Target,
    *,
    form: str = "auto",
    columns: Columns | None = None,
    encoding: str | None = None,
) -> Imported:
    """Write a probe set of the prompts in ``files``.

    Args:
        files: of one format; more than one where a list has a file a category.
        target: where the set goes and what its head says.
        form: a name in FORMATS, or auto.
        columns: which hold prompt, axes and ids, where the format does not say.
        encoding: of the files; default: by byte order mark, else UTF-8.

    Raises:
        ProbeError: unreadable, an unknown format, a row that cannot be kept, or a file that would be overwritten.
    """
    target.check()
    known = None if form == "auto" else _format(form)
    tables = [_read(path, known, encoding) for path in files]
    notes = []
    if known is None:
        known, why = guess(tables)
        notes.append(f"read as {known.name}: {why}")
    drafts, sources = [], []
    for table in tables:
        found = drafts_of(table, known, columns or Columns())
        drafts += found
        sources.append(f"{table.path.name} (sha256 {table.sha256})")
        notes += _notes(table)
    origin = Origin(known.name, known.about, "; ".join(sources), known.language, known.tags, tuple(notes))
    return write_set(drafts, target, origin)


def _format(name: str) -> Format:
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: auto, images, {', '.join(FORMATS)}"
        raise ProbeError(f"no format is called {name!r}", where="FORMAT", hint=hint)
    return FORMATS[name]


def _read(path: Path, known: Format | None, encoding: str | None) -> Table:
    return read_table(path, error=ProbeError, kind=kind_of(path, known), encoding=encoding)


def _notes(table: Table) -> list[str]:
    notes = []
    if table.blank:
        lines = few([str(number) for number in table.blank])
        notes.append(f"{table.path.name}: {len(table.blank)} empty lines left out: {lines}")
    if table.kind == "tsv" and any('"' in str(v) for record in table.records for v in record.values.values()):
        how = "as quoting around cells" if table.quoted else "as characters of the cells"
        notes.append(f"{table.path.name}: double quotes were read {how}")
    return notes
