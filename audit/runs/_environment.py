# SPDX-License-Identifier: Apache-2.0
"""Where a run was made: packages, git state, machine. Recorded, because numbers depend on it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["describe"]

_PACKAGES = (
    "c2pa-python",
    "diffusers",
    "genaudit",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "torch",
    "torchmetrics",
    "transformers",
)


def describe() -> dict[str, Any]:
    """Packages with versions, git commit of the working folder (None outside git), platform and processor count."""
    return {
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "git": _git(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "threads": os.cpu_count(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    git = shutil.which("git")
    if git is None:
        return None
    ask = lambda *words: subprocess.run([git, *words], capture_output=True, text=True, timeout=10, check=False)  # noqa: E731, S603
    commit = ask("rev-parse", "HEAD")
    if commit.returncode:
        return None
    return {"commit": commit.stdout.strip(), "dirty": bool(ask("status", "--porcelain").stdout.strip())}
