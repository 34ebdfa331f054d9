# SPDX-License-Identifier: Apache-2.0
"""Where the data folders are (in the installed wheel, or at the root of a checkout), and where a user's files go."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir", "config_dir", "data_root"]


def data_root() -> Path:
    """The folder that holds ``probes/``, ``reports/`` and ``dashboard/``."""
    packaged = Path(__file__).parent / "_data"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent


def cache_dir() -> Path:
    """Folder for what can be computed again: ``$GENAUDIT_CACHE``, else ``$XDG_CACHE_HOME/genaudit``. Not created."""
    return _user_dir("GENAUDIT_CACHE", "XDG_CACHE_HOME", ".cache")


def config_dir() -> Path:
    """Folder for what must be kept (keys): ``$GENAUDIT_HOME``, else ``$XDG_CONFIG_HOME/genaudit``. Not created."""
    return _user_dir("GENAUDIT_HOME", "XDG_CONFIG_HOME", ".config")


def _user_dir(own: str, xdg: str, fallback: str) -> Path:
    if value := os.environ.get(own):
        return Path(value).expanduser()
    base = os.environ.get(xdg)
    # The XDG specification: a relative path is invalid and is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / fallback
    return root / "genaudit"
