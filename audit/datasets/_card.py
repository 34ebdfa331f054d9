# SPDX-License-Identifier: Apache-2.0
"""Card: what a set is, how it came about and who seems to be in it, for people (CARD.md) and scripts (card.json)."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit.datasets._records import Progress
from audit.datasets._store import Dataset, digest_records, open_set, write_text
from audit.types import Status

__all__ = ["card"]

_TITLES = {
    "age": "Apparent age",
    "occupation": "Occupation that clothes suggest",
    "presentation": "Perceived presentation",
    "tone_band": "Apparent skin tone",
}
_MISFIT = 0.01  # below it, as in reports, the instrument answers as it never did where its error was measured
_NOT_STATED = "not stated"


def card(
    source: Path, *, attributes: bool = True, counts: str | None = None, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Describe a set; writes CARD.md and card.json into it.

    Args:
        source: folder of the set.
        attributes: whether to look at the pictures with the bundled instruments; needs torch.
        counts: which confusion counts of the instruments describe these images; None: the main ones.
        progress: told what, how many are done, of how many.

    Returns:
        The content of card.json.

    Raises:
        AnnotatorError: an instrument cannot be loaded.
        ConfigError: there are no such counts.
        StoreError: ``source`` is no set or damaged, or the disk says no.
    """
    dataset = open_set(source)
    found = _looked_at(dataset, counts, progress) if attributes else []
    content = {**_counts(dataset), "composition": [{**row, "status": str(row["status"])} for row in found]}
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(source / "card.json", text + "\n")
    write_text(source / "CARD.md", "\n".join(_markdown(source.resolve().name, content)) + "\n")
    return content


def _looked_at(dataset: Dataset, counts: str | None, progress: Progress) -> list[dict[str, Any]]:
    from audit.datasets._composition import composition  # scipy.stats and the instruments: seconds

    return [asdict(one) for one in composition(dataset, counts=counts, progress=progress)]


def _counts(dataset: Dataset) -> dict[str, Any]:
    records = dataset.records
    return {
        "digest": digest_records(records),
        "images": len(records),
        "files": len({record.sha256 for record in records}),
        "captions": sum(record.caption is not None for record in records),
        "sources": _table(record.source for record in records),
        "licences": _table(record.licence or _NOT_STATED for record in records),
        "modes": _table(record.mode or "unreadable" for record in records),
        "media_types": _table(record.media_type for record in records),
        "width": _range([record.width for record in records]),
        "height": _range([record.height for record in records]),
        "dropped": _table(f"{row.step}: {row.reason}" for row in dataset.dropped),
        "steps": [{key: step.get(key) for key in ("step", "options", "given", "kept")} for step in dataset.steps],
    }


def _table(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _range(values: list[int | None]) -> dict[str, float] | None:
    """Least, median and most; None without any."""
    known = [value for value in values if value is not None]
    return {"least": min(known), "median": statistics.median(known), "most": max(known)} if known else None


def _markdown(name: str, content: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {_cell(name)}"
    yield ""
    yield f"{content['images']} images, {content['captions']} with a caption. Digest `{content['digest']}`: it covers"
    yield "the files and their records, whatever their order and wherever they were collected from."
    for side in ("width", "height"):
        if (found := content[side]) is not None:
            yield f"{side.capitalize()}: {found['least']} to {found['most']} pixels, median {found['median']:g}."
    for title, key in (
        ("Licences", "licences"),
        ("Sources", "sources"),
        ("Channels", "modes"),
        ("File types", "media_types"),
        ("Left out on the way", "dropped"),
    ):
        yield from _section(title, content[key])
    yield from ("", "## Steps", "")
    for number, step in enumerate(content["steps"], start=1):
        options = _cell(json.dumps(step["options"], sort_keys=True, ensure_ascii=False))
        yield f"{number}. {_cell(step['step'])}: {step['given']} given, {step['kept']} kept. Options: {options}"
    yield from _people(content["composition"])


def _section(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from (f"- {_cell(name)}: {count}" for name, count in counts.items())
    if not counts:
        yield "None."


def _people(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "## Composition", "")
    rows = list(rows)
    if not rows:
        yield "Not looked at (`--attributes none`)."
        return
    yield "How pictures look to instruments, with 95 % intervals; it never says who somebody is. Shares are"
    yield "corrected for the error that was measured for the instrument; on other kinds of pictures it errs otherwise."
    for row in rows:
        yield from ("", f"### {_TITLES.get(row['attribute'], row['attribute'])}", "")
        yield from _attribute(row)


def _attribute(row: Mapping[str, Any]) -> Iterator[str]:
    if row["status"] != Status.OK:
        yield f"No number: {_cell(row['why'])}."
        return
    yield "| group | share [interval] | uncorrected |"
    yield "|---|---|---|"
    for group in row["groups"]:
        raw = "none" if group["raw"] is None else f"{group['raw']:.0%}"
        shares = f"{group['share']:.0%} [{group['low']:.0%}, {group['high']:.0%}]"
        yield f"| {_cell(group['name'])} | {shares} | {raw} |"
    yield ""
    yield f"n = {row['n']}, {row['could_not_tell']:.0%} could not tell. Instrument {row['instrument']}, its error"
    yield f"measured on: {_cell(row['measured_on'])}."
    if row["misfit"] < _MISFIT:
        yield ""
        yield f"**The instrument answers as it never did where its error was measured (p < {_MISFIT:g}):** these shares"
        yield "cannot be relied on. Label some of the images by hand."


def _cell(text: object) -> str:
    """Words from outside, which must not become markup."""
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", " ".join(str(text).split()))
