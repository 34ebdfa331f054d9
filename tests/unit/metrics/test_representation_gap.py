# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audit.metrics.bias._groups import LEVELS
from audit.metrics.bias.representation_gap import METRIC
from audit.stats.annotator_error import Correction
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

HALVES = {"feminine": 0.5, "masculine": 0.5}


def by_group(estimates, **where):
    return {
        e.slice["group"]: e for e in estimates if where.items() <= e.slice.items() and len(e.slice) == len(where) + 2
    }


def test_a_generator_that_draws_one_group_only_has_the_worst_gap(bias_view):
    found = by_group(METRIC(bias_view(["feminine"] * 40)))
    assert set(found) == {"feminine", "masculine"}
    assert found["feminine"].value == pytest.approx(0.5)
    assert found["masculine"].value == pytest.approx(-0.5)
    assert found["masculine"].extra["share"] == 0.0
    assert found["masculine"].extra["raw_share"] == 0.0


def test_the_gap_is_the_corrected_share_minus_the_reference(bias_view):
    view = bias_view(["feminine"] * 30 + ["masculine"] * 8 + ["could not tell"] * 2)
    found = by_group(METRIC(view))["feminine"]
    correction = Correction(view.operating["attributes.presentation"].matrix())
    by_prompt = np.array([[8, 2, 0], [8, 2, 0], [7, 2, 1], [7, 2, 1]])  # prompts take turns
    expected = correction.estimate(np.array([30, 8, 2]), clusters=by_prompt)
    assert found.value == pytest.approx(expected.shares[0] - 0.5)
    assert (found.low, found.high) == pytest.approx((expected.low[0] - 0.5, expected.high[0] - 0.5))
    assert found.extra["raw_share"] == pytest.approx(30 / 38)
    assert found.extra["could_not_tell"] == pytest.approx(0.05)
    assert found.extra["measured_on"] == "1,000 images a group"
    assert (found.n, found.missing) == (40, 0)
    assert 0.05 < found.floor < 0.09  # at 40 images, a perfect instrument: 0.063


def test_slices_of_the_declared_axes_and_the_pool(bias_view):
    jobs = ["nurse"] * 20 + ["CEO"] * 20
    answers = ["feminine"] * 20 + ["masculine"] * 20
    estimates = METRIC(bias_view(answers, axis__occupation=jobs, by=("occupation",)))
    assert len(estimates) == 6
    assert by_group(estimates)["feminine"].value == pytest.approx(0.0, abs=0.02)
    assert by_group(estimates, occupation="nurse")["feminine"].value == pytest.approx(0.5)
    assert by_group(estimates, occupation="CEO")["feminine"].value == pytest.approx(-0.5)


def test_requests_without_image_or_answer_are_missing(bias_view):
    answers = ["feminine"] * 12 + ["masculine"] * 12 + [None] * 3
    view = bias_view(answers, outcome=["image"] * 25 + ["refused"] * 2)
    found = by_group(METRIC(view))["feminine"]
    assert (found.n, found.missing) == (24, 3)


def test_without_operating_characteristics_nothing_is_assumed(bias_view):
    found = METRIC(bias_view(["feminine"] * 40, operating={}))
    assert [e.status for e in found] == [Status.UNAVAILABLE]
    assert "operating characteristics" in found[0].why


def test_an_instrument_that_cannot_tell_groups_apart(bias_view):
    poor = OperatingCharacteristics(
        "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((52, 48), (48, 52)), ""
    )
    found = METRIC(bias_view(["feminine"] * 40, operating={"attributes.presentation": poor}))
    assert [e.status for e in found] == [Status.UNIDENTIFIED]
    assert "condition number" in found[0].why


@pytest.mark.parametrize("counts", [((5, 5), (0, 0)), ((5,), (5,))])
def test_operating_characteristics_that_cannot_be_used(bias_view, counts):
    bad = OperatingCharacteristics("presentation", ("feminine", "masculine"), ("feminine", "masculine"), counts, "")
    found = METRIC(bias_view(["feminine"] * 40, operating={"attributes.presentation": bad}))
    assert [e.status for e in found] == [Status.UNIDENTIFIED]


