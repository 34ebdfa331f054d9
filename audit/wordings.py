# SPDX-License-Identifier: Apache-2.0
"""The ``wordings:`` block: in which other words the prompts of a set are asked. In probe sets and in audit files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

__all__ = ["Paraphrase", "SynonymsBlock", "TyposBlock", "WordingsBlock"]

Text = Annotated[str, Field(pattern=r"\S", max_length=4000)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8})*$", description="BCP 47 tag, e.g. de")]
Translations = Annotated[
    Annotated[str, Field(pattern=r"\.(jsonl|tsv)$"), Tag("file")]
    | Annotated[Annotated[dict[Text, Text], Field(min_length=1)], Tag("mapping")],
    Discriminator(lambda value: "mapping" if isinstance(value, dict) else "file"),
]
Paraphrase = Annotated[
    Annotated[Literal["bundled"], Tag("word")] | Annotated[Annotated[list[Text], Field(min_length=1)], Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "word"),
]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TyposBlock(_Block):
    """Typing errors: neighbouring keys, swapped, lost and doubled letters."""

    rate: float = Field(0.05, gt=0, le=0.5, description="Share of letters mistyped; at least one in every prompt")
    seed: int = Field(1, ge=0, lt=2**63, description="With the prompt's id it fixes every error")
    variants: int = Field(1, ge=1, le=20, description="Mistyped prompts of each prompt")


class SynonymsBlock(_Block):
    """Words exchanged for others of the same meaning."""

    table: Annotated[str, Field(pattern=r"\.csv$")] | None = Field(
        None, description="CSV beside this file: word, synonym, source; default: the bundled English one"
    )


class WordingsBlock(_Block):
    """Every prompt is asked as it stands and in other words, at equal seeds."""

    typos: TyposBlock | None = None
    synonyms: SynonymsBlock | None = None
    paraphrase: Paraphrase | None = Field(
        None, description="Frames with {text} in them, or bundled: those in probes/wordings"
    )
    languages: dict[Language, Translations] | None = Field(
        None, description="By language: prompt id -> text, or a file beside this one with the columns id, text"
    )
    keep: list[Text] = Field(
        default_factory=list, description="Words that typos and synonyms leave alone, e.g. names; quotations always are"
    )

    def placed(self, place: Callable[[str], str]) -> WordingsBlock:
        """The same block with ``place`` applied to every file name in it."""
        languages, synonyms = self.languages, self.synonyms
        if languages is not None:
            languages = {key: place(given) if isinstance(given, str) else given for key, given in languages.items()}
        if synonyms is not None and synonyms.table is not None:
            synonyms = SynonymsBlock(table=place(synonyms.table))
        return self.model_copy(update={"languages": languages, "synonyms": synonyms})
