# SPDX-License-Identifier: Apache-2.0
"""What a check is, and what comes out of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from audit.provenance.rubric._view import Found, View

__all__ = ["Check", "Outcome", "Rubric", "Rule", "Test"]

#: What is wrong in a manifest (nothing: it passes), or None where it has nothing that the check is about.
Test: TypeAlias = Callable[[View], Sequence[Found] | None]


class Outcome(StrEnum):
    """Of one check on one manifest."""

    PASS = "pass"  # noqa: S105  (no password)
    WARNING = "warning"  # allowed, but discouraged
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"  # the manifest has nothing that the check is about


class Rubric(StrEnum):
    """Which list a check belongs to."""

    CONFORMANCE = "conformance"  # C2PA asset rubric 1.0, conformance program 0.2, specification 2.4
    INTEGRITY = "integrity"  # C2PA asset integrity rubric 1.0
    GENERATOR = "generator"  # ours: what the C2PA rubrics let pass, and an image generator should not


@dataclass(frozen=True, slots=True)
class Rule:
    """A check.

    Attributes:
        id: of the C2PA rubric for its own checks, so that reports can be compared.
        title: what holds where it passes.
        source: section of the specification, or the program that asks for it.
        test: the check itself.
        rubrics: lists that it belongs to.
        warns: whether finding something is a warning, not a failure.
    """

    id: str
    title: str
    source: str
    test: Test
    rubrics: tuple[Rubric, ...] = (Rubric.CONFORMANCE,)
    warns: bool = False

    def on(self, view: View) -> Check:
        """The outcome for one manifest."""
        found = self.test(view)
        return Check(self.id, self.title, self.source, self.rubrics, self._outcome(found), tuple(found or ()))

    def _outcome(self, found: Sequence[Found] | None) -> Outcome:
        if found is None:
            return Outcome.NOT_APPLICABLE
        if not found:
            return Outcome.PASS
        return Outcome.WARNING if self.warns else Outcome.FAIL


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check on one manifest.

    Attributes:
        id, title, source, rubrics: see `Rule`.
        outcome: see `Outcome`.
        found: what speaks against it, empty unless it failed or warns.
    """

    id: str
    title: str
    source: str
    rubrics: tuple[Rubric, ...]
    outcome: Outcome
    found: tuple[Found, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return self.outcome is not Outcome.FAIL
