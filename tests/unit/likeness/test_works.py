# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from audit.errors import ConfigError
from audit.likeness.works import degrade, describe, enrol


@pytest.fixture(scope="module")
def paintings():
    from audit.reference.scenes import painting_ids, render_paintings

    return render_paintings(painting_ids(60, pool="heldout", rng=np.random.default_rng(4)))


def test_a_descriptor_is_the_correlation_of_small_pictures(paintings):
    rows = describe(paintings[:3])
    small = [np.asarray(Image.fromarray(p).resize((16, 16), Image.Resampling.BOX), float) for p in paintings[:3]]
    centred = [(s - s.mean((0, 1))).ravel() for s in small]
    assert rows @ rows.T == pytest.approx(np.corrcoef(centred), abs=1e-4)  # colours centred: the whole row is, too


def test_copies_are_far_from_other_paintings(paintings):
    works = enrol(["a", "b"], list(paintings[:2]))
    rng = np.random.default_rng(0)
    score, index = works.compare([degrade(paintings[k % 2], rng=rng) for k in range(40)])
    assert index.tolist() == [0, 1] * 20
    assert score.min() > 0.9
    others, _ = works.compare(paintings[2:])
    assert others.max() < 0.75
    assert works.compare(paintings[:2])[0] == pytest.approx([1, 1], abs=0.01)


def test_brightness_contrast_size_and_shape_do_not_matter(paintings):
    works = enrol(["a"], [paintings[0]])
    darker = (paintings[0] * 0.5 + 20).astype(np.uint8)
    wide = np.asarray(Image.fromarray(paintings[0]).resize((301, 97)))
    mirrored = paintings[0][:, ::-1]
    score, _ = works.compare([darker, wide, mirrored])
    assert score[:2].min() > 0.97
    assert score[2] < 0.8


def test_flat_pictures_have_no_answer(paintings):
    works = enrol(["a"], [paintings[0]])
    score, index = works.compare([np.full((20, 30, 3), 9, np.uint8), np.zeros((1, 1, 3), np.uint8)])
    assert np.isnan(score).all()
    assert index.tolist() == [-1, -1]
    assert works.compare([])[0].shape == (0,)
    with pytest.raises(ConfigError, match="flat"):
        enrol(["grey"], [np.full((20, 30, 3), 9, np.uint8)])
    with pytest.raises(ConfigError, match="no work"):
        enrol([], [])
