# SPDX-License-Identifier: Apache-2.0
"""The sample is random, stratified, and its probabilities are those that it states."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from audit.errors import ConfigError, StoreError
from audit.labels._sample import Image, allocate, draw, frame


def images(sizes):
    return [Image(f"{s}{i}", "g", "p", "", "", "", {}, s) for s, size in sizes.items() for i in range(size)]


def test_proportional_where_it_comes_out_even():
    assert allocate({"a": 100, "b": 200, "c": 300}, 60, least=0) == {"a": 10, "b": 20, "c": 30}


def test_divisors_of_sainte_lague():
    # Votes and seats of a textbook example: 53,000, 24,000 and 23,000 for 7 seats give 3, 2 and 2.
    assert allocate({"a": 53000, "b": 24000, "c": 23000}, 7, least=0) == {"a": 3, "b": 2, "c": 2}


def test_least_goes_before_proportion_and_all_is_the_most():
    assert allocate({"a": 1000, "b": 30, "c": 3}, 50, least=10) == {"a": 37, "b": 10, "c": 3}
    assert allocate({"a": 10, "b": 2}, 500, least=1) == {"a": 10, "b": 2}


def test_too_many_strata_are_refused_with_what_they_need():
    with pytest.raises(ConfigError, match="need 23, not 20") as caught:
        allocate({"a": 1000, "b": 30, "c": 3}, 20, least=10)
    assert "--n 23" in caught.value.hint


def test_every_image_is_drawn_as_often_as_stated():
    sizes, reps = {"a": 40, "b": 10, "c": 4}, 4000
    frame_ = images(sizes)
    rng = np.random.default_rng(1)
    seen, stated = Counter(), {}
    for _ in range(reps):
        sample = draw(frame_, n=20, least=3, rng=rng)
        stated = {stratum.name: stratum.inclusion for stratum in sample.strata}
        assert len({image.request_id for image in sample.images}) == 20
        seen.update(image.request_id for image in sample.images)
    for image in frame_:
        p = stated[image.stratum]
        assert abs(seen[image.request_id] / reps - p) < 4.5 * (p * (1 - p) / reps) ** 0.5 + 1e-12


def test_weighted_by_inclusion_a_skewed_sample_gives_the_true_share():
    rng = np.random.default_rng(2)
    frame_ = images({"a": 180, "b": 20})  # the mark is rare in a, common in b, and b is drawn far more often
    marked = {image.request_id: image.stratum == "b" or image.request_id in {"a0", "a1", "a2"} for image in frame_}
    found, plain = [], []
    for _ in range(1500):
        sample = draw(frame_, n=30, least=15, rng=rng)
        stated = {stratum.name: stratum.inclusion for stratum in sample.strata}
        found.append(sum(marked[i.request_id] / stated[i.stratum] for i in sample.images) / 200)
        plain.append(sum(marked[i.request_id] for i in sample.images) / 30)
    assert abs(np.mean(found) - 23 / 200) < 4 * np.std(found) / 1500**0.5
    assert np.mean(plain) > 0.4


def test_only_images_of_sets_that_declare_the_attribute(made):
    found = frame(made.run, attributes=["presentation"])
    assert {image.request_id for image in found} == {name for name in made.truth if "none" not in name}
    assert {image.stratum for image in found} == {
        f"{g} | jobs | occupation={j}" for g in ("secretgan", "secretdiff") for j in ("nurse", "pilot", "chef")
    }
    assert len(frame(made.run, attributes=["glasses"])) == len(made.truth)  # nobody declares it: all images


def test_answers_of_an_instrument_are_strata_on_request(made):
    found = frame(made.run, attributes=["presentation"], answers="attributes.presentation")
    for image in found:
        assert image.stratum.endswith(f"answer={made.answers[image.request_id]}")
    with pytest.raises(ConfigError, match="no column of answers"):
        frame(made.run, attributes=["presentation"], answers="attributes.nonsense")


def test_a_run_that_is_not_complete_is_no_population(made):
    (made.run.path / "manifest.json").unlink()
    with pytest.raises(StoreError, match="not complete"):
        frame(made.run, attributes=["presentation"])
