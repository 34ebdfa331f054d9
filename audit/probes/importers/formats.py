# SPDX-License-Identifier: Apache-2.0
"""The published prompt lists that are known: which column is the prompt, which are axes, how a file is recognised."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit.errors import ProbeError
from audit.probes.importers.tables import KINDS, Table

__all__ = ["FORMATS", "Format", "guess"]

_TEXTS = ("prompt", "prompts", "text", "caption")


@dataclass(frozen=True, slots=True)
class Format:
    """One way in which prompts are published. Names of columns are met whatever their case.

    Attributes:
        name: as on the command line.
        kind: how the file is read; None: by its suffix.
        text: columns that may hold the prompt, the first that is there counts.
        axes: column -> axis.
        needs: columns by which ``auto`` knows the format.
        lists: columns with several values between commas: one tag each beside the axis.
        tags: of every prompt.
        language: BCP 47 tag; und: not known.
        about: what it is, for the card.
    """

    name: str
    kind: str | None = None
    text: tuple[str, ...] = _TEXTS
    axes: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    language: str = "und"
    about: str = "a table of prompts"


# Layouts of: PartiPrompts (google-research/parti), DrawBench (Saharia et al. 2022), GenEval (Ghosh et al. 2023),
# T2I-CompBench (Huang et al. 2023), I2P (Schramowski et al. 2023), HEIM (Lee et al. 2023; HELM's scenario_state.json).
_PARTI = Format(
    "partiprompts",
    text=("prompt",),
    axes={"category": "category", "challenge": "challenge"},
    needs=frozenset({"prompt", "category", "challenge"}),
    language="en",
    about="a list in the layout of PartiPrompts",
)
_DRAWBENCH = Format(
    "drawbench",
    text=("prompts", "prompt"),
    axes={"category": "category"},
    needs=frozenset({"prompts", "category"}),
    language="en",
    about="a list in the layout of DrawBench",
)
_GENEVAL = Format(
    "geneval",
    text=("prompt",),
    axes={"tag": "tag"},
    needs=frozenset({"prompt", "tag", "include"}),
    language="en",
    about="a list in the layout of GenEval",
)
_I2P = Format(
    "i2p",
    text=("prompt",),
    axes={"categories": "categories"},
    needs=frozenset({"prompt", "categories", "inappropriate_percentage"}),
    lists=frozenset({"categories"}),
    tags=("sensitive",),
    language="en",
    about="a list in the layout of I2P",
)
_COMPBENCH = Format(
    "t2i-compbench",
    kind="txt",
    text=("text",),
    axes={"category": "category", "split": "split"},
    language="en",
    about="lists in the layout of T2I-CompBench",
)
_HEIM = Format(
    "heim",
    text=("text",),
    axes={"perturbation": "perturbation", "sub_split": "sub_split", "split": "split"},
    about="instances in the layout of HELM and HEIM",
)
_PLAIN = tuple(Format(kind, kind=kind, text=_TEXTS) for kind in ("csv", "tsv", "jsonl", "json", "txt"))

FORMATS: Mapping[str, Format] = {
    known.name: known for known in (_PARTI, _DRAWBENCH, _GENEVAL, _COMPBENCH, _I2P, _HEIM, *_PLAIN)
}

_COMPBENCH_NAME = re.compile(
    r"(?P<category>color|shape|texture|spatial|2d_spatial|3d_spatial|non_spatial|numeracy|complex)"
    r"(?:_(?P<split>train|val|test)(?:_[a-z]+)?)?"
)


def guess(tables: Sequence[Table]) -> tuple[Format, str]:
    """The format of files and the reason, in words.

    Raises:
        ProbeError: the files are not of one format.
    """
    found = [_guess(table) for table in tables]
    names = {known.name for known, _ in found}
    if len(names) > 1:
        hint = "import them one by one, or name the format"
        raise ProbeError(f"the files are of several formats: {', '.join(sorted(names))}", hint=hint)
    return found[0]


def category_of(path: Path) -> dict[str, str]:
    """Category and split that the name of a T2I-CompBench file states: ``color_val.txt`` -> color, val."""
    match = _COMPBENCH_NAME.fullmatch(path.stem.lower())
    if match:
        return {name: value for name, value in match.groupdict().items() if value}
    stem, _, split = path.stem.rpartition("_")
    known = split in ("train", "val", "test") and stem
    return {"category": stem, "split": split} if known else {"category": path.stem}


def _guess(table: Table) -> tuple[Format, str]:
    columns = {name.lower() for name in table.columns}
    for known in (_PARTI, _DRAWBENCH, _GENEVAL, _I2P):
        if known.needs <= columns:
            return known, f"its columns are {', '.join(sorted(known.needs))}"
    if table.kind == "txt" and _COMPBENCH_NAME.fullmatch(table.path.stem.lower()):
        return _COMPBENCH, f"a text file called {table.path.name}"
    if isinstance(table.document, dict) and "request_states" in table.document:
        return _HEIM, "it holds request_states"
    if {"input", "references"} <= columns:
        return _HEIM, "its items have input and references"
    return FORMATS[table.kind], f"a {table.kind} file of no published layout that is known"


def kind_of(path: Path, known: Format | None) -> str | None:
    """How a file is read under a format: by its suffix, or as the format says where there is none."""
    if known is not None and known.kind is not None:
        return known.kind
    return KINDS.get(path.suffix.lower())
