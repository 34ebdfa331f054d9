# SPDX-License-Identifier: Apache-2.0
"""What survives, and the way back, on the page about provenance."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.provenance import Stamper
from audit.provenance.keys import DevelopmentKeys
from audit.provenance.round_trip import RoundTrip, Station, write
from audit.provenance.survive import Plan, Sample, run, select_edits

OFFERED = "Nobody has measured yet"


@pytest.fixture
def measured(own_run: Path) -> Path:
    """Two pictures without credentials, stamped afresh for the purpose and edited in three ways."""
    images = {}
    for seed in range(2):
        path = own_run.parent / f"{seed}.png"
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(path)
        images[path.name] = path
    stamper = Stamper(DevelopmentKeys(own_run.parent / "keys"))
    plan = Plan(edits=select_edits(["copy", "append", "jpeg-75"]), stamper=stamper)
    run(Sample(images, 2, 0), plan, own_run / "survival")
    return own_run


def station(title: str, state: str) -> Station:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, "WEBP")
    return Station(title, state, "", 8, 8, 2048, out.getvalue())


def trip(outcome: str, **found: str) -> RoundTrip:
    before, after = station("Signed and marked", "trusted"), station("JPEG *75*", "absent")
    p_value, likeness = (3e-12, 0.91) if found else (None, None)
    return RoundTrip("a.png", outcome, before, after, outcome, found, "org.x", p_value, likeness, f"it was {outcome}")


def words(app) -> str:
    kinds = (app.title, app.subheader, app.caption, app.markdown, app.info, app.error)
    return " ".join(item.value for kind in kinds for item in kind)


def test_nothing_measured_says_how_to_measure(dashboard, run_folder) -> None:
    app = dashboard(run_folder, page="provenance")
    assert not app.exception
    assert OFFERED in words(app)
    assert "Stripped and found again" not in words(app)


def test_the_matrix_with_its_intervals(dashboard, measured) -> None:
    app = dashboard(measured, page="provenance")
    assert not app.exception
    assert OFFERED not in words(app)
    assert "were edited in 3 ways" in words(app)
    table = next(frame.value for frame in app.dataframe if "Edit" in frame.value.columns).set_index("Edit")
    credentials = table["Content Credentials"]
    assert credentials["Copied"].startswith("kept 100")
    assert credentials["64 bytes appended"].startswith("broken 100")
    assert credentials["JPEG 75"].startswith("kept 0")


def test_round_trips_show_what_was_found_and_what_was_not(dashboard, own_run) -> None:
    found = trip("recovered", generator="gan", request_id="r-7", issuer="somebody <script>")
    write(own_run / "survival", [found, trip("no_mark")])
    app = dashboard(own_run, page="provenance")
    assert not app.exception
    assert "Stripped and found again" in words(app)
    tables = [frame.value for frame in app.dataframe if list(frame.value.columns) == ["What", "Found"]]
    assert len(tables) == 1, "what was not found has no facts"
    facts = dict(zip(tables[0]["What"], tables[0]["Found"], strict=True))
    assert (facts["made by"], facts["answers request"]) == ("gan", "r-7")
    assert facts["chance in an unmarked picture"] == "at most 3e-12"


def test_damaged_results_are_told_and_the_rest_is_shown(dashboard, measured) -> None:
    (measured / "survival" / "survival.json").write_text(json.dumps({"schema": 99}))
    app = dashboard(measured, page="provenance")
    assert not app.exception
    assert "genaudit survive" in words(app)
    assert "States" in words(app)
