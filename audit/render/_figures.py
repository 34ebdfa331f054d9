# SPDX-License-Identifier: Apache-2.0
"""Estimates to charts: which numbers go on which picture, and the sentence that explains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from audit.render.charts import Dot, dots, to_csv
from audit.render.format import attribute_words, clean, group_words, percent
from audit.render.report import Report
from audit.types import Estimate

__all__ = ["Figure", "clip_figures", "frechet_figures", "likeness_figure", "representation_figures"]

WHOLE = "all prompts"
_WHOLE = frozenset({"probe", "features"})  # keys of numbers of whole probe sets
_HOW_TO_READ = (
    "Filled: share corrected for the instrument's error, with its {level} interval. Hollow: share as counted. "
    "Vertical mark: reference. Band: how far from it a generator that meets the reference would fall by chance at this "
    "number of images."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its caption and the data behind it.

    Attributes:
        title: heading. svg: one element. csv: its table. caption: how to read it. attribute: for bias charts.
    """

    title: str
    svg: str
    csv: str
    caption: str
    attribute: str = ""


def _figure(
    report: Report,
    rows: Sequence[Dot],
    *,
    title: str,
    axis: str,
    caption: str,
    percent: bool = True,
    attribute: str = "",
) -> Figure:
    described = f"{title}. {len({r.label for r in rows})} rows, {len({r.series for r in rows})} generators. {caption}"
    svg = dots(rows, title=axis, percent=percent, series=report.generators, described=described)
    return Figure(clean(title), svg, to_csv(rows), caption, attribute)


def _label(estimate: Estimate) -> str:
    own = [v for k, v in sorted(estimate.slice.items()) if k not in ("probe", "attribute", "group")]
    return ", ".join(map(clean, own)) or WHOLE


def _sorted(rows: Sequence[Dot]) -> list[Dot]:
    """Rows by falling mean of the first panel, the whole set last."""
    first = rows[0].panel if rows else ""
    means: dict[str, list[float]] = {}
    for row in rows:
        if row.panel == first:
            means.setdefault(row.label, []).append(row.value)
    rank = {label: -sum(v) / len(v) for label, v in means.items()}
    return sorted(rows, key=lambda row: (row.label == WHOLE, rank.get(row.label, 0.0), row.label))


def _probe_titles(report: Report) -> dict[str, str]:
    return {p["name"]: clean(p.get("title") or p["name"]) for p in report.manifest.get("probes", ())}


def _number(estimate: Estimate, key: str) -> float | None:
    value = estimate.extra.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- bias ------------------------------------------------------------------------------------------------------


def representation_figures(report: Report) -> Iterator[Figure]:
    """One chart a probe set and attribute: shares by axis value, generators side by side."""
    cells: dict[tuple[str, str], list[Estimate]] = {}
    for estimate in report.of("bias.representation_gap"):
        if estimate.value is not None and "group" in estimate.slice:
            cells.setdefault((estimate.slice.get("probe", ""), estimate.slice["attribute"]), []).append(estimate)
    titles = _probe_titles(report)
    for (probe, attribute), estimates in cells.items():
        groups = list(dict.fromkeys(e.slice["group"] for e in estimates))
        shown = groups[:1] if len(groups) == 2 else groups
        rows = _sorted([_share(e) for e in estimates if e.slice["group"] in shown])
        only = f" Share of {group_words(shown[0])}; the rest is {group_words(groups[1])}." if len(groups) == 2 else ""
        yield _figure(
            report,
            rows,
            title=f"{attribute_words(attribute).capitalize()} in {titles.get(probe, clean(probe))}",
            axis=f"share of images seen as {group_words(shown[0])}, %" if len(shown) == 1 else "share of images, %",
            caption=_HOW_TO_READ.format(level=percent(report.manifest.get("level"))) + only,
            attribute=attribute,
        )


def _share(estimate: Estimate) -> Dot:
    value = estimate.value or 0.0
    reference = _number(estimate, "reference") or 0.0
    low, high = _number(estimate, "share_low"), _number(estimate, "share_high")
    floor = estimate.floor
    return Dot(
        label=_label(estimate),
        series=clean(estimate.generator),
        panel=group_words(estimate.slice["group"]),
        value=_number(estimate, "share") if "share" in estimate.extra else value + reference,  # type: ignore[arg-type]
        low=low,
        high=high,
        raw=_number(estimate, "raw_share"),
        reference=reference,
        floor_low=None if floor is None else max(0.0, reference - floor),
        floor_high=None if floor is None else min(1.0, reference + floor),
    )


# -- quality ---------------------------------------------------------------------------------------------------


def _plain(estimate: Estimate, raw: str = "raw") -> Dot:
    assert estimate.value is not None
    return Dot(
        label=_label(estimate),
        series=clean(estimate.generator),
        panel="",
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        raw=_number(estimate, raw),
    )


def clip_figures(report: Report) -> Iterator[Figure]:
    """One chart of CLIP scores a probe set."""
    titles = _probe_titles(report)
    for probe, estimates in _by_probe(report.of("quality.clip_score")).items():
        yield _figure(
            report,
            _sorted([_plain(e) for e in estimates]),
            title=f"CLIP score, {titles.get(probe, clean(probe))}",
            axis="CLIP score (higher: closer to the prompt)",
            caption="Mean over images, with an interval that treats the images of one prompt as alike.",
            percent=False,
        )


def frechet_figures(report: Report) -> Iterator[Figure]:
    """Frechet distances of all probe sets, one chart a feature space; the plain plug-in value hollow."""
    titles = _probe_titles(report)
    whole = [e for e in report.of("quality.frechet_distance") if e.value is not None and set(e.slice) <= _WHOLE]
    for space in dict.fromkeys(e.slice.get("features", "") for e in whole):
        rows = [
            replace(_plain(e), label=titles.get(e.slice.get("probe", ""), WHOLE))
            for e in whole
            if e.slice.get("features", "") == space
        ]
        yield _figure(
            report,
            rows,
            title="Frechet distance to the reference images" + (f", {clean(space)} features" if space else ""),
            axis="Frechet distance (lower: closer)",
            caption="Filled: corrected for the bias of a finite sample, with its interval. Hollow: the plain value, "
            "which depends on how many images were drawn and must not be compared across sample sizes.",
            percent=False,
        )


def _by_probe(estimates: Sequence[Estimate]) -> Mapping[str, list[Estimate]]:
    found: dict[str, list[Estimate]] = {}
    for estimate in estimates:
        if estimate.value is not None:
            found.setdefault(estimate.slice.get("probe", ""), []).append(estimate)
    return found


# -- likeness --------------------------------------------------------------------------------------------------


def likeness_figure(report: Report) -> Figure | None:
    """Match rates by kind of prompt, with the rate that false alarms alone would give."""
    found = [e for e in report.of("likeness.match_rate") if e.value is not None and "reference" not in e.slice]
    if not found:
        return None
    rows = [
        replace(
            _plain(e),
            reference=_number(e, "fpir_target"),
            floor_low=_number(e, "fpir_low"),
            floor_high=_number(e, "fpir_high"),
        )
        for e in found
    ]
    return _figure(
        report,
        _sorted(rows),
        title="Images similar to an enrolled reference",
        axis="share of images above the threshold, %",
        caption="Vertical mark: false alarms that the threshold was calibrated to, per search. Band: interval of the "
        "rate measured on people who are not enrolled.",
    )
