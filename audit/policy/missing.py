# SPDX-License-Identifier: Apache-2.0
"""What requests without an image do to a finding: how many, and how far they could have moved the number.

Shares and means are of the images that came. Had the m missing ones been drawn, a mean over n + m images of scores
between a and b could lie anywhere between (n value + m a) / (n + m) and (n value + m b) / (n + m), whatever made them
miss (Manski 1989). That needs a number that is a mean over images; of others only the count is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit.policy.words import range_words
from audit.types import Estimate, Outcome, Status

__all__ = ["COULD_CHANGE", "WorstCase", "missing_words", "without_image", "worst_case"]

COULD_CHANGE = "which could change the verdict"

Ends = tuple[float | None, float | None]

#: Metrics that are means over images, with the smallest and largest score of one image.
_BOUNDED: Mapping[str, tuple[float, float]] = {
    "bias.obedience": (0.0, 1.0),
    "likeness.copy_share": (0.0, 1.0),
    "likeness.logo_share": (0.0, 1.0),
    "likeness.match_rate": (0.0, 1.0),
    "provenance.verified_share": (0.0, 1.0),
    "quality.banding": (0.0, 1.0),
    "quality.blank_share": (0.0, 1.0),
    "quality.blockiness": (-255.0, 255.0),
    "quality.blur": (0.0, 1.0),
    "quality.checkerboard": (0.0, 255.0),
    "quality.clip_s": (0.0, 2.5),
    "quality.clip_score": (-100.0, 100.0),
    "quality.clipping": (0.0, 1.0),
    "quality.judged_correct": (0.0, 1.0),
    "quality.ringing": (-255.0, 255.0),
    "quality.vqa_score": (0.0, 1.0),
    "text.edit_similarity": (0.0, 1.0),
    "text.exact_match": (0.0, 1.0),
}
#: Differences between a share and a fixed one, which stands in ``extra`` under this name.
_SHIFTED: Mapping[str, str] = {
    "bias.amplification": "training_share",
    "bias.gap_to_reference": "reference",
    "bias.representation_gap": "reference",
}
#: Means over images whose scores have no upper end.
_UNBOUNDED = frozenset(
    {
        "cost.cpu_seconds_per_image",
        "cost.energy_per_image",
        "cost.seconds_per_image",
        "quality.aesthetic",
        "quality.discriminator_score",
        "quality.effective_resolution",
        "quality.noise",
        "quality.preference",
        "text.character_error_rate",
    }
)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Where a number could be if every request had given an image.

    Attributes:
        low, high: smallest and largest value.
        intervals: the interval at the smallest and at the largest value, and all that lies between.
    """

    low: float
    high: float
    intervals: tuple[Ends, Ends, Ends]


def without_image(estimate: Estimate) -> dict[Outcome, int]:
    """Requests of the estimate's slice that ended otherwise, by outcome; empty where the run did not count them."""
    found = {o: estimate.extra.get(f"missing_{o.value}") for o in Outcome if o is not Outcome.IMAGE}
    return {outcome: int(k) for outcome, k in found.items() if isinstance(k, int | float) and k > 0}


def worst_case(estimate: Estimate) -> WorstCase | None:
    """The range that the missing images leave open; None where none is missing or the number is no bounded mean."""
    each, m = _each(estimate), sum(without_image(estimate).values())
    if each is None or not m or estimate.value is None or not estimate.n:
        return None
    kept, lost = estimate.n / (estimate.n + m), m / (estimate.n + m)

    def moved(number: float | None, end: float) -> float | None:
        return None if number is None else kept * number + lost * end

    least = moved(estimate.low, each[0]), moved(estimate.high, each[0])
    most = moved(estimate.low, each[1]), moved(estimate.high, each[1])
    low, high = (kept * estimate.value + lost * end for end in each)
    return WorstCase(low, high, (least, most, (least[0], most[1])))


def missing_words(estimate: Estimate, *, could_change: bool) -> str:
    """How many are missing and what it does, to be put behind a finding; empty where none is missing."""
    if not estimate.missing:
        return ""
    asked, by_outcome = estimate.n + estimate.missing, without_image(estimate)
    lost = sum(by_outcome.values())
    rest = estimate.missing - lost
    if estimate.status is not Status.OK:  # why there is no number has been said
        rest = 0
    if not lost:
        return f"; {rest} of {asked} requests have no measurement" if rest else ""
    kinds = ", ".join(f"{k} {_plural(outcome, k)}" for outcome, k in by_outcome.items())
    more = f", {rest} more no measurement" if rest > 0 else ""
    return f"; {lost} of {asked} requests gave no image ({kinds}){more}{_effect(estimate, lost, could_change)}"


def _plural(outcome: Outcome, k: int) -> str:
    return "errors" if outcome is Outcome.ERROR and k > 1 else outcome.value


def _effect(estimate: Estimate, lost: int, could_change: bool) -> str:
    worst = worst_case(estimate)
    if worst is not None:
        change = f", {COULD_CHANGE}" if could_change else ""
        return f": with them it could be {range_words(estimate, worst.low, worst.high)}{change}"
    # Where images are the units of a t interval its width goes with one over the root of their number.
    rows = estimate.clusters == estimate.n and estimate.method.startswith("t")
    if estimate.metric in _UNBOUNDED and estimate.status is Status.OK and rows:
        wider = ((estimate.n + lost) / estimate.n) ** 0.5
        return f": the interval is about {wider:.2f} times as wide as {estimate.n + lost} images would make it"
    return ""


def _each(estimate: Estimate) -> tuple[float, float] | None:
    """Smallest and largest value that a single image can have."""
    if estimate.metric in _SHIFTED:
        fixed = estimate.extra.get(_SHIFTED[estimate.metric])
        return (-float(fixed), 1.0 - float(fixed)) if isinstance(fixed, int | float) else None
    return _BOUNDED.get(estimate.metric)
