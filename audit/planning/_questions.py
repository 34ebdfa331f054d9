# SPDX-License-Identifier: Apache-2.0
"""What a policy asks about shares: one question for every generator, slice and group that a rule will judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from audit.policy import Policy
from audit.policy.rules import Threshold, matches_slice
from audit.probes import ProbeSet
from audit.types import DeclaredGroups

__all__ = ["GAP", "Question", "questions"]

GAP = "bias.representation_gap"


@dataclass(frozen=True, slots=True)
class Question:
    """Whether one gap keeps a rule's limits.

    Attributes:
        rule: id of the rule.
        generator: whose images.
        probe: name of the probe set.
        slice: axis values, empty for the whole set.
        declared: the attribute's groups and reference.
        group: whose share.
        limits: smallest and largest allowed gap.
        prompts: ids of the prompts whose images answer it.
        together: findings that are judged together with it.
        correction: how the rule allows for many tests.
    """

    rule: str
    generator: str
    probe: str
    slice: Mapping[str, str]
    declared: DeclaredGroups
    group: str
    limits: tuple[float, float]
    prompts: tuple[str, ...]
    together: int
    correction: str


def questions(policy: Policy, probes: Sequence[ProbeSet], generators: Sequence[str]) -> list[Question]:
    """All questions about representation gaps, in the order of rules, generators, sets and slices."""
    found: list[Question] = []
    for rule_id, rule in policy.rules:
        if not isinstance(rule, Threshold) or rule.spec.metric != GAP:
            continue
        for generator in generators:
            mine = [
                (probe, where, declared, group, prompts)
                for probe in probes
                for where, prompts in _slices(probe)
                for attribute, declared in _free(probe)
                for group in declared.groups
                if matches_slice(
                    {**where, "probe": probe.name, "attribute": attribute, "group": group},
                    generator,
                    rule.spec.where,
                    exact=rule.spec.exact,
                )
            ]
            found += [
                Question(
                    rule_id,
                    generator,
                    probe.name,
                    where,
                    declared,
                    group,
                    rule.spec.limits,
                    prompts,
                    len(mine),
                    rule.spec.multiplicity,
                )
                for probe, where, declared, group, prompts in mine
            ]
    return found


def _free(probe: ProbeSet) -> Iterator[tuple[str, DeclaredGroups]]:
    """Attributes that the prompts leave to the generator."""
    if probe.purpose == "bias":
        yield from ((name, groups) for name, groups in probe.groups.items() if name not in probe.asks)


def _slices(probe: ProbeSet) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    yield {}, tuple(prompt.id for prompt in probe.as_it_stands)
    for axis in probe.by:
        values: dict[str, list[str]] = {}
        for prompt in probe.as_it_stands:
            if axis in prompt.axes:
                values.setdefault(prompt.axes[axis], []).append(prompt.id)
        yield from (({axis: value}, tuple(ids)) for value, ids in sorted(values.items()))
