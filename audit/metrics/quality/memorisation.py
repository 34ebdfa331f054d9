# SPDX-License-Identifier: Apache-2.0
"""How near images come to those the generator was trained on: distance to the nearest one, and MiFID.

The direction matters: for each *generated* image the nearest training image. The other way round, a generator that
replays a few of its training images looks far from most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from audit.metrics._base import FunctionMetric, ImageScores, estimate, insufficient, metric
from audit.metrics.quality._spaces import SPACES, Space, no_space, spaces
from audit.stats._remember import remembered
from audit.stats.frechet import frechet
from audit.stats.intervals import Interval
from audit.stats.memorisation import Memorisation, memorisation, mifid
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["MIFID", "TRAINING_DISTANCE"]

_THRESHOLD = 0.1
_CITATION = "Bai et al. 2021, sec. 3.2"
_nearest = remembered(memorisation)


def _spec(name: str, title: str, bounds: tuple[float | None, float | None], direction: str) -> MetricSpec:
    return MetricSpec(
        id=f"quality.{name}",
        version="1",
        title=title,
        unit="distance",
        direction="higher" if direction == "higher" else "lower",
        bounds=bounds,
        purposes=frozenset({"quality"}),
        needs=(),
        reads=SPACES,
        min_n=20,
        cluster=None,
        citation=_CITATION,
    )


def _each(of: Callable[[View, MetricSpec, Space], Estimate]) -> Callable[[View, MetricSpec], Iterator[Estimate]]:
    def compute(view: View, spec: MetricSpec) -> Iterator[Estimate]:
        found = [_lacking(view, spec, space) or of(view, spec, space) for space in spaces(view)]
        yield from found or [no_space(view, spec)]

    return compute


def _training(view: View, space: Space) -> np.ndarray | None:
    found = view.references.get(f"training_features.{space.name}")
    return found if isinstance(found, np.ndarray) else None


def _lacking(view: View, spec: MetricSpec, space: Space) -> Estimate | None:
    training, n = _training(view, space), len(space.features)
    if training is None:
        why = f"no training images are named (option `training` of the instrument {space.name})"
        return insufficient(view, spec, space.slice, n=n, why=why, status=Status.UNAVAILABLE)
    if min(n, len(training)) < spec.min_n:
        why = f"{n} images and {len(training)} training images, needs {spec.min_n} of each"
        return insufficient(view, spec, space.slice, n=n, why=why)
    if training.shape[1] != space.features.shape[1] or not _directed(space.features, training):
        why = "features and training features differ in dimension, or one of them is all zeros"
        return insufficient(view, spec, space.slice, n=n, why=why, status=Status.UNAVAILABLE)
    return None


def _directed(*sets: np.ndarray) -> bool:
    return all(bool(np.abs(features).sum(axis=1).all()) for features in sets)


def _found(view: View, space: Space) -> Memorisation:
    """Distances to the training images; reference images that were not trained on say what is near by chance."""
    training = _training(view, space)
    assert training is not None
    arrays: list[np.ndarray] = [space.features, training]
    held_out = space.reference
    usable = isinstance(held_out, np.ndarray) and held_out.shape[1] == space.features.shape[1] and len(held_out) > 1
    if usable and _directed(held_out):
        arrays.append(held_out)
    return _nearest(*arrays, level=view.level)


def _distance(view: View, spec: MetricSpec, space: Space) -> Estimate:
    found = _found(view, space)
    one = found.distance
    extra: dict[str, Scalar] = {"standard_error": one.standard_error, "training_n": one.m}
    if found.baseline is not None and found.excess is not None:
        extra |= {"reference": found.baseline.value, "nearer_by": found.excess.value, "auc": found.auc}
        extra |= {"nearer_low": found.excess.low, "nearer_high": found.excess.high, "p": found.p_value}
    interval = Interval(one.value, max(one.low, 0.0), one.high, one.n, one.n, one.method)
    return estimate(view, spec, space.slice, interval, missing=len(view) - one.n, extra=extra)


def _mifid(view: View, spec: MetricSpec, space: Space) -> Estimate:
    """Each part of the ratio at half the error, so that both hold together at the level (Bonferroni)."""
    training, n, half = _training(view, space), len(space.features), (1 + view.level) / 2
    assert training is not None
    near = _nearest(space.features, training, level=half).distance
    try:
        far = frechet(space.features, training, level=half)
    except ValueError as error:  # too few rows for the dimensions that vary
        return insufficient(view, spec, space.slice, n=n, why=str(error))
    extra: dict[str, Scalar] = {"frechet_distance": far.value, "training_distance": near.value, "training_n": near.m}
    if near.low <= 0:
        why = "images are so near to training images that the ratio has no upper end"
        return insufficient(view, spec, space.slice, n=n, why=why, status=Status.UNIDENTIFIED, extra=extra)
    # The ratio falls with the distance, and jumps down where that reaches the threshold.
    ends = [mifid(f, m, threshold=_THRESHOLD) for f in (far.low, far.high) for m in (near.low, near.high)]
    value = mifid(far.value, near.value, threshold=_THRESHOLD)
    method = "ratio of a bias-corrected Frechet distance and a mean, each at half the error"
    interval = Interval(value, min(ends), max(ends), n, n, method)
    return estimate(view, spec, space.slice, interval, missing=len(view) - n, extra=extra)


def _by_image(view: View, spec: MetricSpec) -> Iterator[ImageScores]:
    """Distance of each image to its nearest training image."""
    for space in spaces(view):
        if _lacking(view, spec, space) is None:
            values = np.full(len(view), np.nan)
            values[space.kept] = _found(view, space).distances
            yield ImageScores(space.slice, values)


TRAINING_DISTANCE: FunctionMetric = metric(
    _spec("training_distance", "Distance to the nearest training image", (0.0, 1.0), "higher"), by_image=_by_image
)(_each(_distance))
MIFID: FunctionMetric = metric(_spec("mifid", "MiFID", (None, None), "lower"))(_each(_mifid))
