# SPDX-License-Identifier: Apache-2.0
"""Images that outputs are compared with: a folder, the rendered world, or published statistics in their place."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import check_options, digest_of
from audit.errors import AnnotatorError, ConfigError
from audit.features import Extractor, FeatureStore, embed_files, embed_pictures
from audit.features.store import read_keys, write_keys

if TYPE_CHECKING:
    from audit.stats.moments import Moments

__all__ = ["Reference"]

_RENDERER = "reference:renderer"
_SEED = 2718  # of the rendered reference: it is one fixed set of people for everybody
_STATISTICS = ".npz"
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})


@dataclass(frozen=True, slots=True)
class Reference:
    """Which images outputs are compared with.

    Attributes:
        images: ``reference:renderer`` (held-out people under the planted shares), a folder, read with its subfolders,
            or a file of published statistics (``.npz`` with ``mu`` and ``sigma``).
        n: how many; of a folder the first ones by name, or all if there are fewer. Means nothing to statistics.
    """

    images: str = _RENDERER
    n: int = 2000

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, where: str) -> Reference:
        """From the configuration. Raises ConfigError."""
        check_options(raw, {"images": str, "n": int}, where=where)
        made = cls(str(raw.get("images") or _RENDERER), 2000 if raw.get("n") is None else int(raw["n"]))
        if made.n < 2:
            raise ConfigError(f"n must be at least 2, got {made.n}", where=where)
        if made.is_statistics and not made._path.is_file():
            raise ConfigError(f"{made.images!r} is not a file", where=where, hint="check the path")
        if made.images != _RENDERER and not made.is_statistics and not made._path.is_dir():
            hint = f"a folder of images, statistics ({_STATISTICS}), or {_RENDERER}"
            raise ConfigError(f"{made.images!r} is not a folder", where=where, hint=hint)
        return made

    @property
    def is_statistics(self) -> bool:
        """Whether there are statistics in place of images."""
        return self.images.lower().endswith(_STATISTICS) and not self._path.is_dir()

    def statistics(self) -> Moments:
        """Published mean and covariance. Raises ConfigError for a file that holds none."""
        from audit.stats.moments import Moments  # scipy is imported on first use

        return Moments.load(self._path)

    def features(self, extractor: Extractor, store: FeatureStore) -> NDArray[np.float32]:
        """Rows (m, D) of the images; those that the store knows are neither decoded nor embedded.

        Args:
            extractor: what embeds.
            store: of the same identity.

        Raises:
            AnnotatorError: fewer than two images, or one that cannot be decoded.
        """
        digest = self.digest()
        keys = read_keys(digest)
        if keys:
            found, rows = store.get(keys)
            if found.all():
                return rows
        keys, rows = self._embedded(extractor, store)
        if len(rows) < 2:
            raise AnnotatorError(f"{self.images} holds {len(rows)} images, at least 2 are needed")
        with suppress(OSError):  # a cache that cannot be written is no reason to fail
            write_keys(digest, keys)
        return rows

    def digest(self) -> str:
        """sha256 over what the images are: their files, or how they are rendered."""
        return _digest(self)

    def paths(self) -> list[Path]:
        """The files of a folder that are read."""
        return sorted(path for path in self._path.rglob("*") if path.suffix.lower() in _SUFFIXES)[: self.n]

    @property
    def _path(self) -> Path:
        return Path(self.images).expanduser()

    def _embedded(self, extractor: Extractor, store: FeatureStore) -> tuple[list[str], NDArray[np.float32]]:
        """Digests of the pixels, and rows."""
        from audit.images import pixel_digest  # Pillow is imported on first use

        if self.images != _RENDERER:
            return embed_files(extractor, self.paths(), store)
        keys, parts = list[str](), [np.empty((0, extractor.width), np.float32)]
        for pictures in _rendered(self.n):
            keys += [pixel_digest(rgb) for rgb in pictures]
            parts.append(embed_pictures(extractor, list(pictures), store))
        return keys, np.concatenate(parts)


@functools.lru_cache(maxsize=8)
def _digest(reference: Reference) -> str:
    content: dict[str, Any] = {"n": reference.n}
    if reference.images == _RENDERER:
        # The first pictures stand for all: any change of people, shares or drawing shows in them.
        first = next(_rendered(min(reference.n, 64)))
        content |= {"seed": _SEED, "pictures": hashlib.sha256(first.tobytes()).hexdigest()}
    elif reference.is_statistics:
        content = {"statistics": hashlib.sha256(Path(reference.images).expanduser().read_bytes()).hexdigest()}
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
