# SPDX-License-Identifier: Apache-2.0
"""What a verifier says about one file, and how that comes back from another process without trusting it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from audit.provenance.state import State
from audit.provenance.trust import ListInForce

__all__ = ["Ingredient", "SoftBinding", "TimeStamp", "Verified", "one_line", "verified_from"]


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """What an authority says about the time of signing.

    Attributes:
        authority: name in its certificate.
        time: ISO 8601.
        state: "trusted" (an authority on a list given for time), "untrusted" (intact, on no such list) or "invalid".
    """

    authority: str | None
    time: str | None
    state: str


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Something that the image, or one of its ingredients, was made from.

    Attributes:
        relationship: "parentOf" (the same picture before), "componentOf" or "inputTo".
        title: as the credentials call it.
        manifest_id: label of its own credentials, None where it brought none.
        issuer: who signed those, as claimed.
        codes: what is wrong with them.
    """

    relationship: str
    title: str | None = None
    manifest_id: str | None = None
    issuer: str | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SoftBinding:
    """A watermark or fingerprint that the credentials declare; nobody has looked for it in the picture.

    Attributes:
        algorithm: its name.
        value: of its first block, as written (for watermarks of this tool: the payload in hex).
    """

    algorithm: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdict on one file.

    Attributes:
        state: see `State`.
        codes: failure codes of the C2PA library and our own ("genaudit. ..."), those of parents and other ingredients
            with prefix "ingredient:".
        issuer: organisation in the signer's certificate, as claimed: anybody can write any name there unless trusted.
        generator: software that is said to have made the image.
        ai: whether the credentials, or those of a parent, declare the output of a trained model.
        signed_at: UTC; of a time stamp authority where there is one, else the signer's own word.
        request_id: of the audit's request, where this tool stamped the image.
        message: one sentence for people.
        hint: what to do about it, empty where there is nothing to do.
        warnings: codes of what is odd but breaks nothing.
        passed: codes of what the library found in order or worth telling.
        manifest_id: label of the active manifest.
        run_id: of the run or service, where this tool stamped the image.
        title: of the image.
        algorithm: of the signature.
        source_types: every digital source type that is declared, own ones first, then those of parents.
        watermark: what the credentials declare.
        timestamp: None where there is none.
        ingredients: all of them, however deep.
        parents: labels of the parent's credentials, its parent's, and so on.
        trust_list: the list that vouches for the signer, None where none does.
        lists: all lists in force.
        library: versions that judged.
        rubric: what fails of the official C2PA checks on how credentials are made; None where not asked.

    All but ``state``, ``codes``, ``message``, ``hint``, ``trust_list``, ``lists`` and ``library`` are what the
    credentials *say*; believe it only if ``state.verified``. An image that somebody created anew over credentials shows
    no trace of them: what is not among ``ingredients`` may still have been there.
    """

    state: State
    codes: tuple[str, ...] = ()
    issuer: str | None = None
    generator: str | None = None
    ai: bool = False
    signed_at: str | None = None
    request_id: str | None = None
    message: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    manifest_id: str | None = None
    run_id: str | None = None
    title: str | None = None
    algorithm: str | None = None
    source_types: tuple[str, ...] = ()
    watermark: SoftBinding | None = None
    timestamp: TimeStamp | None = None
    ingredients: tuple[Ingredient, ...] = ()
    parents: tuple[str, ...] = ()
    trust_list: ListInForce | None = None
    lists: tuple[ListInForce, ...] = ()
    library: str | None = None
    rubric: tuple[str, ...] | None = None


_HIDDEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def one_line(text: object, most: int = 200) -> str:
    """Somebody else's text for a sentence of ours: no control or direction characters, one line, at most ``most``."""
    shown = "".join(" " if unicodedata.category(c) in _HIDDEN else c for c in str(text)[: 4 * most])
    flat = " ".join(shown.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


# -- back from a process that read an untrusted file: every field is checked, nothing is executed ------------------


def verified_from(plain: Any) -> Verified:
    """A verdict from what ``dataclasses.asdict`` and JSON made of one. Raises ValueError if it is anything else."""
    data = _mapping(plain)
    unknown = set(data) - set(_FIELDS)
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    return Verified(**{name: _FIELDS[name](value) for name, value in data.items()})


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not a table")  # noqa: TRY004 - one kind of error for whatever is wrong with foreign data
    return value


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"not {kind.__name__}")
        return value

    return check


def _maybe(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _each(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: tuple(check(item) for item in _exactly(list)(value))


def _record(kind: type, **checks: Callable[[Any], Any]) -> Callable[[Any], Any]:
    names = {each.name for each in fields(kind)}

    def check(value: Any) -> Any:
        data = _mapping(value)
        if set(data) != names:
            raise ValueError(f"not a {kind.__name__}")
        return kind(**{name: checks.get(name, _maybe(_TEXT))(item) for name, item in data.items()})

    return check


_TEXT: Final = _exactly(str)
_TEXTS: Final = _each(_TEXT)
_LIST: Final = _record(ListInForce, certificates=_exactly(int))
_FIELDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **{each.name: _maybe(_TEXT) for each in fields(Verified)},
    **dict.fromkeys(("codes", "warnings", "passed", "source_types", "parents"), _TEXTS),
    "state": State,
    "ai": _exactly(bool),
    "message": _TEXT,
    "hint": _TEXT,
    "watermark": _maybe(_record(SoftBinding)),
    "timestamp": _maybe(_record(TimeStamp)),
    "ingredients": _each(_record(Ingredient, codes=_TEXTS)),
    "trust_list": _maybe(_LIST),
    "lists": _each(_LIST),
    "rubric": _maybe(_TEXTS),
}
