# SPDX-License-Identifier: Apache-2.0
"""Rules made of rules: ``all_of`` and ``any_of``, each one finding over the findings of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.errors import ConfigError
from audit.registry import RULES
from audit.types import Decision, Estimate, Finding, Rule

__all__ = ["AllOf", "AnyOf"]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    rule: str
    rules: list[dict[str, Any]] = Field(min_length=2, description="Blocks of the parts; their id may be left out")
    refs: tuple[str, ...] = ()


def _all(seen: set[Decision]) -> Decision:
    """FAIL if one fails, PASS if all pass, else INCONCLUSIVE."""
    if Decision.FAIL in seen:
        return Decision.FAIL
    return Decision.PASS if seen == {Decision.PASS} else Decision.INCONCLUSIVE


def _any(seen: set[Decision]) -> Decision:
    """PASS if one passes, FAIL if all fail, else INCONCLUSIVE."""
    if Decision.PASS in seen:
        return Decision.PASS
    return Decision.FAIL if seen == {Decision.FAIL} else Decision.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part must hold, on every slice that it looks at.

    Args:
        block: ``id``, ``rule`` and the blocks of at least two parts under ``rules``. Raises ConfigError for a part that
            is wrong, pydantic.ValidationError for the block itself.
    """

    block: InitVar[Mapping[str, Any]]
    name: str = field(init=False)
    parts: tuple[Rule, ...] = field(init=False)
    join: ClassVar[Callable[[set[Decision]], Decision]] = staticmethod(_all)
    word: ClassVar[str] = "all of"

    def __post_init__(self, block: Mapping[str, Any]) -> None:
        given = _Block.model_validate(dict(block))
        object.__setattr__(self, "name", given.id)
        object.__setattr__(self, "parts", tuple(_part(given.id, i, part) for i, part in enumerate(given.rules)))

    def check(self, estimates: Sequence[Estimate], /) -> Sequence[Finding]:
        """One finding; its evidence is that of all parts."""
        found = [list(part.check(estimates)) for part in self.parts]
        decided = {_all({finding.decision for finding in findings}) for findings in found}
        every = [finding for findings in found for finding in findings]
        evidence = tuple(estimate for finding in every for estimate in finding.evidence)
        message = f"{self.word}: " + " | ".join(f"[{finding.decision}] {finding.message}" for finding in every)
        limits = " and ".join(dict.fromkeys(finding.limit for finding in every if finding.limit))
        return [Finding(self.name, type(self).join(decided), message, evidence, f"{self.word}: {limits}")]


@dataclass(frozen=True, slots=True)
class AnyOf(AllOf):
    """One part must hold, on every slice that it looks at."""

    join: ClassVar[Callable[[set[Decision]], Decision]] = staticmethod(_any)
    word: ClassVar[str] = "any of"


def _part(parent: str, i: int, block: Mapping[str, Any]) -> Rule:
    kind = str(block.get("rule", "threshold"))
    try:
        rule: Rule = RULES.get(kind)({"id": f"{parent}.{i + 1}", "rule": kind, **block})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in ("rules", i, *first["loc"]))
        raise ConfigError(f"{place}: {str(first['msg']).removeprefix('Value error, ')}") from None
    return rule
