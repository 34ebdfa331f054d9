# SPDX-License-Identifier: Apache-2.0
"""Every prompt as it stands and in other words, paired: what an image owes to the words and not to what they mean."""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from audit.errors import AuditError, ProbeError
from audit.paths import data_root
from audit.probes._rows import read_rows
from audit.probes._words import dice, exchanged, mistyped
from audit.types import Prompt
from audit.wordings import TyposBlock, WordingsBlock

__all__ = ["AXIS", "ORIGINAL", "Failure", "reworded"]

#: Axis that says in which words a prompt is asked, and its value for the prompt as it stands.
AXIS, ORIGINAL = "wording", "original"
_TRIES = 50  # to mistype a short prompt in yet another way

Say = Callable[[Prompt], str | None]


class Failure(Protocol):
    """Makes the error about one part of the block, with its place."""

    def __call__(self, message: str, loc: Sequence[str | int] = (), *, hint: str | None = None) -> AuditError:
        """The error to raise."""
        ...


def reworded(prompts: Sequence[Prompt], block: WordingsBlock, *, folder: Path, fail: Failure) -> tuple[Prompt, ...]:
    """Each prompt followed by its other wordings, under the axis `AXIS`; a wording that changes nothing is left out.

    Args:
        prompts: of a set.
        block: which wordings.
        folder: where the files stand that the block names.
        fail: makes the errors.

    Raises:
        AuditError: by ``fail`` for a wording that no prompt has and for whatever the block gets wrong; ProbeError for
            a file that is wrong, with its place.
    """
    ways = dict(_ways(prompts, block, folder, fail))
    if not ways:
        raise fail("names no wording", hint="typos: {}, synonyms: {}, paraphrase: [...] or languages: {...}")
    found: list[Prompt] = []
    for prompt in prompts:
        if AXIS in prompt.axes:
            raise fail(f"prompt {prompt.id!r} has an axis {AXIS!r} of its own", hint="rename that axis")
        as_asked = replace(prompt, axes={**prompt.axes, AXIS: ORIGINAL}, pair=prompt.pair or prompt.id)
        found += [as_asked, *_others(as_asked, ways)]
    counts = Counter(prompt.axes[AXIS] for prompt in found)
    if without := [name for name in ways if not counts[name]]:
        raise fail(f"no prompt has other words under {without[0]!r}", hint="leave it out, or mend its table")
    if twice := [name for name, times in Counter(prompt.id for prompt in found).items() if times > 1]:
        raise fail(f"two prompts are called {twice[0]!r}", hint="give one of them an id of its own")
    return tuple(found)


def _others(prompt: Prompt, ways: Mapping[str, Say]) -> Iterator[Prompt]:
    said = {prompt.text}
    for name, say in ways.items():
        text = say(prompt)
        if text is not None and text not in said:
            said.add(text)
            axes = {**prompt.axes, AXIS: name}
            yield replace(prompt, id=f"{prompt.id}.{name}", text=text, axes=axes, meant=prompt.text)


def _ways(prompts: Sequence[Prompt], block: WordingsBlock, folder: Path, fail: Failure) -> Iterator[tuple[str, Say]]:
    if block.typos is not None:
        yield from _typing(block.typos, block.keep)
    if block.synonyms is not None:
        table = _pairs(folder / block.synonyms.table if block.synonyms.table else _bundled("synonyms_en.csv"))
        yield "synonyms", lambda prompt: exchanged(prompt.text, synonyms=table, keep=block.keep)
    if block.paraphrase is not None:
        yield from _framed(block.paraphrase, fail)
    for language, given in (block.languages or {}).items():
        yield language, _translated(prompts, language, given, folder, fail)


def _bundled(name: str) -> Path:
    return data_root() / "probes" / "wordings" / name


def _numbered(name: str, number: int, of: int) -> str:
    """Name of a variant; it needs no number where it is the only one."""
    return f"{name}-{number + 1}" if of > 1 else name


