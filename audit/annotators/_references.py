# SPDX-License-Identifier: Apache-2.0
"""Reference images of the Frechet distance, and a cache of their features."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import check_options, digest_of
from audit.errors import AnnotatorError, ConfigError
from audit.paths import cache_dir

__all__ = ["Reference"]

Embed = Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]
_RENDERER = "reference:renderer"
_SEED = 2718  # of the rendered reference: it is one fixed set of people for everybody
_CHUNK = 256
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})


@dataclass(frozen=True, slots=True)
class Reference:
    """Which images outputs are compared with.

    Attributes:
        images: ``reference:renderer`` (held-out people under the planted shares) or a folder, read with its subfolders.
        n: how many; of a folder the first ones by name, or all if there are fewer.
    """

    images: str = _RENDERER
    n: int = 2000

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, where: str) -> Reference:
        """From the configuration. Raises ConfigError."""
        check_options(raw, {"images": str, "n": int}, where=where)
        made = cls(str(raw.get("images") or _RENDERER), int(raw.get("n") or 2000))
        if made.n < 2:
            raise ConfigError(f"n must be at least 2, got {made.n}", where=where)
        if made.images != _RENDERER and not Path(made.images).expanduser().is_dir():
            raise ConfigError(
                f"{made.images!r} is not a folder", where=where, hint=f"a folder of images, or {_RENDERER}"
            )
        return made

    def features(self, instrument: str, embed: Embed) -> NDArray[np.float32]:
        """Features (m, d), from the cache where they are there.

        Args:
            instrument: digest of what embeds.
            embed: pictures to (k, d).

        Raises:
            AnnotatorError: fewer than two images, or one that cannot be decoded.
        """
        path = cache_dir() / "features" / f"{digest_of({'instrument': instrument, 'reference': self.digest()})}.npy"
        cached = _read(path)
        if cached is not None:
            return cached
        parts = [embed(chunk) for chunk in self._chunks()]
        features = np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
        if len(features) < 2:
            raise AnnotatorError(f"{self.images} holds {len(features)} images, at least 2 are needed")
        _write(path, features)
        return features

    def digest(self) -> str:
        """sha256 over what the images are: their files, or how they are rendered."""
        return _digest(self)

    def paths(self) -> list[Path]:
        """The files of a folder that are read."""
        folder = Path(self.images).expanduser()
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)[: self.n]

    def _chunks(self) -> Iterator[list[NDArray[np.uint8]]]:
        if self.images == _RENDERER:
            for pictures in _rendered(self.n):
                yield list(pictures)
            return
        paths = self.paths()
        for start in range(0, len(paths), _CHUNK):
            yield [_decode(path) for path in paths[start : start + _CHUNK]]


@functools.lru_cache(maxsize=8)
def _digest(reference: Reference) -> str:
    content: dict[str, Any] = {"n": reference.n}
    if reference.images == _RENDERER:
        # The first pictures stand for all: any change of people, shares or drawing shows in them.
        first = next(_rendered(min(reference.n, 64)))
        content |= {"seed": _SEED, "pictures": hashlib.sha256(first.tobytes()).hexdigest()}
    else:
        content["files"] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in reference.paths()]
    return digest_of(content)


def _rendered(n: int) -> Iterator[NDArray[np.uint8]]:
    """Held-out people under the planted shares, 64x64; the first k do not depend on ``n``."""
    from audit.reference.render import render
    from audit.reference.world import sample_people

    for start in range(0, n, 64):
        rng = np.random.default_rng([_SEED, start])
        yield render(sample_people(64, rng=rng, identity_pool="heldout")[: min(64, n - start)])


def _decode(path: Path) -> NDArray[np.uint8]:
    from audit.images import decode  # Pillow is imported on first use

    try:
        return decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AnnotatorError(
            f"cannot be decoded: {error}", where=str(path), hint="remove or replace the file"
        ) from error


def _read(path: Path) -> NDArray[np.float32] | None:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None  # not there, or half a file of an interrupted copy: it is computed again
    good = array.ndim == 2 and array.dtype == np.float32 and np.isfinite(array).all()
    return array if good else None


def _write(path: Path, array: NDArray[np.float32]) -> None:
    """Atomically; a cache that cannot be written is no reason to fail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, array, allow_pickle=False)
        Path(name).replace(path)
    except OSError:
        return
