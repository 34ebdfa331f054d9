# SPDX-License-Identifier: Apache-2.0
"""The file format of probe sets. The JSON schema in ``reports/schemas/`` is made from these models."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from audit.wordings import WordingsBlock

__all__ = ["CardBlock", "GroupsBlock", "ProbeBlock", "PromptBlock", "json_schema"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Axis = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of an axis")]
Text = Annotated[str, Field(pattern=r"\S", max_length=4000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


# Which branch of a union a value means to be, so that an error speaks of that branch only.
AxisValues = Annotated[
    Annotated[Annotated[list[Text], Field(min_length=1)], Tag("list")]
    | Annotated[Annotated[dict[Text, Text], Field(min_length=1)], Tag("mapping")],
    Discriminator(lambda value: "mapping" if isinstance(value, dict) else "list"),
]
Reference = Annotated[
    Annotated[Literal["uniform"], Tag("word")] | Annotated[dict[str, Share], Tag("mapping")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "mapping"),
]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CardBlock(_Block):
    """What a reader must know before trusting the set."""

    description: Text = Field(description="What it asks and why")
    source: Text = Field(description="Who wrote the prompts, or where they come from")
    design: Text = Field(description="How prompts, repetitions and groups were chosen")
    limits: Text = Field(description="What the set cannot show")
    language: Text = Field(description="BCP 47 tag of the prompts, e.g. en")
    created: date


class PromptBlock(_Block):
    """One prompt written out."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] | None = Field(
        None, description="Default: made from the text. Seeds follow the id, so keep it when the wording is mended"
    )
    text: Text
    axes: dict[Axis, Text] = Field(default_factory=dict)
    tags: list[Text] = Field(default_factory=list)
    negative: Text | None = None


class OtherBlock(_Block):
    """A table of reference shares by the values of one axis."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.csv$")] = Field(
        description="CSV beside this file: a column named like the axis, then attribute, group, share, source, year"
    )
    axis: Axis = Field(description="Axis whose values the rows are for, e.g. occupation")


class GroupsBlock(_Block):
    """The groups of one attribute and the shares they are compared with."""

    groups: list[Text] = Field(min_length=2, description="All groups there are, seen or not")
    reference: Reference = Field(description="Share by group, or uniform")
    source: Text = Field(description="Where the reference comes from, e.g. 'policy choice: equal shares'")
    year: int | None = Field(None, ge=1900, le=2200, description="Of the reference; none for a policy choice")
    others: dict[Text, OtherBlock] = Field(
        default_factory=dict, description="Further references by name; gates keep to the first"
    )


class ProbeBlock(_Block):
    """A probe set. Prompts come from exactly one of: template with axes, prompts, rows."""

    schema_: Literal[1] = Field(alias="schema", description="Version of this format")
    name: Name
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Raised with every change of what is asked")
    title: Text
    purpose: Literal["bias", "quality", "likeness"]
    licence: Text = Field(description="SPDX id of the prompts' licence")
    card: CardBlock
    template: Text | None = Field(None, description="Text with {axis} placeholders")
    axes: dict[Axis, AxisValues] | None = Field(
        None, description="Values by axis: a list, or a mapping from value to its wording in the template"
    )
    prompts: list[PromptBlock] | None = None
    rows: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(jsonl|tsv)$")] | None = Field(
        None, description="File beside this one: JSON lines of prompts, or TSV with columns id, text, axis.<name> ..."
    )
    negative: Text | None = Field(None, description="Negative prompt of every prompt that names none")
    repetitions: int = Field(ge=1, le=1_000_000, description="Images a prompt")
    by: list[Axis] = Field(default_factory=list, description="Axes that results are sliced by")
    tags: list[Text] = Field(default_factory=list, description="Tags of every prompt; 'sensitive' blurs images")
    groups: dict[Axis, GroupsBlock] = Field(default_factory=dict)
    asks: dict[Axis, Axis] = Field(
        default_factory=dict, description="By attribute, the axis whose value is the group that the prompt asks for"
    )
    paired: list[Axis] = Field(
        default_factory=list, description="Axes whose values are exchanged at equal seeds; all other axes stay"
    )
    wordings: WordingsBlock | None = Field(
        None, description="Other words that every prompt is asked in as well, under the paired axis 'wording'"
    )


def json_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a probe set file."""
    schema = ProbeBlock.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "genaudit probe set"}