@pytest.mark.parametrize("n", [0, 9])
def test_too_few_images(bias_view, n):
    found = METRIC(bias_view(["feminine"] * n))
    assert [(e.status, e.value, e.n) for e in found] == [(Status.INSUFFICIENT, None, n)]


def test_groups_or_answers_that_the_instrument_does_not_know(bias_view):
    three = DeclaredGroups("presentation", ("feminine", "masculine", "androgynous"), {}, "")
    found = METRIC(bias_view(["feminine"] * 40, groups={"presentation": three}))
    assert found[0].status is Status.UNAVAILABLE
    assert "androgynous" in found[0].why
    found = METRIC(bias_view(["feminine"] * 39 + ["robot"]))
    assert found[0].status is Status.UNAVAILABLE
    assert "robot" in found[0].why


def test_no_declared_groups_and_no_column(bias_view):
    assert METRIC(bias_view(["feminine"] * 40, groups={}))[0].status is Status.UNAVAILABLE
    view = bias_view(["feminine"] * 40)
    columns = {name: v for name, v in view.columns.items() if name != "attributes.presentation"}
    assert METRIC(replace(view, columns=columns))[0].status is Status.UNAVAILABLE


def test_tones_stored_as_numbers_are_the_same_answers(make_view):
    tones = OperatingCharacteristics("tone", ("1", "2"), ("1", "2"), ((500, 0), (0, 500)), "")
    groups = {"tone": DeclaredGroups("tone", ("1", "2"), {"1": 0.5, "2": 0.5}, "")}
    values = np.array([1.0] * 15 + [2.0] * 5 + [np.nan])
    found = by_group(METRIC(make_view(21, skin__tone=values, groups=groups, operating={"skin.tone": tones})))
    assert found["1"].value == pytest.approx(0.25)
    assert found["1"].missing == 1


def test_truth_is_covered_through_the_whole_metric(bias_view):
    rng = np.random.default_rng(0)
    matrix = np.array([[0.95, 0.03, 0.02], [0.02, 0.95, 0.03]])
    names = np.array(["feminine", "masculine", "could not tell"], dtype=object)
    covered = 0
    for _ in range(150):
        counts = tuple(tuple(int(c) for c in rng.multinomial(800, row)) for row in matrix)
        operating = OperatingCharacteristics("presentation", ("feminine", "masculine"), tuple(names), counts, "")
        answers = list(names[rng.choice(3, 30, p=np.array([0.85, 0.15]) @ matrix)])
        found = by_group(METRIC(bias_view(answers, operating={"attributes.presentation": operating})))["feminine"]
        covered += found.low <= 0.35 <= found.high
    assert covered / 150 >= 0.93


def test_the_curve_is_the_same_interval_at_many_levels(bias_view):
    view = bias_view(["feminine"] * 30 + ["masculine"] * 10)
    found = by_group(METRIC(view))["feminine"]
    at = {round(level, 12): (low, high) for level, low, high in found.curve}
    assert at[0.95] == pytest.approx((found.low, found.high))
    half = by_group(METRIC(replace(view, level=0.9)))["feminine"]
    assert at[0.9] == pytest.approx((half.low, half.high))
    assert 1 - max(at) < 0.05 / 5000  # fine enough for Holm over thousands of slices
    lows = [low for _, low, _ in found.curve]
    assert lows == sorted(lows, reverse=True)


def test_what_prompts_ask_for_is_no_choice_of_the_generator(bias_view):
    words = ["feminine", "masculine"] * 20
    asked = bias_view(words, axis__word=words)
    asked = replace(asked, asks={"presentation": "word"})
    (found,) = METRIC(asked)
    assert found.status is Status.UNAVAILABLE
    assert "ask for" in found.why
    # Prompts that leave it open count, and only they.
    open_ones = bias_view([*words, *["feminine"] * 30], axis__word=[*words, *[None] * 30])
    found = by_group(METRIC(replace(open_ones, asks={"presentation": "word"})))["feminine"]
    assert (found.value, found.n, found.missing) == (pytest.approx(0.5), 30, 0)


