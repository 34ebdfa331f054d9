# SPDX-License-Identifier: Apache-2.0
"""The same prompt in other words: typing errors, and words exchanged for others of one meaning."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from audit.probes.canonical import canonical_json

__all__ = ["Dice", "dice", "exchanged", "mistyped"]

Dice = Callable[[int], int]
"""A whole number from 0 up to, and not including, the one that it is given."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# What stands in quotation marks is to be written in the picture: other letters there would ask for another picture.
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»')
_APART = 2  # a swap touches two letters


def dice(*key: object) -> Dice:
    """Throws that depend on ``key`` alone, on any machine and in any version of Python."""
    counter = count()

    def throw(sides: int) -> int:
        digest = hashlib.sha256(canonical_json([*key, next(counter)])).digest()
        return int.from_bytes(digest[:8], "big") % sides

    return throw


def mistyped(text: str, *, rate: float, keep: Sequence[str], keys: Mapping[str, str], throw: Dice) -> str | None:
    """``text`` with typing errors, None where it has no letter that may be mistyped.

    Args:
        text: a prompt.
        rate: share of its letters that are mistyped, at least one of them.
        keep: words that are left alone; so is what stands in quotation marks.
        keys: neighbours by key, lower case.
        throw: source of chance.
    """
    free = _free(text, keep)
    if not free:
        return None
    wanted, chosen, left = max(1, round(rate * len(free))), list[int](), list(free)
    while left and len(chosen) < wanted:
        place = left.pop(throw(len(left)))
        if all(abs(place - other) >= _APART for other in chosen):
            chosen.append(place)
    slips = {place: _slip(text, place, frozenset(free), keys, throw) for place in chosen}
    made = _replaced(text, slips)
    return made if made != text else _replaced(text, {chosen[0]: slips[chosen[0]]})  # two slips may undo each other


def _free(text: str, keep: Sequence[str]) -> list[int]:
    """Places of the letters that may change."""
    kept = _protected(text, keep)
    return [i for i, letter in enumerate(text) if letter.isalpha() and i not in kept]


def _protected(text: str, keep: Sequence[str]) -> set[int]:
    spans = [match.span() for match in _QUOTED.finditer(text)]
    for word in keep:
        pattern = rf"(?<!\w){re.escape(word.strip())}(?!\w)"
        spans += [match.span() for match in re.finditer(pattern, text, flags=re.IGNORECASE)]
    return {place for start, end in spans for place in range(start, end)}


def _slip(text: str, place: int, free: frozenset[int], keys: Mapping[str, str], throw: Dice) -> tuple[int, str]:
    """How many letters from ``place`` on are replaced, and by what; never by themselves."""
    letter, after = text[place], text[place + 1 : place + 2]
    found = [(1, letter * 2)]
    if near := keys.get(letter.lower(), ""):
        other = near[throw(len(near))]
        found.append((1, other.upper() if letter.isupper() else other))
    if place + 1 in free and after != letter:
        found.append((2, after + letter))
    if after.isalpha() or (place and text[place - 1].isalpha()):  # a word of one letter does not vanish
        found.append((1, ""))
    return found[throw(len(found))]


def _replaced(text: str, slips: Mapping[int, tuple[int, str]]) -> str:
    for place in sorted(slips, reverse=True):
        length, letters = slips[place]
        text = text[:place] + letters + text[place + length :]
    return text


def exchanged(text: str, *, synonyms: Mapping[str, str], keep: Sequence[str]) -> str | None:
    """``text`` with every word that the table has exchanged, None where it has none.

    Whole words as they stand in the table, so that a plural is exchanged only where the table has it; capitals are
    kept, and "a" and "an" follow the sound of the new word.

    Args:
        text: a prompt.
        synonyms: word to synonym, lower case.
        keep: words that are left alone; so is what stands in quotation marks.
    """
    kept = _protected(text, keep)
    slips: dict[int, tuple[int, str]] = {}
    before: re.Match[str] | None = None
    for word in _WORD.finditer(text):
        other = synonyms.get(word[0].lower())
        if other is not None and word.start() not in kept:
            slips[word.start()] = len(word[0]), _cased(other, word[0])
            if before is not None and text[before.end() : word.start()].isspace() and before.start() not in kept:
                slips |= _article(before, other)
        before = word
    return _replaced(text, slips) if slips else None


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def _article(before: re.Match[str], word: str) -> dict[int, tuple[int, str]]:
    """The article that ``word`` wants in place of the one before it; nothing where another word stands there."""
    if before[0].lower() not in ("a", "an"):
        return {}
    wanted = "an" if word[:1].lower() in "aeiou" else "a"
    return {before.start(): (len(before[0]), wanted.capitalize() if before[0][0].isupper() else wanted)}
