# SPDX-License-Identifier: Apache-2.0
"""Words that were asked for against words that were read."""

from __future__ import annotations

from typing import Final

__all__ = ["AS_ASKED", "OTHERWISE", "compared", "levenshtein"]

#: What the truth, and a reader, say of a picture in which a word was asked for.
AS_ASKED: Final = "as asked"
OTHERWISE: Final = "otherwise"
_COULD_NOT_TELL: Final = "could not tell"


def compared(asked: str, *, kind: str | None, text: str | None) -> str:
    """What a reader says of a picture in which a word was asked for.

    Where it sees no sign the word is not there; where it sees one that it cannot read, it could not tell.

    Args:
        asked: the word, upper or lower case.
        kind: of picture: "person", "painting", "sign" or "could not tell".
        text: what was read, None for nothing.
    """
    if text is not None:
        return AS_ASKED if text.upper() == asked.upper() else OTHERWISE
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
