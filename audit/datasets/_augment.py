# SPDX-License-Identifier: Apache-2.0
"""Augment: disturbed copies whose parents are known, to see what instruments and credentials make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from audit.datasets._pixels import pixels, sift
from audit.datasets._records import Progress, Reason, Record, Refused
from audit.datasets._store import Summary, building, finish, open_set, put, summary
from audit.datasets._transforms import Transform, encoded, parse
from audit.errors import ConfigError
from audit.images import MAX_PIXELS

__all__ = ["augment"]


@dataclass(frozen=True, slots=True)
class _Plan:
    chain: Sequence[Transform]
    seed: int
    folder: Path


def augment(
    source: Path,
    out: Path,
    *,
    transforms: Sequence[str],
    seed: int = 0,
    copies: int = 1,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> Summary:
    """Make a set of disturbed copies of another.

    What is drawn depends on the seed, the digest of the image and the number of the copy, not on the order or on what
    else is in the set.

    Args:
        source: folder of the set.
        out: folder of the new set.
        transforms: applied one after another, e.g. ``["crop:share=0.8..1", "jpeg:quality=60"]``.
        seed: same seed, same bytes.
        copies: how many of each image.
        force: replace a set at ``out``.
        progress: told what, how many are done, of how many.

    Raises:
        ConfigError: an unknown transform or parameter; ``out`` is taken.
        StoreError: ``source`` is no set or damaged, or the disk says no.
    """
    chain = [parse(text) for text in transforms]
    if not chain or copies < 1 or seed < 0:
        raise ConfigError("a transform, a copy and a seed from 0 are needed", where="augment", hint="see --help")
    before = open_set(source)
    with building(out, force=force, inputs=[source]) as folder:
        plan = _Plan(chain, seed, folder)

        def work(record: Record, data: bytes) -> list[Record]:
            image = Image.fromarray(pixels(data))
            return [_copy(record, image, plan, copy) for copy in range(1, copies + 1)]

        good, dropped = sift(before, work, step="augment", progress=progress)
        line = finish(
            folder,
            step="augment",
            options={"transforms": list(transforms), "seed": seed, "copies": copies},
            given=[record.key for record in before.records],
            origins=[record.key for record, _ in good],
            records=[made for _, copied in good for made in copied],
            dropped=dropped,
            before=before,
        )
    return summary(line, out)


def _copy(record: Record, image: Image.Image, plan: _Plan, copy: int) -> Record:
    """Make and store one copy."""
    rng = np.random.default_rng([plan.seed, copy, int(record.sha256[:16], 16)])
    words, values = [], {}
    for transform in plan.chain:
        values = transform.draw(rng)
        if image.width * image.height * values.get("scale", 0.0) ** 2 > MAX_PIXELS:
            raise Refused(Reason.TOO_LARGE, f"{transform.name} makes more than {MAX_PIXELS} pixels of it")
        image = transform.apply(image, values, rng)
        words.append(":".join(filter(None, [transform.name, ",".join(f"{k}={v:.6g}" for k, v in values.items())])))
    data, media_type = encoded(image, plan.chain[-1], values)
    made = replace(
        record,
        sha256=hashlib.sha256(data).hexdigest(),
        name=f"{record.name}~{copy}",
        width=image.width,
        height=image.height,
        mode="RGB",
        media_type=media_type,
        parent=record.sha256,
        meta={**record.meta, "transforms": " ".join(words), "copy": copy},
    )
    put(plan.folder, data, made)
    return made
