# SPDX-License-Identifier: Apache-2.0
"""A look through a ``.pt2`` before torch reads it.

What is known of the format (torch 2.13, archive version 0): JSON for the graph, raw bytes for weights and constants.
These are read as pickles, with nothing held back: weights and constants marked ``use_pickle`` (tensor subclasses), the
files ``custom_obj_*`` and ``opaque_obj_*``, ``data/weights/<name>.pt`` and ``data/constants/<name>.pt`` of older
versions, and the whole of the files of torch 2.7 and before. Sample inputs are read as data first and, should that
fail, as a pickle. ``data/aotinductor`` holds compiled code. Besides, the graph names functions by dotted names looked
up from ``torch``, ``operator`` and ``math``, and gives sizes as expressions that sympy evaluates as Python; and
trees of inputs may name modules to import (default dictionaries, enumerations).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit.errors import GeneratorError

__all__ = ["check_archive"]

_HINT = "export it again from plain tensors: torch.export.save(torch.export.export(model, inputs), 'model.pt2')"
_TENSORS = ("data/weights/", "data/constants/")
_MOST = 256 * 2**20  # bytes of a JSON file or of sample inputs
_TARGET = re.compile(r"torch\.ops(\.(?!load_library|import_module)\w+){2,3}|torch\._?sym_\w+|math\.[a-z0-9]+")
_OPERATORS = re.compile(r"_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)")
# Sizes are written with names of symbols and of functions over them, numbers and signs; never with an attribute.
_QUOTED = re.compile(r"Symbol\('\w+'((, ?)(positive|integer|nonnegative|real|nonzero)=(True|False))*\)")
_SIGNS = re.compile(r"[\w+\-*/%(),<>=&|~ .]*")
_WORDS = re.compile(
    r"(s|u|zf|zuf)\d+|Add|Mul|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|Max|Min|Abs|Mod|PythonMod|FloorDiv|CleanDiv|"
    r"CeilDiv|ModularIndexing|Where|Pow|IntTrueDiv|FloatTrueDiv|FloatPow|PowByNatural|ToFloat|FloorToInt|"
    r"CeilToInt|RoundToInt|TruncToInt|TruncToFloat|RoundDecimal|LShift|RShift|Integer|Float|Rational|"
    r"floor|ceiling|oo|int_oo|true|false|True|False"
)


def check_archive(path: Path, *, where: str) -> None:
    """Refuse an archive that would run code when torch reads it.

    It is a look at what is known, not a sandbox: read files of people that you would take code from.

    Raises:
        GeneratorError: what was found, and what to do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            reason = next(_reasons(archive), None)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RecursionError) as error:
        message = f"{path} is not a program of torch.export: {error}"
        raise GeneratorError(message, where=where, hint=_HINT) from None
    if reason is not None:
        raise GeneratorError(f"{path} is not read: {reason}", where=where, hint=_HINT)


def _reasons(archive: zipfile.ZipFile) -> Iterator[str]:
    names = archive.namelist()
    inner = [name.partition("/")[2] for name in names]
    if len(set(names)) != len(names) or len({name.partition("/")[0] for name in names}) != 1:
        yield "it holds a name twice, or more than one archive"
    if "archive_format" not in inner or not any(name.startswith("models/") for name in inner):
        yield "it is no archive of torch.export (2.8 or later)"
    for name, path in zip(inner, names, strict=True):
        last = name.rpartition("/")[2]
        if name.startswith("data/aotinductor"):
            yield "it holds compiled code"
        elif last.startswith(("custom_obj", "opaque_obj")) or (name.startswith(_TENSORS) and last.endswith(".pt")):
            yield f"{name} is a pickle"
        elif name.startswith(_TENSORS) and last.endswith(".json"):
            yield from _pickled(name, _json(archive, path))
        elif name.startswith("data/sample_inputs/") and not _is_data(archive, path):
            yield f"{name} is a pickle of more than tensors"
        elif name.startswith("models/"):
            yield from _doubts(_json(archive, path))


def _pickled(name: str, payload: Any) -> Iterator[str]:
    if any(entry.get("use_pickle") is not False for entry in payload["config"].values()):
        yield f"{name} names pickles"


def _bytes(archive: zipfile.ZipFile, path: str) -> bytes:
    if archive.getinfo(path).file_size > _MOST:
        raise ValueError(f"{path} is too large")
    return archive.read(path)


def _json(archive: zipfile.ZipFile, path: str) -> Any:
    return json.loads(_bytes(archive, path))


def _is_data(archive: zipfile.ZipFile, path: str) -> bool:
    """Whether sample inputs can be read without running anything; torch tries that first, too."""
    import torch

    data = _bytes(archive, path)
    try:
        if data:
            torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # noqa: BLE001 - the unpickler raises whatever the bytes lead it to
        return False
    return True


def _doubts(part: Any) -> Iterator[str]:
    """Function names and expressions, anywhere in the graph, that an export does not write."""
    todo = [part]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo.extend(one)
        elif isinstance(one, dict):
            todo.extend(one.values())
            target, text = one.get("target"), one.get("expr_str")
            if "inputs" in one and isinstance(target, str) and not _plain_target(target):
                yield f"the graph calls {target[:80]!r}"
            specs = [one.get(name) for name in ("in_spec", "out_spec")]
            if any(word in str(spec) for spec in specs for word in ("default_factory_module", "__enum__")):
                yield "its tree of inputs or outputs names modules to import"
            if text is not None and not (isinstance(text, str) and _plain_expression(text)):
                yield f"a size is given as {str(text)[:80]!r}"


def _plain_target(target: str) -> bool:
    plain = _TARGET.fullmatch(target) or _OPERATORS.fullmatch(target)
    return plain is not None and "__" not in target


def _plain_expression(text: str) -> bool:
    bare = _QUOTED.sub("s0", text)
    if _SIGNS.fullmatch(bare) is None or re.search(r"\.(?!\d)", bare):
        return False
    return all(_WORDS.fullmatch(word) for word in re.findall(r"[A-Za-z_]\w*", bare))
