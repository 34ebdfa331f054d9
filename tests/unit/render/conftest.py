# SPDX-License-Identifier: Apache-2.0
"""The synthetic report of the golden tests, rendered once a session."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from audit.registry import RENDERERS
from audit.render import Report

SYNTHETIC = Path(__file__).parents[2] / "golden" / "synthetic.py"


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_synthetic", SYNTHETIC)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def report(synthetic: ModuleType) -> Report:
    return synthetic.make_report()


@pytest.fixture(scope="session")
def page(report: Report) -> str:
    return RENDERERS.get("html").render(report).decode()
