# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from audit.annotators.faults import FaultsAnnotator
from audit.metrics.quality.near_duplicates import METRIC
from audit.types import Status
from tests.asking import record


def flipped(base, bits):
    """The hash with its lowest ``bits`` bits turned."""
    return f"{int(base, 16) ^ ((1 << bits) - 1):016x}"


def hashes(rng, n):
    return [f"{value:016x}" for value in rng.integers(0, 2**64, n, dtype=np.uint64)]


def view_of(make_view, values, prompts, **more):
    return make_view(len(values), faults__phash=values, prompt_id=prompts, **more)


def test_pairs_within_six_bits_are_near(make_view):
    rng = np.random.default_rng(0)
    (base,) = hashes(rng, 1)
    values = [base, flipped(base, 6), flipped(base, 7), *hashes(rng, 4)]
    (found,) = METRIC(view_of(make_view, values, ["a"] * 3 + ["b"] * 4))
    # In a: 0 and 6 bits, 6 and 7 bits; 0 and 7 bits are apart. In b: none of six pairs.
    assert found.value == pytest.approx((2 / 3 + 0) / 2)
    assert (found.n, found.clusters, found.extra["pairs"]) == (7, 2, 9)
    assert found.extra["threshold"] == 6
    assert (found.extra["false_match"], found.extra["false_match_pairs"]) == (0, 12)


def test_the_false_match_rate_is_that_between_prompts(make_view):
    rng = np.random.default_rng(1)
    shared = hashes(rng, 3)
    prompts = [name for name in "abcde" for _ in range(4)]
    values = [shared[k] for k in rng.integers(0, 3, 20)]
    found = METRIC(view_of(make_view, values, prompts))[0]
    groups = [values[k : k + 4] for k in range(0, 20, 4)]
    rates = [np.mean([x == y for x in a for y in b]) for a, b in itertools.combinations(groups, 2)]
    assert found.extra["false_match"] == pytest.approx(np.mean(rates))
    assert found.extra["false_match_pairs"] == 160
    assert found.extra["false_match_low"] < np.mean(rates) < found.extra["false_match_high"]


def test_a_generator_that_copies_itself_is_found_behind_compression(make_view):
    from audit.reference.render import render
    from audit.reference.world import sample_people

    people = render(sample_people(24, rng=np.random.default_rng(2), identity_pool="heldout"))

    def jpeg(rgb, quality):
        stream = io.BytesIO()
        Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    copies = [jpeg(people[0], quality) for quality in range(50, 98, 4)]
    values = FaultsAnnotator().annotate([record(p) for p in [*copies, *people[12:]]])["phash"]
    found = {e.slice.get("job", "all"): e for e in _by_job(make_view, values)}
    assert found["copier"].value > 0.95
    assert found["other"].value < 0.05
    assert found["copier"].low > found["other"].high


def _by_job(make_view, values):
    n = len(values) // 2
    jobs = ["copier"] * n + ["other"] * n
    return METRIC(view_of(make_view, list(values), jobs, axis__job=jobs, by=("job",)))


def test_pictures_without_a_hash_are_missing(make_view):
    rng = np.random.default_rng(3)
    values = [*hashes(rng, 6), None, None]
    outcome = ["image"] * 7 + ["error"]
    (found,) = METRIC(view_of(make_view, values, ["a"] * 8, outcome=outcome))
    assert (found.n, found.missing) == (6, 2)
    assert "false_match" not in found.extra, "one prompt"


def test_no_data_no_number(make_view):
    rng = np.random.default_rng(4)
    (alone,) = METRIC(view_of(make_view, hashes(rng, 3), ["a", "b", "c"]))
    assert (alone.status, alone.value) == (Status.INSUFFICIENT, None)
    (none,) = METRIC(view_of(make_view, [None] * 3, ["a"] * 3))
    assert none.status is Status.INSUFFICIENT
    assert METRIC(make_view(3))[0].status is Status.UNAVAILABLE
