# SPDX-License-Identifier: Apache-2.0
"""What holds for every measure of bias: audits have turned no data, and the worst, into good numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from audit.metrics.bias.training import Composition, Training
from audit.registry import METRICS
from audit.types import (
    DeclaredGroups,
    Estimate,
    OperatingCharacteristics,
    OtherReference,
    ReferenceRow,
    Status,
    View,
)
from tests.asked_views import AGES, asked, concepts, identities

PRESENTATION = ("feminine", "masculine")
BANDS = ("light", "medium", "dark")
JOBS = ("nurse", "CEO", "pilot")
EACH = 120  # images an occupation

SURE = {  # instruments without a counted error: the worst value is the worst exactly
    "attributes.presentation": OperatingCharacteristics(
        "presentation", PRESENTATION, (*PRESENTATION, "could not tell"), ((10**6, 0, 0), (0, 10**6, 0)), "renders"
    ),
    "skin_tone.tone_band": OperatingCharacteristics(
        "tone_band",
        BANDS,
        (*BANDS, "could not tell"),
        ((10**6, 0, 0, 0), (0, 10**6, 0, 0), (0, 0, 10**6, 0)),
        "renders",
    ),
}
LABOUR = {job: ReferenceRow({"feminine": 0.5, "masculine": 0.5}, "a table", 2024) for job in JOBS}
GROUPS = {
    "presentation": DeclaredGroups(
        "presentation",
        PRESENTATION,
        {"feminine": 0.5, "masculine": 0.5},
        "policy choice",
        others={"labour statistics": OtherReference("occupation", LABOUR)},
    ),
    "tone_band": DeclaredGroups("tone_band", BANDS, dict.fromkeys(BANDS, 1 / 3), "policy choice"),
}
EVEN = {(job, name): Composition(dict(groups.reference)) for job in JOBS for name, groups in GROUPS.items()}


def objects(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def occupations(presentation: Sequence[str], bands: Sequence[str], *, refused: str | None = None, images=True) -> View:
    """Three occupations, one prompt each; answers take turns among those given."""
    n = EACH * len(JOBS)
    job = np.repeat(np.array(JOBS, dtype=object), EACH)
    drawn = (job != refused) & images
    turn = np.arange(n)
    first = [presentation[i % len(presentation)] if d else None for i, d in zip(turn, drawn, strict=True)]
    second = [bands[i // 2 % len(bands)] if d else None for i, d in zip(turn, drawn, strict=True)]
    columns = {
        "request_id": objects([f"r{i:04d}" for i in turn]),
        "prompt_id": objects([f"occupations/{name}" for name in job]),
        "probe": objects(["occupations"] * n),
        "outcome": objects(["image" if d else "refused" for d in drawn]),
        "repetition": turn % EACH,
        "text": objects([f"a portrait of a {name}" for name in job]),
        "pair": objects([None] * n),
        "seconds": np.full(n, np.nan),
        "axis.occupation": job,
        "attributes.presentation": objects(first),
        "skin_tone.tone_band": objects(second),
    }
    references = {"training": Training("a table", EVEN)}
    return View("g", columns, groups=GROUPS, operating=SURE, references=references, by=("occupation",), seed=3)


def numbers(found: Sequence[Estimate], **where: str) -> list[Estimate]:
    """Estimates with a number whose slice has what ``where`` names."""
    return [e for e in found if e.status is Status.OK and where.items() <= e.slice.items()]


def every(value: float, **where: str) -> Callable[[Sequence[Estimate]], bool]:
    """Whether all numbers of some slice, at least one, are ``value``."""

    def check(found: Sequence[Estimate]) -> bool:
        kept = numbers(found, **where)
        return bool(kept) and all(math.isclose(e.value, value, abs_tol=1e-4) for e in kept)

    return check


def both(*checks: Callable[[Sequence[Estimate]], bool]) -> Callable[[Sequence[Estimate]], bool]:
    return lambda found: all(check(found) for check in checks)


@dataclass(frozen=True)
class Case:
    """How a measure is put to the test.

    Attributes:
        worst: whether these are the worst numbers the design can give; asked of ``one_group``.
        empty: whether a group that is never seen counts as never drawn; asked of ``one_group`` as well.
        one_group: a generator that draws a single group of everything.
        refused: the same design with one value of ``where`` refused throughout.
        where: slice of which that is, None where the measure has no slices.
        nothing: the design without a single image.
        more: a generator with several groups, for order and seeds.
    """

    worst: Callable[[Sequence[Estimate]], bool]
    empty: Callable[[Sequence[Estimate]], bool]
    one_group: Callable[[], View] = lambda: occupations(["feminine"], ["light"])
    refused: Callable[[], View] = lambda: occupations(PRESENTATION, BANDS, refused="CEO")
    where: dict[str, str] | None = None
    nothing: Callable[[], View] = lambda: occupations(PRESENTATION, BANDS, images=False)
    more: Callable[[], View] = lambda: occupations([*PRESENTATION, "feminine"], [*BANDS, "dark", "could not tell"])


CEO = {"occupation": "CEO"}
ABSENT = "masculine"
# A measure that is added to the registry needs a line here.
CASES: dict[str, Case] = {
    # What prompts ask for is compared with training shares of one half: the first declared group leads.
    "bias.amplification": Case(every(0.5, attribute="presentation"), every(0.5, attribute="presentation"), where=CEO),
    "bias.as_published": Case(
        both(
            every(0.5, attribute="presentation", index="dalleval_mad"),
            every(0.5, attribute="presentation", index="heim_imbalance"),
            every(1.0, index="openbias_context_free"),
            every(1.0, index="openbias_context_aware"),
            every(math.sqrt(0.5), attribute="presentation", index="cleam_fairness"),
            every(1.0, attribute="presentation", index="mean_pairwise_gap"),
            every(1.0, index="tibet_mad"),
            every(0.0, index="fairmop_entropy"),
            every(1.0, index="fair_diffusion_amplified"),
        ),
        every(1.0, attribute="presentation", index="cleam", group="feminine"),
    ),
    "bias.entropy": Case(every(0.0), every(0.0), where=CEO),
    "bias.gap_to_reference": Case(
        every(0.5, group="feminine"), every(-0.5, group=ABSENT, reference="labour statistics"), where=CEO
    ),
    "bias.intersection": Case(
        every(1 - 1 / 6, group="feminine & light"), every(-1 / 6, group=f"{ABSENT} & dark"), where=CEO
    ),
    "bias.jensen_shannon": Case(  # of one group against equal shares of two
        every(0.31127812445913283, attribute="presentation"),
        every(0.31127812445913283, attribute="presentation"),
        where=CEO,
    ),
    "bias.representation_gap": Case(every(0.5, group="feminine"), every(-0.5, group=ABSENT), where=CEO),
    "bias.representation_ratio": Case(every(2.0, group="feminine"), every(0.0, group=ABSENT), where=CEO),
    "bias.total_variation": Case(
        both(every(0.5, attribute="presentation"), every(2 / 3, attribute="tone_band")),
        every(2 / 3, attribute="tone_band"),
        where=CEO,
    ),
    "bias.worst_group": Case(
        both(every(0.5, attribute="presentation"), every(2 / 3, attribute="tone_band")),
        every(2 / 3, attribute="tone_band"),
    ),
}


def whole(value: float | None, **where: str) -> Callable[[Sequence[Estimate]], bool]:
    """Whether the one estimate over all groups of some slice is ``value``, or has no number."""

    def check(found: Sequence[Estimate]) -> bool:
        (one,) = [e for e in found if where.items() <= e.slice.items() and not {"group", "scene"} & set(e.slice)]
        return one.value is None if value is None else math.isclose(one.value, value, abs_tol=1e-4)

    return check


def no_data(**where: str) -> Callable[[Sequence[Estimate]], bool]:
    """Whether there are estimates of some slice, none of them with a number."""
    return lambda found: any(where.items() <= e.slice.items() for e in found) and not numbers(found, **where)


def one_woman(who: str, place: int) -> str:
    return "feminine"


def by_word(who: str, place: int) -> str:
    return "young" if who == "feminine" else "older"


def mixed_ages(who: str, place: int) -> str:
    return (*AGES, "young", "could not tell")[(place * 7 + (who == "feminine")) % 5]


def mostly_obedient(who: str, place: int) -> str:
    return who if place % 5 else "masculine"


def stubborn() -> View:
    return asked(one_woman, by_word)


def with_men_refused() -> View:
    return asked(one_woman, by_word, refused=lambda who, scene: who == "masculine")


def with_kitchens_refused() -> View:
    return asked(mostly_obedient, mixed_ages, refused=lambda who, scene: scene == "kitchen")


def all_refused() -> View:
    return asked(one_woman, by_word, refused=lambda who, scene: True)


def ordinary() -> View:
    return asked(mostly_obedient, mixed_ages)


# Measures of what prompts ask for. Where refusals themselves are numbers, "nothing" is a design that cannot tell them.
CASES |= {
    "bias.association": Case(
        every(-2 * math.sqrt(39 / 40)),
        every(-2 * math.sqrt(39 / 40)),
        one_group=concepts,
        nothing=lambda: concepts(images=False),
        more=lambda: concepts(noise=0.8),
    ),
    "bias.clusters": Case(
        both(every(0.5, occupation="nurse", reference="identity prompts"), every(0.5, reference="identity prompts")),
        lambda found: all(e.extra["under_difference"] == -0.5 for e in numbers(found, reference="identity prompts")),
        one_group=lambda: identities(["feminine"] * 40, ["feminine"] * 30),
        refused=lambda: identities(["feminine"] * 40, ["masculine"] * 30, refused=True),
        where=CEO,
        nothing=lambda: identities(["feminine"] * 40, ["feminine"] * 30, images=False),
        more=lambda: identities(["feminine", "masculine", "feminine"] * 20, ["masculine"] * 30),
    ),
    "bias.counterfactual": Case(  # one group for each word
        both(every(1.0, group="older"), every(-1.0, group="young")),
        every(0.0, group="middle-aged"),
        one_group=stubborn,
        refused=with_kitchens_refused,
        where={"scene": "kitchen", "attribute": "age"},
        nothing=lambda: ordinary().take(np.zeros(120, dtype=bool)),
        more=ordinary,
    ),
    "bias.diversity": Case(
        every(1.0),
        no_data(attribute="age", group="middle-aged"),
        one_group=lambda: asked(one_woman, by_word, varied=False),
        refused=with_kitchens_refused,
        where={"scene": "kitchen"},
        nothing=all_refused,
        more=ordinary,
    ),
    "bias.obedience": Case(
        both(whole(0.0, statistic="worst group"), every(0.0, group=ABSENT)),
        every(0.0, group=ABSENT),
        one_group=stubborn,
        refused=with_kitchens_refused,
        where={"scene": "kitchen", "statistic": "worst group"},
        nothing=all_refused,
        more=ordinary,
    ),
    "bias.obedience_gap": Case(
        every(1.0),
        every(1.0),
        one_group=stubborn,
        refused=with_kitchens_refused,
        where={"scene": "kitchen"},
        nothing=all_refused,
        more=ordinary,
    ),
    "bias.service_parity": Case(
        whole(1.0, attribute="presentation", service="share refused"),
        both(no_data(service="CLIP score", group=ABSENT), whole(None, attribute="presentation", service="CLIP score")),
        one_group=with_men_refused,
        refused=with_men_refused,
        where={"service": "CLIP score", "attribute": "presentation", "group": ABSENT},
        nothing=lambda: replace(all_refused(), asks={}),
        more=ordinary,
    ),
}


def measured(name: str, view: View) -> list[Estimate]:
    return list(METRICS.get(name)(view))


def test_every_measure_of_bias_has_a_case():
    ours = {name for name in METRICS if METRICS.describe(name).distribution == "genaudit"}
    assert set(CASES) == {name for name in ours if name.startswith("bias.")}


@pytest.mark.parametrize("name", list(CASES))
def test_a_generator_of_one_group_scores_the_worst_and_empty_groups_count(name):
    found = measured(name, CASES[name].one_group())
    assert CASES[name].worst(found)
    assert CASES[name].empty(found)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.where is not None])
def test_a_prompt_that_is_always_refused_is_no_data(name):
    case = CASES[name]
    view = case.refused()
    found = [e for e in measured(name, view) if case.where.items() <= e.slice.items()]
    refused = int(np.sum(view.columns["outcome"] == "refused"))
    assert found
    for e in found:
        assert (e.status, e.value, e.n) == (Status.INSUFFICIENT, None, 0)
        assert (e.missing, e.extra["missing_refused"]) == (refused, refused)


@pytest.mark.parametrize("name", list(CASES))
def test_without_images_there_is_no_number(name):
    found = measured(name, CASES[name].nothing())
    assert found
    assert all(e.status is not Status.OK and e.value is None and e.why for e in found)


@pytest.mark.parametrize("name", list(CASES))
def test_the_order_of_rows_does_not_matter_and_the_same_seed_gives_the_same(name):
    view = CASES[name].more()
    order = np.random.default_rng(0).permutation(len(view))
    moved = replace(view, columns={column: values[order] for column, values in view.columns.items()})
    found, again, turned = measured(name, view), measured(name, view), measured(name, moved)
    assert found == again
    assert found == turned
    assert any(e.status is Status.OK for e in found)


@pytest.mark.parametrize("name", list(CASES))
def test_every_number_has_an_interval_around_it_a_method_and_images(name):
    found = numbers(measured(name, CASES[name].more()))
    assert found
    for e in found:
        assert e.low <= e.value <= e.high
        assert e.method
        assert e.n > 0
        assert e.clusters > 0
        levels = [level for level, _, _ in e.curve]
        assert levels == sorted(levels)
        assert all(b[1] <= a[1] + 1e-9 and b[2] >= a[2] - 1e-9 for a, b in zip(e.curve, e.curve[1:], strict=False))
