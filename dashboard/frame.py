# SPDX-License-Identifier: Apache-2.0
"""What every page shares: the run that is looked at, and tables of estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import streamlit as st
from data import RunFolder, verdict
from theme import DECISION_COLOURS, DECISIONS
from words import plain

from audit.errors import AuditError
from audit.render.format import clean, slice_words
from audit.types import Decision, Estimate, Finding

__all__ = [
    "current_run",
    "decision_column",
    "findings",
    "judgement",
    "judgements",
    "page_title",
    "panel",
    "show_error",
    "without_number",
]

Key = tuple[str, str, tuple[tuple[str, str], ...]]
P = ParamSpec("P")


def current_run() -> RunFolder:
    """The run chosen in the side bar."""
    run: RunFolder = st.session_state["current-run"]
    return run


def page_title(title: str, lead: str) -> None:
    """Heading and one sentence of what the page answers."""
    st.title(title, anchor=False)
    st.caption(lead)


def show_error(error: AuditError) -> None:
    """Message, place and remedy, never a traceback."""
    where = f"\n\n{plain(error.where)}" if error.where else ""
    hint = f"\n\n**What to do:** {plain(error.hint)}" if error.hint else ""
    st.error(f"**This run cannot be shown:** {plain(error.message)}{where}{hint}", icon=":material/folder_off:")


def panel(show: Callable[P, None]) -> Callable[P, None]:
    """A part of a page that runs again by itself; its errors are told where it stands."""

    @wraps(show)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            show(*args, **kwargs)
        except AuditError as error:
            show_error(error)

    return st.fragment(guarded)


def findings(run: RunFolder) -> list[Finding]:
    """Findings of the verdict, worst first; empty where the run was not judged."""
    judged = verdict(run)
    return sorted(judged.findings, key=lambda item: list(DECISIONS).index(item.decision)) if judged else []


def judgements(run: RunFolder) -> dict[Key, Decision]:
    """Worst decision by metric, generator and slice, as the policy found it."""
    return {_key(item): finding.decision for finding in reversed(findings(run)) for item in finding.evidence}


def _key(item: Estimate) -> Key:
    return item.metric, item.generator, tuple(sorted(item.slice.items()))


def judgement(item: Estimate, known: Mapping[Key, Decision]) -> list[str]:
    """The decision about one estimate as the content of a decision column; empty where no rule looks at it."""
    decision = known.get(_key(item))
    return [DECISIONS[decision][0]] if decision else []


def decision_column(label: str = "Judgement") -> Any:
    """A table column that shows decisions as coloured chips with their word."""
    words = [word for word, _ in DECISIONS.values()]
    return st.column_config.MultiselectColumn(
        label, options=words, color=[DECISION_COLOURS[name] for name in DECISIONS], width=116
    )


def without_number(items: Sequence[Estimate]) -> None:
    """Says why there is no number, for each estimate that has none."""
    missing = [item for item in items if item.value is None]
    if not missing:
        return
    with st.expander(f"{len(missing)} without a number, and why", icon=":material/block:"):
        rows = [
            {
                "generator": item.generator,
                "metric": item.metric,
                "slice": slice_words(item.slice, probe=True),
                "status": item.status.value,
                "why": clean(item.why or ""),
                "n": item.n,
            }
            for item in missing
        ]
        st.dataframe(rows, hide_index=True, height="content", alt="Estimates without a number")
