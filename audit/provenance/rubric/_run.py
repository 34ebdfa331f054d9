# SPDX-License-Identifier: Apache-2.0
"""Apply every check to what a reader found in a file, and count over many files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from audit.errors import VerificationError
from audit.provenance._engine import library, sniff, verify_context
from audit.provenance.rubric import _actions, _assertions, _claim, _generator
from audit.provenance.rubric._model import Check, Outcome, Rubric, Rule
from audit.provenance.rubric._signals import signals_of
from audit.provenance.rubric._view import View, mapping, sequence

__all__ = ["CHECKS", "Count", "check", "check_bytes", "passes", "read_crjson", "rubric_summary", "signals"]

#: Every check by id: those of the C2PA rubrics, then ours.
CHECKS: Final[Mapping[str, Rule]] = MappingProxyType(
    {rule.id: rule for rule in (*_claim.RULES, *_actions.RULES, *_assertions.RULES, *_generator.RULES)}
)
_MAX_BYTES: Final = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Count:
    """Outcomes of one check over many images.

    Attributes:
        id, title, source: see `Rule`.
        passed, warned, failed, not_applicable: numbers of images.
    """

    id: str
    title: str
    source: str
    passed: int
    warned: int
    failed: int
    not_applicable: int


def check(crjson: Mapping[str, Any], *, rubric: Rubric | None = None) -> tuple[Check, ...]:
    """Every check of ``rubric`` (default: of all) on the active manifest.

    The checks of the C2PA rubrics decide as C2PA's own evaluator does, also where that is lenient, except that a
    check with nothing to look at says so instead of passing.

    Args:
        crjson: what ``c2pa.Reader.crjson()`` gives, parsed.
        rubric: one list of checks only.

    Raises:
        VerificationError: no manifest in it.
    """
    view = _active(crjson)
    return tuple(rule.on(view) for rule in CHECKS.values() if rubric is None or rubric in rule.rubrics)


def check_bytes(data: bytes, *, anchors: str | None = None, rubric: Rubric | None = None) -> tuple[Check, ...]:
    """`check` for a whole file; without ``anchors`` (PEM) no signer is trusted, and ``trusted_success`` fails.

    Raises:
        VerificationError: no credentials in the file, or they cannot be read.
        ConfigError: the C2PA library is missing.
    """
    return check(read_crjson(data, anchors=anchors), rubric=rubric)


def signals(crjson: Mapping[str, Any], *, manifest: int = 0) -> tuple[str, ...]:
    """What one manifest says about where the image comes from: names of `SIGNALS`.

    Args:
        crjson: as in `check`.
        manifest: its place in the document; the active one is the first.

    Raises:
        VerificationError: no such manifest in it.
    """
    return signals_of(_active(crjson, manifest))


def passes(checks: Iterable[Check], rubric: Rubric = Rubric.CONFORMANCE) -> bool:
    """Whether no check of ``rubric`` failed; False if there is none among ``checks``."""
    mine = [one for one in checks if rubric in one.rubrics]
    return bool(mine) and all(one.holds for one in mine)


def rubric_summary(many: Iterable[Iterable[Check]]) -> tuple[Count, ...]:
    """How often each check passed, warned, failed and did not apply.

    Args:
        many: checks of one image each; an image without credentials brings none and is counted nowhere.

    Returns:
        One count a check, in the order of `CHECKS`.
    """
    counts = {name: dict.fromkeys(Outcome, 0) for name in CHECKS}
    for checks in many:
        for one in checks:
            counts[one.id][one.outcome] += 1
    rows = ((CHECKS[name], count) for name, count in counts.items() if any(count.values()))
    return tuple(Count(rule.id, rule.title, rule.source, *count.values()) for rule, count in rows)


def read_crjson(data: bytes, *, anchors: str | None = None) -> Mapping[str, Any]:
    """The crJSON document of a file's credentials.

    Args:
        data: the whole file.
        anchors: PEM of the roots to trust.

    Raises:
        VerificationError: no credentials in the file, or they cannot be read.
        ConfigError: the C2PA library is missing.
    """
    kind = sniff(data)
    if kind is None or len(data) > _MAX_BYTES:
        raise VerificationError(f"{len(data)} bytes that are no image file that can carry credentials")
    c2pa, context = library(), verify_context(anchors)
    try:
        with c2pa.Reader(kind, io.BytesIO(data), context=context) as reader:
            return mapping(json.loads(reader.crjson()))
    except c2pa.C2paError.ManifestNotFound:
        hint = "stamp it first: the rubric is about credentials, and there are none"
        raise VerificationError("the image carries no credentials", hint=hint) from None
    except (c2pa.C2paError, ValueError, RecursionError) as error:
        raise VerificationError(f"the credentials cannot be read: {' '.join(str(error).split())[:200]}") from None


def _active(crjson: Mapping[str, Any], place: int = 0) -> View:
    manifests = sequence(mapping(crjson).get("manifests"))
    if not 0 <= place < len(manifests):
        raise VerificationError(
            f"the document has {len(manifests)} manifests, so none at place {place}",
            hint="give it what c2pa.Reader.crjson() returns, parsed",
        )
    return View.of(manifests[place])
