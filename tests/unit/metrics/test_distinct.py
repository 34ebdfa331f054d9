# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pyarrow as pa
import pytest

from audit.metrics.outcomes.distinct import METRIC
from audit.runs._tables import GENERATIONS, requests_to_table
from audit.runs._view import base_columns
from audit.types import Prompt, Request, Status


def by_slice(view):
    return {tuple(e.slice.items()): e for e in METRIC(view)}


def prompts(view_of, pictures, **more):
    """A view of four prompts asked in turn, with a picture for each request; None: no image."""
    outcome = ["image" if picture else "refused" for picture in pictures]
    return view_of(len(pictures), picture=pictures, outcome=outcome, **more)


def test_a_generator_that_ignores_its_seed(make_view):
    found = by_slice(prompts(make_view, [f"picture of p{i % 4}" for i in range(24)]))
    whole = found[()]
    assert (whole.value, whole.low, whole.n, whole.clusters) == (0.0, 0.0, 24, 4)
    assert whole.extra["effective_n"] == 4  # the number of prompts
    assert (whole.extra["distinct"], whole.extra["duplicates"], whole.extra["elsewhere"]) == (4, 20, 0)
    assert {where[0] for where in found if where} == {("prompt", f"p{i}") for i in range(4)}
    assert all(e.extra["effective_n"] == 1 for where, e in found.items() if where)


def test_a_generator_that_ignores_prompt_and_seed(make_view):
    whole = by_slice(prompts(make_view, ["x"] * 24))[()]
    assert (whole.value, whole.extra["effective_n"], whole.extra["elsewhere"]) == (0.0, 1.0, 3)


def test_every_picture_is_new(make_view):
    found = by_slice(prompts(make_view, [f"picture {i}" for i in range(24)]))
    assert set(found) == {()}
    assert (found[()].value, found[()].high, found[()].extra["effective_n"]) == (1.0, 1.0, 24)
    assert found[()].low < 1  # 24 pictures do not show that none ever repeats


def test_by_axis_and_prompt(make_view):
    pictures = ["a", "b", "c", "d", "a", "f", "g", "d", "i", "j", "k", "d"]
    jobs = ["nurse", "chef", "chef", "chef"] * 3  # p0 alone is the nurse
    found = by_slice(prompts(make_view, pictures, axis__occupation=jobs, by=("occupation",)))
    assert set(found) == {(), (("occupation", "chef"),), (("occupation", "nurse"),), (("prompt", "p3"),)}
    nurse = found[("occupation", "nurse"),]
    assert nurse.value == pytest.approx(1 - 1 / 3)
    assert nurse.extra["effective_n"] == pytest.approx(9 / 5)
    assert found[()].value == pytest.approx(1 - (1 / 3 + 0 + 0 + 1) / 4)
    assert found[()].extra["duplicates"] == 3


def test_a_picture_under_two_prompts_is_no_repeat_of_a_seed(make_view):
    pictures = ["a", "a", "c", "d", "e", "f", "g", "h"]
    found = by_slice(prompts(make_view, pictures))[()]
    assert (found.value, found.extra["duplicates"], found.extra["elsewhere"]) == (1.0, 0, 1)
    assert found.extra["effective_n"] == pytest.approx(64 / 10)


def test_missing_images_are_missing(make_view):
    pictures = ["a", "b", "c", None, "a", "f", None, None]
    found = by_slice(prompts(make_view, pictures))[()]
    assert (found.n, found.missing, found.clusters) == (4, 4, 2)  # p2 has a single image and so no pair
    assert found.value == pytest.approx(0.5)
    assert found.extra["missing_refused"] == 3


def test_one_image_a_prompt_says_nothing(make_view):
    found = by_slice(prompts(make_view, ["a", "b", "c", "d"]))[()]
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)
    assert found.extra["pictures"] == 4
    assert "two images" in found.why


def test_without_digests_there_is_no_number(make_view):
    assert [e.status for e in METRIC(make_view(8))] == [Status.UNAVAILABLE]


def test_the_digest_of_the_pixels_is_a_column_of_every_view():
    asked = [Request(f"r{i}", "g", Prompt("p", "a nurse", "jobs"), i, i) for i in range(3)]
    rows = [
        {"request_id": "r2", "generator": "g", "outcome": "image", "pixels": "aa"},
        {"request_id": "r0", "generator": "g", "outcome": "image", "pixels": "bb"},
        {"request_id": "r1", "generator": "g", "outcome": "blocked"},
    ]
    columns = base_columns(requests_to_table(asked), pa.Table.from_pylist(rows, GENERATIONS), {})
    assert columns["picture"].tolist() == ["bb", None, "aa"]
    assert columns["outcome"].tolist() == ["image", "blocked", "image"]
    nothing = base_columns(requests_to_table(asked), GENERATIONS.empty_table(), {})
    assert nothing["picture"].tolist() == [None] * 3
