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


def test_credentials_in_every_state(make_view):
    """Without a time stamp they hold; what could not be checked is missing, and what only points elsewhere fails."""
    states = ["no_timestamp"] * 4 + ["trusted", "remote_only", "absent"] + ["undetermined"] * 3
    (found,) = VERIFIED(make_view(10, credentials__state=states))
    exact = stats.binomtest(5, 7).proportion_ci(0.95, "exact")
    assert (found.value, found.low, found.high) == pytest.approx((5 / 7, exact.low, exact.high))
    assert (found.n, found.missing) == (7, 3)
    assert found.extra["state.undetermined"] == 3
    assert VERIFIED(make_view(2, credentials__state=["undetermined"] * 2))[0].status is Status.INSUFFICIENT


def test_credentials_nobody_looked_at(make_view):
    assert VERIFIED(make_view(4))[0].status is Status.UNAVAILABLE
    assert VERIFIED(make_view(2, credentials__state=[None, None]))[0].status is Status.INSUFFICIENT
    assert VERIFIED(make_view(1, credentials__state=["trusted"], outcome=["error"]))[0].status is Status.INSUFFICIENT


def test_seconds_have_batches_as_units(make_view):
    """Ten batches of four images: the interval is that of the ten batch times, not of forty equal-looking rows."""
    batch_seconds = np.random.default_rng(0).uniform(1.0, 2.0, 10)
    seconds = np.repeat(batch_seconds, 4)
    batch = np.repeat([f"b{i}" for i in range(10)], 4).astype(object)
    (found,) = SECONDS(make_view(40, seconds=seconds, batch=batch))
    theirs = stats.ttest_1samp(batch_seconds, 0.0).confidence_interval(0.95)
    assert found.value == pytest.approx(batch_seconds.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.n, found.clusters) == (40, 10)


def test_seconds_unknown_or_of_a_single_batch(make_view):
    one = np.full(10, "b0", object)
    assert SECONDS(make_view(10, batch=one))[0].status is Status.INSUFFICIENT
    assert SECONDS(make_view(10, seconds=np.ones(10), batch=one))[0].status is Status.INSUFFICIENT
    assert SECONDS(make_view(0, batch=one[:0]))[0].status is Status.INSUFFICIENT
