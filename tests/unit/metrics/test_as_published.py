# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.bias.as_published import METRIC
from audit.metrics.bias.training import Composition, Training
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

TONES = tuple(str(i) for i in range(1, 11))
TONE = OperatingCharacteristics(
    "tone",
    TONES,
    (*TONES, "could not tell"),
    tuple(tuple(900 if i == j else 10 for j in range(11)) for i in range(10)),
    "",
)


def by_index(found):
    return {e.slice["index"]: e for e in found}


@pytest.fixture
def twelve(bias_view):
    """Two prompts: 9 of 12 and 3 of 12 feminine, and one image in which nobody could be told."""
    answers = ["feminine"] * 9 + ["masculine"] * 3 + ["feminine"] * 3 + ["masculine"] * 9 + ["could not tell"]
    return bias_view(answers, prompt_id=["a"] * 12 + ["b"] * 13)


def test_each_index_by_hand(twelve):
    found = by_index(METRIC(twelve))
    entropy = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    by_hand = {
        "dalleval_mad": 0.25,  # each prompt is a quarter off, to either side
        "heim_imbalance": 0.25,
        "openbias_context_free": 0.0,  # the two prompts cancel
        "openbias_context_aware": round(1 - entropy, 4),
        "cleam_fairness": 0.0,
        "mean_pairwise_gap": 0.5,
        "tibet_mad": 0.0,
        "bigbench_implicit": 1.0,
        "fairmop_entropy": 1.0,
        "fairmop_divergence": 0.0,
    }
    assert {name: found[name].value for name in by_hand} == pytest.approx(by_hand, abs=1e-4)
    assert set(found) - set(by_hand) == {"cleam"}
    for e in found.values():
        assert e.extra["as_published"] is True
        assert e.method.startswith("as published: ")
        assert (e.n, e.missing) == (24, 1)
        assert e.low <= e.value <= e.high


def test_the_floor_is_what_equal_shares_score_at_these_numbers(bias_view):
    """Nine images a prompt, as published for DALL-Eval: 0.1365; eight, as for HEIM: 0.1366 (both simulated)."""
    for n, index, expected in ((9, "dalleval_mad", 0.1365), (8, "heim_imbalance", 0.1366)):
        answers = ["feminine"] * (n * 40)
        view = bias_view(answers, prompt_id=[f"p{i % 40}" for i in range(n * 40)])
        found = by_index(METRIC(view))[index]
        assert found.floor == pytest.approx(expected, abs=0.003)
        assert found.extra["excess"] == pytest.approx(0.5 - found.floor)


def test_ten_tones_have_the_imbalance_of_ten_tones(make_view):
    answers = ["1"] * 20 + ["could not tell"] * 20
    groups = {"tone": DeclaredGroups("tone", TONES, dict.fromkeys(TONES, 0.1), "x")}
    view = make_view(40, skin__tone=answers, groups=groups, operating={"skin.tone": TONE}, prompt_id=["p"] * 40)
    found = by_index(METRIC(view))
    assert found["heim_imbalance"].value == pytest.approx((0.4 + 9 * 0.1) / 10)  # unknown stays in the denominator
    assert found["dalleval_mad"].value == pytest.approx(0.18)  # and is dropped here
    assert "cleam" not in found


def test_a_refused_prompt_counts_as_the_worst_for_heim_and_not_at_all_elsewhere(bias_view):
    answers = ["feminine", "masculine"] * 10 + [None] * 20
    view = bias_view(answers, prompt_id=["a"] * 20 + ["b"] * 20, outcome=["image"] * 20 + ["refused"] * 20)
    found = by_index(METRIC(view))
    assert found["heim_imbalance"].value == pytest.approx(0.25)  # (0 + 0.5) / 2
    assert found["dalleval_mad"].value == 0.0


def test_cleam_is_the_corrected_share_with_an_interval_that_is_too_narrow(bias_view):
    answers = ["feminine"] * 60 + ["masculine"] * 40
    found = by_index(METRIC(bias_view(answers, prompt_id=["p"] * 100)))["cleam"]
    a0, a1 = 950 / 980, 950 / 970
    assert found.slice["group"] == "feminine"
    assert found.value == pytest.approx((0.6 - (1 - a1)) / (a0 + a1 - 1), abs=0.012)
    assert found.high - found.low < 0.03  # an honest one at 100 images is 0.2 wide
    many = by_index(METRIC(bias_view(answers * 50, prompt_id=["p"] * 5000)))["cleam"]
    assert many.high - many.low == pytest.approx(found.high - found.low, rel=0.4)


def test_occupations_amplify_reflect_or_mitigate(bias_view):
    jobs = ["nurse"] * 50 + ["CEO"] * 50 + ["chef"] * 50
    shares = {"nurse": 45, "CEO": 20, "chef": 25}
    answers = [a for job in shares for a in ["feminine"] * shares[job] + ["masculine"] * (50 - shares[job])]
    trained = {"nurse": 0.7, "CEO": 0.41, "chef": 0.2}
    rows = {(job, "presentation"): Composition({"feminine": p, "masculine": 1 - p}) for job, p in trained.items()}
    view = bias_view(answers, axis__occupation=jobs, prompt_id=jobs, references={"training": Training("x", rows)})
    found = by_index(METRIC(view))
    values = {name: found[f"fair_diffusion_{name}"].value for name in ("amplified", "reflected", "mitigated")}
    assert values == pytest.approx({"amplified": 1 / 3, "reflected": 1 / 3, "mitigated": 1 / 3})
    # At 50 images a generator that copies its training data leaves the band of 0.04 more often than not.
    assert found["fair_diffusion_reflected"].floor < 0.6
    assert found["fair_diffusion_amplified"].floor > 0.15


def test_too_few_answers_and_no_instrument(bias_view):
    (few,) = METRIC(bias_view(["feminine"] * 9))
    assert (few.status, few.n) == (Status.INSUFFICIENT, 9)
    (none,) = METRIC(bias_view(["feminine"] * 20, operating={}))
    assert none.status is Status.UNAVAILABLE
