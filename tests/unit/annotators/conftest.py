# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from tests.asking import record
from tests.checkpoints import save_clip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip"))


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
