# SPDX-License-Identifier: Apache-2.0
"""What is left of credentials and watermark after edits, and how a picture that lost them is led back to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from data import RunFolder
from frame import panel
from words import STATE_WORDS, plain

from audit.provenance.round_trip import read
from audit.render.format import number
from audit.render.survival import read_summary, section, survival_chart

__all__ = ["show_round_trips", "show_survival"]

# What recovery found, in words for somebody who sees the word for the first time.
OUTCOMES: dict[str, tuple[str, str, str]] = {
    "recovered": ("found again", "green", ":material/task_alt:"),
    "embedded": ("credentials in the file", "green", ":material/verified:"),
    "replaced": ("the mark leads to other credentials", "orange", ":material/swap_horiz:"),
    "mismatch": ("mark of another picture", "red", ":material/warning:"),
    "invalid": ("credentials do not hold", "red", ":material/gpp_bad:"),
    "unknown_mark": ("mark unknown here", "orange", ":material/help:"),
    "no_mark": ("nothing found", "gray", ":material/search_off:"),
    "unreadable": ("not a picture", "red", ":material/broken_image:"),
    "undetermined": ("could not be checked", "gray", ":material/help:"),
}


@panel
def show_survival(run: RunFolder) -> None:
    """The heat map of edits by layers, and the table behind it."""
    summary = read_summary(run.path)
    st.subheader("What survives", anchor=False)
    if summary is None:
        st.info(
            "Nobody has measured yet what edits leave of credentials and watermark. Run "
            f"`genaudit survive {plain(run.path)}`.",
            icon=":material/science:",
        )
        return
    said = section(summary)
    st.caption(said.lead)
    st.altair_chart(survival_chart(summary), width="content", key="survival", alt="What survives: edits by layers")
    st.caption(said.figure.caption)
    with st.expander("All numbers with their intervals", icon=":material/table:"):
        rows = [
            {"Edit": line.edit, **dict(zip(said.layers, line.cells, strict=True)), "Kind": line.family}
            for line in said.lines
        ]
        st.dataframe(rows, hide_index=True, height="content", key="survival-table", alt="What survives, in numbers")
    for words in filter(None, (said.cost, *said.notes)):
        st.caption(words)


@panel
def show_round_trips(run: RunFolder) -> None:
    """Pictures that lost their metadata, and what their watermark led back to."""
    trips = read(run.path / "survival")
    if not trips:
        return
    st.subheader("Stripped and found again", anchor=False)
    st.caption(
        "Each picture of this run was signed and marked. A copy was edited until nothing of its metadata was left. The "
        "watermark was read from that copy, and led to the manifest that the run kept. It says who made a picture like "
        "this one; it does not say that this copy is unchanged."
    )
    for trip in trips:
        with st.container(border=True):
            _trip(trip)


def _trip(trip: Mapping[str, Any]) -> None:
    signed, edited, found = st.columns([1, 1, 2], gap="medium")
    with signed:
        _station(trip["signed"])
    with edited:
        _station(trip["edited"])
    with found:
        words, colour, icon = OUTCOMES.get(trip["outcome"], (str(trip["outcome"]), "gray", ":material/help:"))
        st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]
        st.markdown(plain(trip["message"]))
        rows = [{"What": what, "Found": text} for what, text in _facts(trip)]
        if rows:
            st.dataframe(
                rows,
                hide_index=True,
                height="content",
                key=f"trip-{trip['image']}-{trip['edit']}",
                alt="What the recovered credentials say",
            )


def _station(station: Mapping[str, Any]) -> None:
    path = Path(str(station["path"]))
    if path.is_file():
        st.image(path.read_bytes(), width="stretch", caption=plain(station["title"]))
    state = STATE_WORDS.get(station["state"], str(station["state"]).replace("_", " "))
    st.caption(
        f"{station['width']} × {station['height']}, {number(station['size'] / 1024, 1)} KB; credentials: {state}"
    )


def _facts(trip: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = trip["found"]
    names = {
        "generator": "made by",
        "issuer": "signer, by its own word",
        "signed_at": "signed at",
        "request_id": "answers request",
        "run_id": "of run",
        "manifest_id": "manifest",
    }
    facts = [(words, str(said[name])) for name, words in names.items() if said.get(name)]
    if trip["p_value"] is not None:
        facts.append(("chance in an unmarked picture", f"at most {trip['p_value']:.1g}"))
    if trip["likeness"] is not None:
        facts.append(("likeness, at most 1", number(trip["likeness"], 3)))
    return facts
