# SPDX-License-Identifier: Apache-2.0
"""What images take, from columns whose answer is known."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from scipy import stats

from audit.metrics.cost.cpu_seconds_per_image import METRIC as PROCESSOR
from audit.metrics.cost.energy_per_image import METRIC as ENERGY
from audit.metrics.cost.flops_per_image import METRIC as FLOPS
from audit.metrics.cost.peak_memory import METRIC as MEMORY
from audit.metrics.cost.price_per_thousand import METRIC as PRICE
from audit.metrics.cost.seconds_per_image import METRIC as SECONDS
from audit.policy.limits import decide
from audit.prices import Price, PriceList
from audit.types import Decision, Status

METRICS = [PROCESSOR, ENERGY, FLOPS, MEMORY]
COLUMN = {"cost.cpu_seconds_per_image": "cpu_seconds", "cost.energy_per_image": "energy"}
BATCH = np.repeat([f"b{i}" for i in range(10)], 4).astype(object)


def column(*, of: float | None = None) -> np.ndarray:
    return np.full(40, np.nan if of is None else of)


@pytest.fixture
def view(make_view):
    """Forty images in ten batches; keywords are columns."""
    return lambda **columns: make_view(40, batch=BATCH, **columns)


def prices(**price) -> PriceList:
    given = {"gen": Price(**price)} if price else {"other": Price(per_image=1)}
    return PriceList(currency="EUR", source="rate card", date=dt.date(2026, 11, 1), generators=given)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.spec.id)
def test_what_nobody_measured_has_no_number_and_a_reason(metric, view):
    (found,) = metric(view())
    assert (found.value, found.status) == (None, Status.UNAVAILABLE)
    assert found.why.startswith("not measured: the images were not drawn in a process of their own")


def test_the_reason_of_the_drawing_process_is_passed_on(view):
    said = np.full(40, "the machine has no RAPL counters", object)
    assert ENERGY(view(energy=column(), energy_by=said))[0].why == "the machine has no RAPL counters"
    said = np.full(40, None, object)
    said[:4] = "not counted: nothing in its process uses torch"
    assert FLOPS(view(flops=column(), flops_by=said))[0].why == "not counted: nothing in its process uses torch"


@pytest.mark.parametrize("metric", [PROCESSOR, ENERGY, SECONDS], ids=lambda m: m.spec.id)
def test_batches_are_the_units_and_the_counted_one_is_left_out(metric, view):
    each = np.random.default_rng(0).uniform(1.0, 2.0, 10)
    each[0] = 50.0
    flops = column()
    flops[:4] = 7.0
    name = COLUMN.get(metric.spec.id, "seconds")
    (found,) = metric(view(**{name: np.repeat(each, 4), "flops": flops, "drawers": column(of=1)}))
    theirs = stats.ttest_1samp(each[1:], 0.0).confidence_interval(0.95)
    assert found.value == pytest.approx(each[1:].mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.n, found.clusters, found.missing) == (36, 9, 0)
    assert "without the batch whose operations were counted" in found.method


def test_where_too_little_else_is_left_the_counted_batch_stays_and_is_named(make_view):
    seconds, flops = np.repeat([3.0, 1.0], 4), np.repeat([7.0, np.nan], 4)
    (found,) = SECONDS(make_view(8, batch=BATCH[:8], seconds=seconds, flops=flops))
    assert found.value == 2.0
    assert "a batch slowed by counting among them" in found.method


def test_energy_says_who_shared_the_counters(view):
    said = np.full(40, "processor packages of the whole machine (RAPL)", object)
    (found,) = ENERGY(view(energy=np.repeat(np.arange(10.0), 4), energy_by=said, drawers=column(of=3)))
    assert found.method.endswith(
        "processor packages of the whole machine (RAPL), shared equally among 3 drawing processes, nothing subtracted"
    )


def test_equal_counts_are_exact_and_others_are_averaged(view):
    flops, by = column(), np.full(40, None, object)
    flops[:8], by[:8] = 5e9, "counted once, over 4 images"
    (found,) = FLOPS(view(flops=flops, flops_by=by))
    assert (found.value, found.low, found.high, found.n, found.clusters) == (5e9, 5e9, 5e9, 8, 2)
    assert found.method == "counted once, over 4 images"
    flops[4:8] = 7e9
    (found,) = FLOPS(view(flops=flops, flops_by=by))
    assert found.value == 6e9
    assert found.low < 5e9


def test_the_peak_is_a_maximum_that_can_fail_and_never_pass(view):
    memory = np.repeat(np.arange(10.0) + 1, 4) * 2**30
    (found,) = MEMORY(view(memory=memory, memory_by=np.full(40, "resident memory", object)))
    assert (found.value, found.low, found.high) == (10 * 2**30, 10 * 2**30, None)
    assert found.method == "maximum of 10 batches: resident memory; no interval"
    limit = lambda gib: (-np.inf, gib * 2.0**30)  # noqa: E731
    assert decide(found.low, found.high, limit(9)) is Decision.FAIL
    assert decide(found.low, found.high, limit(11)) is Decision.INCONCLUSIVE


def test_an_accelerator_comes_before_the_process(view):
    told = {"device_memory": column(of=5e9), "device_reserved": column(of=6e9), "memory": column(of=9e9)}
    (found,) = MEMORY(view(**told))
    assert (found.value, found.extra["reserved"], found.extra["process"]) == (5e9, 6e9, 9e9)
    assert "accelerator" in found.method


# -- money -----------------------------------------------------------------------------------------------------


def test_no_price_is_no_number(view):
    for references in ({}, {"prices": prices()}):
        (found,) = PRICE(view(references=references))
        assert (found.value, found.status) == (None, Status.UNAVAILABLE)
        assert "cost.prices" in found.why


def test_a_price_of_an_image_is_exact(view):
    (found,) = PRICE(view(references={"prices": prices(per_image=0.04)}))
    assert (found.value, found.low, found.high) == pytest.approx((40, 40, 40))
    assert {k: found.extra[k] for k in ("currency", "source", "date", "price", "way")} == {
        "currency": "EUR",
        "source": "rate card",
        "date": "2026-11-01",
        "price": 0.04,
        "way": "per image",
    }


def test_an_hour_of_the_machine_is_shared_by_all_that_draw_on_it(view):
    """Two seconds an image on each of four processes are half a second of the machine: 7200 images an hour."""
    seconds = np.repeat([1.5, 2.5] * 5, 4)
    told = {"seconds": seconds, "drawers": column(of=4), "references": {"prices": prices(per_hour=7.2)}}
    (found,) = PRICE(view(**told))
    assert found.value == pytest.approx(1.0)
    theirs = stats.ttest_1samp(seconds[::4] / 2, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    (unknown,) = PRICE(view(seconds=seconds, references={"prices": prices(per_hour=7.2)}))
    assert unknown.status is Status.UNAVAILABLE


def test_a_price_of_energy_needs_measured_energy(view):
    kwh = {"references": {"prices": prices(per_kwh=0.3)}}
    (found,) = PRICE(view(energy=np.repeat([3000.0, 4200.0] * 5, 4), **kwh))
    assert found.value == pytest.approx(0.3)
    (found,) = PRICE(view(energy=column(), energy_by=np.full(40, "no counters", object), **kwh))
    assert (found.value, found.why) == (None, "no counters")


def test_what_was_paid_comes_before_what_is_stated_and_refusals_that_were_billed_are_in_it(view):
    outcome, paid = ["refused"] * 8 + ["image"] * 32, column(of=0.04)
    paid[4:8] = np.nan
    (found,) = PRICE(view(outcome=outcome, paid=paid, references={"prices": prices(per_image=9)}))
    assert found.value == found.low == pytest.approx((36 * 0.04) / 32 * 1000)
    assert (found.extra["paid"], found.extra["paid_without_image"]) == pytest.approx((36 * 0.04, 4 * 0.04))
    assert (found.n, found.missing, found.extra["currency"]) == (32, 8, "EUR")
    assert "recorded" in found.method
    paid[8:] = np.repeat(np.linspace(0.02, 0.06, 8), 4)
    (found,) = PRICE(view(outcome=outcome, paid=paid))
    assert found.value == pytest.approx(np.nansum(paid) / 32 * 1000)
    assert found.low < found.value < found.high
