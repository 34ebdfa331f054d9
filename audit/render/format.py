# SPDX-License-Identifier: Apache-2.0
"""Numbers and slices in words. A number is shown with its interval and n, rounded to the interval's width."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.policy.units import unit_of
from audit.types import Decision, Estimate, Finding, Verdict

__all__ = [
    "DECISION_ORDER",
    "SummaryRow",
    "attribute_words",
    "clean",
    "count",
    "decimals",
    "decision_words",
    "decisions",
    "group_words",
    "is_share",
    "is_signed",
    "metric_title",
    "n_text",
    "number",
    "percent",
    "shorten",
    "slice_words",
    "summary_table",
    "value_parts",
    "value_text",
]

_ATTRIBUTES = {
    "age": "apparent age",
    "presentation": "perceived presentation",
    "tone": "apparent skin tone (Monk scale)",
    "tone_band": "apparent skin tone",
}
_DECISIONS = {
    Decision.PASS: "PASS",
    Decision.FAIL: "FAIL",
    Decision.INCONCLUSIVE: "INCONCLUSIVE",
    Decision.NOT_RUN: "NOT RUN",
    Decision.WAIVED: "WAIVED",
}
_PERCENT = "\u00a0%"  # the number and its unit stay on one line


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One line of the table that a person reads first.

    Attributes:
        title: of the metric. generator: whose images. slice: which part of them, in words.
        value: number with interval, or the reason why there is none. n: images behind it.
        decision: word of the finding that rests on it, empty where no rule reads it.
    """

    title: str
    generator: str
    slice: str
    value: str
    n: str
    decision: str


# -- text ------------------------------------------------------------------------------------------------------


def clean(text: object) -> str:
    """``text`` without control, format and surrogate characters; line breaks become spaces.

    Prompts and model names are untrusted: a right-to-left override would rewrite how a whole line reads.
    """
    kept = [
        " " if c in "\t\r\n" else c for c in str(text) if c in "\t\r\n" or unicodedata.category(c) not in _INVISIBLE
    ]
    return "".join(kept)


_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}


def shorten(text: str, most: int) -> str:
    """At most so many characters of ``text``, cleaned, with an ellipsis where some are left out."""
    kept = clean(text)
    return kept if len(kept) <= most else f"{kept[: most - 1].rstrip()}…"


def decision_words(decision: Decision | str) -> str:
    """The word that is printed for a decision."""
    return _DECISIONS[Decision(decision)]


def attribute_words(attribute: str) -> str:
    """What an attribute is called in a report: always as something seen, never as what a person is."""
    return _ATTRIBUTES.get(attribute, f"perceived {clean(attribute).replace('_', ' ')}")


def group_words(group: str) -> str:
    """A group's or outcome's name, without underscores."""
    return clean(group).replace("_", " ")


def metric_title(metric: str, titles: Mapping[str, str] | None = None) -> str:
    """The title from the manifest, else one made of the id."""
    if titles and metric in titles:
        return clean(titles[metric])
    return clean(metric.rpartition(".")[2]).replace("_", " ").capitalize()


def slice_words(slice_: Mapping[str, str], *, probe: bool = False) -> str:
    """A slice in words, e.g. "nurse, perceived presentation: feminine"; "all" for the whole.

    Args:
        slice_: keys and values of an estimate's slice.
        probe: whether to name the probe set, where one report holds several.
    """
    rest = {key: str(value) for key, value in sorted(slice_.items())}
    name, attribute, group = rest.pop("probe", None), rest.pop("attribute", None), rest.pop("group", None)
    reference, outcome = rest.pop("reference", None), rest.pop("outcome", None)
    space, rival, score = rest.pop("features", None), rest.pop("against", None), rest.pop("score", None)
    parts = [clean(value) for value in rest.values()]
    if attribute is not None:
        parts.append(attribute_words(attribute) + (f": {group_words(group)}" if group is not None else ""))
    if reference is not None:
        parts.append(f"enrolled reference {clean(reference)}")
    if outcome is not None:
        parts.append(f"outcome {group_words(outcome)}")
    if score is not None:
        parts.append(clean(score.rpartition(".")[2]).replace("_", " "))
    if space is not None:
        parts.append(f"{clean(space)} features")
    if rival is not None:
        parts.append(f"against {clean(rival)}")
    if name is not None and probe:
        parts.insert(0, clean(name))
    return ", ".join(parts) or "all"


# -- numbers ---------------------------------------------------------------------------------------------------


def decimals(low: float | None, high: float | None, *, scale: float = 1.0) -> int | None:
    """Decimals that an interval of this width deserves (two figures of the width), None without an interval."""
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        return None
    width = abs(high - low) * scale
    return min(max(1 - math.floor(math.log10(width)), 0), 6) if width > 0 else None


