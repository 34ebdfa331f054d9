# SPDX-License-Identifier: Apache-2.0
"""``genaudit dashboard``: look at runs in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "dashboard"
EXAMPLES = "Examples:  genaudit dashboard runs/quickstart;  genaudit dashboard runs/* --port 8600"


def command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.", envvar="GENAUDIT_PORT")] = 8501,
    address: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback is open to others.")
    ] = "127.0.0.1",
) -> int:
    """Open the dashboard on one or more run folders. It only reads them."""
    import subprocess
    import sys
    from importlib.util import find_spec

    from audit.errors import ConfigError
    from audit.paths import data_root

    if find_spec("streamlit") is None or find_spec("duckdb") is None:
        raise ConfigError("the dashboard is not installed", hint='pip install "genaudit[dashboard]"')
    for run in runs:
        if not run.is_dir():
            raise ConfigError("does not exist", where=str(run), hint="make a run with `genaudit run`")
    app = data_root() / "dashboard" / "app.py"
    options = ["--server.address", address, "--server.port", str(port), "--server.headless", "true"]
    options += ["--browser.gatherUsageStats", "false", "--server.enableStaticServing", "false"]
    typer.echo(f"http://{address}:{port}  (Ctrl-C stops it)", err=True)
    words = [sys.executable, "-m", "streamlit", "run", str(app), *options, "--", *(str(run.resolve()) for run in runs)]
    return subprocess.run(words, check=False).returncode  # noqa: S603
