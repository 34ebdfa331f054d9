# SPDX-License-Identifier: Apache-2.0
"""Requests to answers, answers to stored, stamped rows. A generator may fail on any image; the run does not."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import AuditError, StoreError
from audit.images import file_of, is_constant, pixel_digest, pixels_of, thumbnail
from audit.provenance import Claim, Stamper
from audit.runs._drawer import GaveUp, Raised
from audit.runs._files import to_json
from audit.runs._spent import Spent
from audit.runs.store import Run
from audit.types import Generation, Generator, GeneratorSpec, ImageRecord, Outcome, Request, Scalar, size_of

__all__ = ["Shelf", "Stamp", "answer", "claim_for", "stamp_with", "store"]

Stamp = Callable[[bytes, Request], bytes]
Row = dict[str, Any]


def answer(generator: Generator, batch: Sequence[Request]) -> list[Generation]:
    """One generation a request, in the order of ``batch``; what the generator raises becomes ERROR rows.

    A batch that fails is asked again one by one, so that one bad request takes no other with it. An answer without a
    time gets its share of the batch's, unless the generator says ``timed = False`` (it did not draw).

    Raises:
        AuditError: the generator cannot be driven at all (missing weights, wrong class).
    """
    start = time.perf_counter()
    try:
        found = {generation.request_id: generation for generation in generator.generate(batch)}
    except AuditError:
        raise
    except GaveUp as error:
        return [_error(request, str(error)) for request in batch]
    except Exception as error:  # noqa: BLE001 - whatever a foreign generator raises is a finding about it
        if len(batch) == 1:
            return [_error(batch[0], _told(error))]
        return [generation for request in batch for generation in answer(generator, [request])]
    share = (time.perf_counter() - start) / len(batch) if getattr(generator, "timed", True) else None
    complete = [found.get(request.id) or _error(request, "the generator returned no answer") for request in batch]
    return [g if g.seconds is not None or g.outcome is Outcome.ERROR else replace(g, seconds=share) for g in complete]


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, Raised | TimeoutError) else f"{type(error).__name__}: {error}"


def _error(request: Request, message: str) -> Generation:
    return Generation(request.id, Outcome.ERROR, message=message[:2000])


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the answers of one generator go, and what happens to them on the way.

    Attributes:
        run: the run folder.
        stamp: signs a file; None: nothing is signed.
        plain: whether a picture of one colour is an image.
        spent: told how long each kind of work took.
    """

    run: Run
    stamp: Stamp | None
    plain: bool
    spent: Spent


def store(shelf: Shelf, index: str, pairs: Sequence[tuple[Request, Generation]]) -> list[ImageRecord]:
    """Checks, stamps and stores the answers that a chunk still lacked; returns what instruments are to see of them."""
    rows, records = [], []
    for request, generation in pairs:
        row, record = _row(shelf, request, generation)
        rows.append(row)
        records += [record] if record else []
    with shelf.spent.on("write"):
        shelf.run.add_generations(index, [*shelf.run.kept(index), *rows])
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in Outcome}
    generator = pairs[0][0].generator
    shelf.run.log("generated", generator=generator, part=index, **{str(o): c for o, c in counts.items() if c})
    return records


def _row(shelf: Shelf, request: Request, generation: Generation) -> tuple[Row, ImageRecord | None]:
    spent = shelf.spent
    row: Row = {
        "request_id": request.id,
        "generator": request.generator,
        "outcome": str(generation.outcome),
        "seconds": generation.seconds,
        "message": generation.message,
        "meta": to_json(dict(generation.meta)),
    }
    if generation.outcome is not Outcome.IMAGE:
        return row, None
    try:
        with spent.on("decode"):
            rgb = pixels_of(generation)
            _check(rgb, request.params, plain=shelf.plain)
    except ValueError as error:
        file = generation.meta.get("file_name")  # finished images have one
        message = f"{file}: {error}" if file else str(error)
        return {**row, "outcome": str(Outcome.ERROR), "message": message}, None
    with spent.on("encode"):
        data, media_type = file_of(generation)
        thumb = thumbnail(rgb)
    if shelf.stamp:
        try:
            with spent.on("stamp"):
                data = shelf.stamp(data, request)
        except StoreError as error:  # the image itself resists (damaged credentials, odd format): keep it as it came
            row["message"] = f"not stamped: {error.message}"
    with spent.on("write"):
        sha256 = shelf.run.add_image(data, media_type, thumb)
    row |= {"sha256": sha256, "media_type": media_type, "height": rgb.shape[0], "width": rgb.shape[1]}
    row["pixels"] = pixel_digest(rgb)
    return row, ImageRecord.of(request, sha256=sha256, data=data, rgb=rgb)


def _check(rgb: NDArray[np.uint8], params: Mapping[str, Scalar], *, plain: bool) -> None:
    """Raises ValueError for a picture that is none: one colour all over, or not of the size that was asked for.

    A black frame is what many safety filters and half-precision overflows leave; scored, it can beat real pictures.
    """
    if not plain and is_constant(rgb):
        colour = "#" + "".join(f"{int(level):02x}" for level in rgb[0, 0])
        raise ValueError(f"the picture is one colour, {'black' if colour == '#000000' else colour}: nothing was drawn")
    height, width = rgb.shape[:2]
    asked = size_of(params) or (width, height)
    if asked != (width, height):
        raise ValueError(f"the picture has {width}x{height} pixels, asked for was {asked[0]}x{asked[1]}")


def stamp_with(stamper: Stamper, spec: GeneratorSpec) -> Stamp:
    """A stamp that names ``spec`` as what drew the image."""
    return lambda data, request: stamper.stamp(data, claim_for(request, spec)).data


def claim_for(request: Request, spec: GeneratorSpec) -> Claim:
    """What the credentials say: which model, which request, when - and a digest of the prompt, never its text."""
    return Claim(
        title=f"{request.generator} {request.id[:12]}",
        generator=spec.name,
        generator_digest=spec.digest,
        request_id=request.id,
        prompt_sha256=hashlib.sha256(request.prompt.text.encode()).hexdigest(),
        seed=str(request.seed),
        when=datetime.now(UTC),
        params=dict(request.params),
    )
