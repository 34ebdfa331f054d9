# SPDX-License-Identifier: Apache-2.0
"""Declared attributes: which words of a model stand for which group, and when an answer is too weak to be one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._nets import objects
from audit.annotators._operating import COULD_NOT_TELL
from audit.errors import ConfigError

__all__ = ["RACE_WORDS", "Groups", "choose", "columns_of", "groups_of", "probability", "refuse_race", "words_of"]

#: Words of an attribute's name that stand for race or ethnicity.
RACE_WORDS = frozenset(
    {
        *("ancestry", "caste", "descent", "ethnic", "ethnicities", "ethnicity"),
        *("heritage", "nationality", "race", "races", "racial", "tribe"),
    }
)
_NAME = re.compile(r"[A-Za-z][\w -]*")

#: By group, the words (prompts, labels or answers) that stand for it.
Groups = dict[str, tuple[str, ...]]


def refuse_race(attributes: Iterable[str], *, allowed: bool, where: str) -> None:
    """Refuse to sort people by race or ethnicity unless the user says that it is meant.

    Args:
        attributes: names, e.g. "presentation", "perceived_race".
        allowed: the option ``allow_race``.
        where: place for the message.

    Raises:
        ConfigError: an attribute's name holds one of `RACE_WORDS`.
    """
    for name in attributes:
        words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
        if not allowed and not RACE_WORDS.isdisjoint(words):
            raise ConfigError(
                f"{name!r} is not measured: race and ethnicity cannot be read off a picture, least of all off one of "
                "nobody, and instruments that claim to do so disagree with each other and with people",
                where=where,
                hint="measure apparent skin tone (annotator skin_tone); `allow_race: true` where you answer for it",
            )


def columns_of(attributes: Iterable[str], more: Mapping[str, str], *, where: str) -> dict[str, str]:
    """Columns of the attributes, each described.

    Args:
        attributes: names.
        more: by suffix, what a further column of each attribute holds, e.g. ``{"_p": "probability ..."}``.
        where: place for messages.

    Raises:
        ConfigError: two columns would have one name.
    """
    out: dict[str, str] = {}
    for name in attributes:
        whole = {name: f"perceived {name}: a group, or {COULD_NOT_TELL!r}"}
        whole |= {f"{name}{suffix}": words for suffix, words in more.items()}
        if taken := sorted(set(whole) & set(out)):
            raise ConfigError(f"two columns would be called {taken[0]!r}", where=where, hint="rename an attribute")
        out |= whole
    return out


def groups_of(raw: Any, *, where: str) -> dict[str, Groups]:
    """Attributes with their groups and the words that stand for each.

    Args:
        raw: ``{attribute: {group: word or list of words}}``.
        where: place for messages.

    Raises:
        ConfigError: anything else, fewer than two groups, or a word that stands for two groups.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise ConfigError("no attribute declared", where=where, hint="e.g. {presentation: {feminine: [...], ...}}")
    return {_name(name, where): _groups(groups, where=f"{where}: {name}") for name, groups in raw.items()}


def _name(raw: Any, where: str) -> str:
    if not isinstance(raw, str) or not _NAME.fullmatch(raw):
        raise ConfigError(f"{raw!r} cannot name an attribute", where=where, hint="letters, digits, - and _")
    return raw


def _groups(raw: Any, *, where: str) -> Groups:
    if not isinstance(raw, Mapping) or len(raw) < 2:
        raise ConfigError("needs at least two groups", where=where, hint="write {group: [words], other: [words]}")
    out = {_word(group, where): words_of(words, where=f"{where}: {group}") for group, words in raw.items()}
    if COULD_NOT_TELL in out:
        message = f"{COULD_NOT_TELL!r} is the answer where none of the groups is told"
        raise ConfigError(message, where=where, hint="leave its words out: what stands for no group is that answer")
    owners: dict[str, str] = {}
    for group, words in out.items():
        for word in words:
            other = owners.setdefault(word.casefold(), group)
            if other != group:
                raise ConfigError(f"{word!r} stands for both {other} and {group}", where=where)
    return out


def words_of(raw: Any, *, where: str) -> tuple[str, ...]:
    """One word or text, or several. Raises ConfigError."""
    several = list(raw) if isinstance(raw, list | tuple) else [raw]
    if not several:
        raise ConfigError("no word stands for it", where=where, hint="name at least one")
    return tuple(_word(word, where) for word in several)


def _word(raw: Any, where: str) -> str:
    if not isinstance(raw, str) or not raw.strip():
        # YAML reads a bare yes, no, on, off as true or false and 5 as a number.
        raise ConfigError(f"{raw!r} is not text", where=where, hint='put it in quotes: "yes", "no", "5"')
    return raw.strip()


def probability(options: Mapping[str, Any], name: str, default: float, *, where: str) -> float:
    """The option ``name`` as a share between 0 and 1. Raises ConfigError."""
    given = options.get(name)
    value = default if given is None else float(given)
    if not 0 <= value <= 1:
        raise ConfigError(f"option {name!r} must lie between 0 and 1, got {value!r}", where=where)
    return value


def choose(
    p: NDArray[np.float64], groups: Sequence[str], *, other: NDArray[np.float64], margin: float
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The likeliest group of each image, or "could not tell".

    Args:
        p: probability of each group, shape (n, k).
        groups: k names.
        other: probability that it is none of them, shape (n,).
        margin: least probability of a likeliest group that counts.

    Returns:
        Answers (n,), and the probability of the likeliest group (n,), NaN where none of them is likelier.
    """
    best = p.max(axis=1)
    told = best > other
    names = np.array(groups, dtype=object)[p.argmax(axis=1)]
    answers = [name if sure else COULD_NOT_TELL for name, sure in zip(names, told & (best >= margin), strict=True)]
    return objects(answers), np.where(told, best, np.nan).astype(np.float32)
