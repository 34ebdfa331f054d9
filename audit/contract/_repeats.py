# SPDX-License-Identifier: Apache-2.0
"""Whether a picture is a function of its request: of the seed, and not of batch, order, neighbours or process."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from audit.contract._desk import Desk
from audit.contract._inquiry import prompt_of
from audit.contract._rows import Row, State
from audit.contract._seen import Difference, different
from audit.types import Generator, Request, Scalar

__all__ = ["batches", "fresh", "order", "repeats", "seeds"]

_LONG = " in soft light, in front of a plain wall, seen from the front, with much detail" * 3


def seeds(desk: Desk) -> Row:
    """How many different pictures there are among those with different seeds."""
    shown = [(request.prompt.id, desk.first.seen[request.id].rgb) for request in desk.batch]
    there = [(prompt, rgb) for prompt, rgb in shown if rgb is not None]
    prompts, drawn = len({prompt for prompt, _ in there}), len(there)
    found = different([rgb for _, rgb in there], tolerance=desk.inquiry.tolerance)
    figures = {"pictures": drawn, "different": found, "effective_n": found}
    words = f"{found} different pictures of {drawn} (effective n {found})"
    if drawn < 2:
        return Row("seeds", State.CANNOT, "fewer than two pictures", figures)
    if found <= prompts < drawn or found == 1:
        means = f"{drawn} pictures are worth {found}: every interval would be too narrow"
        hint = "pass `request.seed` to whatever draws; a server may answer equal prompts from a cache"
        return Row("seeds", State.BAD, words, figures, means, hint)
    if not desk.can("seed"):
        means = "runs cannot be repeated; pairs of generators do not share their luck"
        return Row("seeds", State.CANNOT, f"takes no seed; {words}", figures, means)
    if found < drawn:
        means = f"n is {found}, not {drawn}, where pictures repeat"
        return Row("seeds", State.WARN, words, figures, means, "does it use all 63 bits of the seed?")
    return Row("seeds", State.OK, words, figures)


def repeats(desk: Desk) -> Row:
    """The same batch again. Raises AuditError."""
    difference = desk.compare(desk.ask(desk.batch))
    desk.steady = difference.compared > 0 and not difference.differing
    row = _same(
        desk,
        "repeats",
        {"asked again": difference},
        means="a run that stops cannot be resumed, and nobody can draw the pictures again",
        hint="seed everything it draws from: one torch.Generator or numpy Generator a request, never the global one",
    )
    if row.state is not State.BAD or desk.can("seed"):
        return row
    found = f"takes no seed; asked again: {difference}"
    return Row("repeats", State.CANNOT, found, row.figures, "runs cannot be repeated")


def batches(desk: Desk) -> Row:
    """The requests of the main batch alone and in pairs. Raises AuditError."""
    if not desk.steady:
        return _unsteady("batch size")
    desk.alone = desk.ask_in([request] for request in desk.batch)
    pairs = desk.ask_in(desk.batch[start : start + 2] for start in range(0, len(desk.batch), 2))
    return _same(
        desk,
        "batch size",
        {"alone": desk.compare(desk.alone), "in pairs": desk.compare(pairs)},
        means="pictures change with `batch_size`, and where a run was interrupted",
        hint="draw at one fixed batch size and fill the last one up; last bits only: --tolerance 1 accepts them",
    )


def order(desk: Desk) -> Iterator[Row]:
    """The main batch reversed, shuffled, and with half of it replaced by other prompts. Raises AuditError."""
    if not desk.steady:
        yield _unsteady("order")
        yield _unsteady("neighbours")
        return
    shuffled = random.Random(0).sample(desk.batch, len(desk.batch))  # noqa: S311 - any fixed order does
    turned = {
        "reversed": desk.compare(desk.ask(desk.batch[::-1])),
        "shuffled": desk.compare(desk.ask(shuffled)),
    }
    means = "pictures depend on their place in the batch, so two runs of the same plan differ"
    hint = "seed by request, not by position; draw each picture's noise from its own seed"
    yield _same(desk, "order", turned, means=means, hint=hint)
    others = desk.ask(_among_others(desk))
    means = "what one prompt draws depends on what else is asked: groups are no longer independent"
    hint = "pad texts to one fixed length, and let no statistic run over the batch"
    yield _same(desk, "neighbours", {"beside other prompts": desk.compare(others)}, means=means, hint=hint)


def _among_others(desk: Desk) -> list[Request]:
    """The main batch with every second request replaced by one with a longer prompt."""
    return [
        request if k % 2 == 0 else desk.request(prompt_of(request.prompt.text + _LONG), seed=request.seed + 1)
        for k, request in enumerate(desk.batch)
    ]


def fresh(desk: Desk, generator: Generator) -> Row:
    """The main batch from a generator that was started again. Raises what that raises."""
    if generator.spec != desk.spec:
        means = "a resumed run takes it for another generator, and stops"
        hint = "make the spec of files and settings only; hash() of a text differs between processes"
        return Row("started again", State.BAD, "it tells another spec", means=means, hint=hint)
    if not desk.steady:
        return _unsteady("started again")
    second = Desk(generator, desk.inquiry)
    return _same(
        desk,
        "started again",
        {"started again": desk.compare(second.ask(desk.batch))},
        means="a run that is resumed mixes pictures of two generators",
        hint="leave out process ids, times and hash(): they differ between processes",
    )


def _unsteady(check: str) -> Row:
    return Row(check, State.CANNOT, "cannot be told: the same request is not answered the same anyway")


def _same(desk: Desk, check: str, found: Mapping[str, Difference], *, means: str, hint: str) -> Row:
    """The row of a promise that some ways of asking come to the same."""
    figures: dict[str, Scalar] = {}
    for way, difference in found.items():
        figures |= difference.figures(way.replace(" ", "_"))
    if not any(difference.compared for difference in found.values()):
        return Row(check, State.CANNOT, "cannot be told: no answers to compare", figures)
    bad = any(difference.differing for difference in found.values())
    if len({str(difference) for difference in found.values()}) == 1:
        words = f"{_listed(list(found))}: {next(iter(found.values()))}"
    else:
        words = "; ".join(f"{way}: {difference}" for way, difference in found.items())
    if bad:
        return Row(check, State.BAD, words, figures, means, hint)
    within = any(difference.largest for difference in found.values())
    return Row(check, State.OK, words + (f"; {desk.inquiry.tolerance} is tolerated" if within else ""), figures)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(words)
