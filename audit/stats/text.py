# SPDX-License-Identifier: Apache-2.0
"""Words that were asked for against words that were read, and how often a reader errs."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from audit.types import OperatingCharacteristics

__all__ = [
    "AS_ASKED",
    "OTHERWISE",
    "ReadingError",
    "compared",
    "edit_similarity",
    "error_rate",
    "levenshtein",
    "normalised",
]

#: What the truth, and a reader, say of a picture in which a word was asked for.
AS_ASKED: Final = "as asked"
OTHERWISE: Final = "otherwise"
_COULD_NOT_TELL: Final = "could not tell"


@dataclass(frozen=True, slots=True)
class ReadingError:
    """How often a reader errs, counted on words that were rendered to be read back.

    Attributes:
        right, right_read: pictures of a word, and those in which that word was read.
        wrong, wrong_read: pictures of the word with one letter exchanged or two swapped, and those in which the word
            without the mistake was read.
        rate, rate_error: mean over the first pictures of edits per letter (nothing read: 1), and its standard error.
        measured_on: in words.
    """

    right: int
    right_read: int
    wrong: int
    wrong_read: int
    rate: float
    rate_error: float
    measured_on: str

    def operating(self) -> OperatingCharacteristics:
        """The counts as a confusion matrix; a reader that reads nothing says "otherwise"."""
        counts = (
            (self.right_read, self.right - self.right_read),
            (self.wrong_read, self.wrong - self.wrong_read),
        )
        classes = (AS_ASKED, OTHERWISE)
        return OperatingCharacteristics("text", classes, classes, counts, self.measured_on)


def normalised(text: str) -> str:
    """Text as it is compared: composed (NFC), without upper and lower case, runs of white space as one space.

    Punctuation and accents count: OPEN! is not OPEN.

    >>> normalised("  Snack   BAR "), normalised("OPEN!")
    ('snack bar', 'open!')
    """
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def compared(asked: str, *, kind: str | None, text: str | None) -> str:
    """What a reader says of a picture in which a word was asked for.

    Where it sees no sign the word is not there; where it sees one that it cannot read, it could not tell.

    Args:
        asked: the word, upper or lower case.
        kind: of picture: "person", "painting", "sign" or "could not tell".
        text: what was read, None for nothing.
    """
    if text is not None:
        return AS_ASKED if normalised(text) == normalised(asked) else OTHERWISE
    return OTHERWISE if kind in {"person", "painting"} else _COULD_NOT_TELL


def levenshtein(a: str, b: str) -> int:
    """Fewest insertions, deletions and exchanges of a letter that turn ``a`` into ``b`` (Wagner and Fischer 1974).

    >>> levenshtein("EXIT", "EXTI")
    2
    """
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        above, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (left != right))
    return row[-1]


def error_rate(asked: str, read: str) -> float:
    """Edits per letter asked for, of normalised texts; above 1 where much more was read than asked for."""
    asked, read = normalised(asked), normalised(read)
    return levenshtein(asked, read) / len(asked)


def edit_similarity(asked: str, read: str) -> float:
    """1 - d / max(length), d the edits between the normalised texts: 1 for the same text, 0 for nothing in common.

    >>> edit_similarity("kitten", "Sitting"), edit_similarity("OPEN", ""), edit_similarity("open", "OPEN")
    (0.5714285714285714, 0.0, 1.0)
    """
    asked, read = normalised(asked), normalised(read)
    longest = max(len(asked), len(read))
    return 1 - levenshtein(asked, read) / longest if longest else 1.0
