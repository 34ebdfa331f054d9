# SPDX-License-Identifier: Apache-2.0
"""Bytes of somebody else's file to text, without guessing: what is not UTF-8 is refused at its line and column."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from audit.errors import AuditError, ProbeError

__all__ = ["lines_of", "read_text", "text_of"]

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Only what ends a line in a file; str.splitlines would also break prompts at U+2028, form feeds and others.
_ENDS = re.compile(r"\r\n|\n|\r")


def read_text(path: Path, *, error: type[AuditError], encoding: str | None = None) -> tuple[bytes, str]:
    """The bytes of ``path`` and its text. Raises ``error`` with the place of what cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        hint = "check the path"
        raise error(f"cannot be read: {problem.strerror or problem}", where=str(path), hint=hint) from None
    return data, text_of(data, where=str(path), error=error, encoding=encoding)


def text_of(data: bytes, *, where: str, error: type[AuditError], encoding: str | None = None) -> str:
    """Text of ``data``; a byte order mark decides between UTF-8 and UTF-16, else it is UTF-8.

    Args:
        data: of a file.
        where: place for messages.
        error: class to raise.
        encoding: the user's word for it; nothing is guessed.

    Raises:
        AuditError: of class ``error``: an unknown encoding, or bytes it does not have, with ``file:line:column``.
    """
    name = encoding or next((known for mark, known in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(name)
    except LookupError:
        hint = "utf-8, cp1252, latin-1, utf-16 ..."
        raise error(f"there is no encoding {name!r}", where=where, hint=hint) from None
    except UnicodeDecodeError as problem:
        place = f"{where}:{_place(data, problem.start)}"
        byte = f"byte 0x{data[problem.start]:02x} is not {name}"
        hint = "save the file as UTF-8" + _or_say("cp1252", error)
        raise error(f"{byte} ({problem.reason})", where=place, hint=hint) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        hint = "save the file as UTF-8" + _or_say("utf-16", error)
        raise error("the file holds zero bytes: it is no text, or UTF-16", where=f"{where}:{line}", hint=hint)
    return text.removeprefix("\ufeff")


def lines_of(text: str) -> list[str]:
    """Lines without their ends; a line end at the end of the text begins no further line."""
    lines = _ENDS.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def _or_say(encoding: str, error: type[AuditError]) -> str:
    """Only the command that imports prompts can be told an encoding."""
    return f", or say what it is: --encoding {encoding}" if issubclass(error, ProbeError) else ""


def _place(data: bytes, at: int) -> str:
    line, begin = data.count(b"\n", 0, at) + 1, data.rfind(b"\n", 0, at) + 1
    return f"{line}:{at - begin + 1}"
