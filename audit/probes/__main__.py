# SPDX-License-Identifier: Apache-2.0
"""``python -m audit.probes lock|schema``: bring the lock file or the JSON schema up to date."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from audit.errors import AuditError
from audit.paths import data_root
from audit.probes.format import json_schema
from audit.probes.lock import write_lock


def write_schema() -> Path:
    """Write the JSON schema of the format to ``reports/schemas/``."""
    path = data_root() / "reports" / "schemas" / "probe_set.schema.json"
    path.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    return path


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    commands = {"lock": write_lock, "schema": write_schema}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write(f"usage: python -m audit.probes {'|'.join(commands)}\n")
        return 2
    try:
        path = commands[arguments[0]]()
    except AuditError as error:
        sys.stderr.write(f"{error}\n" + (f"  {error.hint}\n" if error.hint else ""))
        return error.exit_code
    sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
