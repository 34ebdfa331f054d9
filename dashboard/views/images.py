# SPDX-License-Identifier: Apache-2.0
"""Images: every request with its outcome, filtered and paged."""

from __future__ import annotations

import hashlib

import streamlit as st
from data import Filter, RunFolder, count, distinct, find, labels
from frame import current_run, page_title, panel
from gallery import PER_PAGE, cards
from words import heading


def attributes(run: RunFolder) -> dict[str, str]:
    """Annotation columns that classify, with the attribute they answer for; presentation first."""
    found = {
        f"{spec['name']}.{column}": str(facts["attribute"])
        for spec in run.manifest.get("annotators", [])
        for column, facts in spec.get("operating", {}).items()
    }
    ranked = sorted(found.items(), key=lambda pair: (pair[1] != "presentation", pair[1]))
    return {column: name for column, name in ranked if column in labels(run)}


def choose(run: RunFolder) -> Filter:
    """The filter row."""
    first, second, third, fourth = st.columns(4)
    generators = first.multiselect("Generator", list(run.generators), key="image-generators", placeholder="All")
    probes = second.multiselect("Probe set", distinct(run, "probe"), key="image-probes", placeholder="All")
    outcomes = third.multiselect("Outcome", distinct(run, "outcome"), key="image-outcomes", placeholder="All")
    words = fourth.text_input("Words in the prompt", key="image-words", placeholder="nurse", type="search")
    answers: dict[str, tuple[str, ...]] = {}
    known = attributes(run)
    if known:
        for box, (column, name) in zip(st.columns(max(4, len(known))), known.items(), strict=False):
            answers[column] = tuple(
                box.multiselect(
                    heading(name, attribute=True), distinct(run, column), key=f"image-{column}", placeholder="All"
                )
            )
    return Filter(tuple(generators), tuple(probes), tuple(outcomes), words, answers)


@panel
def show(run: RunFolder) -> None:
    """Filters, page and pictures; a fragment, so that paging leaves the rest of the app alone."""
    wanted = choose(run)
    total = count(run, wanted)
    if not total:
        st.info("No request passes these filters.", icon=":material/filter_alt_off:")
        return
    left, right = st.columns([3, 2], vertical_alignment="center")
    reveal = right.toggle(
        "Reveal sensitive pictures", key="image-reveal", help="Prompts marked sensitive, and likeness matches"
    )
    # a new filter starts on its first page
    state = hashlib.sha256(repr((run.digest, wanted)).encode()).hexdigest()[:12]
    pages = -(-total // PER_PAGE)
    with left:
        page = st.pagination(pages, key=f"image-page-{state}") if pages > 1 else 1
    start = (page - 1) * PER_PAGE
    st.caption(f"{start + 1} to {min(start + PER_PAGE, total)} of {total} requests")
    cards(run, find(run, wanted, limit=PER_PAGE, offset=start), key="image", reveal=reveal)


page_title("Images", "Every request of the run, answered or not. Sensitive pictures are blurred until revealed.")
show(current_run())
