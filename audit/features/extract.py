# SPDX-License-Identifier: Apache-2.0
"""Pictures to rows of features: prepared ahead of the network, computed in batches, looked up where they are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from audit.errors import AnnotatorError
from audit.features.ahead import ahead
from audit.features.store import FeatureStore, Identity

__all__ = ["Extractor", "as_they_are", "decode_file", "embed_files", "embed_pictures"]

Pixels: TypeAlias = NDArray[np.uint8]
Rows: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[int, int], None]
Thing = TypeVar("Thing")
_KEEP = 256  # rows a part of the store; what was done before an interrupt is not done again


def as_they_are(rgb: Pixels) -> Pixels:
    """For networks that bring their own preparation."""
    return rgb


@dataclass(frozen=True, slots=True, eq=False)
class Extractor:
    """What turns pictures into rows.

    Attributes:
        identity: of the rows.
        width: D, length of a row.
        network: prepared pictures, at most ``batch`` of them, to float32 (n, D).
        prepare: one picture, uint8 (h, w, 3), to what the network takes. Other processes do it if it can be
            pickled.
        batch: prepared pictures that the network gets at once.
    """

    identity: Identity
    width: int
    network: Callable[[Sequence[Any]], Rows]
    prepare: Callable[[Pixels], Any] = as_they_are
    batch: int = 32

    def rows(self, pictures: Sequence[Pixels]) -> Rows:
        """float32 (n, D) of n pictures, without any store."""
        prepared = ahead(self.prepare, pictures, few=len(pictures))  # threads: these pictures are in memory
        parts = [self.network(part) for part in batches(prepared, self.batch)]
        return np.concatenate(parts) if parts else np.empty((0, self.width), np.float32)


def embed_pictures(extractor: Extractor, pictures: Sequence[Pixels], store: FeatureStore) -> Rows:
    """Rows (n, D) of pictures in memory, float32; those that the store knows are not computed.

    Args:
        extractor: what embeds.
        pictures: uint8 (h, w, 3) each, of any sizes.
        store: of the same identity.
    """
    from audit.images import pixel_digest

    keys = [pixel_digest(rgb) for rgb in pictures]
    return store.embed(pictures, keys, extractor.rows, width=extractor.width)


def embed_files(
    extractor: Extractor,
    paths: Sequence[Path],
    store: FeatureStore,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[list[str], Rows]:
    """Digests of the pixels and rows (n, D) of picture files; decoding and resizing run ahead of the network.

    Args:
        extractor: what embeds.
        paths: of n files.
        store: of the same identity.
        workers: as of `ahead`.
        progress: told (done, all) after every batch.

    Raises:
        AnnotatorError: a file cannot be decoded.
    """
    known = store.known()
    seen, fresh = set(known), dict[str, NDArray[np.float32]]()
    keys: list[str] = []

    def new() -> Iterator[tuple[str, Any]]:
        for key, prepared in ahead(partial(_prepared, extractor.prepare, known), paths, workers=workers):
            keys.append(key)
            if key not in seen:
                seen.add(key)
                yield key, prepared

    unsaved: list[str] = []
    for part in batches(new(), extractor.batch):
        names = [key for key, _ in part]
        fresh |= zip(names, extractor.network([prepared for _, prepared in part]), strict=True)
        unsaved += names
        if len(unsaved) >= _KEEP:
            _save(store, fresh, unsaved)
        if progress is not None:
            progress(len(keys), len(paths))
    _save(store, fresh, unsaved)
    if progress is not None:
        progress(len(keys), len(paths))
    return keys, _gathered(extractor, keys, paths, fresh=fresh, store=store)


def batches(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Lists of ``size`` things, the last one shorter."""
    stream = iter(things)
    while part := list(islice(stream, size)):
        yield part


def decode_file(path: Path) -> Pixels:
    """RGB pixels of a picture file, uint8 (h, w, 3). Raises AnnotatorError."""
    from audit.images import decode

    try:
        return decode(path.read_bytes())
    except (OSError, ValueError) as error:
        message, hint = f"cannot be decoded: {error}", "remove or replace the file"
        raise AnnotatorError(message, where=str(path), hint=hint) from error


def _prepared(prepare: Callable[[Pixels], Any], known: frozenset[str], path: Path) -> tuple[str, Any]:
    """Digest of the pixels of a file, and what the network takes, None where its row is known."""
    from audit.images import pixel_digest

    rgb = decode_file(path)
    key = pixel_digest(rgb)
    return key, None if key in known else prepare(rgb)


def _save(store: FeatureStore, fresh: dict[str, NDArray[np.float32]], unsaved: list[str]) -> None:
    if unsaved:
        store.put(unsaved, np.stack([fresh[key] for key in unsaved]))
        unsaved.clear()


def _gathered(
    extractor: Extractor,
    keys: Sequence[str],
    paths: Sequence[Path],
    *,
    fresh: dict[str, NDArray[np.float32]],
    store: FeatureStore,
) -> Rows:
    """Rows in the order of ``keys``: those computed just now, and those of the store."""
    out = np.empty((len(keys), extractor.width), np.float32)
    old = [index for index, key in enumerate(keys) if key not in fresh]
    for index, key in enumerate(keys):
        if key in fresh:
            out[index] = fresh[key]
    if old:
        # What was there at first may be damaged, or trimmed by another process: then it is computed after all.
        again = lambda files: extractor.rows([decode_file(path) for path in files])  # noqa: E731
        out[old] = store.embed([paths[index] for index in old], [keys[index] for index in old], again)
    return out
