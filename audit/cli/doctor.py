# SPDX-License-Identifier: Apache-2.0
"""``genaudit doctor``: is this installation able to audit?"""

from __future__ import annotations

import typer

NAME = "doctor"
EXAMPLES = "Examples:  genaudit doctor.  Exit codes: 0 all well, 2 something needs mending."


def command() -> int:
    """Check the installation: libraries, bundled models, credentials, plug-ins. Says how to mend what is broken."""
    from audit.checks import examine

    broken = 0
    for check in examine():
        typer.echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {check.found}")
        if not check.ok:
            broken += 1
            typer.echo(f"     hint: {check.hint}")
    return 2 if broken else 0
