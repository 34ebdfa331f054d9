# SPDX-License-Identifier: Apache-2.0
"""Loading what several annotators share: the attribute network, and the counts measured for it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._operating import about_words
from audit.annotators._operating import table as table_of
from audit.checkpoints import digest_folder, resolve_model
from audit.errors import AnnotatorError, ConfigError
from audit.types import ImageRecord, OperatingCharacteristics

if TYPE_CHECKING:
    from audit.reference.instruments import AttributeNet

__all__ = ["attribute_folder", "attribute_net", "by_shape", "objects", "operating"]


def attribute_folder(model: str, *, where: str) -> Path:
    """The folder of an attribute network. Raises AnnotatorError for what is not to be had."""
    folder = None if model == "standard" else resolve_model(model, where=where, error=AnnotatorError)
    if folder is None:
        message = f"{model!r}: no public attribute model can be loaded; none comes with counts of its own error"
        raise AnnotatorError(message, where=where, hint="use reference:attributes, a folder, or people's labels")
    return folder


def attribute_net(folder: Path) -> AttributeNet:
    """The network in ``folder``, loaded once for all annotators and again when its files change."""
    return _load(folder, digest_folder(folder))


@functools.lru_cache(maxsize=2)
def _load(folder: Path, digest: str) -> AttributeNet:  # noqa: ARG001 - the digest is part of the key
    from audit.reference.instruments import AttributeNet

    return AttributeNet.from_pretrained(folder)


def operating(folder: Path, columns: Iterable[str], *, table: str | None = None) -> dict[str, OperatingCharacteristics]:
    """Confusion counts by column from ``operating.json``; columns that were never measured are left out.

    Args:
        folder: of the weights.
        columns: what to look for.
        table: a named set of counts in the file, measured on another kind of image; None: the file's main ones.

    Raises:
        AnnotatorError: the file cannot be read.
        ConfigError: there is no such set.
    """
    path = folder / "operating.json"
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if table is not None and not isinstance(raw.get(table), dict):
            raise ConfigError(f"no counts called {table!r}", where=str(path), hint="leave out the option `counts`")
        raw = raw if table is None else raw[table]
        return {column: _counts(column, raw) for column in columns if column in raw}
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "measure it again: python -m audit.reference.train attributes --export-only"
        raise AnnotatorError(f"the counts cannot be read: {error!r}", where=str(path), hint=hint) from error


def _counts(column: str, raw: Mapping[str, Any]) -> OperatingCharacteristics:
    words = about_words(raw.get("measured_on", "held-out renders"))
    marker = f"{column}_by_"
    parts = {
        f"{name.removeprefix(marker)}={value}": part
        for name, tables in raw.items()
        if name.startswith(marker)
        for value, part in tables.items()
    }
    return table_of(column, {"within": parts, **raw[column]}, words)


def by_shape(
    images: Sequence[ImageRecord], work: Callable[[NDArray[np.uint8]], Mapping[str, NDArray[Any]]], *, batch: int
) -> dict[str, NDArray[Any]]:
    """Apply ``work`` to stacks of equally large pictures and put the rows back in order.

    Args:
        images: pictures of any sizes.
        work: uint8 (k, h, w, 3) to columns of k rows.
        batch: pictures in a stack, at most.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.rgb.shape, []).append(index)
    out: dict[str, NDArray[Any]] = {}
    for members in groups.values():
        for start in range(0, len(members), batch):
            part = members[start : start + batch]
            for name, values in work(np.stack([images[i].rgb for i in part])).items():
                out.setdefault(name, np.empty((len(images), *values.shape[1:]), values.dtype))[part] = values
    return out


def objects(values: Sequence[str | None]) -> NDArray[Any]:
    """A column of words: an object array (n,)."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
