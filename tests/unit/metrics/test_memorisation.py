# SPDX-License-Identifier: Apache-2.0
"""Nearness to training images and MiFID in a view: the direction, the baseline, and when there is no number."""

from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality.memorisation import MIFID, TRAINING_DISTANCE
from audit.stats.frechet import frechet
from audit.stats.memorisation import memorisation
from audit.types import Status

N, D = 120, 6


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return tuple(rng.normal(1, 1, (n, D)).astype(np.float32) for n in (N, 400, 300))


def view_of(make_view, x, training=None, held_out=None):
    references = {"training_features.clip": training, "features.clip": held_out}
    return make_view(N, clip__features=x, references={k: v for k, v in references.items() if v is not None})


def test_images_of_the_same_law_are_as_near_as_those_held_out(make_view, sets):
    x, training, held_out = sets
    (found,) = TRAINING_DISTANCE(view_of(make_view, x, training, held_out))
    expected = memorisation(x, training, held_out)
    assert (found.value, found.low, found.high) == (
        expected.distance.value,
        expected.distance.low,
        expected.distance.high,
    )
    assert found.extra["nearer_low"] < 0 < found.extra["nearer_high"]
    assert found.extra["p"] > 0.01
    assert (found.n, found.extra["training_n"], found.slice) == (N, 400, {"features": "clip"})


def test_a_generator_that_replays_half_of_its_images_from_training_is_seen(make_view, sets):
    x, training, held_out = sets
    x[: N // 2] = training[: N // 2]
    view = view_of(make_view, x, training, held_out)
    (found,) = TRAINING_DISTANCE(view)
    assert found.extra["nearer_low"] > 0
    assert found.extra["p"] < 1e-6
    (scores,) = TRAINING_DISTANCE.scores(view)
    assert scores.values[: N // 2].max() < 1e-12 < scores.values[N // 2 :].min()


def test_mifid_divides_by_the_distance_of_generated_images(make_view, sets):
    x, training, _ = sets
    x[: N // 2] = training[: N // 2]
    (found,) = MIFID(view_of(make_view, x, training))
    distance = memorisation(x, training).distance.value
    assert distance < 0.1
    assert found.extra["training_distance"] == pytest.approx(distance)
    assert found.value == pytest.approx(frechet(x, training).value / distance)
    assert found.low < found.value < found.high
    x[:] = training[:N]
    (whole,) = MIFID(view_of(make_view, x, training))
    assert whole.status is Status.UNIDENTIFIED  # every image is a copy: nothing to divide by


def test_mifid_is_the_frechet_distance_where_nothing_is_near(make_view, sets):
    _, training, _ = sets
    x = -training[:N] + np.float32(9) * np.eye(D, dtype=np.float32)[np.arange(N) % D]
    (found,) = MIFID(view_of(make_view, x, training))
    expected = frechet(x, training, level=0.975)
    assert found.extra["training_distance"] >= 0.1
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


@pytest.mark.parametrize("metric", [MIFID, TRAINING_DISTANCE], ids=lambda m: m.spec.id)
def test_no_number_without_training_images(metric, make_view, sets):
    x, training, _ = sets
    zeros = training.copy()
    zeros[0] = 0
    for images, given, status in (
        (None, training, Status.UNAVAILABLE),
        (x, None, Status.UNAVAILABLE),
        (x, training[:, :3], Status.UNAVAILABLE),
        (x, zeros, Status.UNAVAILABLE),
        (x, training[:8], Status.INSUFFICIENT),
    ):
        view = make_view(N) if images is None else view_of(make_view, images, given)
        (found,) = metric(view)
        assert (found.status, found.value) == (status, None)
        assert metric.scores(view) == ()
