# SPDX-License-Identifier: Apache-2.0
"""One store of features in the user's cache: no picture is embedded twice by the same extractor, by whatever asks.

``features/<identity>/manifest.json`` says what made the rows; ``part-*.rows`` hold them, each written whole under
another name and then renamed, so several processes may read and write at once. A part that cannot be read is passed
over and its pictures are embedded again. A cache that cannot be written is no reason to fail.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import digest_of
from audit.features import _parts
from audit.paths import cache_dir

__all__ = [
    "DEFAULT_GB",
    "FeatureStore",
    "Identity",
    "libraries",
    "read_keys",
    "store_root",
    "store_size",
    "write_keys",
]

Rows = NDArray[np.float32]
DEFAULT_GB: Final = 20.0
_MANY: Final = 32  # small parts before they are put together
_SMALL: Final = 1 << 24  # bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """All that decides what row a picture gets.

    Attributes:
        extractor: e.g. "inception".
        weights: sha256 of the weights.
        kernel: how pictures are resized, e.g. "pil_bicubic_clean to 299x299".
        scaling: from levels to what the network reads, e.g. "(x - 128) / 128".
        dtype: that the network computes in.
        device: kind of device, e.g. "cpu": accelerators round differently.
        settings: what else matters, e.g. how tokens are pooled.
        libraries: version by name.
    """

    extractor: str
    weights: str
    kernel: str
    scaling: str
    dtype: str = "float32"
    device: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=lambda: libraries("torch", "Pillow"))

    @property
    def digest(self) -> str:
        """sha256 (hex)."""
        return digest_of(asdict(self))


def libraries(*names: str) -> dict[str, str]:
    """Installed versions; "absent" for what is not there."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


class FeatureStore:
    """Rows of one extractor by what pictures show.

    Args:
        identity: what makes the rows; None keeps nothing and finds nothing.
        limit_gb: of all extractors together; what was not used for longest goes first. 0 keeps nothing.
        root: folder of all stores; default: ``features`` in the user's cache.
    """

    def __init__(self, identity: Identity | None, *, limit_gb: float = DEFAULT_GB, root: Path | None = None) -> None:
        self._root = root or store_root()
        self._identity = identity if limit_gb > 0 else None
        self._limit = limit_gb * 1e9
        self.folder = self._root / identity.digest[:32] if identity else None
        self._parts: dict[Path, _parts.Part] = {}
        self._places: dict[bytes, tuple[Path, int]] = {}
        self._lock = threading.RLock()

    def get(self, keys: Sequence[str]) -> tuple[NDArray[np.bool_], Rows]:
        """What is known of some pictures.

        Args:
            keys: digests of their pixels (`audit.images.pixel_digest`), n of them.

        Returns:
            Which are known, shape (n,), and the rows of these, float32 (known, D).
        """
        with self._lock:
            self._look()
            rows = [self._row(bytes.fromhex(key)) for key in keys]
        found = np.array([row is not None for row in rows], dtype=bool)
        kept = [row for row in rows if row is not None]
        return found, np.stack(kept) if kept else np.empty((0, 0), np.float32)

    def known(self) -> frozenset[str]:
        """Keys of all pictures that have a row."""
        with self._lock:
            self._look()
            return frozenset(key.hex() for key in self._places)

    def put(self, keys: Sequence[str], rows: Rows) -> None:
        """Keep rows (n, D) under n keys. Nothing happens where the cache cannot be written."""
        if self._identity is None or self.folder is None or not len(rows):
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            _describe(self.folder / "manifest.json", self._identity)
            _parts.write(self.folder, [bytes.fromhex(key) for key in keys], rows)
            self._tidy()
            _trim(self._root, self._limit, keep=self.folder)

    def embed(
        self, images: Sequence[Any], keys: Sequence[str], fn: Callable[[list[Any]], Rows], *, width: int = 0
    ) -> Rows:
        """Rows of pictures, computing only those that are missing, each distinct one once.

        Args:
            images: n pictures; only those that are missing are looked at.
            keys: digests of their pixels, n of them.
            fn: pictures to rows (k, D).
            width: D, for the shape of the answer where there are no pictures.

        Returns:
            float32 (n, D).
        """
        places: dict[str, int] = {}
        for index, key in enumerate(keys):
            places.setdefault(key, index)
        distinct = list(places)
        found, rows = self.get(distinct)
        known = dict(zip((key for key, there in zip(distinct, found, strict=True) if there), rows, strict=True))
        missing = [key for key, there in zip(distinct, found, strict=True) if not there]
        if missing:
            fresh = np.ascontiguousarray(fn([images[places[key]] for key in missing]), dtype=np.float32)
            self.put(missing, fresh)
            known |= zip(missing, fresh, strict=True)
        return np.stack([known[key] for key in keys]) if keys else np.empty((0, width), np.float32)

    def _look(self) -> None:
        """Take up parts that others have written, forget those that are gone."""
        if self.folder is None or self._identity is None:
            return
        there = set(_parts.listed(self.folder))
        if self._parts.keys() - there:
            self._parts = {path: part for path, part in self._parts.items() if path in there}
            self._places = {key: place for key, place in self._places.items() if place[0] in there}
        for path in sorted(there - self._parts.keys()):
            part = _parts.read(path)
            if part is not None:
                self._parts[path] = part
                self._places |= {key: (path, row) for row, key in enumerate(part.keys)}

    def _row(self, key: bytes) -> Rows | None:
        place = self._places.get(key)
        row = self._parts[place[0]].row(place[1]) if place else None
        if place and row is None:
            del self._places[key]  # damaged: it is computed again, and the new row is found instead
        return row

    def _tidy(self) -> None:
        """Put many small parts together; old ones go only after the new one is there."""
        assert self.folder is not None
        small = [path for path in _parts.listed(self.folder) if path.stat().st_size < _SMALL]
        if len(small) < _MANY:
            return
        parts = [(path, part) for path in small if (part := _parts.read(path)) is not None]
        if len({part.width for _, part in parts}) != 1:
            return
        rows = {key: row for _, part in parts for key, row in part.rows()}
        _parts.write(self.folder, list(rows), np.stack(list(rows.values())))
        for path, _ in parts:
            path.unlink(missing_ok=True)


