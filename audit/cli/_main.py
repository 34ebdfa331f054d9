# SPDX-License-Identifier: Apache-2.0
"""The application object, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

import typer

from audit import __version__
from audit.cli import (
    dashboard,
    data,
    doctor,
    gate,
    keys,
    labels,
    listing,
    plan,
    probes,
    recover,
    report,
    rules,
    run,
    selftest,
    serve,
    stamp,
    survive,
    validate,
    verify,
)
from audit.errors import AuditError

__all__ = ["app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    name="genaudit",
    help="Audit an image generator: quality, bias, likeness and provenance, with an interval on every number.",
    epilog="Start with: genaudit run examples/quickstart.yaml",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    plan,
    run,
    validate,
    gate,
    report,
    stamp,
    verify,
    survive,
    recover,
    rules,
    dashboard,
    serve,
    listing,
    doctor,
    selftest,
):
    app.command(name=module.NAME, epilog=module.EXAMPLES)(module.command)
app.add_typer(data.app, name=data.NAME)
app.add_typer(keys.app, name=keys.NAME)
app.add_typer(labels.app, name=labels.NAME)
app.add_typer(probes.app, name=probes.NAME)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"genaudit {__version__}")
        raise typer.Exit


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Runs the command line and exits with the documented code."""
    signal.signal(signal.SIGTERM, _stop)
    code = _run()
    if code == INTERRUPTED:
        # An interrupt that passes through an exec() of a string - dataclasses use it while libraries are imported -
        # makes CPython end the process by SIGINT whatever was caught later: sys.exit would lose the code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        result = app(standalone_mode=False)
    except AuditError as error:
        _complain(str(error), error.hint)
        return error.exit_code
    except typer.TyperException as error:
        _usage(error)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort: a bug of ours is told as one
        if os.environ.get("GENAUDIT_DEBUG"):
            traceback.print_exc()
        _complain(
            f"this is a bug in genaudit: {type(error).__name__}: {error}",
            "set GENAUDIT_DEBUG=1 to see where, and please report it",
        )
        return 1
    if result == INTERRUPTED:  # typer itself turns Ctrl-C into this code, without a word
        _complain("interrupted; finished work is kept, half-written files are not", "run the same command again")
    return result if isinstance(result, int) else 0


def _usage(error: typer.TyperException) -> None:
    """Usage errors know how to print themselves, with the usage line and the nearest command."""
    show = getattr(error, "show", None)
    if show is None:
        _complain(str(error), "genaudit --help")
    else:
        show()


def _complain(message: str, hint: str | None) -> None:
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
