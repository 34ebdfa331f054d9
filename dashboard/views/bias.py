# SPDX-License-Identifier: Apache-2.0
"""Representation: shares by occupation and perceived attribute, against the declared reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st
from charts import interval_chart, share_chart
from data import RunFolder, estimates
from frame import Key, current_run, decision_column, judgement, judgements, page_title, without_number
from theme import looks
from words import heading, plain

from audit.render.format import clean, number, percent, value_text
from audit.types import Decision, Estimate

GAP, DISTANCE = "bias.representation_gap", "bias.total_variation"
ALL = "all images"


def axes(item: Estimate) -> tuple[str, ...]:
    """Template axes of an estimate's slice."""
    return tuple(key for key in item.slice if key not in ("attribute", "group", "probe"))


def row_name(item: Estimate) -> str:
    """The row of the chart it belongs to."""
    return ", ".join(clean(item.slice[key]) for key in axes(item)) or ALL


def choose(items: Sequence[Estimate]) -> list[Estimate]:
    """Estimates of one probe set and attribute; the choice is part of the page's address."""
    chosen = list(items)
    for key, label in (("attribute", "Attribute"), ("probe", "Probe set")):
        options = list(dict.fromkeys(item.slice.get(key, "") for item in chosen))
        if len(options) > 1 or key == "attribute":
            words = partial(heading, attribute=key == "attribute")
            picked = st.segmented_control(
                label, options, default=options[0], required=True, key=key, bind="query-params", format_func=words
            )
            chosen = [item for item in chosen if item.slice.get(key, "") == picked]
    return chosen


def choose_group(items: Sequence[Estimate], attribute: str) -> str:
    """The group whose share the chart shows."""
    groups = list(dict.fromkeys(item.slice["group"] for item in items if "group" in item.slice))
    key = f"group-{attribute}"
    return str(st.segmented_control("Group", groups, default=groups[0], required=True, key=key, format_func=heading))


def share_row(item: Estimate) -> dict[str, Any]:
    """An estimate as the chart wants it: all as shares from 0 to 1."""
    floor, center = item.floor or 0.0, share(item, "reference")
    low, high = share(item, "share_low"), share(item, "share_high")
    return {
        "row": row_name(item),
        "generator": item.generator,
        "share": share(item, "share"),
        "low": low,
        "high": high,
        "raw": share(item, "raw_share"),
        "reference": center,
        "floor_low": None if center is None else max(0.0, center - floor),
        "floor_high": None if center is None else min(1.0, center + floor),
        "label": f"{percent(share(item, 'share'))} ({percent(low)} to {percent(high)}), n={item.n}",
    }


def share(item: Estimate, name: str) -> float | None:
    """One of the shares that the metric stored beside its gap."""
    value = item.extra.get(name) if item.value is not None else None
    return float(value) if isinstance(value, int | float) else None


def table_row(item: Estimate, known: Mapping[Key, Decision]) -> dict[str, Any]:
    """An estimate as a line of the table."""
    return {
        "Judgement": judgement(item, known),
        "Row": row_name(item),
        "Generator": item.generator,
        "Share": percent(share(item, "share")),
        "Gap to reference [interval]": value_text(item),
        "Floor": "" if item.floor is None else f"{number(item.floor * 100, 1)} points",
        "Uncorrected": percent(share(item, "raw_share")),
        "q of no gap": "" if share(item, "q_value") is None else f"{share(item, 'q_value'):.2g}",
        "Could not tell": percent(share(item, "could_not_tell")),
        "n": item.n,
        "Missing": item.missing,
    }


