# SPDX-License-Identifier: Apache-2.0
"""Quality: who is where by which measure, and the images that make it so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from charts import interval_chart
from data import RunFolder, estimates, generators_of, pictures, scores
from frame import current_run, decision_column, judgement, judgements, page_title, panel, without_number
from gallery import cards
from theme import looks
from words import plain

from audit.render import Report
from audit.render.comparison import compare
from audit.render.format import metric_title, slice_words, value_text
from audit.render.sweeps import sweep_chart, sweeps
from audit.render.telling import Telling, telling
from audit.types import Estimate, family_of

FAMILIES = frozenset({"quality", "style", "text", "torchmetrics"})
PAIRED = "quality.difference"


def titles(run: RunFolder) -> dict[str, str]:
    """Title by metric id."""
    return {spec["id"]: spec["title"] for spec in run.manifest.get("metrics", ())}


def show_places(run: RunFolder, items: Sequence[Estimate]) -> None:
    """One line a measure: which places the data leave open for each generator."""
    comparison = compare(Report(run.manifest, tuple(items), None))
    rows = comparison.ordered if comparison else []
    if comparison is None or not rows:
        return
    st.subheader("Places by measure", anchor=False)
    table = [
        {"Measure": ", ".join(filter(None, (row.title, row.detail)))}
        | {cell.generator: cell.place or "–" for cell in row.cells}
        | {"Better": row.direction}
        for row in rows
    ]
    config = {name: st.column_config.TextColumn(plain(name)) for name in run.generators}
    st.dataframe(table, hide_index=True, height="content", column_config=config, key="places", alt="Places by measure")
    st.caption(
        "Place 1 is the best; a range such as 1–3 says that the data leave open which of these places it is. "
        "Where the run holds paired differences over the same prompts and seeds, these decide."
    )


def chosen_measure(run: RunFolder, items: Sequence[Estimate]) -> str:
    """The measure that the rest of the page is about; part of its address."""
    known = titles(run)
    options = sorted({item.metric for item in items}, key=lambda metric: metric_title(metric, known))
    first = next((name for name in ("quality.frechet_distance", "quality.clip_score") if name in options), options[0])
    return str(
        st.selectbox(
            "Measure",
            options,
            index=options.index(first),
            key="measure",
            bind="query-params",
            format_func=lambda metric: metric_title(metric, known),
        )
    )


def value_row(item: Estimate, *, probe: bool) -> dict[str, Any]:
    """An estimate as the chart wants it."""
    return {
        "row": slice_words(item.slice, probe=probe),
        "generator": item.generator,
        "value": item.value,
        "low": item.low,
        "high": item.high,
        "floor": item.floor,
        "label": f"{value_text(item)}, n={item.n}",
    }


def show_values(run: RunFolder, items: Sequence[Estimate]) -> None:
    """The chosen measure by slice and generator, with intervals."""
    several = len({item.slice.get("probe") for item in items}) > 1
    known = [value_row(item, probe=several) for item in items if item.value is not None]
    if known:
        order = list(dict.fromkeys(row["row"] for row in known))
        chart = interval_chart(known, order=order, looks=looks(run.generators))
        st.altair_chart(chart, width="stretch", key="values", alt="The measure by slice and generator with intervals")
    without_number(items)
    judged = judgements(run)
    table = [
        {
            "Judgement": judgement(item, judged),
            "Slice": slice_words(item.slice, probe=several),
            "Generator": item.generator,
            "Value [interval]": value_text(item),
            "n": item.n,
            "Missing": item.missing,
            "Method": item.method,
            "Measured with": item.fingerprint,
        }
        for item in items
    ]
    config = {"Judgement": decision_column()}
    st.dataframe(
        table, hide_index=True, height="content", column_config=config, key="value-table", alt="The measure as a table"
    )


def show_sweeps(run: RunFolder, items: Sequence[Estimate]) -> None:
    """The chosen measure as a function of each parameter that the audit sweeps."""
    for number, sweep in enumerate(sweeps(Report(run.manifest, tuple(items), None))):
        st.subheader(plain(sweep.title), anchor=False)
        alt = f"{sweep.title}, with intervals"
        st.altair_chart(sweep_chart(sweep), width="content", key=f"sweep-{number}", alt=alt)
        st.caption("Each point is a generator of its own; the lines only lead the eye.")


@panel
def show_telling(run: RunFolder, metric: str) -> None:
    """The worst and the best images of each generator by the chosen measure."""
    table = scores(run)
    mine = table.filter([name == metric for name in table["metric"].to_pylist()])
    by = generators_of(run)
    found = list(telling(mine, run.manifest, by))
    if not found:
        return
    st.subheader("The images that pull it most", anchor=False)
    st.caption("The number: what an image does to a distance (how far it would fall without the image), or its score.")
    for name in run.generators:
        own = [item for item in found if by[item.request_id] == name]
        if own:
            st.markdown(f"**{plain(name)}**")
            for side, words in (("worst", "Worst"), ("best", "Best")):
                st.caption(words)
                show_side(run, [item for item in own if item.kind == side], key=f"{name}-{side}")


def show_side(run: RunFolder, items: Sequence[Telling], *, key: str) -> None:
    """One line of pictures."""
    notes = {item.request_id: item.note for item in items}
    cards(run, pictures(run, list(notes)), key=key, notes=notes)


def main() -> None:
    """The page."""
    page_title(
        "Quality", "How good the images are, by which measure, with what certainty, and which images make it so."
    )
    run = current_run()
    items = [item for item in estimates(run) if family_of(item.metric) in FAMILIES and item.metric != PAIRED]
    if not items:
        st.info("The run holds no measures of quality: no probe set of it asks for them.", icon=":material/image:")
        return
    show_places(run, [item for item in estimates(run) if family_of(item.metric) in FAMILIES])
    metric = chosen_measure(run, items)
    chosen = [item for item in items if item.metric == metric]
    show_values(run, chosen)
    show_sweeps(run, chosen)
    show_telling(run, metric)


main()
