# SPDX-License-Identifier: Apache-2.0
"""Judgements of images in a table: which image, by whom, when, right or not; settled to what an instrument says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.annotators._operating import COULD_NOT_TELL
from audit.annotators._rows import rows_of, text_of
from audit.annotators._votes import KEYS, majority
from audit.errors import ConfigError

__all__ = ["BY_REQUEST", "NO", "YES", "Judged", "Opinion", "Roles", "read_judgements"]

YES, NO = "yes", "no"
#: Columns that say which image is meant where no column of `KEYS` does.
BY_REQUEST = ("generator", "prompt_id", "repetition")
_WORDS = {
    **dict.fromkeys(("yes", "true", "1", "1.0"), YES),
    **dict.fromkeys(("no", "false", "0", "0.0"), NO),
    **dict.fromkeys(("cannot tell", "can not tell", "can't tell", "could not tell"), COULD_NOT_TELL),
}


@dataclass(frozen=True, slots=True)
class Roles:
    """Whose judgements are which.

    Attributes:
        judge: whose count; None: the only one there is, people aside where others judged.
        second: another judge to hold them against; None: the same one, where it judged again.
        people: judges that are people.
    """

    judge: str | None
    second: str | None
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one judge says of one image, all questions taken together.

    Attributes:
        correct: "yes" if every question is answered so, "no" if any is answered no, else "could not tell"; None where
            only a score was given.
        score: mean of the scores given; with several questions and no score, the share of those answered that are yes.
        judge: who.
        at: seconds since 1970, NaN where the table does not say.
    """

    correct: str | None
    score: float
    judge: str
    at: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A table of judgements.

    Attributes:
        key: "request_id", "sha256" or "pixels", by which images are found.
        first: what the judge said, by key.
        again: what the second judge said, or the same one the second time.
        people: what people said, by majority; empty where the judge is people.
        places: where the first row about each image stands, and how many rows there are about it.
    """

    key: str
    first: Mapping[str, Opinion]
    again: Mapping[str, Opinion]
    people: Mapping[str, str]
    places: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class _Said:
    place: str
    judge: str
    rater: str
    question: str
    correct: str | None
    score: float
    at: float


def read_judgements(path: Path, roles: Roles, requests: Mapping[tuple[str, str, str], str] | None) -> Judged:
    """The settled judgements of a table.

    Args:
        path: see `rows_of`.
        roles: whose judgements are which.
        requests: id by generator, prompt and repetition ("" where two requests share them); None: not known.

    Raises:
        ConfigError: the table cannot be read, says nowhere which images are meant or what was judged, names no such
            judge, or holds two judgements of one judge at one time.
    """
    rows = rows_of(path)
    columns = {name for _, row in rows for name in row}
    key = next((name for name in KEYS if name in columns), None)
    if key is None and not columns.issuperset(BY_REQUEST):
        hint = f"a column {', '.join(KEYS)}, or the columns {', '.join(BY_REQUEST)}"
        raise ConfigError("says nowhere which images are meant", where=str(path), hint=hint)
    if columns.isdisjoint({"correct", "score"}):
        raise ConfigError("has neither a column correct nor a column score", where=str(path), hint="correct: yes or no")
    by_image: dict[str, list[_Said]] = {}
    for place, row in rows:
        who = text_of(row.get(key)) if key else _request(place, row, requests)
        if not who:
            raise ConfigError(f"no {key}", where=place, hint="every row needs one")
        by_image.setdefault(who, []).append(_said(place, row))
    judge = _chosen([one for said in by_image.values() for one in said], roles, path)
    first: dict[str, Opinion] = {}
    again: dict[str, Opinion] = {}
    people: dict[str, str] = {}
    for who, said in by_image.items():
        mine = _panel([one for one in said if one.judge == judge])
        others = _panel([one for one in said if one.judge == roles.second]) if roles.second else mine[1:]
        first |= {who: mine[0]} if mine else {}
        again |= {who: others[0]} if others else {}
        people |= {who: label} if (label := _by_people(said, roles.people)) and judge not in roles.people else {}
    places = {who: (said[0].place, len(said)) for who, said in by_image.items()}
    return Judged(key or "request_id", first, again, people, places)


def _request(place: str, row: Mapping[str, Any], requests: Mapping[tuple[str, str, str], str] | None) -> str:
    generator, prompt, repetition = (text_of(row.get(name)).removesuffix(".0") for name in BY_REQUEST)
    if requests is None:
        hint = "set the option `run` to the folder of the run, or add a column request_id"
        raise ConfigError("generator, prompt and repetition alone do not name an image", where=place, hint=hint)
    found = requests.get((generator, prompt, repetition))
    if found == "":
        hint = "add a column request_id"
        raise ConfigError(f"two probe sets have a prompt {prompt!r}", where=place, hint=hint)
    return found or f"{generator}, {prompt}, {repetition}"  # the name of no request: counted as such


def _said(place: str, row: Mapping[str, Any]) -> _Said:
    judge, rater, question = (text_of(row.get(name)) for name in ("judge", "rater", "question"))
    return _Said(
        place,
        judge,
        rater,
        question,
        _correct(place, row.get("correct")),
        _score(place, row.get("score")),
        _time(place, row.get("judged_at")),
    )


def _correct(place: str, cell: Any) -> str | None:
    text = text_of(cell).casefold()
    if text and text not in _WORDS:
        raise ConfigError(f"{text_of(cell)!r} is no judgement", where=place, hint="correct: yes, no, or cannot tell")
    return _WORDS.get(text)


def _score(place: str, cell: Any) -> float:
    if not (text := text_of(cell)):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise ConfigError(f"{text!r} is no score", where=place, hint="a number, or an empty cell")
    return value


def _time(place: str, cell: Any) -> float:
    if not (text := text_of(cell)):
        return math.nan
    try:
        at = cell if isinstance(cell, datetime) else datetime.fromisoformat(text)
    except ValueError:
        hint = "ISO 8601, e.g. 2026-03-01T12:00:00Z; UTC where no zone is given"
        raise ConfigError(f"{text!r} is no time", where=place, hint=hint) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _chosen(said: Sequence[_Said], roles: Roles, path: Path) -> str:
    """The judge whose judgements count. Raises ConfigError."""
    names = {one.judge for one in said}
    judges = sorted(names.difference(roles.people) or names)
    hint = f"judges of the table: {', '.join(name or 'unnamed' for name in judges) or 'none'}"
    for name in (roles.judge, roles.second):
        if name is not None and name not in judges:
            raise ConfigError(f"no row is by the judge {name!r}", where=str(path), hint=hint)
    if roles.judge is None and len(judges) != 1:
        message = f"{len(judges)} judges, and the option `judge` does not say whose judgements count"
        raise ConfigError(message, where=str(path), hint=hint)
    return judges[0] if roles.judge is None else roles.judge


def _occasions(said: Sequence[_Said]) -> list[Opinion]:
    """What one judge said of one image the first time, the second time and so on."""
    by_question: dict[str, list[_Said]] = {}
    for one in sorted(said, key=lambda one: (math.isnan(one.at), one.at)):
        mine = by_question.setdefault(one.question, [])
        if mine and not one.at > mine[-1].at:
            hint = "keep one row, or say in `judged_at` when each was made"
            raise ConfigError(
                f"{one.judge or 'the judge'} judges an image twice at one time", where=one.place, hint=hint
            )
        mine.append(one)
    times = max((len(mine) for mine in by_question.values()), default=0)
    return [_opinion([mine[k] for mine in by_question.values() if k < len(mine)]) for k in range(times)]


def _opinion(said: Sequence[_Said]) -> Opinion:
    answers = [one.correct for one in said]
    scores = [one.score for one in said if not math.isnan(one.score)]
    told = [answer == YES for answer in answers if answer in {YES, NO}]
    if not scores and len(said) > 1:
        scores = [float(right) for right in told]
    score = sum(scores) / len(scores) if scores else math.nan
    return Opinion(_all_of(answers), score, said[0].judge, max(one.at for one in said))


def _all_of(answers: Sequence[str | None]) -> str | None:
    if all(answer is None for answer in answers):
        return None
    if NO in answers:
        return NO
    return YES if all(answer == YES for answer in answers) else COULD_NOT_TELL


def _by_people(said: Sequence[_Said], people: Sequence[str]) -> str | None:
    """What most people say, ties to "could not tell"; None where nobody was asked."""
    found = [_panel([one for one in said if one.judge == name]) for name in people]
    labels = [opinions[0].correct for opinions in found if opinions and opinions[0].correct]
    return majority(labels) if labels else None


def _panel(said: Sequence[_Said]) -> list[Opinion]:
    """The occasions of one judge; of several raters under one name, what most of them say the first time."""
    raters: dict[str, list[_Said]] = {}
    for one in said:
        raters.setdefault(one.rater, []).append(one)
    if len(raters) < 2:
        return _occasions(said)
    first = [_occasions(mine)[0] for mine in raters.values()]
    labels = [opinion.correct for opinion in first if opinion.correct]
    scores = [opinion.score for opinion in first if not math.isnan(opinion.score)]
    score = sum(scores) / len(scores) if scores else math.nan
    return [Opinion(majority(labels) if labels else None, score, said[0].judge, max(one.at for one in first))]
