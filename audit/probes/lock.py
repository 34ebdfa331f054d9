# SPDX-License-Identifier: Apache-2.0
"""The lock file of the bundled sets: what each version asked. A change of content needs a new version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from audit.errors import ProbeError
from audit.paths import data_root
from audit.probes.load import ProbeSet, list_probe_sets

__all__ = ["lock_path", "lock_problems", "read_lock", "write_lock"]

COMMAND = "python -m audit.probes lock"
Lock = Mapping[str, tuple[str, str]]


def lock_path() -> Path:
    """Where the lock file stands."""
    return data_root() / "probes" / "probes.lock"


def read_lock(path: Path | None = None) -> dict[str, tuple[str, str]]:
    """Version and digest by name; empty if there is no lock file. Raises ProbeError if it cannot be read."""
    path = path or lock_path()
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["sets"]
        return {str(name): (str(row["version"]), str(row["digest"])) for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProbeError(
            f"lock file cannot be read: {error}", where=str(path), hint=f"restore it, or `{COMMAND}`"
        ) from None


def lock_problems(sets: Sequence[ProbeSet], lock: Lock) -> list[str]:
    """What is out of step, in words; each line names the set and what to do."""
    problems = []
    for probe_set in sets:
        version, digest = lock.get(probe_set.name, (None, None))
        if version is None:
            problems.append(f"{probe_set.name} is not in the lock file: run `{COMMAND}`")
        elif probe_set.version == version and probe_set.digest != digest:
            problems.append(f"{probe_set.name} {version} was changed: raise its version, then run `{COMMAND}`")
        elif _number(probe_set.version) < _number(version):
            problems.append(f"{probe_set.name} went back from {version} to {probe_set.version}: raise its version")
        elif probe_set.version != version:
            problems.append(
                f"{probe_set.name} is now {probe_set.version}, the lock file says {version}: run `{COMMAND}`"
            )
    gone = sorted(set(lock) - {probe_set.name for probe_set in sets})
    return problems + [f"{name} is in the lock file and not in probes/: run `{COMMAND}`" for name in gone]


def write_lock(path: Path | None = None) -> Path:
    """Bring the lock file up to date. Raises ProbeError where content changed and the version did not rise."""
    path = path or lock_path()
    sets = list_probe_sets()
    stuck = [line for line in lock_problems(sets, read_lock(path)) if "raise its version" in line]
    if stuck:
        raise ProbeError(
            "; ".join(stuck), where=str(path), hint="versions are major.minor.patch in the set's YAML file"
        )
    rows = {probe_set.name: {"version": probe_set.version, "digest": probe_set.digest} for probe_set in sets}
    path.write_text(json.dumps({"schema": 1, "sets": rows}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
