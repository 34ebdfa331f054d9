# SPDX-License-Identifier: Apache-2.0
"""Outcomes, provenance, cost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.metrics.cost.seconds_per_image import METRIC as SECONDS
from audit.metrics.outcomes.answered import METRIC as ANSWERED
from audit.metrics.provenance.verified_share import METRIC as VERIFIED
from audit.types import Status


def test_every_outcome_has_its_share(make_view):
    outcomes = ["image"] * 6 + ["refused"] * 3 + ["error"]
    found = {e.slice.get("outcome", "image"): e for e in ANSWERED(make_view(10, outcome=outcomes))}
    assert {name: e.value for name, e in found.items()} == {"image": 0.6, "refused": 0.3, "blocked": 0.0, "error": 0.1}
    theirs = stats.binomtest(6, 10).proportion_ci(0.95, "wilson")
    assert (found["image"].low, found["image"].high) == pytest.approx((theirs.low, theirs.high))
    assert found["blocked"].high > 0.2


def test_answered_by_axis(make_view):
    view = make_view(4, outcome=["image", "image", "refused", "refused"], axis__x=["a", "a", "b", "b"], by=("x",))
    assert {e.slice["x"]: e.value for e in ANSWERED(view) if "x" in e.slice} == {"a": 1.0, "b": 0.0}


def test_no_requests(make_view):
    assert {(e.status, e.value) for e in ANSWERED(make_view(0))} == {(Status.INSUFFICIENT, None)}


def test_credentials_that_verify(make_view):
    states = ["trusted"] * 3 + ["valid_untrusted"] * 2 + ["invalid", "absent", "unreadable", "bad_ingredient", None]
    (found,) = VERIFIED(make_view(10, credentials__state=states))
    exact = stats.binomtest(5, 9).proportion_ci(0.95, "exact")
    assert (found.value, found.low, found.high) == pytest.approx((5 / 9, exact.low, exact.high))
    assert (found.n, found.missing) == (9, 1)
    assert found.extra["state.trusted"] == 3
    assert found.extra["state.bad_ingredient"] == 1


def test_credentials_nobody_looked_at(make_view):
    assert VERIFIED(make_view(4))[0].status is Status.UNAVAILABLE
    assert VERIFIED(make_view(2, credentials__state=[None, None]))[0].status is Status.INSUFFICIENT
    assert VERIFIED(make_view(1, credentials__state=["trusted"], outcome=["error"]))[0].status is Status.INSUFFICIENT


def test_median_seconds(make_view):
    seconds = np.array([1.0, 2, 3, 4, 5, 6, 7, 100, np.nan, 9])
    (found,) = SECONDS(make_view(10, seconds=seconds, outcome=["image"] * 9 + ["error"]))
    assert (found.value, found.n, found.missing) == (4.5, 8, 2)
    assert (found.low, found.high) == (1.0, 100.0)
    assert found.extra["total"] == 128.0


def test_seconds_unknown_or_too_few(make_view):
    assert SECONDS(make_view(10))[0].status is Status.INSUFFICIENT
    assert SECONDS(make_view(5, seconds=np.ones(5)))[0].status is Status.INSUFFICIENT
    assert SECONDS(make_view(0))[0].status is Status.INSUFFICIENT
