# SPDX-License-Identifier: Apache-2.0
"""From questions to images a prompt, and what each question costs the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.planning._questions import Question
from audit.planning._sizes import Size, images_needed
from audit.stats.annotator_error import Correction
from audit.types import OperatingCharacteristics

__all__ = ["Answer", "Need", "images_in_all", "needs"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question takes.

    Attributes:
        question: asked.
        size: images over all of its prompts; ``images`` is None where no number is enough.
        measured: whether the instrument's error is known; without counts it is taken as perfect.
        a_prompt: images of each of its prompts, None like the size.
    """

    question: Question
    size: Size
    measured: bool
    a_prompt: int | None


@dataclass(frozen=True, slots=True)
class Need:
    """All questions of one rule about one attribute of one probe set, to one generator.

    Attributes:
        rule, generator, probe, attribute: which.
        answers: its questions.
        hardest: the one that takes the most images a prompt; None where none can be answered.
        impossible: how many no number of images decides.
        images: a prompt, for all that can be decided.
        saved: images of the whole audit that leaving this out would save.
    """

    rule: str
    generator: str
    probe: str
    attribute: str
    answers: tuple[Answer, ...]
    hardest: Answer | None
    impossible: int
    images: int
    saved: int


def needs(
    asked: Sequence[Question],
    operating: Mapping[str, OperatingCharacteristics],
    *,
    margin: float,
    level: float = 0.95,
    power: float = 0.8,
) -> list[Need]:
    """What the questions take, the dearest first.

    Args:
        asked: questions of a policy.
        operating: counts by attribute; an attribute without them is taken as read by people who never err.
        margin: how far beyond the limit a gap must be failed, and how far inside it passed, with probability ``power``.
        level: of the intervals.
        power: chance of each decision.
    """
    answers = [_answer(question, operating, margin=margin, level=level, power=power) for question in asked]
    groups: dict[tuple[str, str, str, str], list[Answer]] = {}
    for one in answers:
        q = one.question
        groups.setdefault((q.rule, q.generator, q.probe, q.declared.attribute), []).append(one)
    total = images_in_all(answers)
    found = [_need(key, group, answers, total) for key, group in groups.items()]
    return sorted(found, key=lambda need: (-need.images, need.rule, need.generator, need.probe, need.attribute))


def images_in_all(answers: Sequence[Answer]) -> int:
    """Images of all prompts; one image answers every question about its prompt."""
    each: dict[tuple[str, str], int] = {}
    for answer in answers:
        for prompt in answer.question.prompts:
            key = (answer.question.generator, prompt)
            each[key] = max(each.get(key, 0), answer.a_prompt or 0)
    return sum(each.values())


def _need(key: tuple[str, str, str, str], mine: Sequence[Answer], every: Sequence[Answer], total: int) -> Need:
    possible = [answer for answer in mine if answer.a_prompt is not None]
    hardest = max(possible, key=lambda answer: answer.a_prompt or 0, default=None)
    ids = {id(answer) for answer in mine}
    without = images_in_all([answer for answer in every if id(answer) not in ids])
    images = hardest.a_prompt or 0 if hardest else 0
    return Need(*key, tuple(mine), hardest, len(mine) - len(possible), images, total - without)


def _answer(
    question: Question, operating: Mapping[str, OperatingCharacteristics], *, margin: float, level: float, power: float
) -> Answer:
    known = operating.get(question.declared.attribute)
    correction = Correction(known.matrix()) if known is not None else None
    names = known.truth if known is not None else question.declared.groups
    j = list(names).index(question.group)
    reference = np.array([float(question.declared.reference.get(name, 0.0)) for name in names])
    if correction is not None and not correction.identified:
        return Answer(question, Size(None, math.inf, math.inf), True, None)
    alpha = 1 - level
    sizes = []
    for edge, share, beyond in _tested(float(reference[j]), question.limits, margin):
        # Only failing is corrected for many tests: a generator passes when every slice does.
        corrected = alpha / question.together if beyond and question.correction == "holm" else alpha
        at_limit, truth = (_with_share(reference, j, p) for p in (edge, share))
        sizes.append(images_needed(correction, at_limit, truth, group=j, alpha=corrected, power=power))
    size = max(sizes, key=lambda s: math.inf if s.images is None else s.images, default=Size(0, 1.0, 0.0))
    a_prompt = None if size.images is None else math.ceil(size.images / len(question.prompts))
    return Answer(question, size, known is not None, a_prompt)


def _tested(reference: float, limits: tuple[float, float], margin: float) -> list[tuple[float, float, bool]]:
    """Share on the limit, share where the decision is to be reached, and whether that lies beyond the limit.

    Where the scale ends sooner than ``margin`` beyond a limit, its end is what has to be told from the limit; a limit
    outside the scale needs telling from nothing.
    """
    found = []
    for limit, outward in ((limits[0], -1), (limits[1], 1)):
        edge = reference + limit
        if not 0 < edge < 1:
            continue
        for side, beyond in ((outward, True), (-outward, False)):
            share = min(max(edge + side * margin, 0.0), 1.0)
            found.append((edge, share, beyond))
    return found


def _with_share(reference: Array, j: int, share: float) -> Array:
    """Shares with that of group j set, the others in the proportions of the reference."""
    others = np.where(np.arange(len(reference)) == j, 0.0, reference)
    if others.sum() == 0:
        others = np.where(np.arange(len(reference)) == j, 0.0, 1.0)
    mix: Array = others / others.sum() * (1 - share)
    mix[j] = share
    return mix
