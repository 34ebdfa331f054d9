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

from audit.render.format import slice_words, value_text
from audit.render.repeats import repeats
from audit.render.stopping import ANYTIME, stopping_words
from audit.types import Decision, Estimate, Finding, family_of

FAMILIES = ("bias", "quality", "likeness", "provenance", "outcomes", "cost")


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
    """All findings, worst first, with filters; the chosen one in full."""
    rows = [finding_row(item) for item in findings(run)]
    if not rows:
        return
    st.subheader("Findings", anchor=False)
    shown = [row for row, kept in zip(rows, choose(rows), strict=True) if kept]
    st.caption(f"{len(shown)} of {len(rows)} findings. Select one to read it in full.")
    config = {
        "Judgement": decision_column(),
        "Finding": st.column_config.TextColumn(width=700),
        "n": st.column_config.NumberColumn(width=60),
    }
    chosen = st.dataframe(
        shown,
        hide_index=True,
        column_config=config,
        key="findings",
        alt="Findings of the policy",
        on_select="rerun",
        selection_mode="single-row",
    )
    for index in chosen["selection"]["rows"]:
        if index < len(shown):
            row = shown[index]
            waiver = f"  \n**Waiver:** {plain(row['Waiver'])}" if row["Waiver"] else ""
            limit = f"  \n**Limit:** {plain(row['Limit'])}" if row["Limit"] else ""
            st.info(f"**{row['Judgement'][0]}.** {plain(row['Finding'])}{limit}{waiver}")


def choose(rows: list[dict[str, Any]]) -> list[bool]:
    """The filters, and which rows they keep."""
    words = [word for word, _ in DECISIONS.values()]
    decisions = st.pills("Judgement", words, selection_mode="multi", key="finding-decisions")
    first, second, third = st.columns(3)
    known = sorted({row["Rule"] for row in rows})
    rules = first.multiselect("Rule", known, key="finding-rules", placeholder="All rules")
    names = sorted({row["Generator"] for row in rows if row["Generator"]})
    generators = second.multiselect("Generator", names, key="finding-generators", placeholder="All generators")
    text = third.text_input("Words", key="finding-words", placeholder="nurse", type="search").lower()
    return [
        (not decisions or row["Judgement"][0] in decisions)
        and (not rules or row["Rule"] in rules)
        and (not generators or row["Generator"] in generators)
        and (not text or text in f"{row['Finding']} {row['Slice']}".lower())
        for row in rows
    ]


def finding_row(item: Finding) -> dict[str, Any]:
    """One table row; a finding over several estimates shows the first."""
    first = item.evidence[0] if item.evidence else None
    return {
        "Judgement": [DECISIONS[item.decision][0]],
        "Finding": item.message,
        "Limit": item.limit,
        "Generator": first.generator if first else "",
        "n": first.n if first else None,
        "Rule": item.rule,
        "Slice": slice_words(first.slice, probe=True) if first else "",
        "Waiver": item.waiver or "",
    }


def rank(metric: str, group: list[Estimate]) -> tuple[bool, int, str]:
    """Where a metric stands on the page: those without any number last, then by family."""
    family = family_of(metric)
    place = FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)
    return all(item.value is None for item in group), place, metric


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
    panels = sorted(groups.items(), key=lambda pair: rank(*pair))
    for start in range(0, len(panels), 2):
        for column, (metric, group) in zip(st.columns(2), panels[start : start + 2], strict=False):
            with column, st.container(border=True, height="stretch"):
                panel(run, metric, group)


def panel(run: RunFolder, metric: str, group: list[Estimate]) -> None:
    """Chart and lines of one metric; where it has one slice only, the generators themselves are the rows."""
    name = title(run.manifest, metric)
    st.markdown(f"**{plain(name)}**")
    probes = len({item.slice.get("probe") for item in group}) > 1
    words = [slice_words(item.slice, probe=probes) for item in group]
    single = len(set(words)) == 1
    rows = [
        chart_row(item, item.generator if single else row)
        for item, row in zip(group, words, strict=True)
        if item.value is not None
    ]
    if rows:
        drawn = {
            key: look for key, look in looks(run.generators).items() if any(row["generator"] == key for row in rows)
        }
        order = list(dict.fromkeys(row["row"] for row in rows))
        chart = interval_chart(rows, order=order, looks=drawn, percent=group[0].unit.startswith("share"))
        st.altair_chart(chart, width="stretch", key=f"key-{metric}", alt=f"{name} by generator with intervals")
    table = [
        {
            "Generator": item.generator,
            **({} if single else {"Of": row}),
            "Value [interval]": value_text(item),
            "n": item.n,
            "Missing": item.missing,
        }
        for item, row in zip(group, words, strict=True)
    ]
    narrow = {column: st.column_config.NumberColumn(width=62) for column in ("n", "Missing")}
    key, alt = f"key-table-{metric}", f"{name} by generator"
    st.dataframe(table, hide_index=True, height="content", column_config=narrow, key=key, alt=alt)


def chart_row(item: Estimate, row: str) -> dict[str, Any]:
    """An estimate as the chart wants it."""
    return {
        "row": row,
        "generator": item.generator,
        "value": item.value,
        "low": item.low,
        "high": item.high,
        "floor": item.floor,
        "label": f"{value_text(item)}, n={item.n}",
    }


run = current_run()
page_title("Overview", f"What the audit called “{plain(run.name)}” found, and how sure it is.")
show_verdict(run)
everything = estimates(run)
if stopped := stopping_words(run.manifest):
    st.info(f"**Stopped early.** Asked was {plain(stopped)}. {ANYTIME}", icon=":material/timer:")
for line in repeats(everything):
    st.warning(f"**Pictures repeat.** {plain(line)}.", icon=":material/content_copy:")
show_findings(run)
show_numbers(run, everything)
without_number(everything)
