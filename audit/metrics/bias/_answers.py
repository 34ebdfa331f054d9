# SPDX-License-Identifier: Apache-2.0
"""Answers about one attribute, for measures that look at pairs and at what prompts ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.metrics.bias._rows import Codes
from audit.metrics.bias._shares import answered, count_by_unit
from audit.stats.annotator_error import Correction, SharesEstimate
from audit.types import DeclaredGroups, Estimate, MetricSpec, OperatingCharacteristics, View

__all__ = ["Answers", "answers_about"]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What an instrument answers about one attribute.

    Attributes:
        declared: the groups.
        operating: of the instrument.
        correction: of its answers.
        codes: shape (n,), place of each row's answer among ``operating.answers``; -1 without an image or an answer
            that says anything of the groups.
        units: shape (n,), number of each row's scene or prompt, whose images share luck.
    """

    declared: DeclaredGroups
    operating: OperatingCharacteristics
    correction: Correction
    codes: Codes
    units: Codes

    @property
    def places(self) -> list[int]:
        """Where each declared group stands among the instrument's groups."""
        return [self.operating.truth.index(group) for group in self.declared.groups]

    def named(self) -> Codes:
        """Place of the group that each row's answer names among the declared groups, -1 for none; shape (n,)."""
        groups = self.declared.groups
        table = [groups.index(a) if a in groups else -1 for a in self.operating.answers]
        return np.array([*table, -1], dtype=np.int64)[self.codes]

    def counts(self, index: Codes) -> NDArray[np.float64]:
        """Count of each answer among the rows ``index``, shape (r,)."""
        found = self.codes[index]
        return np.bincount(found[found >= 0], minlength=len(self.operating.answers)).astype(np.float64)

    def shares(self, index: Codes, *, level: float) -> SharesEstimate:
        """Corrected shares among the rows ``index``, robust to luck that images of a prompt share; needs answers."""
        table = count_by_unit(self.codes[index], self.units[index], len(self.operating.answers)).astype(np.float64)
        return self.correction.estimate(table.sum(axis=0), level=level, clusters=table)


def answers_about(view: View, spec: MetricSpec, declared: DeclaredGroups) -> Answers | Estimate:
    """Answers about one attribute, or an estimate that says why there are none."""
    found = answered(view, spec, declared)
    if isinstance(found, Estimate):
        return found
    heard = found.correction.heard(np.ones(len(found.operating.answers))) > 0
    codes = np.where(np.append(heard, False)[found.codes], found.codes, -1)
    return Answers(declared, found.operating, found.correction, codes, found.units)
