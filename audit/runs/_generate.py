# SPDX-License-Identifier: Apache-2.0
"""One chunk of requests to stored, stamped rows. A generator may fail on any image; the run does not."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from audit.errors import AuditError, StoreError
from audit.images import decode, thumbnail
from audit.provenance import Claim, Stamper
from audit.runs._files import to_json
from audit.runs.store import Run
from audit.types import Generation, Generator, GeneratorSpec, Outcome, Request

__all__ = ["Stamp", "answer", "claim_for", "store"]

Stamp = Callable[[bytes, Request], bytes]


def answer(generator: Generator, batch: Sequence[Request]) -> list[Generation]:
    """One generation a request, in the order of ``batch``; what the generator raises becomes ERROR rows.

    Raises:
        AuditError: the generator cannot be driven at all (missing weights, wrong class).
    """
    start = time.perf_counter()
    try:
        found = {generation.request_id: generation for generation in generator.generate(batch)}
    except AuditError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a foreign generator raises is a finding about it
        if len(batch) == 1:
            return [_error(batch[0], f"{type(error).__name__}: {error}")]
        return [generation for request in batch for generation in answer(generator, [request])]
    share = (time.perf_counter() - start) / len(batch)
    complete = [found.get(request.id) or _error(request, "the generator returned no answer") for request in batch]
    return [g if g.seconds is not None or g.outcome is Outcome.ERROR else replace(g, seconds=share) for g in complete]


def _error(request: Request, message: str) -> Generation:
    return Generation(request.id, Outcome.ERROR, message=message[:2000])


def store(run: Run, index: str, pairs: Sequence[tuple[Request, Generation]], stamp: Stamp | None) -> dict[Outcome, int]:
    """Stamps and stores one chunk; returns how many of each outcome."""
    rows = [_row(run, request, generation, stamp) for request, generation in pairs]
    run.add_generations(index, rows)
    outcomes = [Outcome(row["outcome"]) for row in rows]
    return {outcome: outcomes.count(outcome) for outcome in Outcome}


def _row(run: Run, request: Request, generation: Generation, stamp: Stamp | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "request_id": request.id,
        "generator": request.generator,
        "outcome": str(generation.outcome),
        "seconds": generation.seconds,
        "message": generation.message,
        "meta": to_json(dict(generation.meta)),
    }
    if generation.image is None:
        return row
    try:
        rgb = decode(generation.image)
    except ValueError as error:
        return {**row, "outcome": str(Outcome.ERROR), "message": str(error)}
    media_type = generation.media_type or "image/png"
    data = generation.image
    if stamp:
        try:
            data = stamp(data, request)
        except StoreError as error:  # the image itself resists (damaged credentials, odd format): keep it as it came
            row["message"] = f"not stamped: {error.message}"
    sha256 = run.add_image(data, media_type, thumbnail(rgb))
    return {**row, "sha256": sha256, "media_type": media_type, "height": rgb.shape[0], "width": rgb.shape[1]}


def stamp_with(stamper: Stamper, spec: GeneratorSpec) -> Stamp:
    """A stamp that names ``spec`` as what drew the image."""
    return lambda data, request: stamper.stamp(data, claim_for(request, spec))


def claim_for(request: Request, spec: GeneratorSpec) -> Claim:
    """What the credentials say: which model, which request, when - and a digest of the prompt, never its text."""
    return Claim(
        title=f"{request.generator} {request.id[:12]}",
        generator=spec.name,
        generator_digest=spec.digest,
        request_id=request.id,
        request_digest=hashlib.sha256(request.prompt.text.encode()).hexdigest(),
        seed=str(request.seed),
        when=datetime.now(UTC),
        params=dict(request.params),
    )
