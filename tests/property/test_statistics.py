# SPDX-License-Identifier: Apache-2.0
"""What must hold for any data."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audit.metrics.bias.entropy import METRIC as ENTROPY
from audit.metrics.bias.jensen_shannon import METRIC as JS
from audit.metrics.bias.representation_gap import METRIC as GAP
from audit.metrics.bias.total_variation import METRIC as TV
from audit.metrics.bias.worst_group import METRIC as WORST
from audit.stats.annotator_error import Correction, project_to_simplex
from audit.stats.frechet import Moments, frechet_from_features, frechet_from_moments
from audit.stats.intervals import clopper_pearson, mean_interval, median_interval, newcombe, wilson
from audit.stats.monk import delta_e, monk_tone, srgb_to_lab
from audit.types import DeclaredGroups, OperatingCharacteristics, View

LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])
COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def seeded(seed):
    return np.random.default_rng(seed)


@given(COUNTS, LEVELS)
def test_shares_lie_in_their_intervals_and_the_exact_one_is_wider(kn, level):
    k, n = kn
    score, exact = wilson(k, n, level=level), clopper_pearson(k, n, level=level)
    for found in (score, exact):
        assert 0 <= found.low <= found.value <= found.high <= 1
    mirrored = wilson(n - k, n, level=level)
    assert np.isclose(score.low, 1 - mirrored.high, atol=1e-12)


@given(COUNTS, COUNTS)
def test_a_difference_changes_sign_with_its_order(a, b):
    forth, back = newcombe(*a, *b), newcombe(*b, *a)
    assert np.isclose(forth.low, -back.high)
    assert -1 <= forth.low <= forth.value <= forth.high <= 1


@given(st.integers(2, 8), st.integers(0, 2), st.integers(0, 10**6), st.floats(0.0, 0.25))
def test_inverse_of_forward_is_the_identity(k, extra, seed, error):
    rng = seeded(seed)
    matrix = (1 - error) * np.eye(k, k + extra) + error * rng.dirichlet(np.ones(k + extra), k)
    correction = Correction(matrix * 1000)
    p = rng.dirichlet(np.ones(k))
    assert correction.identified
    assert np.allclose(correction.shares(correction.forward(p)), p, atol=1e-9)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 400), LEVELS)
def test_corrected_shares_are_shares_inside_their_intervals(seed, k, n, level):
    rng = seeded(seed)
    matrix = 0.85 * np.eye(k, k + 1) + 0.15 * rng.dirichlet(np.ones(k + 1), k)
    counts = np.stack([rng.multinomial(300, row) for row in matrix])
    answers = rng.multinomial(n, rng.dirichlet(np.ones(k + 1)))  # need not be answers the matrix can give
    found = Correction(counts).estimate(answers, level=level)
    assert np.isclose(found.shares.sum(), 1)
    assert (found.low >= 0).all()
    assert (found.low <= found.shares).all()
    assert (found.shares <= found.high).all()
    assert (found.high <= 1).all()


@given(st.integers(0, 10**6), st.integers(1, 300))
def test_groups_have_no_order(seed, n):
    rng = seeded(seed)
    counts = np.array([[480, 10, 4, 6], [12, 470, 9, 9], [3, 8, 484, 5]])
    answers = rng.multinomial(n, [0.3, 0.3, 0.3, 0.1])
    order = rng.permutation(3)
    plain = Correction(counts).estimate(answers)
    moved = Correction(counts[order][:, [*order, 3]]).estimate(answers[[*order, 3]])
    assert np.allclose(plain.shares[order], moved.shares)
    assert np.allclose(plain.low[order], moved.low, atol=1e-6)
    assert np.allclose(plain.high[order], moved.high, atol=1e-6)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_projection_is_the_nearest_point(point):
    x = np.array(point)
    nearest = project_to_simplex(x)
    assert np.isclose(nearest.sum(), 1)
    assert (nearest >= 0).all()
    rng = seeded(0)
    others = rng.dirichlet(np.ones(len(x)), 50)
    assert (((others - x) ** 2).sum(axis=1) >= ((nearest - x) ** 2).sum() - 1e-9).all()


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60), st.integers(0, 99))
def test_means_and_medians_do_not_see_the_order(values, seed):
    x = np.array(values)
    labels = np.arange(len(x)) % 3
    order = seeded(seed).permutation(len(x))
    plain, moved = mean_interval(x, labels), mean_interval(x[order], labels[order])
    assert plain is not None
    assert moved is not None
    assert np.allclose([plain.value, plain.low, plain.high], [moved.value, moved.low, moved.high], atol=1e-6)
    assert median_interval(x) == median_interval(x[order])


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 30), st.integers(1, 12))
def test_the_distance_is_symmetric_and_blind_to_order_and_rotation(seed, n, m, d):
    rng = seeded(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(0.5, 2, (m, d))
    plain = frechet_from_features(x, y)
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    assert plain >= -1e-6
    assert np.isclose(plain, frechet_from_features(y, x), atol=1e-6)
    assert np.isclose(plain, frechet_from_features(x[rng.permutation(n)], y @ np.eye(d)), atol=1e-6)
    assert np.isclose(plain, frechet_from_features(x @ turn, y @ turn), atol=1e-5)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_moments_merge_in_any_grouping(seed, sizes):
    rng = seeded(seed)
    parts = [rng.normal(3, 2, (size, 4)) for size in sizes]
    whole = Moments.of(np.concatenate(parts))
    merged = Moments.of(parts[0])
    for part in parts[1:]:
        merged = Moments.of(part).merge(merged)
    assert np.allclose(merged.mean, whole.mean)
    assert np.allclose(merged.scatter, whole.scatter)
    assert abs(frechet_from_moments(merged, whole)) < 1e-6


@given(st.integers(0, 10**6))
def test_colour_differences_are_distances(seed):
    lab = srgb_to_lab(seeded(seed).integers(0, 256, (20, 3)).astype(np.uint8))
    table = delta_e(lab[:, None], lab[None])
    assert np.allclose(table, table.T)
    assert np.allclose(np.diag(table), 0)
    assert (lab[:, 0] >= 0).all()
    assert (lab[:, 0] <= 100.0001).all()


@given(
    st.integers(0, 10**6), st.integers(1, 48), st.tuples(*[st.floats(-0.5, 1.5)] * 2), st.tuples(*[st.floats(0, 1)] * 2)
)
def test_any_picture_and_box_give_a_reading(seed, size, centre, radii):
    picture = seeded(seed).integers(0, 256, (size, size + 3, 3)).astype(np.uint8)
    found = monk_tone(picture, (*centre, *radii))
    assert found.tone is None or 1 <= found.tone <= 10
    assert (found.tone is None) == (found.why is not None)


OPERATING = OperatingCharacteristics(
    "age", ("a", "b", "c"), ("a", "b", "c", "?"), ((480, 10, 4, 6), (12, 470, 9, 9), (3, 8, 484, 5)), "test"
)
AGE = DeclaredGroups("age", ("a", "b", "c"), {"a": 0.2, "b": 0.3, "c": 0.5}, "test")


@given(st.lists(st.sampled_from(["a", "b", "c", "?", None]), max_size=60), st.integers(0, 99))
def test_bias_metrics_do_not_see_the_order_and_stay_in_bounds(answers, seed):
    n = len(answers)
    order = seeded(seed).permutation(n)

    def view(values):
        columns = {
            "request_id": np.arange(n).astype(str).astype(object),
            "prompt_id": np.array(["p"] * n, dtype=object),
            "outcome": np.array(["image"] * n, dtype=object),
            "attributes.age": np.array(values, dtype=object),
        }
        return View("g", columns, groups={"age": AGE}, operating={"attributes.age": OPERATING})

    for metric, (least, most) in ((GAP, (-1, 1)), (TV, (0, 1)), (JS, (0, 1)), (ENTROPY, (0, 1)), (WORST, (0, 1))):
        plain, moved = metric(view(answers)), metric(view([answers[i] for i in order]))
        assert plain == moved
        for found in plain:
            if found.value is not None:
                assert least <= found.low <= found.value <= found.high <= most
