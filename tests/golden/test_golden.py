# SPDX-License-Identifier: Apache-2.0
"""Same report, same bytes. ``make golden`` (GENAUDIT_UPDATE_GOLDEN=1) writes them anew: read the difference then."""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from audit.registry import RENDERERS
from audit.render import Report

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def report() -> Report:
    spec = importlib.util.spec_from_file_location("golden_synthetic", HERE / "synthetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.make_report()


@pytest.mark.parametrize("name", ["html", "json", "junit", "md"])
def test_bytes(report: Report, name: str) -> None:
    renderer = RENDERERS.get(name)
    path = HERE / f"report{renderer.suffix}"
    data = renderer.render(report)
    assert data == renderer.render(report)
    if os.environ.get("GENAUDIT_UPDATE_GOLDEN"):
        path.write_bytes(data)
    expected = path.read_bytes()
    if data != expected:
        lines = difflib.unified_diff(
            expected.decode().splitlines(), data.decode().splitlines(), "golden", "now", "", "", 1
        )
        shown = "\n".join(line[:200] for line in list(lines)[:40])
        pytest.fail(f"{path.name} differs; `make golden` if it should:\n{shown}")
