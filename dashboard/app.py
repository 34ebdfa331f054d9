# SPDX-License-Identifier: Apache-2.0
"""The dashboard of audit runs: ``streamlit run app.py -- RUN...`` (also ``GENAUDIT_RUNS``). It only reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # `streamlit run` adds it, other ways of starting the script do not
    sys.path.insert(0, str(HERE))

import streamlit as st  # noqa: E402 - the line above has to come first
from data import RunFolder, open_run, run_paths  # noqa: E402
from frame import show_error  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from words import plain  # noqa: E402

from audit.errors import AuditError, StoreError  # noqa: E402
from audit.render.theme import GENERATOR_COLOURS  # noqa: E402

PAGES = (
    ("overview", "Overview", ":material/fact_check:"),
    ("bias", "Representation", ":material/balance:"),
    ("quality", "Quality", ":material/high_quality:"),
    ("likeness", "Likeness", ":material/face:"),
    ("images", "Images", ":material/photo_library:"),
    ("provenance", "Provenance", ":material/verified_user:"),
)


def main() -> None:
    """Choose a run, then show the page of it that was asked for."""
    st.set_page_config(page_title="genaudit", page_icon=_icon(), layout="wide")
    # the folder is not called pages: Streamlit would serve a folder of that name by itself, past this frame
    pages = [
        st.Page(HERE / "views" / f"{name}.py", title=title, icon=icon, url_path=name, default=not index)
        for index, (name, title, icon) in enumerate(PAGES)
    ]
    page = st.navigation(pages)
    runs, broken = _open_all()
    if runs:
        with st.sidebar:
            st.session_state["current-run"] = _choose(runs)
            _list_broken(broken)
        try:
            page.run()
        except AuditError as error:
            show_error(error)
    else:
        _nothing_to_show(broken)


def _icon() -> Image.Image:
    """A dot on its interval; a named icon would be loaded from a font server."""
    icon = Image.new("RGBA", (32, 32))
    draw = ImageDraw.Draw(icon)
    draw.line((2, 16, 30, 16), fill=GENERATOR_COLOURS[0], width=4)
    draw.ellipse((9, 9, 23, 23), fill=GENERATOR_COLOURS[0])
    return icon


def _open_all() -> tuple[dict[str, RunFolder], list[AuditError]]:
    """Runs by a label that is unique, and the errors of folders that hold none."""
    runs: dict[str, RunFolder] = {}
    broken: list[AuditError] = []
    for path in run_paths(sys.argv[1:], os.environ):
        try:
            run = open_run(path)
        except StoreError as error:
            broken.append(error)
            continue
        label = run.name if run.name not in runs else f"{run.name} ({path.name})"
        runs[label if label not in runs else f"{run.name} ({path})"] = run
    return runs, broken


def _choose(runs: dict[str, RunFolder]) -> RunFolder:
    chosen = st.selectbox("Run", list(runs), key="run", bind="query-params", help="Runs given on the command line")
    run = runs[chosen]
    manifest = run.manifest
    tool = manifest.get("tool", {})
    facts = (
        f"finished {str(manifest.get('finished', 'unknown'))[:16].replace('T', ' ')} UTC",
        f"{tool.get('name', 'genaudit')} {tool.get('version', '')}, run seed {manifest.get('seed')}",
        f"{len(run.generators)} generators, intervals at {manifest.get('level', 0.95):.0%}",
    )
    st.caption("  \n".join(map(plain, facts)))
    return run


def _list_broken(broken: list[AuditError]) -> None:
    if broken:
        with st.expander(f"{len(broken)} not shown", icon=":material/folder_off:"):
            for error in broken:
                show_error(error)


def _nothing_to_show(broken: list[AuditError]) -> None:
    st.title("No run to show", anchor=False)
    for error in broken:
        show_error(error)
    if not broken:
        st.info("Name one or more run folders: `genaudit dashboard runs/quickstart`.", icon=":material/folder_open:")


main()
