# SPDX-License-Identifier: Apache-2.0
"""Does the C2PA library still do what we rely on? A self-test whose outcome is remembered for each version of it.

An upgrade of the library once changed, without a word, which certificates it trusts. A library outside the range we
tested, or one that behaves otherwise, is therefore an error that says what changed, not a wrong verdict.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from audit import __version__
from audit.errors import ConfigError
from audit.paths import cache_dir
from audit.provenance._engine import library, settings
from audit.provenance._native import SUPPORTED

__all__ = ["SUPPORTED", "Finding", "ensure", "self_test", "summary"]

_RANGE: Final = ((0, 38), (0, 39))
_NATIVE: Final = ((0, 91), (0, 92))
_HINT: Final = f'pip install "c2pa-python{SUPPORTED}"'
_PASSED: set[Any] = set()  # modules


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that we rely on.

    Attributes:
        name: of what is relied on.
        ok: whether it holds.
        expected: what has to be found.
        found: what was found.
    """

    name: str
    ok: bool
    expected: str
    found: str


def self_test() -> tuple[Finding, ...]:
    """Sign and verify a small picture with a throw-away chain, about 30 ms, and compare with what we rely on.

    Nothing is read from or written to disk, no key of the user's is touched, and nobody is called.

    Raises:
        ConfigError: the library is not installed, or its native part does not load.
    """
    package, native = _versions()
    from audit.provenance._reliance import answers

    versions = (
        Finding("version of c2pa-python", _within(package, _RANGE), SUPPORTED, package),
        Finding("version of its native library", _within(native, _NATIVE), ">=0.91,<0.92", native),
    )
    asked = (Finding(a.name, a.found == a.expected, a.expected, a.found) for a in answers())
    return (*versions, *asked)


def ensure() -> None:
    """Raise unless the library does what we rely on. Costs a microsecond, but for the first time in a process.

    That it passed is remembered in the cache folder, by versions of the library and of genaudit and by our settings;
    that it failed is not.

    Raises:
        ConfigError: the library cannot be loaded, or it has drifted: names what changed and what to install.
    """
    c2pa = library()
    if c2pa in _PASSED:
        return
    package, native = _versions()
    key = _key(package, native)
    memory = cache_dir() / "c2pa" / f"{key}.json"
    if not _remembered(memory, key):
        findings = self_test()
        drifted = [finding for finding in findings if not finding.ok]
        if drifted:
            raise _error(drifted, package)
        _remember(memory, key, findings)
    _PASSED.add(c2pa)


def summary() -> str:
    """One line for people: versions, and that all holds.

    Raises:
        ConfigError: as `ensure`, but nothing that was remembered counts.
    """
    started = time.perf_counter()
    findings = self_test()
    drifted = [finding for finding in findings if not finding.ok]
    if drifted:
        raise _error(drifted, findings[0].found)
    took = (time.perf_counter() - started) * 1e3
    return f"c2pa-python {findings[0].found} (native {findings[1].found}): {len(findings)} checks hold, {took:.0f} ms"


def _error(drifted: list[Finding], package: str) -> ConfigError:
    what = "; ".join(f"{item.name}: expected {item.expected}, found {item.found}" for item in drifted)
    message = f"version {package} does not do what genaudit {__version__} relies on: {what}"
    return ConfigError(message, where="c2pa-python", hint=_HINT)


def _versions() -> tuple[str, str]:
    c2pa = library()
    try:
        package = version("c2pa-python")
    except PackageNotFoundError:
        package = str(getattr(c2pa, "__version__", "unknown"))
    try:
        return package, str(c2pa.sdk_version())
    except Exception as error:  # noqa: BLE001 - whatever a broken library raises
        message = f"the C2PA library cannot be used: {type(error).__name__}: {error}"
        raise ConfigError(message, where="c2pa-python", hint=_HINT) from None


def _within(text: str, limits: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
    numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    return limits[0] <= numbers < limits[1]


def _key(package: str, native: str) -> str:
    relied = json.dumps([package, native, __version__, settings({})], sort_keys=True)
    return hashlib.sha256(relied.encode()).hexdigest()[:32]


def _remembered(memory: Path, key: str) -> bool:
    try:
        said: Any = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("key") == key and said.get("passed") is True


def _remember(memory: Path, key: str, findings: tuple[Finding, ...]) -> None:
    said = {"key": key, "passed": True, "findings": [asdict(finding) for finding in findings]}
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=memory.parent, prefix=".drift.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(said, file, indent=1)
        Path(temporary).replace(memory)
    except OSError:
        return  # a cache that cannot be written costs 30 ms a process, nothing else
