# SPDX-License-Identifier: Apache-2.0
"""Overview: the verdict, its findings, and the headline numbers of every generator."""

from __future__ import annotations

from typing import Any

import streamlit as st
from charts import interval_chart
from data import RunFolder, estimates, verdict
from frame import current_run, decision_column, findings, page_title, without_number
from theme import DECISIONS, looks
from words import plain, title

from audit.render.format import n_text, slice_words, value_text
from audit.types import Decision, Estimate, Finding


def headline(items: tuple[Estimate, ...]) -> dict[str, list[Estimate]]:
    """Estimates over all images, by metric; those by group or outcome belong to their own pages."""
    found: dict[str, list[Estimate]] = {}
    for item in items:
        if set(item.slice) <= {"attribute", "probe"}:
            found.setdefault(item.metric, []).append(item)
    return found


def show_verdict(run: RunFolder) -> None:
    """One word, one sentence, and how many findings ended how."""
    judged = verdict(run)
    if judged is None:
        st.info("**Not judged.** The run measured, and no policy was applied to it.", icon=":material/gavel:")
        return
    counts = {name: judged.count(name) for name in DECISIONS}
    word, icon = DECISIONS[judged.decision]
    parts = ", ".join(f"{n} {DECISIONS[name][0].lower()}" for name, n in counts.items() if n)
    text = f"**{word.upper()}** under policy *{plain(judged.policy)}*: {parts or 'no findings'}."
    box = {Decision.FAIL: st.error, Decision.PASS: st.success}.get(judged.decision, st.warning)
    box(text, icon=icon)
    for column, (name, n) in zip(st.columns(len(counts)), counts.items(), strict=True):
        column.metric(DECISIONS[name][0], n, border=True)


def show_findings(run: RunFolder) -> None:
    """All findings, worst first, with filters."""
    rows = [finding_row(item) for item in findings(run)]
    if not rows:
        return
    st.subheader("Findings", anchor=False)
    first, second, third, fourth = st.columns([3, 2, 2, 2])
    words = [word for word, _ in DECISIONS.values()]
    decisions = first.pills("Judgement", words, selection_mode="multi", key="finding-decisions")
    rules = second.multiselect(
        "Rule", sorted({row["Rule"] for row in rows}), key="finding-rules", placeholder="All rules"
    )
    names = sorted({row["Generator"] for row in rows if row["Generator"]})
    generators = third.multiselect("Generator", names, key="finding-generators", placeholder="All generators")
    text = fourth.text_input("Words", key="finding-words", placeholder="nurse", type="search").lower()
    shown = [
        row
        for row in rows
        if (not decisions or row["Judgement"][0] in decisions)
        and (not rules or row["Rule"] in rules)
        and (not generators or row["Generator"] in generators)
        and (not text or text in f"{row['Finding']} {row['Slice']}".lower())
    ]
    st.caption(f"{len(shown)} of {len(rows)} findings")
    config = {
        "Judgement": decision_column(),
        "Finding": st.column_config.TextColumn(width="large"),
        "n": st.column_config.NumberColumn(width="small"),
    }
    st.dataframe(shown, hide_index=True, column_config=config, key="findings", alt="Findings of the policy")


def finding_row(item: Finding) -> dict[str, Any]:
    """One table row; a finding over several estimates shows the first."""
    first = item.evidence[0] if item.evidence else None
    return {
        "Judgement": [DECISIONS[item.decision][0]],
        "Finding": item.message,
        "Limit": item.limit,
        "Generator": first.generator if first else "",
        "Slice": slice_words(first.slice) if first else "",
        "n": first.n if first else None,
        "Rule": item.rule,
        "Waiver": item.waiver or "",
    }


def show_numbers(run: RunFolder, items: tuple[Estimate, ...]) -> None:
    """One panel a metric: a dot for each generator, its interval, and the number in words."""
    groups = headline(items)
    if not groups:
        st.info("The run holds no estimates yet.", icon=":material/query_stats:")
        return
    st.subheader("Key numbers", anchor=False)
    st.caption(
        "Over all images of the probe sets that the metric reads. Grey tick: what a perfect generator would score here."
    )
    panels = sorted(groups.items())
    for start in range(0, len(panels), 2):
        for column, (metric, group) in zip(st.columns(2), panels[start : start + 2], strict=False):
            with column, st.container(border=True, height="stretch"):
                panel(run, metric, group)


def panel(run: RunFolder, metric: str, group: list[Estimate]) -> None:
    """Chart and lines of one metric."""
    unit = group[0].unit
    st.markdown(f"**{plain(title(run.manifest, metric))}**")
    known = [item for item in group if item.value is not None]
    probes = len({item.slice.get("probe") for item in group}) > 1
    drawn = {
        name: look for name, look in looks(run.generators).items() if any(item.generator == name for item in known)
    }
    if known:
        rows = [chart_row(item, probes) for item in known]
        order = list(dict.fromkeys(row["row"] for row in rows))
        chart = interval_chart(rows, order=order, looks=drawn, percent=unit == "share")
        st.altair_chart(chart, width="stretch", key=f"key-{metric}", alt=f"{metric} by generator with intervals")
    st.dataframe(
        [
            {
                "Generator": e.generator,
                "Of": slice_words(e.slice, probe=probes),
                "Value [interval]": value_text(e),
                "n": n_text(e),
            }
            for e in group
        ],
        hide_index=True,
        height="content",
        key=f"key-table-{metric}",
        alt=f"{metric} by generator",
    )


def chart_row(item: Estimate, probes: bool) -> dict[str, Any]:
    """An estimate as the chart wants it."""
    label = f"{value_text(item)}, n={item.n}"
    row = slice_words(item.slice, probe=probes)
    return {
        "row": row,
        "generator": item.generator,
        "value": item.value,
        "low": item.low,
        "high": item.high,
        "floor": item.floor,
        "label": label,
    }


run = current_run()
page_title("Overview", f"What the audit called “{plain(run.name)}” found, and how sure it is.")
show_verdict(run)
show_findings(run)
everything = estimates(run)
show_numbers(run, everything)
without_number(everything)