def _typing(block: TyposBlock, keep: Sequence[str]) -> Iterator[tuple[str, Say]]:
    keys = {row["key"]: row["neighbours"] for row, _ in _table(_bundled("keys_qwerty.csv"), ("key", "neighbours"))}

    def texts(prompt: Prompt) -> list[str]:
        """All variants of a prompt, no two alike; fewer where it is too short for that."""
        found: dict[str, None] = {}
        for attempt in range(_TRIES * block.variants):
            throw = dice("typos", block.seed, prompt.id, attempt)
            text = mistyped(prompt.text, rate=block.rate, keep=keep, keys=keys, throw=throw)
            if text is None or len(found) == block.variants:
                break
            found[text] = None
        return list(found)

    def variant(number: int) -> Say:
        return lambda prompt: next(iter(texts(prompt)[number : number + 1]), None)

    for number in range(block.variants):
        yield _numbered("typos", number, block.variants), variant(number)


def _framed(given: str | Sequence[str], fail: Failure) -> Iterator[tuple[str, Say]]:
    frames = given
    if isinstance(given, str):
        frames = [row["frame"] for row, _ in _table(_bundled("paraphrases_en.csv"), ("frame", "source"))]
    for number, frame in enumerate(frames):
        bare = frame.replace("{text}", "", 1)
        if bare == frame or "{" in bare or "}" in bare:
            raise fail(f"frame {frame!r} must hold {{text}} once and no other brace", ["paraphrase", number])
        yield _numbered("paraphrase", number, len(frames)), _frame(frame)


def _frame(frame: str) -> Say:
    return lambda prompt: frame.replace("{text}", prompt.text).strip()


def _translated(
    prompts: Sequence[Prompt], language: str, given: str | Mapping[str, str], folder: Path, fail: Failure
) -> Say:
    """Texts by prompt id, with or without the name of the set before it."""
    if isinstance(given, str):
        rows = [(row.id or "", row.text, place) for row, place in read_rows(folder / given)]
    else:
        rows = [(name, text, "") for name, text in given.items()]
    known = {name: prompt.id for prompt in prompts for name in (prompt.id, prompt.id.removeprefix(f"{prompt.probe}/"))}
    texts: dict[str, str] = {}
    for name, text, place in rows:
        if problem := _problem(name, known, texts):
            hint = _nearest(name, known)
            if place:
                raise ProbeError(problem, where=place, hint=hint)
            raise fail(problem, ["languages", language, name], hint=hint)
        texts[known[name]] = text.strip()
    return lambda prompt: texts.get(prompt.id)


def _problem(name: str, known: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    if name not in known:
        return f"no prompt is called {name!r}"
    return f"prompt {name!r} is translated twice" if known[name] in texts else None


def _nearest(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(list(known)[:8])} ..."


def _pairs(path: Path) -> dict[str, str]:
    """Synonym by word, in lower case."""
    found: dict[str, str] = {}
    for row, place in _table(path, ("word", "synonym", "source")):
        word = row["word"].lower()
        if not word or not row["synonym"] or word == row["synonym"].lower():
            raise ProbeError(f"{word!r} has no synonym", where=place)
        if word in found:
            raise ProbeError(f"{word!r} stands twice", where=place, hint="one synonym a word")
        found[word] = row["synonym"]
    return found


def _table(path: Path, columns: Sequence[str]) -> Iterator[tuple[dict[str, str], str]]:
    """Rows of a CSV with the place of each; lines that begin with # are for readers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(f"table cannot be read: {error}", where=str(path), hint="it stands beside the file") from None
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    rows = [(number, [cell.strip() for cell in next(csv.reader([line]))]) for number, line in kept]
    if not rows or rows[0][1] != list(columns):
        raise ProbeError(f"columns must be {', '.join(columns)}", where=str(path))
    for number, cells in rows[1:]:
        if len(cells) != len(columns):
            raise ProbeError(f"{len(cells)} cells under {len(columns)} columns", where=f"{path}:{number}")
        yield dict(zip(columns, cells, strict=True)), f"{path}:{number}"