def show_shares(run: RunFolder, items: Sequence[Estimate], group: str) -> None:
    """The chart and what its marks mean."""
    chosen = [item for item in items if item.slice.get("group", group) == group]
    known = [item for item in chosen if item.value is not None]
    st.subheader(f"Share perceived as {plain(group.replace('_', ' '))}", anchor=False)
    if known:
        rows = [share_row(item) for item in known]
        chart = share_chart(rows, order=row_order(rows), looks=looks(run.generators))
        st.altair_chart(
            chart, width="stretch", key="shares", alt=f"Share perceived as {group} by row and generator, with intervals"
        )
        explain(run, known[0])
    without_number(chosen)
    judged = judgements(run)
    config = {"Judgement": decision_column(), "Row": st.column_config.TextColumn("Slice")}
    table = [
        table_row(item, judged) for item in sorted(chosen, key=lambda e: (row_name(e) != ALL, row_name(e).casefold()))
    ]
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config=config,
        key="share-table",
        alt=f"Shares perceived as {group}",
    )


def row_order(rows: Sequence[dict[str, Any]]) -> list[str]:
    """All images first, then by share, largest on top."""
    best: dict[str, float] = {}
    for row in rows:
        best.setdefault(row["row"], row["share"])
    return sorted(best, key=lambda name: (name != ALL, -best[name]))


def explain(run: RunFolder, sample: Estimate) -> None:
    """Legend in words, and where the reference comes from."""
    st.caption(
        f"**Filled dot and line:** share corrected for the instrument's measured error, {sample.level:.0%} interval. "
        "**Hollow mark:** share as the instrument answered. **Dashed line:** reference. "
        "**Grey band:** how far a perfect generator strays from it by chance at this number of images. "
        "**q:** of the slices with q up to .05 one in twenty has no gap (Benjamini and Hochberg, over this attribute)."
    )
    attribute = sample.slice["attribute"]
    for probe in run.manifest.get("probes", []):
        declared = probe.get("groups", {}).get(attribute)
        if declared and sample.slice.get("probe", probe["name"]) == probe["name"]:
            year = f", {declared['year']}" if declared.get("year") else ""
            st.caption(f"Reference of probe set {plain(probe['name'])}: {plain(declared['source'])}{plain(year)}.")
    measured = sample.extra.get("measured_on")
    if measured:
        st.caption(f"Error of the instrument measured on {plain(measured)}.")


def show_distance(run: RunFolder, items: Sequence[Estimate], attribute: str) -> None:
    """Total variation: one number over all groups of the attribute."""
    known = [item for item in items if item.value is not None]
    if not known:
        return
    st.subheader("Distance from the reference over all groups", anchor=False)
    st.caption(
        "Total variation: the share of images that would have to change. Grey tick: a perfect generator's score."
    )
    rows = [
        {"row": row_name(e), "generator": e.generator, "value": e.value, "low": e.low, "high": e.high, "floor": e.floor,
         "label": f"{value_text(e)}, n={e.n}", "share": e.value}
        for e in known
    ]  # fmt: skip
    chart = interval_chart(rows, order=row_order(rows), looks=looks(run.generators), percent=True, domain=(0, 1))
    st.altair_chart(
        chart, width="stretch", key="distance", alt=f"Total variation distance of {attribute} by row and generator"
    )
    without_number(items)


def main() -> None:
    """The page."""
    page_title(
        "Representation",
        "Who appears when nobody says who should. Groups are as perceived by an instrument, not as anybody is.",
    )
    run = current_run()
    everything = estimates(run)
    items = [item for item in everything if item.metric == GAP and "attribute" in item.slice]
    if not items:
        st.info(
            "The run holds no representation estimates: no probe set of it declares groups.", icon=":material/balance:"
        )
        return
    chosen = choose(items)
    attribute, probe = chosen[0].slice["attribute"], chosen[0].slice.get("probe")
    if any("group" in item.slice for item in chosen):
        show_shares(run, chosen, choose_group(chosen, attribute))
    else:
        without_number(chosen)
    distances = [item for item in everything if item.metric == DISTANCE and item.slice.get("probe") == probe]
    show_distance(run, [item for item in distances if item.slice.get("attribute") == attribute], attribute)


main()
