# SPDX-License-Identifier: Apache-2.0
"""Writes docs/cli.md from the command line's own help: ``make docs``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["cli_page"]


def cli_page() -> str:
    """The help of every command, as Markdown."""
    os.environ["COLUMNS"] = "100"
    os.environ["NO_COLOR"] = "1"
    import typer
    from typer.main import get_command

    from audit.cli._main import app

    group = get_command(app)
    parts = ["# Command line", "Written by `make docs`; do not edit."]
    for words, command in _commands("genaudit", group):
        context = typer.Context(command, info_name=words, max_content_width=100, terminal_width=100)
        parts.append(f"## `{words}`\n\n```text\n{command.get_help(context).strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command and those below it, each with the words that call it."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(f"{words} {name}", below)


if __name__ == "__main__":
    (Path(__file__).parent / "cli.md").write_text(cli_page(), encoding="utf-8")
