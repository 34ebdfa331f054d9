# SPDX-License-Identifier: Apache-2.0
"""Whether the images of two concepts lie between the images of two groups: the embedding association test (iEAT).

The convention is one of axes: in one probe set, prompts with an axis `concept` of two values are the targets ("career",
"family"), prompts with an axis `pole` of two values are what they may lean to (portraits of two groups). A positive
number says that the first concept leans to the first pole; values of both axes stand in the order of the declared
groups where the axis asks for one, otherwise of the alphabet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric, missing_column
from audit.metrics.bias._rows import Codes, axis_codes, coded, image_features, ordered, rows
from audit.stats.association import associations, effect_interval, permutation
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_FEATURES = "clip.features"
#: With so many prompts in every set they are the units, else the images are.
_PROMPTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    """The four sets of a test.

    Attributes:
        view: all rows that belong to one.
        names: of X, Y, A, B.
        unit: their features of unit length.
        units: label of the unit of each image, by set.
        prompts: whether the units are prompts.
    """

    view: View
    names: tuple[str, str, str, str]
    unit: tuple[NDArray[np.float64], ...]
    units: tuple[Codes, ...]
    prompts: bool


@metric(
    MetricSpec(
        id="bias.association",
        version="1",
        title="Association of concepts with groups",
        unit="standard deviations",
        direction="none",
        bounds=(-2.0, 2.0),
        purposes=frozenset({"bias"}),
        needs=(_FEATURES,),
        design="poles",
        min_n=8,
        cluster="prompt_id",
        citation="Caliskan et al. 2017; Steed and Caliskan 2021; Arvesen 1969",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One effect size, where the set has the two axes with two values each."""
    absent = missing_column(view, spec)
    values = {axis: _values(view, axis) for axis in ("concept", "pole")}
    wrong = [f"{len(found)} values of axis {axis!r}, needs 2" for axis, found in values.items() if len(found) != 2]
    if absent is not None:
        yield absent
    elif wrong:
        yield insufficient(view, spec, {}, why=wrong[0], status=Status.UNAVAILABLE)
    else:
        yield _estimate(ordered(view, _FEATURES), spec, (*values["concept"], *values["pole"]))


def _values(view: View, axis: str) -> tuple[str, ...]:
    column = view.columns.get(f"axis.{axis}")
    found = () if column is None else coded(column)[0]
    for attribute, asks in view.asks.items():
        if asks == axis and attribute in view.groups:
            return tuple(group for group in view.groups[attribute].groups if group in found)
    return found


def _estimate(view: View, spec: MetricSpec, names: tuple[str, ...]) -> Estimate:
    concept, pole = axis_codes(view, "concept", names[:2]), axis_codes(view, "pole", names[2:])
    targets = np.where(pole < 0, concept, -1)
    poles = np.where(concept < 0, pole, -1)
    members = [targets == 0, targets == 1, poles == 0, poles == 1]
    unit, kept = image_features(view)
    where = {"concept": f"{names[0]} - {names[1]}", "pole": f"{names[2]} - {names[3]}"}
    part = rows(view, np.flatnonzero(np.any(members, axis=0)))
    index = [np.flatnonzero(member & kept) for member in members]
    n = sum(len(one) for one in index)
    for one, name in zip(index, names, strict=True):
        if len(one) < spec.min_n:
            return insufficient(part, spec, where, n=n, why=f"{len(one)} images of {name}, needs {spec.min_n}")
    prompt = coded(view.columns["prompt_id"])[1]
    several = min(len(np.unique(prompt[one])) for one in index) >= _PROMPTS
    units = tuple(prompt[one] if several else np.arange(len(one)) for one in index)
    return _tested(_Sets(part, _four(names), tuple(unit[one] for one in index), units, several), view, spec, where)


def _four(names: tuple[str, ...]) -> tuple[str, str, str, str]:
    x, y, a, b = names
    return x, y, a, b


def _tested(sets: _Sets, view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    x, y, a, b = sets.unit
    one, two, three, four = sets.units
    found = effect_interval((x, y, a, b), (one, two, three, four), level=view.level)
    s = associations(np.concatenate([x, y]), a, b)
    first, second = _unit_means(s[: len(x)], one), _unit_means(s[len(x) :], two)
    tested = permutation(first, second, seed=view.seed)
    deviation = float(s.std(ddof=1))
    floor = tested.difference / deviation if deviation > 0 else 0.0
    n = sum(len(each) for each in sets.unit)
    extra: dict[str, Scalar] = {
        "excess": abs(found.value) - floor,
        "p": tested.either,
        "p_one_sided": tested.greater,
        "p_exact": tested.exact,
        "units": "prompts" if sets.prompts else "images",
        **{f"n_{name}": len(each) for name, each in zip(("x", "y", "a", "b"), sets.unit, strict=True)},
    }
    method = f"jackknife over the {extra['units']} of all four sets, t"
    interval = Interval(found.value, found.low, found.high, n, found.units, method)
    return estimate(sets.view, spec, where, interval, missing=len(sets.view) - n, floor=floor, extra=extra)


def _unit_means(values: NDArray[np.float64], units: Codes) -> NDArray[np.float64]:
    labels = np.unique(units, return_inverse=True)[1]
    found: NDArray[np.float64] = np.bincount(labels, weights=values) / np.bincount(labels)
    return found
