# SPDX-License-Identifier: Apache-2.0
"""One answer that is already there, read from whatever columns somebody wrote."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from audit.errors import GeneratorError
from audit.types import Outcome

__all__ = ["FILES", "TEXTS", "Layout", "Names", "Row", "Unreadable", "row_of"]

TEXTS = ("text", "prompt", "caption")
FILES = ("file_name", "image_path", "image", "path")
OTHERS = ("prompt_id", "id", "seed", "seconds", "outcome", "message")
_HINT = '{"file_name": "0001.png", "text": "a portrait of a nurse"}'


class Unreadable(Exception):  # noqa: N818 - a finding about an image, not a fault of ours
    """Why there are no bytes; becomes the message of an ERROR row."""


@dataclass(frozen=True, slots=True)
class Names:
    """Columns that the user names, and how large a file may be.

    Attributes:
        text, image: columns; None: the usual names.
        max_bytes: of one image.
    """

    text: str | None = None
    image: str | None = None
    max_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Row:
    """One answer.

    Attributes:
        place: file with line, row or member, relative to the folder.
        text: the prompt, stripped; None where only an id is stated.
        prompt_id: of a probe set, as it stands there: it alone decides.
        row_id: that the list gives its rows; it counts only where the text is the same.
        name: of the image, None where there is none.
        at: where the layout finds the bytes.
        outcome, message: what became of the prompt.
        seed, seconds: where stated.
    """

    place: str
    text: str | None
    prompt_id: str | None = None
    row_id: str | None = None
    name: str | None = None
    at: Any = None
    outcome: Outcome = Outcome.IMAGE
    message: str | None = None
    seed: int | None = None
    seconds: float | None = None


class Layout(Protocol):
    """One way in which finished images lie."""

    @property
    def name(self) -> str:
        """As the option ``layout`` calls it."""
        ...

    def rows(self) -> Iterator[Row]:
        """All answers in order; no image is read. Raises GeneratorError with the place of what is broken."""
        ...

    def read(self, row: Row) -> bytes:
        """The file of a row, byte by byte. Raises Unreadable or OSError."""
        ...

    def files(self, rows: Iterable[Row], /) -> list[Path]:
        """Files that rows name, where they are there and may be read."""
        ...

    def close(self) -> None:
        """Let go of open files."""
        ...


def row_of(values: Mapping[str, Any], *, place: str, names: Names, image: tuple[str, Any] | None = None) -> Row:
    """A row from columns as found.

    Args:
        values: by column.
        place: for messages.
        names: columns that the user names.
        image: name and place of the bytes, where the columns do not state a file.

    Raises:
        GeneratorError: no prompt, two of them, no image, or a value that cannot be what it says.
    """
    text, prompt_id, row_id = _text(values, names, place), _word(values.get("prompt_id")), _word(values.get("id"))
    if text is None and prompt_id is None:
        raise GeneratorError(
            "the row has neither text nor prompt_id", where=place, hint=f"each row needs a prompt: {_HINT}"
        )
    try:
        outcome = Outcome((_word(values.get("outcome")) or "image").lower())
        seed = _whole(values.get("seed"))
        seconds = _time(values.get("seconds"))
    except ValueError as error:
        hint = "outcome: image, refused, blocked or error; seed: a whole number; seconds: a number"
        raise GeneratorError(str(error), where=place, hint=hint) from None
    stated = _first(values, (names.image,) if names.image else FILES)
    name, at = image or (stated, stated)
    if outcome is Outcome.IMAGE and name is None:
        raise GeneratorError("the row has no file_name", where=place, hint=_HINT)
    return Row(
        place,
        text,
        prompt_id=prompt_id,
        row_id=row_id,
        name=name,
        at=at,
        outcome=outcome,
        message=_word(values.get("message")),
        seed=seed,
        seconds=seconds,
    )


def _text(values: Mapping[str, Any], names: Names, place: str) -> str | None:
    if names.text:
        return _word(values.get(names.text))
    found = {name: word for name in TEXTS if (word := _word(values.get(name))) is not None}
    if len(set(found.values())) > 1:
        both = " and ".join(repr(name) for name in found)
        raise GeneratorError(f"the row has {both}, and they differ", where=place, hint="set the option text_column")
    return next(iter(found.values()), None)


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((word for name in names if (word := _word(values.get(name))) is not None), None)


def _word(value: Any) -> str | None:
    """A cell as a word, None where it is empty; JSON and Parquet hold numbers, NaN stands for nothing."""
    if value is None or isinstance(value, dict | list | bytes) or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None


def _whole(value: Any) -> int | None:
    word = _word(int(value) if isinstance(value, float) and value.is_integer() else value)
    return None if word is None else int(word)


def _time(value: Any) -> float | None:
    word = _word(value)
    found = None if word is None else float(word)
    if found is not None and not 0 <= found < math.inf:
        raise ValueError(f"{word!r} is no time in seconds")
    return found
