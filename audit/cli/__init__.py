# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command, no logic in it. Standard output is data, standard error is talk."""

from __future__ import annotations

from audit.cli._main import main

__all__ = ["main"]
