# SPDX-License-Identifier: Apache-2.0
"""Running the command line as a user does: another process, exit code, standard output and error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Command = Callable[..., "subprocess.CompletedProcess[str]"]

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "generators": [{"name": "renderer", "kind": "renderer", "batch_size": 8}],
    "probes": [{"set": "occupations", "repetitions": 6}],
    "instruments": {"annotators": ["attributes", "credentials", "skin_tone"]},
    "gallery": None,
    "reference": None,
    # Wall time is measured anew by every run; everything else must come out the same.
    "metrics": ["bias.representation_gap", "bias.total_variation", "outcomes.answered", "provenance.verified_share"],
    "policy": None,
}


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Writes an audit file that runs in seconds; keyword arguments replace its keys (None removes one)."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "audit.yaml"
        path.write_text(yaml.safe_dump({**SMALL, **changes}))
        return path

    return write


@pytest.fixture
def genaudit(tmp_path: Path) -> Command:
    """Runs ``genaudit`` with the given words in an empty folder."""

    def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "audit", *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=280, **options)

    return run
