# SPDX-License-Identifier: Apache-2.0
"""Tampering, on purpose and reproducibly: what a verifier must notice, as seeded mutations of signed files.

Three families: any bytes of the file, the container (chunks, text, other credentials, other pixels), and the manifest
store itself, where the forger mends all lengths and checksums and pays for added bytes with padding, so that nothing
but a check of content can notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from audit.provenance import _forge, _forge_store
from audit.provenance._forge import Target

__all__ = ["FORMATS", "Mutation", "mutations", "names"]

#: Media types that have mutations of their own; others get those of any bytes.
FORMATS: Final = ("image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff", "image/gif")
_TRIES: Final = 50


@dataclass(frozen=True, slots=True)
class Mutation:
    """One tampered file.

    Attributes:
        name: kind of mutation, e.g. "bytes.flip", "container.manifest_of_another", "store.padding".
        data: the whole file; never the same bytes as before.
        region: first and last + 1 position, in the old file, between which bytes differ.
        number: of the draw; the same seed and number give the same mutation.
    """

    name: str
    data: bytes = field(repr=False)
    region: tuple[int, int]
    number: int


def mutations(data: bytes, kind: str, *, seed: int, n: int, other: bytes | None = None) -> Iterator[Mutation]:
    """``n`` tampered copies of a signed file, the same for the same arguments.

    Kinds of mutation take turns in random order. In place of one that does not apply to this file, or leaves it as it
    was, another is drawn.

    Args:
        data: the signed file.
        kind: its media type.
        seed: of the random numbers.
        n: how many.
        other: a file of the same format with other credentials, whose parts are mixed in; without it those kinds of
            mutation are left out.

    Example:
        >>> changed = next(mutations(b"GIF89a" + bytes(40), "image/gif", seed=0, n=1))
        >>> changed.data != b"GIF89a" + bytes(40)
        True

    Raises:
        ValueError: nothing can be changed, e.g. the file is empty.
    """
    target = Target.of(data, kind, other)
    for number in range(n):
        turn = np.random.default_rng([seed, number // len(_ORDER)]).permutation(len(_ORDER))[number % len(_ORDER)]
        yield _draw(target, np.random.default_rng([seed, number, 1]), number, first=_ORDER[turn])


def names() -> tuple[str, ...]:
    """All kinds of mutation."""
    return tuple(sorted(_KINDS))


def _draw(target: Target, rng: np.random.Generator, number: int, *, first: str) -> Mutation:
    name = first
    for _ in range(_TRIES):
        changed = _KINDS[name](target, rng)
        if changed is not None and changed != target.data:
            return Mutation(name, changed, _differs(target.data, changed), number)
        name = _ORDER[int(rng.integers(len(_ORDER)))]
    raise ValueError("this file cannot be changed")


def _differs(old: bytes, new: bytes) -> tuple[int, int]:
    if len(old) != len(new):
        short = min(len(old), len(new))
        first = next((i for i in range(short) if old[i] != new[i]), short)
        return first, len(old)
    where = np.flatnonzero(np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8))
    return int(where[0]), int(where[-1]) + 1


_KINDS: Final[dict[str, Callable[[Target, np.random.Generator], bytes | None]]] = {
    "bytes.append": _forge.append,
    "bytes.delete": _forge.delete,
    "bytes.duplicate": _forge.duplicate,
    "bytes.flip": _forge.flip,
    "bytes.flips": _forge.flips,
    "bytes.insert": _forge.insert,
    "bytes.overwrite": _forge.overwrite_random,
    "bytes.set": _forge.set_byte,
    "bytes.swap": _forge.swap,
    "bytes.truncate": _forge.truncate,
    "bytes.zero": _forge.zero,
    "container.checksum": _forge.checksum,
    "container.manifest_of_another": _forge.manifest_of_another,
    "container.metadata": _forge.metadata,
    "container.pixels_drawn_again": _forge.drawn_again,
    "container.pixels_of_another": _forge.pixels_of_another,
    "container.second_manifest": _forge.second_manifest,
    "container.wrapping": _forge.wrapping,
    "store.assertion": _forge_store.assertion,
    "store.assertion_added": _forge_store.assertion_added,
    "store.assertion_dropped": _forge_store.assertion_dropped,
    "store.assertion_of_another": _forge_store.assertion_of_another,
    "store.assertions_swapped": _forge_store.assertions_swapped,
    "store.box_added": _forge_store.box_added,
    "store.certificate": _forge_store.certificate,
    "store.claim": _forge_store.claim,
    "store.claim_of_another": _forge_store.claim_of_another,
    "store.description": _forge_store.description,
    "store.header": _forge_store.header,
    "store.header_entry_added": _forge_store.header_entry_added,
    "store.length": _forge_store.length,
    "store.manifest_twice": _forge_store.manifest_twice,
    "store.padding": _forge_store.padding,
    "store.salt": _forge_store.salt,
    "store.signature": _forge_store.signature,
    "store.signature_of_another": _forge_store.signature_of_another,
    "store.time_stamp": _forge_store.time_stamp,
}
_ORDER: Final = tuple(sorted(_KINDS))
