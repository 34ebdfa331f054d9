# SPDX-License-Identifier: Apache-2.0
"""From a probe set file to prompts, and the rules of the format that a schema cannot state."""

from __future__ import annotations

import difflib
import hashlib
import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from audit.documents import Document
from audit.errors import ProbeError
from audit.probes._references import read_references
from audit.probes._rows import read_rows
from audit.probes.format import GroupsBlock, ProbeBlock, PromptBlock
from audit.types import DeclaredGroups, Prompt

__all__ = ["declared_groups", "expand"]

MAX_PROMPTS = 100_000
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def expand(block: ProbeBlock, document: Document) -> tuple[Prompt, ...]:
    """All prompts of a set, in file order, checked. Raises ProbeError with the place."""
    ways = [way for way in ("template", "prompts", "rows") if getattr(block, way) is not None]
    if len(ways) != 1:
        said = " and ".join(ways) or "none of them"
        raise document.failure(f"prompts come from one of template, prompts, rows; here: {said}", ways[-1:], key=True)
    if block.axes is not None and block.template is None:
        raise document.failure("axes go with a template; a written-out prompt names its own", ["axes"], key=True)
    placed = list(_from_template(block, document) if block.template is not None else _written(block, document))
    if not placed:
        raise document.failure("the set holds no prompt", ways)
    _check_ids(placed)
    _check_by(block, document, placed)
    _check_asks(block, document, placed)
    return _paired(block, document, placed)


def declared_groups(block: ProbeBlock, document: Document, prompts: Sequence[Prompt]) -> dict[str, DeclaredGroups]:
    """The declared groups by attribute, reference shares checked. Raises ProbeError with the place."""
    values: dict[str, dict[str, None]] = {}
    for prompt in prompts:
        for axis, value in prompt.axes.items():
            values.setdefault(axis, {})[value] = None
    return {attribute: _groups(attribute, block, document, values) for attribute in block.groups}


def _groups(
    attribute: str, block: ProbeBlock, document: Document, values: Mapping[str, Collection[str]]
) -> DeclaredGroups:
    given, at = block.groups[attribute], ["groups", attribute]
    if len(set(given.groups)) != len(given.groups):
        raise document.failure(f"a group of {attribute!r} stands twice", [*at, "groups"])
    if given.reference == "uniform":
        shares = dict.fromkeys(given.groups, 1 / len(given.groups))
    else:
        _check_shares(attribute, given, document)
        shares = {group: given.reference[group] for group in given.groups}
    others = {}
    for name, other in given.others.items():
        if other.axis not in values:
            hint = _nearest(other.axis, values)
            raise document.failure(f"no prompt has an axis {other.axis!r}", [*at, "others", name, "axis"], hint=hint)
        others[name] = read_references(
            document.path.parent / other.file,
            axis=other.axis,
            attribute=attribute,
            groups=given.groups,
            values=values[other.axis],
        )
    return DeclaredGroups(attribute, tuple(given.groups), shares, given.source, given.year, others)


def _check_shares(attribute: str, given: GroupsBlock, document: Document) -> None:
    assert given.reference != "uniform"
    shares, at = given.reference, ["groups", attribute, "reference"]
    for group in given.groups:
        if group not in shares:
            raise document.failure(f"reference of {attribute!r} has no share for {group!r}", at)
    for group in shares:
        if group not in given.groups:
            hint = _nearest(group, given.groups)
            raise document.failure(f"{group!r} is no group of {attribute!r}", [*at, group], hint=hint, key=True)
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise document.failure(f"reference of {attribute!r} sums to {total:.6g}, not to 1", at)


def _from_template(block: ProbeBlock, document: Document) -> Iterator[tuple[Prompt, str]]:
    template, axes = str(block.template).strip(), block.axes or {}
    _check_template(template, axes, document)
    place = document.place(["template"])
    choices = [list(given.items()) if isinstance(given, dict) else [(v, v) for v in given] for given in axes.values()]
    for combination in product(*choices):
        values = dict(zip(axes, (value for value, _ in combination), strict=True))
        words = dict(zip(axes, (wording for _, wording in combination), strict=True))
        text = template.format_map(words)
        bare = "-".join(map(_slug, values.values())) or _slug(text)
        yield _prompt(block, PromptBlock(id=bare[:128], text=text, axes=values)), place