def store_root() -> Path:
    """Folder of all stores."""
    return cache_dir() / "features"


def read_keys(name: str, root: Path | None = None) -> list[str]:
    """Digests of the pixels of a set of pictures that was seen before, in order; none where it was not.

    With them a folder need not be decoded again: its rows are looked up, by whichever extractor.

    Args:
        name: digest of the set's files.
        root: folder of all stores.
    """
    try:
        data = _keys_file(name, root).read_bytes()
    except OSError:
        return []
    return [data[start : start + 32].hex() for start in range(0, len(data), 32)] if len(data) % 32 == 0 else []


def write_keys(name: str, keys: Sequence[str], root: Path | None = None) -> None:
    """Keep the digests of a set of pictures under the digest of its files. Raises OSError."""
    path = _keys_file(name, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    _parts.whole(path, bytes.fromhex("".join(keys)))


def _keys_file(name: str, root: Path | None) -> Path:
    return (root or store_root()) / "sets" / f"{name[:32]}.keys"


def store_size(root: Path | None = None) -> tuple[int, int]:
    """Bytes that all stores take, and how many extractors they are of."""
    files = _parts.all_files(root or store_root())
    return sum(size for _, size, _ in files), len({path.parent for path, _, _ in files})


def _describe(path: Path, identity: Identity) -> None:
    if not path.is_file():
        _parts.whole(path, json.dumps(asdict(identity), indent=1, sort_keys=True).encode())


def _trim(root: Path, limit: float, *, keep: Path) -> None:
    """Delete what was not used for longest until all stores fit; those of ``keep`` last."""
    files = _parts.all_files(root)
    total = sum(size for _, size, _ in files)
    for path, size, _ in sorted(files, key=lambda file: (file[0].parent == keep, file[2])):
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= size
        if not _parts.listed(path.parent):
            (path.parent / "manifest.json").unlink(missing_ok=True)
            with suppress(OSError):  # others have written there meanwhile
                path.parent.rmdir()
