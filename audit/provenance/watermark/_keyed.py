# SPDX-License-Identifier: Apache-2.0
"""A watermark by name with a secret key from a file: never from a command line, which others can see."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from audit.errors import ConfigError
from audit.provenance.watermark._find import find
from audit.provenance.watermark._types import Watermark

__all__ = ["find_keyed"]

_KEYED = "spread"


def find_keyed(name: str, key_file: Path | str | None = None) -> Watermark:
    """The watermark of a name, with the key that a file holds.

    Args:
        name: one of ``names()``.
        key_file: text file, readable by its owner only; None: the public key. Other marks than "spread" have no key.

    Raises:
        ConfigError: no such name, or the file cannot be read, is empty, or can be read by others.
    """
    if key_file is None:
        return find(name)
    if name != _KEYED:
        raise ConfigError(f"watermark {name!r} has no key", where="watermark key", hint="leave the key file out")
    return find(name, key=_key(Path(key_file).expanduser()))


def _key(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        hint = "give a text file with the key that images are marked by"
        raise ConfigError(f"watermark key cannot be read: {error}", where=str(path), hint=hint) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = f"the watermark key can be read by others (mode {mode:04o})"
        raise ConfigError(message, where=str(path), hint=f"chmod 600 {path}")
    if not text:
        hint = "make one: head -c 32 /dev/urandom | base64 > FILE"
        raise ConfigError("the watermark key is empty", where=str(path), hint=hint)
    return text