def _check_template(template: str, axes: Mapping[str, list[str] | dict[str, str]], document: Document) -> None:
    used = _PLACEHOLDER.findall(template)
    for name in used:
        if name not in axes:
            raise document.failure(f"template names an unknown axis {name!r}", ["template"], hint=_nearest(name, axes))
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        raise document.failure("template holds a brace that belongs to no {axis}", ["template"])
    for name, given in axes.items():
        if name not in used:
            hint = f"write {{{name}}} in the template, or take the axis out"
            raise document.failure(f"axis {name!r} is not in the template", ["axes", name], hint=hint, key=True)
        values = list(given)
        for i, value in enumerate(values):
            if value in values[:i]:
                raise document.failure(f"value {value!r} of axis {name!r} stands twice", ["axes", name, i])
    count = math.prod(len(given) for given in axes.values())
    if count > MAX_PROMPTS:
        raise document.failure(f"the axes make {count} prompts; at most {MAX_PROMPTS}", ["axes"])


def _written(block: ProbeBlock, document: Document) -> Iterator[tuple[Prompt, str]]:
    if block.rows is not None:
        for row, place in read_rows(document.path.parent / block.rows):
            yield _prompt(block, row), place
    for i, given in enumerate(block.prompts or []):
        yield _prompt(block, given), document.place(["prompts", i, "id"] if given.id else ["prompts", i])


def _prompt(block: ProbeBlock, given: PromptBlock) -> Prompt:
    return Prompt(
        id=f"{block.name}/{given.id or _slug(given.text)}",
        text=given.text.strip(),
        probe=block.name,
        axes=dict(given.axes),
        negative=given.negative or block.negative,
        tags=frozenset((*block.tags, *given.tags)),
    )


def _check_ids(placed: list[tuple[Prompt, str]]) -> None:
    first: dict[str, str] = {}
    for prompt, place in placed:
        if prompt.id in first:
            message = f"two prompts are called {prompt.id!r} (the other stands at {first[prompt.id]})"
            raise ProbeError(message, where=place, hint="give one of them an id of its own")
        first[prompt.id] = place


def _check_by(block: ProbeBlock, document: Document, placed: list[tuple[Prompt, str]]) -> None:
    """Slices must cover every prompt: a prompt without the axis would silently drop out of all of them."""
    if len(set(block.by)) != len(block.by):
        raise document.failure("an axis stands twice", ["by"])
    for i, axis in enumerate(block.by):
        lacking = [place for prompt, place in placed if axis not in prompt.axes]
        if len(lacking) == len(placed):
            known = {name for prompt, _ in placed for name in prompt.axes}
            raise document.failure(f"no prompt has an axis {axis!r}", ["by", i], hint=_nearest(axis, known))
        if lacking:
            raise document.failure(f"axis {axis!r} is missing from the prompt at {lacking[0]}", ["by", i])


def _check_asks(block: ProbeBlock, document: Document, placed: list[tuple[Prompt, str]]) -> None:
    """What a prompt asks for must be one of the declared groups; a prompt without the axis asks for none."""
    for attribute, axis in block.asks.items():
        if attribute not in block.groups:
            hint = _nearest(attribute, block.groups)
            raise document.failure(
                f"asks for {attribute!r}, which has no groups", ["asks", attribute], hint=hint, key=True
            )
        values = dict.fromkeys(prompt.axes[axis] for prompt, _ in placed if axis in prompt.axes)
        if not values:
            known = {name for prompt, _ in placed for name in prompt.axes}
            raise document.failure(f"no prompt has an axis {axis!r}", ["asks", attribute], hint=_nearest(axis, known))
        for value in values:
            if value not in block.groups[attribute].groups:
                hint = _nearest(value, block.groups[attribute].groups)
                raise document.failure(f"axis {axis!r}: {value!r} is no group of {attribute!r}", ["asks"], hint=hint)


def _paired(block: ProbeBlock, document: Document, placed: list[tuple[Prompt, str]]) -> tuple[Prompt, ...]:
    """The prompts, those that differ only in the paired axes under one key."""
    if not block.paired:
        return tuple(prompt for prompt, _ in placed)
    seen: dict[tuple[str, ...], str] = {}
    found = []
    for prompt, place in placed:
        if lacking := [axis for axis in block.paired if axis not in prompt.axes]:
            raise document.failure(f"axis {lacking[0]!r} is missing from the prompt at {place}", ["paired"])
        rest = [f"{axis}={value}" for axis, value in sorted(prompt.axes.items()) if axis not in block.paired]
        pair = "/".join([block.name, *rest])
        member = (pair, *(prompt.axes[axis] for axis in block.paired))
        if member in seen:
            message = f"differs in nothing but its words from the prompt at {seen[member]}"
            raise ProbeError(message, where=place, hint="give the two an axis that tells them apart")
        seen[member] = place
        found.append(replace(prompt, pair=pair))
    if len({prompt.pair for prompt in found}) == len(found):
        raise document.failure("no two prompts differ in the paired axes only", ["paired"])
    return tuple(found)


def _slug(text: str) -> str:
    """A short id made of ``text``: lower case, hyphens; a digest where no Latin letter is left."""
    flat = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", flat).strip("-")
    return slug[:80] or "p" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
