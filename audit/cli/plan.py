# SPDX-License-Identifier: Apache-2.0
"""``genaudit plan``: how many images the questions of a policy need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audit.planning import Answer, Need
    from audit.runs import Plan

NAME = "plan"
EXAMPLES = """Examples:  genaudit plan examples/quickstart.yaml;  genaudit plan audit.yaml --margin 0.05 --power 0.9
--price 0.04;  genaudit plan audit.yaml --pilot runs/quickstart --json.  Nothing is drawn.  Exit codes: 0 done,
2 configuration."""


def command(
    config: Annotated[Path, typer.Argument(help="Audit file (YAML) with a policy.")],
    *,
    policy: Annotated[str | None, typer.Option(help="Plan for this policy instead of the file's.")] = None,
    margin: Annotated[
        float,
        typer.Option(min=0.001, max=0.9, help="How far beyond a limit a share must be failed, and inside passed."),
    ] = 0.1,
    power: Annotated[float, typer.Option(min=0.05, max=0.999, help="Chance of each of these decisions.")] = 0.8,
    price: Annotated[float | None, typer.Option(min=0, help="Of one image, in whatever currency.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="An image takes.")] = None,
    pilot: Annotated[Path | None, typer.Option(help="Take the seconds an image from this run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say how many images each question needs through this instrument, what they cost, and which to drop."""
    from audit.config import load_config
    from audit.errors import ConfigError
    from audit.planning import images_in_all, needs, questions
    from audit.policy import load_policy
    from audit.runs import make_plan

    settings = load_config(config)
    name = policy or settings.policy
    if name is None:
        raise ConfigError("the audit file names no policy, so nothing is asked", hint="name one with --policy")
    plan = make_plan(settings)
    asked = questions(load_policy(name), plan.probes, [block.name for block in settings.generators])
    if not asked:
        raise ConfigError(f"policy {name} has no rule on bias.representation_gap that these probe sets answer")
    found = needs(asked, _operating(plan), margin=margin, level=settings.level, power=power)
    answers = [answer for need in found for answer in need.answers]
    total = Total(
        needed=images_in_all(answers),
        planned=_planned(plan, answers),
        each_seconds=seconds if seconds is not None else _seconds(pilot),
        each_price=price,
    )
    if as_json:
        typer.echo(json.dumps(_document(found, total, margin=margin, power=power), indent=1))
        return
    for line in _lines(found, total, _repetitions(plan), margin=margin, power=power):
        typer.echo(line)


