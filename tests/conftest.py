# SPDX-License-Identifier: Apache-2.0
"""Tests never touch the user's keys or cache, never reach the network, and draw the same examples every time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("steady")

# Set before anything is imported: libraries read some of these once. Workers share the cache, so that reference
# features are computed once, and each has keys of its own.
_SHARED = Path(tempfile.gettempdir()) / f"genaudit-tests-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
os.environ["GENAUDIT_CACHE"] = str(_SHARED / "cache")
os.environ["GENAUDIT_HOME"] = str(_SHARED / "home")
os.environ["HF_HUB_OFFLINE"] = "1"
for key in ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
    os.environ.pop(key, None)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
