# SPDX-License-Identifier: Apache-2.0
"""What pipelines return, and what is no answer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from audit.generators.pipelines._output import answers_of
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask

WANTED = [ask(seed=1), ask(seed=2), ask(seed=3)]
LEVELS = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
FLOATS = LEVELS.astype(np.float32) / 255


def rows(out):
    return answers_of(WANTED, out, seconds=0.5, lanes=4)


def tensors():
    import torch

    return torch.from_numpy(FLOATS).permute(0, 3, 1, 2)


WAYS = {
    "object with images": lambda: SimpleNamespace(images=FLOATS, nsfw_content_detected=None),
    "object with one image field": lambda: SimpleNamespace(image=FLOATS),
    "tuple": lambda: (FLOATS, None),
    "mapping": lambda: {"images": FLOATS},
    "array": lambda: FLOATS,
    "bytes": lambda: LEVELS,
    "list of Pillow images": lambda: SimpleNamespace(images=[Image.fromarray(one) for one in LEVELS]),
    "list of arrays": lambda: SimpleNamespace(images=list(FLOATS)),
    "torch tensor": lambda: SimpleNamespace(images=tensors()),
    "videos of one frame": lambda: SimpleNamespace(images=FLOATS[:, None]),
    "with transparency": lambda: np.concatenate([FLOATS, np.ones((3, 4, 6, 1), np.float32)], axis=3),
    "more than asked for": lambda: np.concatenate([FLOATS, FLOATS]),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_wrapper_gives_the_same_pictures(way):
    answers = rows(WAYS[way]())
    assert [answer.request_id for answer in answers] == [request.id for request in WANTED]
    assert all(np.array_equal(pixels_of(answer), one) for answer, one in zip(answers, LEVELS, strict=True))
    assert answers[1].meta == {"seed": 2, "lanes": 4}
    assert answers[1].seconds == 0.5


def test_grey_is_made_rgb():
    for grey in (FLOATS[..., :1], FLOATS[..., 0]):
        answers = zip(rows(grey), LEVELS[..., :1].repeat(3, axis=3), strict=True)
        assert all(np.array_equal(pixels_of(answer), one) for answer, one in answers)


def test_values_beyond_the_range_are_clipped():
    wild = FLOATS.copy()
    wild[0, 0, 0], wild[0, 0, 1] = 7.0, -3.0
    assert pixels_of(rows(wild)[0])[0, :2].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("wrap", [lambda array: array, list])
def test_only_the_picture_with_wrong_pixels_is_an_error(bad, wrap):
    broken = FLOATS.copy()
    broken[1, 2, 3, 0] = bad
    answers = rows(wrap(broken))
    assert [answer.outcome for answer in answers] == [Outcome.IMAGE, Outcome.ERROR, Outcome.IMAGE]
    assert "not numbers" in answers[1].message


def test_fewer_images_than_asked_for():
    answers = rows(FLOATS[:2])
    assert [answer.outcome for answer in answers] == [Outcome.IMAGE, Outcome.IMAGE, Outcome.ERROR]
    assert "returned 2 images for 4 requests" in answers[2].message
    assert {answer.outcome for answer in rows(SimpleNamespace(images=[]))} == {Outcome.ERROR}


def test_what_is_no_picture():
    for odd in (np.zeros((3, 4)), np.zeros((3, 4, 6, 9)), np.zeros((3, 0, 0, 3)), [np.zeros(4)] * 3):
        answers = rows(odd)
        assert {answer.outcome for answer in answers} == {Outcome.ERROR}
        assert "no picture" in answers[0].message


@pytest.mark.parametrize("flags", [[False, True, None], np.array([False, True, False])])
@pytest.mark.parametrize("name", ["nsfw_content_detected", "nsfw_detected", None])
def test_what_the_safety_filter_withholds(flags, name):
    out = SimpleNamespace(images=FLOATS, **{name: flags}) if name else (FLOATS, list(flags))
    answers = rows(out)
    assert [answer.outcome for answer in answers] == [Outcome.IMAGE, Outcome.BLOCKED, Outcome.IMAGE]
    assert "safety filter" in answers[1].message


def test_a_filter_that_says_nothing_withholds_nothing():
    for flags in (None, [], [None, None, None]):
        out = SimpleNamespace(images=FLOATS, nsfw_content_detected=flags)
        assert {answer.outcome for answer in rows(out)} == {Outcome.IMAGE}
