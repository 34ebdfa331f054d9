# SPDX-License-Identifier: Apache-2.0
"""Requests to answers, answers to stored, stamped rows. A generator may fail on any image; the run does not."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import AuditError, StoreError
from audit.images import file_of, is_constant, pixel_digest, pixels_of, thumbnail
from audit.provenance import Claim, Stamped, Stamper
from audit.provenance.store import Kept, ManifestStore
from audit.runs._drawer import GaveUp, Raised
from audit.runs._files import to_json
from audit.runs._spent import Spent
from audit.runs.store import Run
from audit.types import Generation, Generator, GeneratorSpec, ImageRecord, Outcome, Request, Scalar, size_of

__all__ = ["Shelf", "Signing", "answer", "claim_for", "store"]

Row = dict[str, Any]
Pixels = NDArray[np.uint8]


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
class Signing:
    """How the answers of one generator are signed.

    Attributes:
        stamper: signs, and puts a watermark in where it has one.
        spec: what drew the images.
        run_id: named in the credentials.
        public_prompts: whether prompts stand in the files as text.
        manifests: where manifests are kept for images whose watermark shall lead back to them; None: nowhere.
    """

    stamper: Stamper
    spec: GeneratorSpec
    run_id: str
    public_prompts: bool = False
    manifests: ManifestStore | None = None

    def claim(self, request: Request) -> Claim:
        """What the credentials of the image for ``request`` say."""
        return claim_for(request, self.spec, run_id=self.run_id, public_prompt=self.public_prompts)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the answers of one generator go, and what happens to them on the way.

    Attributes:
        run: the run folder.
        signing: how images are signed; None: not at all.
        plain: whether a picture of one colour is an image.
        spent: told how long each kind of work took.
    """

    run: Run
    signing: Signing | None
    plain: bool
    spent: Spent


def store(shelf: Shelf, index: str, pairs: Sequence[tuple[Request, Generation]]) -> list[ImageRecord]:
    """Checks, stamps and stores the answers that a chunk still lacked; returns what instruments are to see of them."""
    rows, records, kept = [], [], []
    for request, generation in pairs:
        row, record, stamped = _row(shelf, request, generation)
        rows.append(row)
        records += [record] if record else []
        if record and stamped and stamped.payload:
            kept.append(Kept.of(stamped, rgb=record.rgb, request_id=request.id, run_id=_run_id(shelf)))
    with shelf.spent.on("write"):
        if kept and shelf.signing and shelf.signing.manifests:
            shelf.signing.manifests.add_many(kept)
        shelf.run.add_generations(index, [*shelf.run.kept(index), *rows])
    counts = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in Outcome}
    generator = pairs[0][0].generator
    shelf.run.log("generated", generator=generator, part=index, **{str(o): c for o, c in counts.items() if c})
    return records


def _row(shelf: Shelf, request: Request, generation: Generation) -> tuple[Row, ImageRecord | None, Stamped | None]:
    row: Row = {
        "request_id": request.id,
        "generator": request.generator,
        "outcome": str(generation.outcome),
        "seconds": generation.seconds,
        "message": generation.message,
        "meta": to_json(dict(generation.meta)),
    }
    if generation.outcome is not Outcome.IMAGE:
        return row, None, None
    try:
        with shelf.spent.on("decode"):
            rgb = pixels_of(generation)
            _check(rgb, request.params, plain=shelf.plain)
    except ValueError as error:
        file = generation.meta.get("file_name")  # finished images have one
        message = f"{file}: {error}" if file else str(error)
        return {**row, "outcome": str(Outcome.ERROR), "message": message}, None, None
    data, media_type, stamped, note = _finished(shelf, request, generation, rgb)
    if stamped is not None and stamped.rgb is not None:
        rgb = stamped.rgb  # what is measured is what people get
    with shelf.spent.on("encode"):
        thumb = thumbnail(rgb)
    with shelf.spent.on("write"):
        sha256 = shelf.run.add_image(data, media_type, thumb)
    row |= {"sha256": sha256, "media_type": media_type, "height": rgb.shape[0], "width": rgb.shape[1]}
    row |= {"pixels": pixel_digest(rgb), "message": note or row["message"]}
    if stamped is not None:
        row |= {"manifest_id": stamped.manifest_id, "payload": stamped.payload}
    return row, ImageRecord.of(request, sha256=sha256, data=data, rgb=rgb), stamped


def _finished(
    shelf: Shelf, request: Request, generation: Generation, rgb: Pixels
) -> tuple[bytes, str, Stamped | None, str | None]:
    """The file to store, its media type, what was signed, and what did not go as it was meant to."""
    signing, note = shelf.signing, None
    if signing is not None and signing.stamper.watermark is not None:
        picture = rgb if generation.image is None else generation.image
        try:
            with shelf.spent.on("mark"):
                stamped = signing.stamper.mark(picture, signing.claim(request))
            return stamped.data, stamped.media_type, stamped, "; ".join(stamped.notes) or None
        except StoreError as error:  # too small, or one colour: signed it is all the same
            note = f"no watermark: {error.message}"
    with shelf.spent.on("encode"):
        data, media_type = file_of(generation)
    if signing is None:
        return data, media_type, None, None
    try:
        with shelf.spent.on("stamp"):
            stamped = signing.stamper.stamp(data, signing.claim(request), checked=True)
    except StoreError as error:  # the image itself resists (damaged credentials, odd format): keep it as it came
        return data, media_type, None, f"not stamped: {error.message}"
    return stamped.data, stamped.media_type, stamped, "; ".join(filter(None, (note, *stamped.notes))) or None


def _run_id(shelf: Shelf) -> str | None:
    return shelf.signing.run_id if shelf.signing else None


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


def claim_for(
    request: Request, spec: GeneratorSpec, *, run_id: str | None = None, public_prompt: bool = False
) -> Claim:
    """What the credentials say: which model, which request of which run, when - and a digest of the prompt.

    The prompt itself is in them only where it is declared public.
    """
    return Claim(
        title=f"{request.generator} {request.id[:12]}",
        generator=spec.name,
        generator_digest=spec.digest,
        request_id=request.id,
        prompt_sha256=hashlib.sha256(request.prompt.text.encode()).hexdigest(),
        seed=str(request.seed),
        when=datetime.now(UTC),
        params=dict(request.params),
        run_id=run_id,
        prompt=request.prompt.text if public_prompt else None,
    )
