# SPDX-License-Identifier: Apache-2.0
"""What people are asked about: attributes whose groups are declared, and some that nobody is asked about unasked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from audit.annotators._label_map import RACE_WORDS
from audit.annotators._operating import COULD_NOT_TELL
from audit.errors import ConfigError

__all__ = ["Groups", "attributes_of", "declared_groups", "question"]

Groups = Mapping[str, tuple[str, ...]]
_RESERVED = frozenset({"item", "image", "comment", "attribute", "label", "rater", "weight"})
_QUESTIONS = {
    "presentation": "How does the person in the picture present?",
    "age": "How old does the person look?",
    "tone_band": "How light or dark does the skin look? (Monk tones 1-3 light, 4-7 medium, 8-10 dark)",
}


def declared_groups(plan: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Groups by attribute that the probe sets of a run declare; none where two sets declare them differently."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for probe in plan["probes"]:
        for name, declared in probe["groups"].items():
            found.setdefault(name, set()).add(tuple(declared["groups"]))
    return {name: next(iter(groups)) for name, groups in found.items() if len(groups) == 1}


def attributes_of(given: Sequence[str], declared: Groups, *, allow_race: bool = False) -> dict[str, tuple[str, ...]]:
    """The attributes to ask about.

    Args:
        given: ``name=group,group`` or the name of a declared attribute; nothing for all that are declared.
        declared: by the probe sets.
        allow_race: whether attributes of race may be asked about.

    Raises:
        ConfigError: a name without groups, groups that cannot be answers, or an attribute of race.
    """
    found: dict[str, tuple[str, ...]] = {}
    for words in given or list(declared):
        name, equals, groups = words.partition("=")
        name = name.strip()
        if name in found:
            raise ConfigError(f"{name!r} stands twice", where="--attribute")
        found[name] = tuple(g.strip() for g in groups.split(",")) if equals else _known(name, declared)
        _check(name, found[name], allow_race=allow_race)
    if not found:
        hint = "say which: --attribute presentation=feminine,masculine"
        raise ConfigError("the probe sets of the run declare no groups", where="--attribute", hint=hint)
    return found


def question(name: str) -> str:
    """How raters are asked about an attribute."""
    return _QUESTIONS.get(name, f"{name.replace('_', ' ').capitalize()}: what do you perceive?")


def _known(name: str, declared: Groups) -> tuple[str, ...]:
    if name in declared:
        return declared[name]
    some = f"declared: {', '.join(declared)}; " if declared else ""
    raise ConfigError(f"no groups for {name!r}", where="--attribute", hint=f"{some}or: --attribute {name}=one,other")


def _check(name: str, groups: tuple[str, ...], *, allow_race: bool) -> None:
    where = f"--attribute {name}"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", name) or name.lower() in _RESERVED:
        raise ConfigError(f"{name!r} is no name of an attribute", where="--attribute", hint="letters, digits and _")
    if len(set(groups)) < max(2, len(groups)) or not all(groups):
        raise ConfigError("needs two groups or more, none empty, none twice", where=where)
    if COULD_NOT_TELL in groups or any(re.search(r"[\x00-\x1f\"]", group) for group in groups):
        raise ConfigError("one of the groups cannot be an answer", where=where, hint="could not tell is always offered")
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    if not allow_race and not RACE_WORDS.isdisjoint(words):
        hint = "ask for apparent skin tone, or give --allow-race and say in the report why"
        raise ConfigError(
            "race cannot be seen in a picture, and is not asked about unless told", where=where, hint=hint
        )
