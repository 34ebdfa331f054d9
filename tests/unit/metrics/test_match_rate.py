# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.likeness.calibration import Calibration
from audit.metrics.likeness.match_rate import METRIC
from audit.types import Status

CALIBRATION = Calibration(
    threshold=0.6,
    fpir_target=0.01,
    fpir_low=0.006,
    fpir_high=0.016,
    level=0.95,
    searches=2000,
    false_alarms=20,
    gallery_size=3,
    reference_ids=("a1", "b2", "c3"),
    embedder_digest="0" * 64,
)


def view_of(make_view, above, reference, **more):
    n = len(above)
    columns = {
        "likeness__above": np.array(above, dtype=np.float32),
        "likeness__reference": reference,
        "likeness__score": np.zeros(n, dtype=np.float32),
    }
    return make_view(n, references={"likeness": CALIBRATION}, **columns, **more)


def test_rates_overall_and_by_reference(make_view):
    above = [1.0] * 5 + [0.0] * 14 + [np.nan]
    found = METRIC(view_of(make_view, above, ["a1"] * 4 + ["b2"] + [None] * 15))
    overall, *references = found
    exact = stats.binomtest(5, 19).proportion_ci(0.95, "exact")
    assert (overall.value, overall.low, overall.high) == pytest.approx((5 / 19, exact.low, exact.high))
    assert (overall.n, overall.missing, overall.extra["no_face"]) == (19, 1, 1)
    assert overall.floor == 0.01
    assert overall.extra["excess"] == pytest.approx(5 / 19 - 0.01)
    assert [(e.slice["reference"], e.extra["matches"]) for e in references] == [("a1", 4), ("b2", 1), ("c3", 0)]
    assert references[2].value == 0.0
    assert references[2].high > 0.1


def test_slices_by_axis(make_view):
    who = ["x"] * 4 + ["y"] * 4
    found = METRIC(view_of(make_view, [1.0] * 4 + [0.0] * 4, ["a1"] * 4 + [None] * 4, axis__name=who, by=("name",)))
    assert {e.slice["name"]: e.value for e in found if "name" in e.slice} == {"x": 1.0, "y": 0.0}


def test_no_face_is_no_match_and_no_number(make_view):
    found = METRIC(view_of(make_view, [np.nan] * 6, [None] * 6))
    assert {e.status for e in found} == {Status.INSUFFICIENT}
    assert {e.extra["no_face"] for e in found} == {6}


def test_a_withheld_image_is_not_searched(make_view):
    found = METRIC(view_of(make_view, [1.0, 1.0], ["a1", "a1"], outcome=["image", "blocked"]))
    assert (found[0].n, found[0].extra["matches"]) == (1, 1)
    assert (found[1].n, found[1].extra["matches"]) == (1, 1)


def test_without_calibration_there_is_no_rate(make_view):
    view = view_of(make_view, [1.0], ["a1"])
    bare = make_view(
        1, **{name.replace(".", "__"): v for name, v in view.columns.items() if name.startswith("likeness")}
    )
    assert METRIC(bare)[0].status is Status.UNAVAILABLE
    assert METRIC(make_view(1))[0].status is Status.UNAVAILABLE
