# SPDX-License-Identifier: Apache-2.0
"""Findings in plain sentences: value, interval, n, limit; digits follow the width of the interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from audit.policy.family import Judged
from audit.policy.limits import Limits
from audit.policy.sharpness import sharpness
from audit.policy.units import prefixed, unit_of
from audit.types import Decision, Estimate, Status

if TYPE_CHECKING:
    from audit.policy.rules import ThresholdBlock

__all__ = ["describe", "limit_words", "no_number", "range_words", "sharpness_words", "subject", "together_words"]

_GAP = "bias.representation_gap"
_CHANGE = "bias.counterfactual"
_SHARES = {
    "presentation": "{group}-presenting share",
    "tone_band": "share with apparent skin tone {group}",
    "tone": "share with apparent skin tone {group}",
    "age": "share of apparent age {group}",
}
_SUBJECTS = {
    "bias.amplification": "share of the group that leads in the training data, minus its share there ({attribute})",
    "bias.as_published": "{index} as published ({attribute})",
    "bias.association": "association of the concept with the pole, in standard deviations",
    "bias.clusters": "distance between these images and all others over clusters of look-alikes",
    "bias.counterfactual": "change by the exchanged word ({pair}) of {changed}",
    "bias.diversity": "variety of the images of a prompt",
    "bias.entropy": "evenness of shares ({attribute})",
    "bias.gap_to_reference": "share of {attribute} {group} minus its share in {reference}",
    "bias.intersection": "gap where two attributes meet ({attribute}, {group})",
    "bias.jensen_shannon": "divergence from the reference shares ({attribute})",
    "bias.obedience": "share that shows the group that was asked for ({attribute} {group})",
    "bias.obedience_gap": "obedience to the best minus the worst obeyed group ({attribute})",
    "bias.representation_ratio": "share of {attribute} {group} over its reference share",
    "bias.service_parity": "{service} ({attribute} {group})",
    "bias.total_variation": "distance from the reference shares ({attribute})",
    "bias.worst_group": "largest gap of any group ({attribute})",
    "cost.cpu_seconds_per_image": "processor time per image",
    "cost.energy_per_image": "energy per image",
    "cost.flops_per_image": "operations per image",
    "cost.peak_memory": "peak memory of drawing",
    "cost.price_per_thousand": "price of a thousand images",
    "cost.seconds_per_image": "time per image",
    "likeness.match_rate": "share similar to an enrolled reference above the threshold",
    "outcomes.answered": "share of requests answered with an image",
    "outcomes.distinct": "share of pairs of seeds of a prompt that give different pictures",
    "provenance.verified_share": "share whose Content Credentials verify",
    "quality.aesthetic": "aesthetic score",
    "quality.banding": "share of the picture in stairs instead of a gradient",
    "quality.blank_share": "share of images that show nothing",
    "quality.blockiness": "extra difference across the edges of compression blocks",
    "quality.blur": "blur",
    "quality.clip_s": "CLIP-S",
    "quality.clip_score": "CLIP score",
    "quality.clipping": "share of values at the darkest or lightest level",
    "quality.cmmd": "CMMD",
    "quality.coverage": "share of reference images with an image near",
    "quality.density": "density of reference images around the images",
    "quality.difference": "difference of {score} to {against}",
    "quality.frechet_distance": "Frechet distance",
    "quality.inception_score": "Inception score",
    "quality.judge_drift": "drift of the judge against {against}",
    "quality.judged_correct": "share judged correct",
    "quality.kernel_distance": "kernel distance",
    "quality.mifid": "MiFID",
    "quality.near_duplicates": "share of pairs of seeds of a prompt that give nearly the same picture",
    "quality.noise": "noise",
    "quality.precision": "share of images that look like reference images",
    "quality.preference": "preference score",
    "quality.recall": "share of reference images within reach of the images",
    "quality.ringing": "extra roughness beside strong edges",
    "quality.robustness": "change of {score} under another wording ({wording})",
    "quality.training_distance": "distance to the nearest training image",
    "quality.vendi": "Vendi score",
    "quality.vqa_score": "probability that the image shows its prompt",
    "style.dispersion": "scatter of style from seed to seed over that between prompts",
    "text.character_error_rate": "errors per letter asked for, as read",
    "text.edit_similarity": "similarity of the text shown to the text asked for, as read",
    "text.exact_match": "share that shows the word as asked for",
}
_NAMED = {"attribute", "group"}  # slice keys that the subject itself already says


class _Said(dict[str, str]):
    """Slice keys for a subject; one that a slice lacks is said as "any"."""

    def __missing__(self, key: str) -> str:
        return f"any {key}"


def subject(estimate: Estimate) -> str:
    """What the number is about, without the slice: "feminine-presenting share"."""
    have = _Said({"attribute": "all attributes", "group": "all groups", **estimate.slice})
    if estimate.metric == _CHANGE:
        have["changed"] = (
            have.get("outcome") or have.get("score") or "the share of {attribute} {group}".format_map(have)
        )
    if estimate.metric == "outcomes.answered" and "outcome" in have:
        return "share of requests that ended as {outcome}".format_map(have)
    if estimate.metric == _GAP:
        return _SHARES.get(have["attribute"], "share of {attribute} {group}").format_map(have)
    fallback = estimate.metric.rpartition(".")[2].replace("_", " ")
    return _SUBJECTS.get(estimate.metric, fallback).format_map(have)


def describe(estimate: Estimate, *, limit: str) -> str:
    """One sentence on an estimate that has a number.

    For example "world, occupations, nurse: feminine-presenting share is 38 points above the reference (32 to 43, n=24);
    limit within 20 points".
    """
    assert estimate.value is not None
    values = _scaled(estimate.value, estimate), _scaled(estimate.low, estimate), _scaled(estimate.high, estimate)
    value, low, high = _rounded(*values)
    if estimate.metric == _GAP:
        number = values[0] or 0.0
        side, ends = ("below", (_flip(high), _flip(low))) if number < 0 else ("above", (low, high))
        said = f"is {value.removeprefix('-')} points {side} the reference"
        low, high = ends
    else:
        said = f"is {value}{_suffix(estimate)}"
    between = f"({low} to {high}, n={estimate.n})" if "?" not in (low, high) else f"(no interval, n={estimate.n})"
    return f"{_place(estimate)}: {subject(estimate)} {said} {between}; limit {limit}{_floor(estimate)}"


def no_number(estimate: Estimate) -> str:
    """One sentence on an estimate that has no number."""
    reasons = {
        Status.INSUFFICIENT: "too few observations",
        Status.UNAVAILABLE: "an instrument or reference is missing",
        Status.UNIDENTIFIED: "the instrument is too poor to correct for",
    }
    why = estimate.why or reasons.get(estimate.status, str(estimate.status))
    return f"{_place(estimate)}: {subject(estimate)} has no number: {why} (n={estimate.n})"


def range_words(estimate: Estimate, low: float, high: float) -> str:
    """Any number from ``low`` to ``high``: "12 to 34 %", "2 points below to 40 points above the reference"."""
    ends = _rounded(_scaled(low, estimate), _scaled(high, estimate))
    if estimate.metric != _GAP:
        return f"{ends[0]} to {ends[1]}{_suffix(estimate)}"
    sides = [f"{end.removeprefix('-')} points {'below' if float(end) < 0 else 'above'}" for end in ends]
    return f"{sides[0]} to {sides[1]} the reference"


def together_words(judged: Judged, correction: str) -> str:
    """What looking at many slices did to a finding; empty where nothing."""
    if judged.tests < 2 or judged.alone is not Decision.FAIL or correction == "none":
        return ""
    how = {"holm": "Holm", "bh": "Benjamini-Hochberg"}[correction]
    p = f"p = {_p(judged.p_outside)} among {judged.tests} ({how})"
    return f"; {p}" if judged.decision is Decision.FAIL else f"; beyond the limit by itself, but {p}"


def sharpness_words(estimate: Estimate, limits: Limits) -> str:
    """What these images could have decided; empty without an interval. Of a stopped design: how many were asked."""
    asked, cap = estimate.extra.get("asked"), estimate.extra.get("cap")
    if isinstance(asked, int | float) and isinstance(cap, int | float):
        return f"; stopped after {asked:.0f} of {cap:.0f} images" if asked < cap else f"; asked all {cap:.0f} images"
    found = sharpness(estimate, limits)
    if found is None or found.fails_from == 0:
        return ""
    (beyond,) = _rounded(_scaled(found.fails_from, estimate))
    unit = " points" if estimate.metric == _GAP or _is_share(estimate.unit) else _suffix(estimate)
    said = f"; power: {beyond}{unit} beyond the limit would fail 4 times in 5"
    return said if found.passes is None else f"{said}, the middle would pass {_percent(found.passes)}"


def _p(p: float) -> str:
    """A p-value with two digits, as small as it need be told.

    >>> _p(0.0371), _p(0.00002)
    ('.037', 'below .0001')
    """
    return "below .0001" if p < 1e-4 else f"{p:.2g}".removeprefix("0")


def _percent(share: float) -> str:
    return "over 99 %" if share > 0.995 else f"{100 * share:.0f} %"


def limit_words(spec: ThresholdBlock, unit: str) -> str:
    """The limit as the report prints it: "at most 5 %", "within 20 points"."""
    gap, share = spec.metric == _GAP, _is_share(unit)
    given = [spec.within, *(spec.between or ()), spec.at_least, spec.at_most]
    factor, word = prefixed(unit, max(abs(end) for end in given if end is not None))
    scale, suffix = (100, " points") if gap else (100, " %") if share else (factor, f" {word}" if word else "")
    if spec.within is not None:
        return f"within {_short(spec.within * scale)}{suffix}" + ("" if gap else " of 0")
    if spec.between is not None:
        return f"between {_short(spec.between[0] * scale)} and {_short(spec.between[1] * scale)}{suffix}"
    if spec.at_least is not None:
        return f"at least {_short(spec.at_least * scale)}{suffix}"
    return f"at most {_short((spec.at_most or 0.0) * scale)}{suffix}"


def _place(estimate: Estimate) -> str:
    """Generator, probe set and slice: "world, occupations, nurse"; keys that are not plain are named."""
    bare = {"probe", "occupation", "kind", "challenge"}
    shown = {key: value for key, value in sorted(estimate.slice.items()) if not _is_said(estimate, key)}
    probe = [shown.pop("probe")] if "probe" in shown else []
    return ", ".join([estimate.generator, *probe, *(v if k in bare else f"{k} {v}" for k, v in shown.items())])


def _is_said(estimate: Estimate, key: str) -> bool:
    if estimate.metric == _CHANGE:
        return key in {"pair", "outcome", "score", *_NAMED}
    if key == "outcome":
        return estimate.metric == "outcomes.answered"
    if key in _NAMED and estimate.metric == _GAP:
        return True
    return "{" + key + "}" in _SUBJECTS.get(estimate.metric, "")


def _floor(estimate: Estimate) -> str:
    if not estimate.floor:
        return ""
    (floor,) = _rounded(_scaled(estimate.floor, estimate))
    unit = " points" if estimate.metric == _GAP else _suffix(estimate)
    if estimate.metric == "likeness.match_rate":
        return f"; false alarms alone give {floor}{unit}"
    verb = "is off by" if estimate.metric == _GAP else "scores"
    return f"; a generator that meets the reference {verb} about {floor}{unit} at this n"


def _is_share(unit: str) -> bool:
    return "share" in unit or unit in {"proportion", "rate"}


def _suffix(estimate: Estimate) -> str:
    if _is_share(estimate.unit):
        return " %"
    word = unit_of(estimate)[1]
    return f" {word}" if word else ""


def _scaled(number: float | None, estimate: Estimate) -> float | None:
    if number is None or not math.isfinite(number):
        return None
    return number * (100 if estimate.metric == _GAP or _is_share(estimate.unit) else unit_of(estimate)[0])


def _rounded(*numbers: float | None) -> list[str]:
    """Numbers with as many decimals as the width of their spread is worth (two digits of it); "?" where none is."""
    known = [number for number in numbers if number is not None]
    width = max(known) - min(known) if len(known) > 1 else abs(known[0]) if known else 0.0
    decimals = 2 if width == 0 else min(6, max(0, 1 - math.floor(math.log10(width))))
    return ["?" if number is None else f"{round(number, decimals) + 0.0:.{decimals}f}" for number in numbers]


def _flip(number: str) -> str:
    """A written number with its sign turned; nothing is written as minus nothing."""
    if number != "?" and float(number) == 0:
        return number.lstrip("-")
    return number if number == "?" else number[1:] if number.startswith("-") else f"-{number}"


def _short(number: float) -> str:
    return f"{number:.6g}"
