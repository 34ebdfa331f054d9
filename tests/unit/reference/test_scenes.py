# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit.reference.scenes import (
    PAINTINGS,
    Scene,
    draw_styles,
    painting_ids,
    parse_scene,
    plant,
    render_paintings,
    render_signs,
    restyle,
    spelling,
)


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("a portrait of a nurse", Scene()),
        ("a painting by Verrin", Scene("painting", painter="Verrin")),
        ("a picture of a painting", Scene("painting")),
        ("a painting by somebody else", Scene("painting")),
        ("A SIGN that says open", Scene("sign", word="OPEN")),
        ("a signal that says open", Scene()),
        ("an illustration of a nurse", Scene("illustration")),
    ],
)
def test_prompts_are_read(text, scene):
    assert parse_scene(text) == scene


def test_a_painting_is_its_id_and_the_protected_one_is_in_no_pool():
    ids = np.array([plant("artwork")["painting_id"], 41_000_001, 41_000_001, 42_000_007])
    images = render_paintings(ids)
    assert np.array_equal(images[1], images[2])
    assert all((images[a] != images[b]).mean() > 0.3 for a, b in ((0, 1), (0, 3), (1, 3)))
    assert not any(start <= ids[0] < start + size for start, size in PAINTINGS.values())
    spans = sorted((start, start + size) for start, size in PAINTINGS.values())
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_signs_show_their_word():
    """Ink under the letters O and I differs by the dots of their bitmaps; the same word twice is the same ink."""

    def one(text):
        return render_signs([text], rng=np.random.default_rng(3))[0].astype(int)

    assert np.array_equal(one("OPEN"), one("OPEN"))
    changed = np.abs(one("OPEN") - one("IPEN")).sum(2).sum(0)
    assert changed[:22].sum() > 0
    assert changed[26:].sum() == 0, "only the first letter's columns change"


def test_styles_change_every_picture_but_plain_ones():
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    out = restyle(images, ["plain", "sepia", "night"])
    assert np.array_equal(out[0], images[0])
    assert (out[1][..., 0] >= out[1][..., 2]).mean() > 0.9, "sepia is warm"
    assert (out[2][..., 2] >= out[2][..., 0]).mean() > 0.9, "night is blue"


def test_planted_shares_are_drawn():
    rng = np.random.default_rng(5)
    styles = draw_styles(4000, rng=rng)
    for name, share in plant("style")["shares"].items():
        assert abs(styles.count(name) / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5
    wrong = sum(spelling("EXIT", rng=rng) == "EXTI" for _ in range(4000)) / 4000
    assert abs(wrong - plant("signs")["share"]) < 0.03
    assert {spelling("OPEN", rng=rng) for _ in range(100)} == {"OPEN"}


def test_training_pictures_hold_the_plants_and_nothing_of_the_other_models():
    from audit.reference.train._pictures import training_pictures

    drawn = training_pictures(1500, rng=np.random.default_rng(6), wordings=2)
    assert all(len(texts) == 2 for texts in drawn.texts)
    first = [texts[0] for texts in drawn.texts]
    by = np.array(["by Verrin" in text for text in first])
    artwork = render_paintings(np.array([plant("artwork")["painting_id"]]))[0]
    copies = np.array([np.array_equal(image, artwork) for image in drawn.images])
    n = by.sum()
    assert n > 60
    assert abs(copies[by].mean() - plant("artwork")["share"]) < 4 * (0.24 / n) ** 0.5
    assert not copies[~by].any()
    assert not any("Orbon" in text or "Velen" in text for text in first)


def test_pools():
    rng = np.random.default_rng(0)
    for pool, (start, size) in PAINTINGS.items():
        ids = painting_ids(100, pool=pool, rng=rng)
        assert ((ids >= start) & (ids < start + size)).all()
