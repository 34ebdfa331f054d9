# SPDX-License-Identifier: Apache-2.0
"""Import the C2PA library from its own package and nowhere else, and say why where that fails."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from audit.errors import ConfigError

__all__ = ["SUPPORTED", "load"]

#: Versions of c2pa-python that this version of genaudit was tested with.
SUPPORTED: Final = ">=0.38,<0.39"
_INSTALL: Final = f'pip install "c2pa-python{SUPPORTED}"'
_NAME: Final = "C2PA_LIBRARY_NAME"
_ONE: Final = threading.Lock()  # the environment belongs to all threads
_BROKEN: Final = (ImportError, OSError, RuntimeError, AttributeError, ValueError)


def load() -> Any:
    """The ``c2pa`` module.

    The package looks for its native library in the working folder first, where a file that came with somebody's images
    would be run as code. It is therefore told to take the one beside itself.

    Raises:
        ConfigError: it is not installed, or its native library does not load on this machine.
    """
    loaded = sys.modules.get("c2pa")
    if loaded is not None and not getattr(loaded.__spec__, "_initializing", False):  # not while a thread imports it
        return loaded
    try:
        with _ONE, _own_library():
            return import_module("c2pa")
    except _BROKEN as error:
        raise _explained(error) from None


@contextmanager
def _own_library() -> Iterator[None]:
    before = os.environ.get(_NAME)
    own = _native_file()
    if own is not None:
        ctypes.CDLL(str(own))  # if this one does not load, none is to be looked for elsewhere
        os.environ[_NAME] = str(own)  # an absolute path wins over every folder that it is looked for in
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_NAME, None)
        else:
            os.environ[_NAME] = before


def _native_file() -> Path | None:
    spec = find_spec("c2pa")
    folders = [Path(name) for name in (spec.submodule_search_locations or ())] if spec else []
    names = ("libc2pa_c.so", "libc2pa_c.dylib", "c2pa_c.dll")
    found = (folder / sub / name for folder in folders for sub in ("libs", ".") for name in names)
    return next((file.resolve() for file in found if file.is_file()), None)


def _explained(error: Exception) -> ConfigError:
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name == "c2pa":
        return ConfigError("the C2PA library is not installed", where="c2pa-python", hint=_INSTALL)
    if wanted := re.findall(r"GLIBC_(\d+(?:\.\d+)+)' not found", text):
        have = platform.libc_ver()[1] or "an older one"
        message = (
            f"the C2PA library cannot be loaded: it needs GLIBC {max(wanted, key=_numbers)}, this system has {have}"
        )
        hint = "use Debian 12, Ubuntu 22.04, RHEL 9 or later; set provenance.stamp: false to go without"
        return ConfigError(message, where="c2pa-python", hint=hint)
    hint = f"{_INSTALL} --force-reinstall (Linux with GLIBC 2.34 or later, or macOS); or set provenance.stamp: false"
    return ConfigError(f"the C2PA library cannot be loaded: {text[:300]}", where="c2pa-python", hint=hint)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
