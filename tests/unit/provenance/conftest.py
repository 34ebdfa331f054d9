# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.provenance import Claim, Stamper


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def make(kind: str = "PNG", seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind)
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def claim() -> Claim:
    return Claim(
        title="a portrait",
        generator="small-diffusion",
        generator_digest="ab" * 32,
        request_id="r-0001",
        prompt_sha256="cd" * 32,
        seed=str(2**64 - 1),
        when=datetime(2026, 11, 22, 6, 0, tzinfo=UTC),
        params={"steps": 30, "guidance": float("nan"), "huge": 2**70, "text": "\ud800x", "on": True, "none": None},
    )


@pytest.fixture(scope="session")
def stamper(tmp_path_factory: pytest.TempPathFactory) -> Stamper:
    from audit.provenance import development_chain

    folder: Path = tmp_path_factory.mktemp("keys")
    development_chain(folder)
    return Stamper(folder, tool_version="0.1.0")


@pytest.fixture(scope="session")
def root(stamper: Stamper) -> str:
    assert stamper.chain.root is not None
    return stamper.chain.root.decode()