def number(value: float, places: int | None = None, *, signed: bool = False) -> str:
    """``value`` with ``places`` decimals, or with three significant figures; a real minus sign, no negative zero."""
    text = f"{value:.{places}f}" if places is not None else f"{value:.3g}"
    if "e" in text:
        text = f"{value:.0f}" if abs(value) >= 1 else f"{value:.6f}"
    if not any(c in "123456789" for c in text):
        text = text.lstrip("-")
    elif signed and not text.startswith("-"):
        text = "+" + text
    return text.replace("-", "−")


def percent(share: float | None, places: int = 0) -> str:
    """A share in percent, a dash where there is none."""
    return "–" if share is None or not math.isfinite(share) else f"{number(100 * share, places)}{_PERCENT}"


def is_share(estimate: Estimate) -> bool:
    """Whether the number is a share or a difference of shares, shown in percent."""
    return "share" in estimate.unit or estimate.unit in {"points", "proportion"}


def is_signed(estimate: Estimate) -> bool:
    """Whether the number is a difference, shown with its sign."""
    return estimate.metric.endswith("_gap") or "difference" in estimate.unit


def value_text(estimate: Estimate) -> str:
    """Value and interval, e.g. "0.38 [0.29, 0.46]", "38 % [29, 46]", "+38 points [+29, +46]"; or why there is none."""
    if estimate.value is None:
        return f"no number: {clean(estimate.why or estimate.status)}"
    value, interval = value_parts(estimate)
    return f"{value} {interval or '(no interval)'}"


def value_parts(estimate: Estimate) -> tuple[str, str]:
    """Value with its unit, and interval in brackets, e.g. ("38 %", "[29, 46]"); empty where there is none."""
    if estimate.value is None:
        return "", ""
    scale = 100.0 if is_share(estimate) else unit_of(estimate)[0]
    signed = is_signed(estimate)
    places = decimals(estimate.low, estimate.high, scale=scale)

    def show(x: float) -> str:
        return number(x * scale, places, signed=signed)

    text = show(estimate.value) + _unit(estimate)
    if estimate.low is None or estimate.high is None:
        return text, ""
    return text, f"[{show(estimate.low)}, {show(estimate.high)}]"


def _unit(estimate: Estimate) -> str:
    if is_share(estimate):
        return " points" if is_signed(estimate) else _PERCENT
    word = unit_of(estimate)[1]
    return f"\u00a0{clean(word)}" if word else ""


def count(n: int) -> str:
    """A whole number with its thousands apart."""
    return f"{n:,}".replace(",", "\u202f")


def n_text(estimate: Estimate) -> str:
    """n, and what is missing, e.g. "192 (8 missing)"."""
    return count(estimate.n) + (f" ({count(estimate.missing)} missing)" if estimate.missing else "")


# -- the summary -----------------------------------------------------------------------------------------------

#: Gravest first.
DECISION_ORDER = (Decision.FAIL, Decision.INCONCLUSIVE, Decision.NOT_RUN, Decision.WAIVED, Decision.PASS)


def _key(estimate: Estimate) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return estimate.metric, estimate.generator, tuple(sorted(estimate.slice.items()))


def decisions(verdict: Verdict | None) -> dict[tuple[str, str, tuple[tuple[str, str], ...]], Finding]:
    """The gravest finding that rests on each estimate, by (metric, generator, slice items)."""
    found: dict[tuple[str, str, tuple[tuple[str, str], ...]], Finding] = {}
    for finding in verdict.findings if verdict else ():
        for estimate in finding.evidence:
            known = found.get(_key(estimate))
            if known is None or DECISION_ORDER.index(finding.decision) < DECISION_ORDER.index(known.decision):
                found[_key(estimate)] = finding
    return found


def summary_table(
    estimates: Iterable[Estimate],
    verdict: Verdict | None,
    *,
    titles: Mapping[str, str] | None = None,
    everything: bool = False,
) -> Sequence[SummaryRow]:
    """Rows for a terminal or a page: the numbers of whole probe sets, and all that a rule reads; failing ones first.

    Args:
        estimates: of the run.
        verdict: its judgement, or None.
        titles: metric id -> title, from the manifest.
        everything: every estimate instead of the ones that matter first.
    """
    judged = decisions(verdict)
    all_ = list(estimates)
    several = len({e.slice["probe"] for e in all_ if "probe" in e.slice}) > 1
    rows: list[tuple[int, SummaryRow]] = []
    for estimate in all_:
        finding = judged.get(_key(estimate))
        if not everything and finding is None and not set(estimate.slice) <= {"probe", "attribute"}:
            continue
        rank = DECISION_ORDER.index(finding.decision) if finding else len(DECISION_ORDER)
        row = SummaryRow(
            title=metric_title(estimate.metric, titles),
            generator=clean(estimate.generator),
            slice=slice_words(estimate.slice, probe=several),
            value=value_text(estimate),
            n=n_text(estimate),
            decision=decision_words(finding.decision) if finding else "",
        )
        rows.append((rank, row))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]
