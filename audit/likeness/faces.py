# SPDX-License-Identifier: Apache-2.0
"""The bundled face embedder, the bundled gallery of people that never existed, and strangers to calibrate against."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.errors import AnnotatorError
from audit.likeness.gallery import Consent, Gallery

__all__ = ["FaceModel", "reference_gallery", "reference_strangers"]

_FACE_THRESHOLD: Final = 0.5
_POSES: Final = 12
_CHUNK: Final = 256
_FICTION: Final = Consent(basis="fictional person, drawn by the bundled renderer", holder="genaudit", expires=None)


class FaceModel:
    """The bundled networks as an `Embedder`: one finds the face, the other embeds it. Loaded on first use.

    Args:
        faces: folder of a ``FaceEmbedder``.
        attributes: folder of an ``AttributeNet``, which finds the face.
    """

    def __init__(self, faces: Path, attributes: Path) -> None:
        self.faces, self.attributes = faces, attributes

    @cached_property
    def digest(self) -> str:
        """Sha256 over both models' files. Raises AnnotatorError where they are missing."""
        state = hashlib.sha256(f"face>{_FACE_THRESHOLD}".encode())
        for folder in (self.attributes, self.faces):
            for name in ("config.json", "model.safetensors"):
                state.update(_file_digest(folder / name))
        return state.hexdigest()

    @cached_property
    def _networks(self) -> tuple[Any, Any]:
        from audit.reference.instruments import AttributeNet, FaceEmbedder

        return AttributeNet.from_pretrained(self.attributes), FaceEmbedder.from_pretrained(self.faces)

    def embed(self, images: Sequence[NDArray[np.uint8]], /) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors (n, d) and whether a face was found (n,); images (h, w, 3) of any sizes."""
        finder, embedder = self._networks
        vectors = np.zeros((len(images), embedder.config.dimensions), np.float32)
        found = np.zeros(len(images), np.bool_)
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for position, image in enumerate(images):
            by_shape[image.shape].append(position)
        for positions in by_shape.values():
            stack = np.stack([images[position] for position in positions])
            seen = finder.predict(stack)
            found[positions] = seen["face_p"] > _FACE_THRESHOLD
            vectors[positions] = embedder.embed(stack, seen["box"])
        return vectors, found


def reference_gallery(embedder: FaceModel) -> Gallery:
    """The twenty people of the reference world, each the mean direction of several drawings in other poses and light.

    Raises:
        AnnotatorError: the embedder finds no face in any drawing of a person.
    """
    from audit.reference.render import render
    from audit.reference.world import concat, gallery_people, sample_people

    _, people, _ = gallery_people()
    rng = np.random.default_rng(0)
    more = [sample_people(len(people), rng=rng, identity_id=people.identity_id) for _ in range(_POSES - 1)]
    vectors, found = embedder.embed(list(render(concat([people, *more]))))
    vectors, found = vectors.reshape(_POSES, len(people), -1), found.reshape(_POSES, len(people))
    ids = tuple(f"R-{number:02d}" for number in range(1, len(people) + 1))
    if not found.any(axis=0).all():
        missing = ids[int(found.any(axis=0).argmin())]
        raise AnnotatorError(f"no face found in any drawing of reference {missing}", where="reference:gallery")
    mean = (vectors * found[:, :, None]).sum(axis=0)
    return Gallery(ids, mean, embedder.digest, (_FICTION,) * len(ids))


def reference_strangers(count: int, *, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Drawings (64, 64, 3) of ``count`` people who are neither enrolled nor known to any bundled model."""
    from audit.reference.render import render
    from audit.reference.world import sample_people

    people = sample_people(count, rng=np.random.default_rng(seed), identity_pool="heldout")
    for start in range(0, count, _CHUNK):
        yield from render(people[start : start + _CHUNK])


def _file_digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        hint = f"python -m audit.reference.train {path.parent.name}"
        raise AnnotatorError(f"weights cannot be read: {error.strerror}", where=str(path), hint=hint) from None
