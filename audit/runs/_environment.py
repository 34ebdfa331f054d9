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
    commit, changes = _ask_git("rev-parse", "HEAD"), _ask_git("status", "--porcelain")
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def _ask_git(*words: str) -> str | None:
    """What git prints, None without git or outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, *words], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else None