@dataclass(frozen=True, slots=True)
class Total:
    """Images in all, and what one costs."""

    needed: int
    planned: int
    each_seconds: float | None
    each_price: float | None

    def cost(self, images: int) -> str:
        """In words, empty where nothing is known."""
        parts = []
        if self.each_seconds is not None:
            hours = images * self.each_seconds / 3600
            parts.append(f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes")
        if self.each_price is not None:
            parts.append(f"{images * self.each_price:,.2f} to pay")
        return f" ({', '.join(parts)})" if parts else ""


def _operating(plan: Plan) -> dict[str, Any]:
    """Counts by attribute, of the instruments that the audit will use."""
    from audit.registry import ANNOTATORS
    from audit.runs.instruments import annotator_options

    found: dict[str, Any] = {}
    for name in plan.annotators:
        spec = ANNOTATORS.get(name)(**annotator_options(name, plan.config)).spec
        for _, counts in sorted(spec.operating.items()):
            found.setdefault(counts.attribute, counts)
    return found


def _repetitions(plan: Plan) -> dict[str, int]:
    """Planned images a prompt, by probe set."""
    found: dict[str, int] = {}
    for request in plan.requests:
        found[request.prompt.probe] = max(found.get(request.prompt.probe, 0), request.repetition + 1)
    return found


def _planned(plan: Plan, answers: Sequence[Answer]) -> int:
    prompts = {prompt for answer in answers for prompt in answer.question.prompts}
    return sum(request.prompt.id in prompts for request in plan.requests)


def _seconds(pilot: Path | None) -> float | None:
    if pilot is None:
        return None
    from audit.runs import Run

    times = [e.value for e in Run.open(pilot).estimates() if e.metric == "cost.seconds_per_image" and not e.slice]
    known = [value for value in times if value is not None]
    return max(known, default=None)


def _lines(
    found: Sequence[Need], total: Total, repetitions: Mapping[str, int], *, margin: float, power: float
) -> Iterator[str]:
    yield f"For {100 * power:g} % of what lies {100 * margin:g} points beyond a limit to fail, and inside it to pass:"
    yield ""
    names = f"{'rule':<20} {'generator':<12} {'probe set':<18} {'attribute':<14}"
    yield f"{names} {'questions':>9} {'a prompt':>9}  hardest"
    for need in found:
        head = f"{need.rule:<20} {need.generator:<12} {need.probe:<18} {need.attribute:<14} {len(need.answers):>9}"
        yield f"{head} {need.images:>9}  {_hardest(need)}"
    yield ""
    yield f"needed     {total.needed:,} images{total.cost(total.needed)}"
    yield f"planned    {total.planned:,} images{total.cost(total.planned)}: {_short_of(found, repetitions)}"
    yield from _advice(found, total)


def _hardest(need: Need) -> str:
    if need.hardest is None:
        return "no number of images decides this: the instrument's own counts are too few"
    question, size = need.hardest.question, need.hardest.size
    where = ", ".join([*question.slice.values(), question.group])
    seen = (
        f"x{size.inflation:.2f} by the instrument's error"
        if need.hardest.measured
        else "error of the instrument unknown"
    )
    lost = f"; {need.impossible} questions cannot be decided" if need.impossible else ""
    return f"{where} ({seen}; {question.together} judged together){lost}"


def _short_of(found: Sequence[Need], repetitions: Mapping[str, int]) -> str:
    answers = [answer for need in found for answer in need.answers]
    enough = [a for a in answers if a.a_prompt is not None and a.a_prompt <= repetitions[a.question.probe]]
    return f"enough for {len(enough)} of {len(answers)} questions"


def _advice(found: Sequence[Need], total: Total) -> Iterator[str]:
    impossible = sorted({need.attribute for need in found if need.impossible})
    if impossible:
        names = ", ".join(impossible)
        yield f"label      more validation images for {names}: doubt about the instrument is wider than the margin"
    dearest = max(found, key=lambda need: need.saved)
    if dearest.saved:
        share = 100 * dearest.saved / total.needed
        what = f"{dearest.attribute} in {dearest.rule} ({dearest.generator}, {dearest.probe})"
        yield f"drop       {what} saves {dearest.saved:,} images, {share:.0f} %{total.cost(dearest.saved)}"
    yield "stop early `genaudit run --until-decided` asks no prompt longer than its findings need"


def _document(found: Sequence[Need], total: Total, *, margin: float, power: float) -> dict[str, Any]:
    return {
        "margin": margin,
        "power": power,
        "needed": total.needed,
        "planned": total.planned,
        "seconds_per_image": total.each_seconds,
        "price_per_image": total.each_price,
        "needs": [
            {
                "rule": need.rule,
                "generator": need.generator,
                "probe": need.probe,
                "attribute": need.attribute,
                "questions": len(need.answers),
                "impossible": need.impossible,
                "images_a_prompt": need.images,
                "saved_without": need.saved,
                "answers": [_answer(answer) for answer in need.answers],
            }
            for need in found
        ],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    question = answer.question
    return {
        "slice": dict(question.slice),
        "group": question.group,
        "limits": [limit if abs(limit) < float("inf") else None for limit in question.limits],
        "judged_together": question.together,
        "images": answer.size.images,
        "images_a_prompt": answer.a_prompt,
        "inflation": answer.size.inflation if answer.size.inflation < float("inf") else None,
        "instrument_measured": answer.measured,
    }