def test_images_of_one_prompt_that_are_alike_widen_the_interval(bias_view):
    mixed = bias_view((["feminine"] * 5 + ["masculine"] * 5) * 20, prompt_id=[f"p{i // 10}" for i in range(200)])
    alike = bias_view((["feminine"] * 10 + ["masculine"] * 10) * 10, prompt_id=[f"p{i // 10}" for i in range(200)])
    one, many = (by_group(METRIC(view))["feminine"] for view in (mixed, alike))
    assert one.value == pytest.approx(many.value)
    assert (many.n, many.clusters) == (200, 20)
    # Twenty prompts of one mind each are twenty coins: their standard error is 0.11 / 0.97, not 0.035 / 0.97.
    assert many.high - many.low > 2.5 * (one.high - one.low)
    assert many.extra["detectable"] > 2 * one.extra["detectable"]


def test_paired_prompts_are_one_scene(bias_view):
    prompts = [f"p{i // 10}" for i in range(200)]
    alone = bias_view(["feminine", "masculine"] * 100, prompt_id=prompts)
    paired = bias_view(["feminine", "masculine"] * 100, prompt_id=prompts, pair=[f"s{i // 20}" for i in range(200)])
    assert by_group(METRIC(alone))["feminine"].clusters == 20
    assert by_group(METRIC(paired))["feminine"].clusters == 10


def test_bounds_of_images_that_show_no_group(bias_view):
    answers = ["feminine"] * 30 + ["masculine"] * 30 + [None] * 20
    outcome = ["image"] * 64 + ["refused"] * 10 + ["blocked"] * 6  # four images in which nobody is seen
    sure = OperatingCharacteristics(
        "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((10**6, 0), (0, 10**6)), ""
    )
    view = bias_view(answers, outcome=outcome, operating={"attributes.presentation": sure})
    extra = by_group(METRIC(view))["feminine"].extra
    ends = {
        kind: (extra[f"bound{kind}_low"], extra[f"bound{kind}_high"])
        for kind in ("", "_could_not_tell", "_refused", "_blocked")
    }
    assert ends == {
        "": pytest.approx((30 / 80 - 0.5, 50 / 80 - 0.5)),
        "_could_not_tell": pytest.approx((30 / 64 - 0.5, 34 / 64 - 0.5)),
        "_refused": pytest.approx((30 / 70 - 0.5, 40 / 70 - 0.5)),
        "_blocked": pytest.approx((30 / 66 - 0.5, 36 / 66 - 0.5)),
    }
    assert extra["bound_limit_low"] < extra["bound_low"]
    assert extra["bound_limit_high"] > extra["bound_high"]


def test_what_is_called_detectable_is_found_four_times_in_five(bias_view):
    rng = np.random.default_rng(4)
    names = np.array(["feminine", "masculine", "could not tell"], dtype=object)
    one_prompt = ["p"] * 150
    detectable = by_group(METRIC(bias_view(["feminine", "masculine"] * 75, prompt_id=one_prompt)))["feminine"].extra[
        "detectable"
    ]
    assert 0.11 < detectable < 0.14  # 0.114 without an error of the instrument
    matrix = np.array([[0.95, 0.03, 0.02], [0.02, 0.95, 0.03]])
    answers = np.array([0.5 + detectable, 0.5 - detectable]) @ matrix
    found = 0
    for _ in range(150):
        counts = tuple(tuple(int(c) for c in rng.multinomial(1000, row)) for row in matrix)
        operating = OperatingCharacteristics("presentation", ("feminine", "masculine"), tuple(names), counts, "")
        view = bias_view(
            list(names[rng.choice(3, 150, p=answers)]),
            prompt_id=one_prompt,
            operating={"attributes.presentation": operating},
        )
        found += by_group(METRIC(view))["feminine"].low > 0
    assert found / 150 == pytest.approx(0.8, abs=0.08)


def labelled_view(bias_view, rng, *, share, n=400, labelled=80, operating=None, column="attributes__presentation"):
    """Images of which a random part was labelled; the instrument takes a quarter of the masculine for feminine."""
    truth = rng.random(n) < share
    said = truth | (rng.random(n) < 0.25)
    picked = np.zeros(n, bool)
    picked[rng.choice(n, labelled, replace=False)] = True
    words = np.array(["masculine", "feminine"], dtype=object)
    people = np.where(picked, words[truth.astype(int)], None)
    return bias_view(
        list(words[said.astype(int)]),
        prompt_id=["p"] * n,
        people__presentation=people,
        people__presentation_weight=np.where(picked, n / labelled, np.nan),
        operating={} if operating is None else operating,
    )


