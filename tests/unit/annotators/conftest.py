# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from tests import checkpoints
from tests.asking import record
from tests.checkpoints import save_clip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Small checkpoints by name ("vit", "blip", ...), made on first use."""
    made = {}

    def folder(name):
        if name not in made:
            made[name] = getattr(checkpoints, f"save_{name}")(tmp_path_factory.mktemp(name))
        return made[name]

    return folder


@pytest.fixture(scope="session")
def shades():
    """A dark, a middling and a light picture with some noise, which the small checkpoints can tell apart."""
    rng = np.random.default_rng(4)
    levels = [np.clip(level + rng.integers(-8, 9, (40, 48, 3)), 0, 255).astype(np.uint8) for level in (8, 127, 247)]
    return [record(rgb, name=f"s{index}") for index, rgb in enumerate(levels)]


@pytest.fixture(scope="session")
def people():
    from audit.reference.world import sample_people, uniform_shares

    return sample_people(200, rng=np.random.default_rng(5), shares=uniform_shares(), identity_pool="heldout")


@pytest.fixture(scope="session")
def portraits(people):
    from audit.reference.render import render

    return [record(rgb, name=f"p{index}") for index, rgb in enumerate(render(people))]


@pytest.fixture(scope="session")
def nothing():
    """Pictures without anybody: noise and flat colours."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(4)]
    flat = [np.full((64, 64, 3), level, dtype=np.uint8) for level in (0, 90, 160, 255)]
    return [record(rgb, name=f"n{index}") for index, rgb in enumerate([*noise, *flat])]
