# SPDX-License-Identifier: Apache-2.0
"""Price of a thousand images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric
from audit.metrics.cost._measured import mean_of, numbers, timed_estimate, unmeasured
from audit.prices import Price, PriceList
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_IMAGES = 1000
_JOULES_A_KWH = 3.6e6
_SECONDS_AN_HOUR = 3600


@metric(
    MetricSpec(
        id="cost.price_per_thousand",
        version="1",
        title="Price of 1000 images",
        unit="money",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset(),
        needs=("prices",),
        min_n=1,
        cluster="batch",
        citation="prices stated by the user, with source and date",
        reads=("batch",),
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """What was paid for each image where the run holds that, else the stated price, times time or energy.

    A price per hour is that of the machine: processes that draw on it side by side share an hour equally.
    """
    prices = view.references.get("prices")
    stated = prices.generators.get(view.generator) if isinstance(prices, PriceList) else None
    if not len(view) or not images(view).any():
        yield insufficient(view, spec, {}, why="no image")
    elif np.isfinite(numbers(view, "paid")).any():
        yield _paid(view, spec, prices)
    elif stated is None:
        why = "no price: state one under cost.prices of the audit file"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
    else:
        found = _stated(view, spec, stated)
        said: dict[str, Scalar] = {"price": stated.amount, "way": stated.way.replace("_", " "), **_origin(prices)}
        yield replace(found, extra={**found.extra, **said})


def _origin(prices: PriceList | None) -> dict[str, Scalar]:
    if prices is None:
        return {}
    return {"currency": prices.currency, "source": prices.source, "date": prices.date.isoformat()}


def _paid(view: View, spec: MetricSpec, prices: PriceList | None) -> Estimate:
    """Amounts that came with the requests; those without an image (refusals that were billed) are shared out."""
    amounts = np.nan_to_num(np.asarray(view.columns["paid"], dtype=np.float64))
    drawn = images(view)
    wasted, n = float(amounts[~drawn].sum()), int(drawn.sum())
    each = np.where(drawn, (amounts + wasted / n) * _IMAGES, np.nan)
    currency: dict[str, Scalar] = {} if prices is None else {"currency": prices.currency}
    extra = {"paid": float(amounts.sum()), "paid_without_image": wasted, **currency}
    said = "amounts recorded with each request, by options.price of the generator"
    return _each(view, spec, each, said, extra)


def _each(view: View, spec: MetricSpec, each: NDArray[np.float64], said: str, extra: dict[str, Scalar]) -> Estimate:
    """Equal amounts are exact; others are averaged."""
    known = each[np.isfinite(each)]
    if known.min() == known.max():
        value, missing = float(known[0]), len(view) - len(known)
        interval = Interval(value, value, value, len(known), len(known), said)
        return estimate(view, spec, {}, interval, missing=missing, extra=extra)
    found = mean_of(view, spec, each, extra=extra)
    return replace(found, method=f"{found.method}; {said}")


def _stated(view: View, spec: MetricSpec, price: Price) -> Estimate:
    if price.way == "per_image":
        each = np.where(images(view), price.amount * _IMAGES, np.nan)
        return _each(view, spec, each, "price of an image as stated", {})
    if price.way == "per_kwh":
        joules = numbers(view, "energy")
        if not np.isfinite(joules).any():
            return unmeasured(view, spec, "energy_by")
        found = timed_estimate(view, spec, joules * price.amount * _IMAGES / _JOULES_A_KWH)
        return replace(found, method=f"{found.method}; measured energy times the stated price")
    hours = numbers(view, "seconds") / numbers(view, "drawers") / _SECONDS_AN_HOUR
    if not np.isfinite(hours).any():
        return unmeasured(view, spec, "")
    found = timed_estimate(view, spec, hours * price.amount * _IMAGES)
    return replace(found, method=f"{found.method}; measured time of the machine times the stated price")
