# SPDX-License-Identifier: Apache-2.0
"""Provenance: what the pictures' Content Credentials say, and what that is worth."""

from __future__ import annotations

from typing import Any

import streamlit as st
from charts import state_chart
from data import Filter, RunFolder, count, estimates, find, labels, tally
from frame import current_run, decision_column, judgement, judgements, page_title, panel, without_number
from gallery import COLUMNS, cards
from lasting import show_round_trips, show_survival
from theme import STATE_COLOURS
from words import STATE_WORDS, STATES

from audit.render.format import slice_words, value_text

METRIC = "provenance.verified_share"


def show_share(run: RunFolder) -> None:
    """The estimates: share of images whose credentials verify."""
    items = [item for item in estimates(run) if item.metric == METRIC]
    if not items:
        return
    judged = judgements(run)
    st.subheader("Share of pictures whose credentials verify", anchor=False)
    rows = [
        {
            "Judgement": judgement(item, judged),
            "Generator": item.generator,
            "Of": slice_words(item.slice),
            "Verified [interval]": value_text(item),
            "n": item.n,
            "Missing": item.missing,
        }
        for item in items
    ]
    config = {"Judgement": decision_column()}
    st.dataframe(
        rows, hide_index=True, height="content", column_config=config, key="verified", alt="Share verified by generator"
    )
    without_number(items)


def show_states(run: RunFolder) -> None:
    """Counts of states by generator and issuer."""
    rows: list[dict[str, Any]] = [
        {**row, "state": row["credentials.state"] or "undetermined"}
        for row in tally(run, "generator", "credentials.state")
    ]
    st.subheader("States", anchor=False)
    named = [{**row, "state": word(row["state"])} for row in rows]
    colours = {word(name): colour for name, colour in STATE_COLOURS.items()}
    st.altair_chart(
        state_chart(named, colours=colours),
        width="stretch",
        key="states",
        alt="Pictures by generator and state of credentials",
    )
    seen = {row["state"] for row in rows}
    meaning = [
        {"State": word(name), "Meaning": text, "Pictures": total(rows, name)}
        for name, text in STATES.items()
        if name in seen
    ]
    config = {
        "Meaning": st.column_config.TextColumn(width="large"),
        "Pictures": st.column_config.NumberColumn(width=80),
    }
    st.dataframe(
        meaning, hide_index=True, height="content", column_config=config, key="meanings", alt="What the states mean"
    )
    if "valid_untrusted" in seen:
        explain_untrusted()
    issuers = tally(run, "generator", "credentials.state", "credentials.issuer")
    if issuers:
        st.subheader("Who signed", anchor=False)
        table = [
            {"Generator": row["generator"], "State": word(row["credentials.state"] or "undetermined"),
             "Issuer": row["credentials.issuer"] or "none", "Pictures": row["n"]}
            for row in issuers
        ]  # fmt: skip
        st.dataframe(table, hide_index=True, height="content", key="issuers", alt="Issuers by generator")


def word(state: str) -> str:
    """A state in words."""
    return STATE_WORDS.get(state, state.replace("_", " "))


def total(rows: list[dict[str, Any]], state: str) -> int:
    """Pictures in one state."""
    return sum(int(row["n"]) for row in rows if row["state"] == state)


def explain_untrusted() -> None:
    """The most misread state, in plain words."""
    with st.expander("What does “valid, not trusted” mean?", icon=":material/help:", expanded=True):
        st.markdown(
            "The picture carries a signed statement about where it comes from. The signature is intact, so **the "
            "picture and the statement have not been changed since signing**. The certificate, however, does not lead "
            "to an authority on a trust list, so **who signed is only what the signer says**. That is what a "
            "development chain gives, and what any signer gives while no trust list is supplied. Sign with a "
            "certificate from a recognised authority, and verify with its trust list, to see “trusted”."
        )


@panel
def show_failing(run: RunFolder) -> None:
    """Examples of pictures that do not verify."""
    bad = tuple(name for name in STATES if name not in ("trusted", "no_timestamp", "valid_untrusted"))
    wanted = Filter(outcomes=("image",), labels={"credentials.state": bad})
    failing = count(run, wanted)
    if failing:
        st.subheader("Pictures that do not verify", anchor=False)
        st.caption(f"{failing} in all" + (f"; the first {2 * COLUMNS}." if failing > 2 * COLUMNS else "."))
        cards(run, find(run, wanted, limit=2 * COLUMNS), key="failing")


def main() -> None:
    """The page."""
    page_title("Provenance", "Whether the pictures say where they come from, and whether that can be relied on.")
    run = current_run()
    if "credentials.state" not in labels(run):
        st.info("The run did not check Content Credentials.", icon=":material/verified_user:")
        show_share(run)
    else:
        show_states(run)
        show_share(run)
        show_failing(run)
    show_round_trips(run)
    show_survival(run)


main()
