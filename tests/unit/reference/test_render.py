# SPDX-License-Identifier: Apache-2.0
"""Pictures are deterministic, and what is drawn is where and what the attributes say."""

from __future__ import annotations

import numpy as np
import pytest

from audit.reference import world
from audit.reference.render import face_boxes, render, render_logo
from audit.reference.sheet import contact_sheet


def _people(n: int, seed: int = 0, **fixed: object) -> world.People:
    shares = world.uniform_shares()
    return world.sample_people(n, rng=np.random.default_rng(seed), shares=shares, **fixed)  # type: ignore[arg-type]


def test_same_people_same_pixels_whatever_the_batch() -> None:
    people = _people(70)
    whole = render(people)
    assert np.array_equal(whole, render(people))
    assert np.array_equal(whole[[3, 66]], render(people[np.array([3, 66])]))


@pytest.mark.parametrize("size", [64, 128])
def test_size(size: int) -> None:
    assert render(_people(2), size=size).shape == (2, size, size, 3)


def test_nobody() -> None:
    assert render(_people(0)).shape == (0, 64, 64, 3)


@pytest.mark.parametrize("tone", range(1, 11))
def test_most_of_the_cheek_has_the_colour_of_the_tone(tone: int) -> None:
    people = _people(12, tone=tone, glasses=False, beard=False, age="young", occupation="plain")
    images, boxes = render(people, size=128), face_boxes(people) * 128
    wanted = np.array(list(bytes.fromhex(world.MONK_HEX[tone - 1][1:])))
    medians = []
    for image, (cx, cy, rx, ry) in zip(images, boxes, strict=True):
        patch = image[int(cy + 0.10 * ry) : int(cy + 0.40 * ry), int(cx - 0.5 * rx) : int(cx + 0.5 * rx)]
        medians.append(np.median(patch.reshape(-1, 3), axis=0))
    assert np.abs(np.median(medians, axis=0) - wanted).max() <= 14


def test_an_attribute_changes_the_picture_where_it_should() -> None:
    people = _people(8, glasses=False, occupation="plain", logo=False)
    bare = render(people).astype(int)
    framed = render(people.replace(glasses=np.ones(8, bool))).astype(int)
    changed = np.abs(framed - bare).max(axis=3) > 40
    assert (changed.sum(axis=(1, 2)) > 15).all()
    assert not changed[:, 48:].any()
    branded = render(people.replace(logo=np.ones(8, bool))).astype(int)
    assert not np.abs(branded - bare)[:, :40].any()
    assert np.abs(branded - bare)[:, 44:].any(axis=(1, 2, 3)).all()


def test_different_identities_have_different_faces() -> None:
    people = _people(1, occupation="plain")
    other = people.replace(identity=1.0 - people.identity)
    assert np.abs(render(people).astype(int) - render(other)).mean() > 3


def test_logo_fills_its_picture() -> None:
    image = render_logo(size=32)
    assert image.shape == (32, 32, 3)
    assert (image[16, 5] != 255).any()
    assert (image[0, 0] == 255).all()


def test_contact_sheet() -> None:
    images = np.zeros((5, 4, 6, 3), dtype=np.uint8)
    sheet = contact_sheet(images, 2, gap=1)
    assert sheet.size == (2 * 7 + 1, 3 * 5 + 1)
    pixels = np.asarray(sheet)
    assert (pixels[1:5, 1:7] == 0).all()
    assert (pixels[11:15, 8:14] == 255).all()
