# SPDX-License-Identifier: Apache-2.0
"""The threshold rule: judged on the interval, never on the point estimate alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from audit.policy.family import Judged, judge_family
from audit.policy.limits import decide
from audit.policy.missing import missing_words, worst_case
from audit.policy.words import describe, limit_words, no_number, sharpness_words, together_words
from audit.types import Decision, Estimate, Finding, Status

__all__ = ["Threshold", "ThresholdBlock", "Where", "matches", "matches_slice"]


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Choice = Annotated[
    tuple[str, ...] | None,
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "null"},
            ]
        }
    ),
]
Where = Annotated[
    dict[str, Choice],
    Field(description="Slice key, or 'generator', to a value or a list of values; '*' any value, null: key is absent"),
]
Number = Annotated[float, Field(allow_inf_nan=False)]


class ThresholdBlock(BaseModel):
    """A threshold rule as it stands in a policy file. Exactly one of the four limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    rule: Literal["threshold"] = "threshold"
    metric: str = Field(min_length=1, description="Metric id, e.g. bias.representation_gap")
    where: Where = Field(default_factory=dict)
    exact: bool = Field(False, description="Only slices with no other keys than those in `where`, and `probe`")
    at_least: Number | None = None
    at_most: Number | None = None
    within: Annotated[Number, Field(ge=0)] | None = Field(None, description="Largest absolute value")
    between: tuple[Number, Number] | None = None
    min_n: int | None = Field(None, ge=1, description="Fewer images than this are inconclusive")
    multiplicity: Literal["holm", "bh", "none"] = Field(
        "holm",
        description="Over the slices of one generator: holm keeps the chance of any false failure under the level, bh "
        "their share among failures (for exploring), none judges each slice alone",
    )
    refs: tuple[str, ...] = Field((), description="Why: a clause, a ticket, a paper")

    @model_validator(mode="after")
    def _one_limit(self) -> ThresholdBlock:
        given = [name for name in ("at_least", "at_most", "within", "between") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of at_least, at_most, within, between; here: {' and '.join(given) or 'none'}")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("between: the first number must not be above the second")
        if any(choice == () for choice in self.where.values()):
            raise ValueError("where: an empty list matches nothing")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest allowed value; infinite where there is none."""
        if self.within is not None:
            return -self.within, self.within
        if self.between is not None:
            return self.between
        low = -math.inf if self.at_least is None else self.at_least
        return low, math.inf if self.at_most is None else self.at_most


def matches(estimate: Estimate, where: Mapping[str, Sequence[str] | None], *, exact: bool = False) -> bool:
    """Whether an estimate's generator and slice are those that ``where`` describes; keys not named may be anything."""
    return matches_slice(estimate.slice, estimate.generator, where, exact=exact)


def matches_slice(
    slice_: Mapping[str, str], generator: str, where: Mapping[str, Sequence[str] | None], *, exact: bool = False
) -> bool:
    """The same of a slice that has no estimate yet."""
    have: dict[str, str] = {**slice_, "generator": generator}
    if exact and set(slice_) - {*where, "probe"}:  # the probe set says where, not which part of it
        return False
    for key, choice in where.items():
        if choice is None:
            if key in have:
                return False
        elif key not in have or ("*" not in choice and have[key] not in choice):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Threshold:
    """Holds a metric to a limit, one finding for each matching estimate.

    Whatever the policy names and the run lacks is a NOT_RUN finding: every generator in the run must have a matching
    estimate, and every slice value that is written out must occur.

    Args:
        block: the rule's block of the policy file, checked here. Raises pydantic.ValidationError.

    >>> Threshold({"id": "answered", "metric": "outcomes.answered", "at_least": 0.98}).spec.limits
    (0.98, inf)
    """

    block: InitVar[Mapping[str, Any]]
    spec: ThresholdBlock = field(init=False)

    def __post_init__(self, block: Mapping[str, Any]) -> None:
        object.__setattr__(self, "spec", ThresholdBlock.model_validate(dict(block)))

    def check(self, estimates: Sequence[Estimate], /) -> Sequence[Finding]:
        """Findings in the order of the estimates; then what is missing."""
        found = [e for e in estimates if e.metric == self.spec.metric and self._matches(e)]
        together = self._together(found)
        return [*(self._judge(e, together.get(id(e))) for e in found), *self._missing(found, estimates)]

    def _together(self, found: Sequence[Estimate]) -> dict[int, Judged]:
        """Decisions by estimate; the slices of one generator are one family."""
        judged: dict[int, Judged] = {}
        for generator in dict.fromkeys(estimate.generator for estimate in found):
            family = [e for e in found if e.generator == generator and e.status is Status.OK]
            decided = judge_family(family, self.spec.limits, correction=self.spec.multiplicity)
            judged.update({id(e): one for e, one in zip(family, decided, strict=True)})
        return judged

    def _matches(self, estimate: Estimate) -> bool:
        return matches(estimate, self.spec.where, exact=self.spec.exact)

    def _judge(self, estimate: Estimate, judged: Judged | None) -> Finding:
        limit = limit_words(self.spec, estimate.unit)
        if judged is None:
            message = f"{no_number(estimate)}; limit {limit}{missing_words(estimate, could_change=False)}"
            return Finding(self.spec.id, Decision.NOT_RUN, message, (estimate,), limit)
        decision = judged.decision
        message = describe(estimate, limit=limit) + together_words(judged, self.spec.multiplicity)
        message += sharpness_words(estimate, self.spec.limits)
        message += missing_words(estimate, could_change=self._could_change(estimate, judged.alone))
        if self.spec.min_n is not None and estimate.n < self.spec.min_n:
            decision, message = Decision.INCONCLUSIVE, f"{message}; the rule asks for at least {self.spec.min_n} images"
        return Finding(self.spec.id, decision, message, (estimate,), limit)

    def _could_change(self, estimate: Estimate, decision: Decision) -> bool:
        """Whether images instead of the requests that gave none could have led to another decision."""
        worst = worst_case(estimate)
        ends = worst.intervals if worst is not None else ()
        return any(decide(low, high, self.spec.limits) is not decision for low, high in ends)

    def _missing(self, found: Sequence[Estimate], estimates: Sequence[Estimate]) -> Iterator[Finding]:
        for generator in self._generators(estimates):
            own = [estimate for estimate in found if estimate.generator == generator]
            if not own:
                other = [e for e in estimates if (e.metric, e.generator) == (self.spec.metric, generator)]
                why = next((f": {e.why}" for e in other if e.status is not Status.OK and e.why), "")
                yield self._not_run(f"{generator}: no estimate of {self.spec.metric}{self._where()}{why}")
                continue
            for key, choice in self.spec.where.items():
                for value in choice or ():
                    if key != "generator" and value != "*" and all(e.slice[key] != value for e in own):
                        yield self._not_run(f"{generator}: no estimate of {self.spec.metric} where {key} is {value}")

    def _generators(self, estimates: Sequence[Estimate]) -> list[str]:
        """Who must have an estimate: those named, else all that the run has estimates of; never nobody."""
        named = self.spec.where.get("generator")
        if named and "*" not in named:
            return list(named)
        return list(dict.fromkeys(estimate.generator for estimate in estimates)) or ["any generator"]

    def _where(self) -> str:
        parts = [
            f"{key} is {'absent' if choice is None else 'given' if '*' in choice else ' or '.join(choice)}"
            for key, choice in self.spec.where.items()
            if key != "generator"
        ]
        return f" where {' and '.join(parts)}" if parts else ""

    def _not_run(self, message: str) -> Finding:
        return Finding(self.spec.id, Decision.NOT_RUN, message, (), limit_words(self.spec, ""))
