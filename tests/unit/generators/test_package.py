# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["audit.generators", "audit.annotators.clip", "audit.annotators.attributes"])
def test_import_is_light(module):
    code = f"import sys, {module}; print(sorted({{'torch', 'diffusers', 'transformers', 'PIL'}} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