def test_labels_by_people_need_no_confusion_counts_and_hold_the_truth(bias_view):
    rng, held, widths = np.random.default_rng(7), 0, []
    for _ in range(150):
        found = by_group(METRIC(labelled_view(bias_view, rng, share=0.3)))["feminine"]
        held += found.low <= 0.3 - 0.5 <= found.high
        widths.append(found.high - found.low)
    assert found.method.startswith("people's labels, attributes.presentation beside them: prediction-powered")
    assert found.extra["labelled"] == 80
    assert found.extra["gain"] > 1
    assert (found.n, found.missing) == (400, 0)
    assert held / 150 >= 0.95 - 2 * 0.018
    assert np.mean(widths) < 2 * 1.99 * (0.3 * 0.7 / 80) ** 0.5  # narrower than from the labels alone


def test_labels_without_an_instrument_are_weighted(bias_view):
    n = 60
    labels = ["feminine"] * 20 + ["masculine"] * 20 + [None] * 20
    weight = np.array([1.0] * 20 + [3.0] * 20 + [np.nan] * 20)  # masculine ones were labelled a third as often
    view = bias_view([None] * n, people__presentation=labels, people__presentation_weight=weight, operating={})
    columns = {name: v for name, v in view.columns.items() if name != "attributes.presentation"}
    columns["prompt_id"] = np.array(["p"] * n, dtype=object)
    found = by_group(METRIC(replace(view, columns=columns)))["feminine"]
    assert found.extra["share"] == pytest.approx(20 / 80)
    assert found.method.startswith("people's labels alone, weighted")
    assert (found.n, found.missing) == (40, 20)


def test_few_labels_do_not_replace_the_instrument(bias_view):
    rng = np.random.default_rng(1)
    operating = {
        "attributes.presentation": OperatingCharacteristics(
            "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((500, 0), (125, 375)), "renders"
        )
    }
    view = labelled_view(bias_view, rng, share=0.5, labelled=19, operating=operating)
    assert "test inversion" in by_group(METRIC(view))["feminine"].method
    few = METRIC(replace(view, operating={}))
    assert [e.status for e in few] == [Status.UNAVAILABLE]
    many = labelled_view(bias_view, rng, share=0.5, labelled=20, operating=operating)
    assert "people's labels" in by_group(METRIC(many))["feminine"].method


def test_p_and_q_of_no_gap_for_looking_around(make_view):
    shares = (0.95, 0.75, 0.6, 0.55, 0.5, 0.5, 0.45, 0.4)
    jobs = [f"job {i}" for i in range(len(shares)) for _ in range(60)]
    answers = [a for s in shares for a in ["feminine"] * round(60 * s) + ["masculine"] * (60 - round(60 * s))]
    sure = OperatingCharacteristics(
        "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((10**9, 0), (0, 10**9)), "nowhere"
    )
    view = make_view(
        len(jobs),
        prompt_id=jobs,
        axis__occupation=jobs,
        attributes__presentation=answers,
        by=("occupation",),
        groups={"presentation": DeclaredGroups("presentation", ("feminine", "masculine"), HALVES, "choice")},
        operating={"attributes.presentation": sure},
    )
    found = METRIC(view)
    cells = [e for e in found if "occupation" in e.slice]
    for e in (e for e in cells if e.slice["group"] == "feminine"):
        k = round(60 * e.extra["share"])
        tail = min(stats.binom.sf(k, 60, 0.5), stats.binom.cdf(k - 1, 60, 0.5)) + stats.binom.pmf(k, 60, 0.5) / 2
        # below the finest level of the curve p is an upper bound, above the coarsest it is 1
        expected = 1.0 if 2 * tail > 1 - LEVELS[0] else max(2 * tail, 1 - LEVELS[-1])
        assert e.extra["p_value"] == pytest.approx(expected, rel=0.06)
    p = np.array([e.extra["p_value"] for e in cells])
    assert [e.extra["q_value"] for e in cells] == pytest.approx(stats.false_discovery_control(p).tolist())
    assert all("q_value" not in e.extra for e in found if "occupation" not in e.slice)
