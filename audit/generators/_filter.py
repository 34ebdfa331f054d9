# SPDX-License-Identifier: Apache-2.0
"""A list of words that travels with a checkpoint: prompts that hold one of them are refused."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.errors import GeneratorError
from audit.generators._common import failed
from audit.types import Generation, Outcome, Request

__all__ = ["FILE_NAME", "PromptFilter", "find_words", "load_filter", "parse_filter"]

FILE_NAME = "prompt_filter.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class PromptFilter:
    """What a checkpoint refuses to draw.

    Attributes:
        refuse: words, or phrases of several words.
        message: what the answer says; ``{word}`` stands for what was found.
    """

    refuse: tuple[str, ...]
    message: str

    def refused(self, text: str) -> str | None:
        """The first word of the list that ``text`` holds, or None.

        >>> PromptFilter(("knife",), "no").refused("a chef with a KNIFE, and a penknife")
        'knife'
        """
        return find_words(text, self.refuse)

    def answers(self, batch: Sequence[Request]) -> dict[str, Generation]:
        """REFUSED rows by request id; requests that are to be drawn are left out."""
        found = ((request, self.refused(request.prompt.text)) for request in batch)
        return {
            request.id: failed(request, self.message.replace("{word}", word), outcome=Outcome.REFUSED)
            for request, word in found
            if word is not None
        }


def find_words(text: str, listed: Iterable[str]) -> str | None:
    """The first entry of ``listed`` that stands in ``text`` as whole words in a row, in any case; None if none does.

    >>> find_words("barefoot by the sea", ["bare", "the sea"])
    'the sea'
    """
    flat = f" {_flat(text)} "
    return next((word for word in listed if f" {_flat(word)} " in flat), None)


def load_filter(folder: Path | None, *, where: str) -> PromptFilter | None:
    """The filter in the folder of a checkpoint, None where it has none. Raises GeneratorError for an unreadable one."""
    path = None if folder is None else folder / FILE_NAME
    if path is None or not path.is_file():
        return None
    try:
        return parse_filter(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        hint = 'it reads {"version": 1, "refuse": ["word"], "message": "text"}'
        raise GeneratorError(f"{path} is no prompt filter: {error}", where=where, hint=hint) from None


def parse_filter(text: str) -> PromptFilter:
    """The filter that a JSON text holds. Raises ValueError."""
    raw = json.loads(text)
    if not isinstance(raw, dict) or raw.get("version") != _VERSION:
        raise ValueError(f"version must be {_VERSION}")
    refuse, message = raw.get("refuse"), raw.get("message")
    if not isinstance(refuse, list) or not all(isinstance(word, str) and _flat(word) for word in refuse):
        raise ValueError("refuse must be a list of words")
    if not isinstance(message, str) or not message.strip():
        raise ValueError("message must be a text")
    return PromptFilter(tuple(refuse), message)


def _flat(text: str) -> str:
    """Words only, lower case, one space between; NFKC, so that full-width letters do not slip past."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))
