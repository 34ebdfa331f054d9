# SPDX-License-Identifier: Apache-2.0
"""Whether what is asked for shows: prompts, sizes, negative prompts, guidance, steps - and what odd prompts do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from audit.contract._desk import Desk, Reply
from audit.contract._inquiry import ODD, prompt_of
from audit.contract._rows import Row, State
from audit.contract._seen import compare, different
from audit.errors import AuditError
from audit.types import Outcome, Request, Scalar, size_of

__all__ = ["after_errors", "knobs", "odd_prompts", "prompts", "sizes"]

_NEGATIVE = "glasses, hat, dark background, blurry"
_LONG_NAMES = {"steps": "num_inference_steps", "guidance": "guidance_scale"}


def prompts(desk: Desk) -> Row:
    """The prompts with one seed. Raises AuditError."""
    if not desk.can("text", "class"):
        return Row("prompts", State.CANNOT, "takes neither text nor class", means="audited as a whole, not by prompt")
    asked = desk.inquiry.asked(desk.spec)
    if len(asked) < 2:
        return Row("prompts", State.CANNOT, "only one prompt was given", hint="give another one with --prompt")
    if not desk.steady:
        return Row("prompts", State.CANNOT, "cannot be told: pictures of one prompt and seed differ anyway")
    reply = desk.ask([desk.request(prompt, seed=desk.base.seed) for prompt in asked])
    drawn = [seen.rgb for seen in reply.seen.values() if seen.rgb is not None]
    found = different(drawn, tolerance=desk.inquiry.tolerance)
    figures = {"pictures": len(drawn), "different": found}
    words = f"{len(drawn)} prompts, one seed: {found} different pictures"
    if len(drawn) < 2:
        return Row("prompts", State.CANNOT, "fewer than two pictures", figures)
    if found == 1:
        means = "every number by prompt or group would be one and the same"
        return Row("prompts", State.BAD, words, figures, means, "pass `request.prompt.text` to whatever draws")
    if found < len(drawn):
        return Row("prompts", State.WARN, words, figures, "some prompts mean the same to it")
    return Row("prompts", State.OK, words, figures)


def sizes(desk: Desk) -> Row:
    """Whether all pictures have one size, the one that was asked for; and another one where it claims sizes."""
    found = Counter(seen.rgb.shape[1::-1] for seen in desk.first.seen.values() if seen.rgb is not None)
    if not found:
        return Row("size", State.CANNOT, "no pictures")
    words = ", ".join(f"{count} of {width}x{height}" for (width, height), count in found.most_common(4))
    width, height = found.most_common(1)[0][0]
    figures: dict[str, Scalar] = {"width": width, "height": height, "sizes": len(found)}
    wanted = size_of(desk.inquiry.params)
    wrong = [size for size in found if wanted not in (None, size)]
    means = "a run counts pictures of another size than asked for as errors"
    if wanted and wrong:
        asked = f"{wanted[0]}x{wanted[1]}"
        return Row("size", State.BAD, f"asked for {asked}: {words}", figures, means, "draw the size that is asked for")
    if len(found) > 1:
        means = "most measures depend on size: pictures cannot be compared"
        state = State.BAD if desk.can("size") else State.WARN
        return Row("size", state, words, figures, means, "draw, or bring, all pictures at one size")
    if not desk.can("size"):
        return Row("size", State.OK, f"{width}x{height} throughout; takes no size", figures)
    return _other_size(desk, width, height, figures)


def _other_size(desk: Desk, width: int, height: int, figures: dict[str, Scalar]) -> Row:
    want = tuple(edge // 2 if min(width, height) >= 128 else edge * 2 for edge in (width, height))
    named = {"width", "height"} & set(desk.inquiry.params)
    params: dict[str, Any] = dict(zip(("width", "height"), want, strict=True)) if named else {"size": _written(want)}
    asked = f"{want[0]}x{want[1]}"
    same = f"{width}x{height} throughout"
    try:
        seen = next(iter(desk.ask([desk.request(desk.base.prompt, **params)]).seen.values()))
    except AuditError as error:
        return Row("size", State.WARN, f"{same}; {asked} was refused: {error}", figures, "this size cannot be audited")
    if seen.rgb is None:
        return Row("size", State.WARN, f"{same}; {asked} was not drawn: {seen.message[:200]}", figures)
    if seen.rgb.shape[1::-1] != want:
        got = "x".join(map(str, seen.rgb.shape[1::-1]))
        means = "a run counts pictures of another size than asked for as errors"
        hint = "draw `request.params['size']`, or take 'size' out of the capabilities"
        return Row("size", State.BAD, f"asked for {asked}, got {got}", figures, means, hint)
    return Row("size", State.OK, f"{same}; {asked} when asked for", figures)


def _written(size: tuple[int, ...]) -> int | str:
    return size[0] if size[0] == size[1] else f"{size[0]}x{size[1]}"


def knobs(desk: Desk) -> Iterator[Row]:
    """One row for each of negative prompt, guidance and steps. Raises nothing: a refusal is a finding."""
    guidance = _value(desk, "guidance")
    for word in ("negative", "guidance", "steps"):
        if not desk.can(word):
            yield Row(word, State.CANNOT, "not taken")
        elif not desk.steady:
            yield Row(word, State.CANNOT, "cannot be told: pictures of one prompt and seed differ anyway")
        elif word == "negative" and isinstance(guidance, int | float) and guidance <= 1:
            yield Row(word, State.CANNOT, f"no effect is to be expected at guidance {guidance:g}")
        else:
            yield _knob(desk, word)


def _knob(desk: Desk, word: str) -> Row:
    """The first request with and without; each alone, so that only the one thing differs."""
    base = desk.base
    try:
        changed, how = _changed(desk, word, base)
        one, two = desk.ask([base]), desk.ask([changed])
    except AuditError as error:
        hint = f"take {word!r} out of the capabilities, or take it as a parameter"
        return Row(word, State.BAD, f"claimed, and refused: {error}", means="no audit can vary it", hint=hint)
    seen = two.seen[changed.id]
    difference = compare({"": one.seen[base.id]}, {"": seen}, tolerance=desk.inquiry.tolerance)
    figures = difference.figures("changed")
    if seen.rgb is None:
        return Row(word, State.WARN, f"{how}: no picture: {seen.message[:200]}", figures)
    if difference.differing:
        return Row(word, State.OK, f"{how}: largest difference {difference.largest} levels", figures)
    means = "an audit that varies it compares the model with itself"
    hint = "some distilled models ignore it; else hand it on, or take it out of the capabilities"
    return Row(word, State.WARN, f"{how}: the same picture", figures, means, hint)


def _changed(desk: Desk, word: str, base: Request) -> tuple[Request, str]:
    if word == "negative":
        # With a negative prompt already there, another one; an id of its own, as its content differs.
        other = replace(base.prompt, negative=_NEGATIVE)
        return desk.request(other, seed=base.seed), f"negative prompt {_NEGATIVE!r}"
    value = _value(desk, word)
    new: float
    if word == "steps":
        new = 2 if not isinstance(value, int) else value + 1 if value < 4 else value // 2
    else:
        new = 2.25 if not isinstance(value, int | float) else 2 * value + 1
    long = _LONG_NAMES[word]
    name = long if long in desk.inquiry.params else word
    was = "the default" if value is None else f"{value}"
    return desk.request(base.prompt, seed=base.seed, **{name: new}), f"{new:g} instead of {was}"


def _value(desk: Desk, word: str) -> Scalar:
    params = desk.inquiry.params
    return params.get(word, params.get(_LONG_NAMES[word]))


def odd_prompts(desk: Desk) -> Row:
    """A batch of odd prompts with an ordinary one among them."""
    if not desk.can("text", "class"):
        return Row("odd prompts", State.CANNOT, "takes neither text nor class")
    odd = {what: desk.request(prompt_of(text)) for what, text in ODD.items()}
    try:
        reply = desk.ask([desk.base, *odd.values()])
    except AuditError as error:
        means = "one odd prompt ends the whole audit"
        hint = "answer an odd prompt with an ERROR row, or raise an exception of your own, not an AuditError"
        return Row("odd prompts", State.BAD, f"a batch with odd prompts: {error}", means=means, hint=hint)
    outcomes = {what: reply.seen[request.id].outcome for what, request in odd.items()}
    words, figures = _told(outcomes)
    if reply.lost:
        means = "every such prompt costs a start of the process, and three in a row end the drawing"
        hint = "cut long texts and refuse what it cannot read before that reaches the model"
        return Row("odd prompts", State.BAD, f"{reply.raised}; alone: {words}", figures, means, hint)
    if spoilt := _spoilt(desk, reply, outcomes):
        return replace(spoilt, figures=figures)
    if reply.raised:
        means = "a run asks such a batch again one by one, which is slow"
        return Row("odd prompts", State.WARN, f"the batch raised {reply.raised}; alone: {words}", figures, means)
    return Row("odd prompts", State.OK, words, figures)


def _told(outcomes: Mapping[str, Outcome | None]) -> tuple[str, dict[str, Scalar]]:
    """How odd prompts ended, in words and figures, with those named that ended as errors."""
    kinds = Counter(str(outcome or "no answer") for outcome in outcomes.values())
    words = ", ".join(f"{count} {word}" for word, count in sorted(kinds.items()))
    bad = [what for what, outcome in outcomes.items() if outcome is Outcome.ERROR]
    return words + (f" ({', '.join(bad)})" if bad else ""), dict(kinds)


def _spoilt(desk: Desk, reply: Reply, outcomes: Mapping[str, Outcome | None]) -> Row | None:
    """The row for odd prompts that take others with them, or vanish."""
    ordinary = reply.seen[desk.base.id].outcome
    if ordinary not in (Outcome.IMAGE, None):
        means, hint = "one odd prompt takes its neighbours with it", "answer each request by itself"
        return Row("odd prompts", State.BAD, f"an ordinary prompt beside them ended as {ordinary}", {}, means, hint)
    missing = [what for what, outcome in outcomes.items() if outcome is None]
    if missing and not desk.first.faults:
        means, hint = "images vanish: a run counts them as errors", "answer with an ERROR row that says why"
        return Row("odd prompts", State.BAD, f"no answer to: {', '.join(missing)}", {}, means, hint)
    return None


def after_errors(desk: Desk) -> Row:
    """A request that should fail, then the first one again."""
    desk.forgive()
    first = desk.base
    provoked = _provoke(desk, first)
    means = "after one failure, all that follows is wrong"
    hint = "restore what a request changes in a `finally`"
    try:
        reply: Reply = desk.ask([first])
    except AuditError as error:
        return Row("after errors", State.BAD, f"{provoked}; asked again: {error}", means=means, hint=hint)
    before = desk.alone if desk.alone.seen else desk.first
    difference = compare(
        {first.id: before.seen[first.id]}, reply.seen, tolerance=desk.inquiry.tolerance if desk.steady else 255
    )
    figures = difference.figures("again")
    if difference.differing:
        return Row("after errors", State.BAD, f"{provoked}; asked again: {difference}", figures, means, hint)
    again = str(difference) if desk.steady else "answered"
    return Row("after errors", State.OK, f"{provoked}; asked again: {again}", figures)


def _provoke(desk: Desk, first: Request) -> str:
    try:
        reply = desk.ask([desk.request(first.prompt, no_such_parameter="?")])
    except AuditError:
        return "an unknown parameter is refused"
    return "an unknown parameter is an error" if reply.errors else "an unknown parameter is ignored"
