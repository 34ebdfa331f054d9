# SPDX-License-Identifier: Apache-2.0
"""``genaudit keys``."""

from __future__ import annotations

import typer

NAME = "keys"
app = typer.Typer(help="Keys that sign.", no_args_is_help=True)
