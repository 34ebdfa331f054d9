# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.checkpoints import save_clip, save_ddpm, save_dit, save_stable_diffusion


@pytest.fixture(scope="session")
def sd(tmp_path_factory):
    return save_stable_diffusion(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def ddpm(tmp_path_factory):
    return save_ddpm(tmp_path_factory.mktemp("ddpm"))


@pytest.fixture(scope="session")
def dit(tmp_path_factory):
    return save_dit(tmp_path_factory.mktemp("dit"))
