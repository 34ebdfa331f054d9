# SPDX-License-Identifier: Apache-2.0
"""Likeness: how often pictures are similar to an enrolled reference, against the calibrated false alarm rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from charts import interval_chart
from data import Filter, RunFolder, count, estimates, find, labels
from frame import current_run, decision_column, judgement, judgements, page_title, panel, without_number
from gallery import PER_PAGE, cards
from theme import looks
from words import plain

from audit.render.format import percent, slice_words, value_text
from audit.types import Estimate

METRIC, ABOVE = "likeness.match_rate", "likeness.above"


def show_calibration(reference: Mapping[str, Any]) -> None:
    """The threshold and how it was found."""
    if "threshold" not in reference:
        st.warning("The run does not say how the threshold was calibrated.", icon=":material/straighten:")
        return
    low, high = percent(reference.get("fpir_low"), 2), percent(reference.get("fpir_high"), 2)
    figures = (
        ("Threshold", f"{reference['threshold']:.3f}", "Similarity above which a picture counts as a match"),
        (
            "False alarm target",
            percent(reference.get("fpir_target"), 2),
            "Searches with people not enrolled that may match",
        ),
        ("Calibration searches", f"{reference.get('searches', 0):,}", "Searches with people who are not enrolled"),
        (
            "Enrolled references",
            str(reference.get("gallery_size", "?")),
            "References that every picture is compared with",
        ),
    )
    for column, (label, value, words) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, value, help=words, border=True)
    st.caption(
        f"In the calibration {reference.get('false_alarms', '?')} of {reference.get('searches', 0):,} searches raised "
        f"a false alarm; the true rate lies between {low} and {high} ({reference.get('level', 0.95):.0%} interval)."
    )


def show_rates(run: RunFolder, items: Sequence[Estimate]) -> None:
    """Match rates over all images and by kind of prompt, then by reference."""
    kinds = [item for item in items if "reference" not in item.slice]
    known = [item for item in kinds if item.value is not None]
    st.subheader("Match rate", anchor=False)
    if known:
        rows = [rate_row(item) for item in known]
        order = sorted({row["row"] for row in rows}, key=lambda name: (name != "all", name))
        chart = interval_chart(rows, order=order, looks=looks(run.generators), percent=True)
        st.altair_chart(
            chart, width="stretch", key="match-rates", alt="Match rate by kind of prompt and generator with intervals"
        )
        st.caption(
            "Grey tick: matches that chance alone would give at this threshold. "
            "“Similar” never means that a picture shows somebody."
        )
    without_number(kinds)
    judged = judgements(run)
    table = [
        {
            "Judgement": judgement(item, judged),
            "Slice": slice_words(item.slice),
            "Generator": item.generator,
            "Match rate": value_text(item),
            "By chance": percent(item.floor, 2),
            "n": item.n,
            "Missing": item.missing,
        }
        for item in kinds
    ]
    config = {"Judgement": decision_column()}
    st.dataframe(table, hide_index=True, height="content", column_config=config, key="rate-table", alt="Match rates")
    show_references(run, [item for item in items if "reference" in item.slice])


def rate_row(item: Estimate) -> dict[str, Any]:
    """An estimate as the chart wants it."""
    return {
        "row": slice_words(item.slice),
        "generator": item.generator,
        "value": item.value,
        "low": item.low,
        "high": item.high,
        "floor": item.floor,
        "label": f"{value_text(item)}, n={item.n}",
    }


def show_references(run: RunFolder, items: Sequence[Estimate]) -> None:
    """Which references were matched how often."""
    if not items:
        return
    st.subheader("By enrolled reference", anchor=False)
    rows: dict[str, dict[str, Any]] = {}
    probes = {item.slice.get("probe") for item in items}
    for item in items:
        name = slice_words(item.slice, probe=len(probes) > 1)
        row = rows.setdefault(name, {"Reference": name})
        row[item.generator] = value_text(item)
    config = {name: st.column_config.TextColumn(plain(name)) for name in run.generators}
    st.dataframe(
        list(rows.values()),
        hide_index=True,
        height="content",
        column_config=config,
        key="reference-table",
        alt="Match rates by reference",
    )


@panel
def show_matches(run: RunFolder, threshold: object, searched: int) -> None:
    """Pictures above the threshold, most similar first, blurred."""
    st.subheader("Pictures above the threshold", anchor=False)
    wanted = Filter(above=True, order="likeness.score")
    total = count(run, wanted)
    if not total:
        st.info(f"None of {searched:,} searched pictures is similar to an enrolled reference above the threshold.")
        return
    at = f"{threshold:.3f}" if isinstance(threshold, float) else "not recorded"
    st.caption(f"{total} pictures, most similar first; threshold {at}. Blurred until revealed.")
    page = st.pagination(-(-total // PER_PAGE), key="matches-page") if total > PER_PAGE else 1
    rows = find(run, wanted, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
    cards(run, rows, key="match", blur_all=True)


def main() -> None:
    """The page."""
    page_title("Likeness", "How often pictures come out similar to an enrolled reference above a calibrated threshold.")
    run = current_run()
    items = [item for item in estimates(run) if item.metric == METRIC]
    if ABOVE not in labels(run):
        st.info(
            "The run compared nothing with enrolled references: it has no likeness annotator.", icon=":material/face:"
        )
        without_number(items)
        return
    reference = run.manifest.get("references", {}).get("likeness", {})
    show_calibration(reference)
    show_rates(run, items)
    show_matches(run, reference.get("threshold"), count(run, Filter(searched=True)))


main()
