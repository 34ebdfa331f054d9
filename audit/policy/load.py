# SPDX-License-Identifier: Apache-2.0
"""Policies: rules, and waivers with an owner, a reason and an end date."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.documents import Document, explain, read_document
from audit.errors import AuditError, ConfigError
from audit.paths import data_root
from audit.policy.rules import ThresholdBlock, Where
from audit.probes.canonical import sha256_of
from audit.registry import METRICS, RULES
from audit.types import Rule

__all__ = ["Policy", "Waiver", "json_schema", "load_policy"]

Text = Annotated[str, Field(pattern=r"\S")]
RuleId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Waiver(BaseModel):
    """A failed rule that somebody answers for, until a date."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: RuleId
    where: Where = Field(default_factory=dict)
    owner: Text = Field(description="Who answers for it")
    reason: Text
    expires: date = Field(description="Last day on which it holds")

    def printed(self) -> str:
        """Owner, reason and end date in one line."""
        return f"{self.owner}: {self.reason} (until {self.expires.isoformat()})"


class _RuleHead(BaseModel):
    """What every rule has; the rest of its block belongs to its kind."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: RuleId = Field(description="Unique in the policy; findings and waivers name it")
    rule: str = Field(description="Kind: threshold, or one from an installed package")


class _PolicyBlock(BaseModel):
    """A policy file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema", description="Version of this format")
    name: RuleId
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    title: Text
    rules: list[_RuleHead] = Field(min_length=1)
    waivers: list[Waiver] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is judged, and what is waived.

    Attributes:
        name, version, title: from the file.
        rules: id and rule, in file order.
        waivers: in file order.
        digest: sha256 (hex) over all that the file says, independent of layout and comments.
        path: the file.
        places: ``file:line:column`` by rule id, for reports that point into the file.
    """

    name: str
    version: str
    title: str
    rules: tuple[tuple[str, Rule], ...]
    waivers: tuple[Waiver, ...]
    digest: str
    path: Path
    places: Mapping[str, str]


def load_policy(name_or_path: str | Path) -> Policy:
    """Read and check a policy.

    Args:
        name_or_path: the name of a bundled policy ("quickstart"), or the path of a YAML file.

    Raises:
        ConfigError: unknown name, unreadable file, or a wrong key or value, with file, line and column.
    """
    document = read_document(_find(name_or_path), kind="policy")
    try:
        block = _PolicyBlock.model_validate(document.data)
    except ValidationError as error:
        raise explain(error, document=document, model=_PolicyBlock) from None
    _check_ids(block, document)
    raw: Sequence[Mapping[str, Any]] = document.data["rules"]
    rules = tuple((head.id, _build(raw[i], i, document)) for i, head in enumerate(block.rules))
    places = {head.id: document.place(["rules", i]) for i, head in enumerate(block.rules)}
    digest = sha256_of(block.model_dump(mode="json", by_alias=True))
    waivers = tuple(block.waivers)
    return Policy(block.name, block.version, block.title, rules, waivers, digest, document.path, places)


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a policy file; rule kinds of other packages are left open."""
    schema = _PolicyBlock.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    definitions["Threshold"] = ThresholdBlock.model_json_schema() | {"required": ["id", "rule", "metric"]}
    head = definitions.pop("_RuleHead")
    definitions["Rule"] = {
        **head,
        "title": "Rule",
        "if": {"properties": {"rule": {"const": "threshold"}}, "required": ["rule"]},
        "then": {"$ref": "#/$defs/Threshold"},
    }
    schema["properties"]["rules"]["items"] = {"$ref": "#/$defs/Rule"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "genaudit policy"}


def _build(raw: Mapping[str, Any], i: int, document: Document) -> Rule:
    """The rule of one block; whatever its factory finds wrong is reported at its place in the file."""
    kind = str(raw["rule"])
    at: list[str | int] = ["rules", i]
    if kind not in RULES:
        raise document.failure(f"no rule kind is called {kind!r}", [*at, "rule"], hint=_nearest(kind, list(RULES)))
    try:
        rule: Rule = RULES.get(kind)(raw)
    except ValidationError as error:
        raise explain(error, document=document, model=ThresholdBlock, prefix=at) from None
    except AuditError as error:
        raise ConfigError(error.message, where=document.place(at), hint=error.hint) from None
    metric = raw.get("metric")
    # a colon marks names that are resolved elsewhere, such as metrics of other libraries
    if isinstance(metric, str) and ":" not in metric and metric not in METRICS:
        raise document.failure(f"no metric is called {metric!r}", [*at, "metric"], hint=_nearest(metric, list(METRICS)))
    return rule


def _check_ids(block: _PolicyBlock, document: Document) -> None:
    first: dict[str, str] = {}
    for i, head in enumerate(block.rules):
        place = document.place(["rules", i, "id"])
        if head.id in first:
            raise ConfigError(f"two rules are called {head.id!r} (the other stands at {first[head.id]})", where=place)
        first[head.id] = place
    for i, waiver in enumerate(block.waivers):
        if waiver.rule not in first:
            hint = _nearest(waiver.rule, list(first))
            raise document.failure(f"waiver of an unknown rule {waiver.rule!r}", ["waivers", i, "rule"], hint=hint)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        return path
    known = {file.stem: file for file in sorted((data_root() / "reports" / "policies").glob("*.yaml"))}
    if path.name not in known:
        raise ConfigError(f"no policy is called {path.name!r}", hint=_nearest(path.name, list(known)))
    return known[path.name]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
