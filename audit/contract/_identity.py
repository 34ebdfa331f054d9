# SPDX-License-Identifier: Apache-2.0
"""Who it is, whether it loads, and whether every request gets its one answer."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from audit.contract._desk import Desk, told
from audit.contract._rows import Row, State
from audit.errors import AuditError
from audit.images import is_constant
from audit.types import Generator, GeneratorSpec, Outcome

__all__ = ["answers", "failed", "identity", "loads", "pictures"]


def failed(check: str, error: Exception) -> Row:
    """The row for a generator that cannot be driven."""
    hint = error.hint if isinstance(error, AuditError) else None
    return Row(check, State.BAD, told(error), means="no audit of it can be run", hint=hint or "")


def identity(generator: Generator) -> Iterator[Row]:
    """What it says about itself."""
    spec: Any = generator.spec
    if not isinstance(spec, GeneratorSpec):
        hint = "return an audit.types.GeneratorSpec"
        yield Row("spec", State.BAD, f"is a {type(spec).__name__}", means="no run can be recorded", hint=hint)
        return
    yield _spec(spec, generator.spec)
    means = "nobody can show later which weights drew the pictures"
    known = spec.digest is not None
    digest = f"sha256 {spec.digest[:16]}..." if spec.digest is not None else "none: the weights cannot be seen"
    yield Row("digest", State.OK if known else State.CANNOT, digest, {"digest": spec.digest}, "" if known else means)
    state = State.OK if spec.licence else State.CANNOT
    yield Row("licence", state, spec.licence or "not told", {"licence": spec.licence})


def _spec(spec: GeneratorSpec, again: Any) -> Row:
    words = ", ".join(sorted(spec.capabilities)) or "nothing"
    found = f"{spec.kind} {spec.model}; takes {words}"
    figures = {"kind": spec.kind, "model": spec.model, "capabilities": words}
    try:
        json.dumps({**asdict(spec), "capabilities": sorted(spec.capabilities)}, allow_nan=False)
    except (TypeError, ValueError) as error:
        hint = "keep text, whole and finite numbers, true, false and None in `details`"
        return Row("spec", State.BAD, f"not JSON: {error}", figures, "the run's manifest cannot be written", hint)
    if again != spec:
        names = [name for name, value in asdict(spec).items() if asdict(again).get(name) != value]
        means = "a resumed run takes it for another generator, and stops"
        hint = "compute it once; leave out times, counters and addresses"
        return Row("spec", State.BAD, f"{', '.join(names)} changed when asked again", figures, means, hint)
    return Row("spec", State.OK, found, figures)


def loads(generator: Generator, start: float) -> Row:
    """How long it took from ``start`` until it can draw, in seconds. Raises what the generator raises."""
    getattr(generator, "load", lambda: None)()
    seconds = time.perf_counter() - start
    return Row("loads", State.OK, f"built and loaded in {seconds:.1f} s", {"seconds": round(seconds, 3)})


def answers(desk: Desk) -> Iterator[Row]:
    """Draws the main batch, and asks for nothing. Raises AuditError where it cannot be driven."""
    desk.first = desk.ask(desk.batch)
    asked, faults = len(desk.batch), desk.first.faults
    figures = {"asked": asked, "faults": sum(faults.values())}
    if faults:
        words = ", ".join(f"{count} {what}" for what, count in faults.items())
        means = "images that vanish or are mixed up make every share wrong; a run counts the missing as errors"
        hint = "return one Generation a request, with the request's own id"
        yield Row("answers", State.BAD, f"{asked} requests: {words}", figures, means, hint)
    elif desk.first.raised:
        means = "a run asks one by one then, which is slow"
        yield Row("answers", State.WARN, f"the batch of {asked} raised {desk.first.raised}", figures, means)
    else:
        yield Row("answers", State.OK, f"{asked} requests, one answer each, with the right ids", figures)
    yield _empty(desk)


def _empty(desk: Desk) -> Row:
    means, hint = "whoever has nothing to ask is told that it failed", "return an empty list for an empty batch"
    try:
        found = list(desk.generator.generate([]))
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return Row("empty batch", State.BAD, f"raised {told(error)}", means=means, hint=hint)
    if found:
        return Row("empty batch", State.BAD, f"{len(found)} answers to no request", means=means, hint=hint)
    return Row("empty batch", State.OK, "answered with nothing")


def pictures(desk: Desk) -> Iterator[Row]:
    """How many of the main batch are pictures, whether they can be read, and whether there is something on them."""
    seen = list(desk.first.seen.values())
    drawn = [one.rgb for one in seen if one.rgb is not None]
    yield _drawn(desk, len(drawn))
    faults = Counter(one.fault for one in seen if one.fault)
    if faults:
        fault = faults.most_common(1)[0][0]
        hint = "hand on uint8 (height, width, 3) or a whole PNG, JPEG or WebP file, under its own media type"
        means = "a run counts pictures that it cannot read as errors; a wrong type spoils the credentials in a file"
        yield Row("files", State.BAD, f"{sum(faults.values())}: {fault}", {"faults": sum(faults.values())}, means, hint)
    elif drawn:
        yield Row("files", State.OK, "uint8 RGB, readable", {"faults": 0})
    if drawn:
        flat = [rgb for rgb in drawn if is_constant(rgb)]
        black = sum(int(rgb.max()) <= 2 for rgb in flat)
        yield _blank(len(drawn), len(flat), black, plain=desk.inquiry.plain)


def _drawn(desk: Desk, drawn: int) -> Row:
    asked = len(desk.batch)
    outcomes = Counter(str(one.outcome or "no answer") for one in desk.first.seen.values())
    found = ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items()))
    if drawn == asked:
        return Row("pictures", State.OK, f"{drawn} of {asked}", dict(outcomes))
    others = [one for one in desk.first.seen.values() if one.outcome not in (Outcome.IMAGE, None)]
    found += f"; the first: {others[0].message[:200]}" if others else ""
    hint = "ask what it can draw, with --prompt and --param, or with an audit file as --generator"
    means = "nothing below can be judged" if not drawn else "they are rows of their own in every table"
    return Row("pictures", State.WARN if drawn else State.BAD, found, dict(outcomes), means, hint)


def _blank(drawn: int, flat: int, black: int, *, plain: bool) -> Row:
    figures = {"pictures": drawn, "one_colour": flat, "black": black}
    if not flat:
        return Row("content", State.OK, f"none of {drawn} is of one colour", figures)
    found = f"{flat} of {drawn} are of one colour, {black} of them black"
    if plain:
        return Row("content", State.OK, f"{found} (`plain: true` allows it)", figures)
    means = "a run counts them as errors: filters and overflows leave such frames, and some scores prefer them"
    hint = "load it with dtype float32 or bfloat16, leave out its filter, or say `plain: true` in the audit file"
    return Row("content", State.BAD, found, figures, means, hint)
