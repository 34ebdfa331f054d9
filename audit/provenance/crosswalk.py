# SPDX-License-Identifier: Apache-2.0
"""What marking rules ask for, beside what was measured: which findings bear on which rule, and what nobody looked at.

A row says "supports" or "not assessed", never more. Whether a rule applies, and whether it is met, is for counsel.
``python -m audit.provenance.crosswalk`` brings the JSON schema of the data file up to date.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from audit.documents import explain, read_document
from audit.errors import ConfigError
from audit.paths import data_root
from audit.provenance.rubric._evidence import (
    EVIDENCE,
    Share,
    combine,
    evidence_of,
    is_evidence,
    survival_evidence,
)

__all__ = [
    "EVIDENCE",
    "Crosswalk",
    "Evidence",
    "Item",
    "Row",
    "Share",
    "Source",
    "Status",
    "assess",
    "combine",
    "evidence_of",
    "json_schema",
    "load",
    "survival_evidence",
]

Evidence: TypeAlias = Mapping[str, bool | Share | None]
Text = Annotated[str, Field(pattern=r"\S")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class Source(BaseModel):
    """Where a rule stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: Text = Field(description="Law, regulation or code, with its number")
    date: dt.date = Field(description="Day of the text that is meant")
    url: str = Field(pattern=r"^https://\S+$", description="Where it can be read")
    read: Literal["text", "account"] = Field(
        description="text: the wording itself was read; account: somebody else's account of it"
    )
    note: Text | None = Field(None, description="What a reader of this source must know, e.g. later amendments")


class Item(BaseModel):
    """One thing that a rule asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    title: Text
    source: Name = Field(description="Which of the sources")
    article: Text = Field(description="Place in it")
    asked: Text = Field(description="What is asked, in our own words")
    evidence: list[str] = Field(default_factory=list, description="Findings that bear on it; all of them must hold")
    limits: Text | None = Field(None, description="What the evidence cannot show")
    not_assessed: Text | None = Field(None, description="Why nothing here bears on it")

    @field_validator("evidence")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if not is_evidence(name)]
        if unknown:
            raise ValueError(f"no evidence has the name {', '.join(unknown)}")
        return names

    @model_validator(mode="after")
    def _either(self) -> Item:
        if bool(self.evidence) == bool(self.not_assessed):
            raise ValueError("needs evidence, or not_assessed with the reason, and one only")
        return self


class Crosswalk(BaseModel):
    """Rules on marking the output of image generators, and the findings that bear on them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema", description="Version of this format")
    name: Name
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    title: Text
    notice: Text = Field(description="Goes with every table made from this file")
    checked: dt.date = Field(description="Day on which the sources were last looked at")
    sources: dict[Name, Source] = Field(min_length=1)
    items: list[Item] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Crosswalk:
        ids = [item.id for item in self.items]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"two items are called {', '.join(twice)}")
        unknown = sorted({item.source for item in self.items} - set(self.sources))
        if unknown:
            raise ValueError(f"items name sources that are not there: {', '.join(unknown)}")
        return self


class Status(StrEnum):
    """All that a row may say."""

    SUPPORTS = "supports"
    NOT_ASSESSED = "not assessed"


@dataclass(frozen=True, slots=True)
class Row:
    """One item beside the evidence.

    Attributes:
        id, title, asked: of the item.
        source: instrument, article and date in one line.
        url: where it can be read.
        status: "supports" only if every finding that the item names holds for all images.
        reason: what the status rests on, or what is missing or speaks against it.
        against: findings that do not hold for all images.
        missing: findings that nobody made.
        limits: what the evidence cannot show, None where nothing is said.
    """

    id: str
    title: str
    asked: str
    source: str
    url: str
    status: Status
    reason: str
    against: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    limits: str | None = None


def load(path: Path | None = None) -> Crosswalk:
    """Read a cross-walk.

    Args:
        path: of the YAML file; default: the bundled ``reports/crosswalks/provenance.yaml``.

    Raises:
        ConfigError: unreadable file, or a wrong key or value, with file, line and column.
    """
    file = path or data_root() / "reports" / "crosswalks" / "provenance.yaml"
    document = read_document(file, kind="cross-walk")
    try:
        return Crosswalk.model_validate(document.data)
    except ValidationError as error:
        raise explain(error, document=document, model=Crosswalk) from None


def assess(evidence: Evidence, crosswalk: Crosswalk | None = None) -> tuple[Row, ...]:
    """Every item beside the evidence.

    Args:
        evidence: of one image (`evidence_of`) or of many (`combine`), and of how marks survive (`survival_evidence`).
        crosswalk: default: the bundled one.

    Raises:
        ConfigError: the bundled file cannot be read, or evidence has a name that no finding has.
    """
    unknown = sorted(name for name in evidence if not is_evidence(name))
    if unknown:
        raise ConfigError(f"no evidence has the name {', '.join(unknown)}", hint=f"known: {', '.join(EVIDENCE)}")
    crosswalk = crosswalk or _bundled()
    return tuple(_row(item, crosswalk.sources[item.source], evidence) for item in crosswalk.items)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a cross-walk file."""
    schema = Crosswalk.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "genaudit cross-walk"}


@cache
def _bundled() -> Crosswalk:
    return load()


def _row(item: Item, source: Source, evidence: Evidence) -> Row:
    values = {name: _holds(evidence.get(name)) for name in item.evidence}
    against = tuple(name for name, holds in values.items() if holds is False)
    missing = tuple(name for name, holds in values.items() if holds is None)
    supports = bool(values) and not against and not missing
    return Row(
        item.id,
        item.title,
        item.asked,
        f"{source.instrument}, {item.article} ({source.date.isoformat()})",
        source.url,
        Status.SUPPORTS if supports else Status.NOT_ASSESSED,
        item.not_assessed or _reason(evidence, list(values), against, missing),
        against,
        missing,
        item.limits,
    )


def _holds(value: bool | Share | None) -> bool | None:
    return value.holds if isinstance(value, Share) else value


def _reason(evidence: Evidence, names: list[str], against: tuple[str, ...], missing: tuple[str, ...]) -> str:
    if not against and not missing:
        return f"holds: {_listed(evidence, names)}"
    parts = [f"not supported by this evidence: {_listed(evidence, against)}"] if against else []
    return "; ".join([*parts, *([f"missing: {_listed(evidence, missing)}"] if missing else [])])


def _listed(evidence: Evidence, names: list[str] | tuple[str, ...]) -> str:
    shares = ((name, evidence.get(name)) for name in names)
    return ", ".join(f"{name} ({share})" if isinstance(share, Share) else name for name, share in shares)


if __name__ == "__main__":
    target = data_root() / "reports" / "schemas" / "crosswalk.schema.json"
    target.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {target}\n")
