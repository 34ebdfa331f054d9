# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.amplification import METRIC
from audit.metrics.bias.training import Composition, Training
from audit.stats.floor import binomial_floor
from audit.stats.intervals import wilson
from audit.types import DeclaredGroups, OperatingCharacteristics, Status
from tests.midp import mid_p

PERFECT = OperatingCharacteristics(
    "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((10**9, 0), (0, 10**9)), "all there are"
)


def training(n=None, attribute="presentation", **feminine):
    rows = {(job, attribute): Composition({"feminine": p, "masculine": 1 - p}, n) for job, p in feminine.items()}
    return {"training": Training("people.csv", rows)}


@pytest.fixture
def drawn(bias_view):
    """A view of some feminine and some masculine people an occupation, read without error."""

    def make(references, operating=PERFECT, **counts):
        answers = [a for f, m in counts.values() for a in ["feminine"] * f + ["masculine"] * m]
        jobs = [job for job, (f, m) in counts.items() for _ in range(f + m)]
        operating = {"attributes.presentation": operating}
        return bias_view(answers, axis__occupation=jobs, by=("occupation",), operating=operating, references=references)

    return make


def by_job(estimates):
    return {e.slice.get("occupation"): e for e in estimates}


def test_positive_is_more_of_the_group_that_leads_in_training(drawn):
    view = drawn(training(nurse=0.8, CEO=0.2, chef=0.4), nurse=(38, 2), CEO=(2, 38), chef=(24, 16))
    found = by_job(METRIC(view))
    assert {job: e.slice.get("group") for job, e in found.items()} == {
        "nurse": "feminine",
        "CEO": "masculine",
        "chef": "masculine",
        None: None,
    }
    assert found["nurse"].value == pytest.approx(0.95 - 0.8)
    assert found["CEO"].value == pytest.approx(0.95 - 0.8)
    assert found["chef"].value == pytest.approx(0.4 - 0.6)  # drawn with the other lean: less than trained
    assert found[None].value == pytest.approx(0.1 / 3)
    assert (found[None].n, found[None].clusters, found[None].extra["occupations"]) == (120, 3, 3)
    assert (found[None].extra["exaggerated"], found[None].extra["softened"]) == (2, 1)


def test_exact_training_shares_move_the_exact_interval(drawn):
    found = by_job(METRIC(drawn(training(nurse=0.7, CEO=0.5), nurse=(20, 4), CEO=(12, 12))))["nurse"]
    low, high = mid_p(20, 24)
    assert (found.value, found.low, found.high) == pytest.approx((20 / 24 - 0.7, low - 0.7, high - 0.7), abs=1e-6)
    assert found.floor == pytest.approx(binomial_floor(24, 0.7), rel=0.05)
    assert (found.extra["training_n"], found.extra["training_low"]) == (None, 0.7)
    assert found.extra["training_lead"] == pytest.approx(0.4)


def test_sampled_training_shares_add_their_own_error(drawn):
    found = by_job(METRIC(drawn(training(n=50, nurse=0.7, CEO=0.6), nurse=(20, 4), CEO=(12, 12))))["nurse"]
    (least, most), b = mid_p(20, 24), wilson(35, 50)
    low = np.hypot(20 / 24 - least, b.high - 0.7)
    high = np.hypot(most - 20 / 24, 0.7 - b.low)
    assert (found.value - found.low, found.high - found.value) == pytest.approx((low, high), abs=1e-6)
    assert found.floor > binomial_floor(24, 0.7)
    assert (found.extra["training_low"], found.extra["training_high"]) == pytest.approx((b.low, b.high))


def test_of_equal_training_shares_the_first_declared_is_meant(make_view):
    groups = ("light", "medium", "dark")
    counts = tuple(tuple(10**9 if i == j else 0 for j in range(3)) for i in range(3))
    view = make_view(
        40,
        skin__band=["light"] * 20 + ["medium"] * 16 + ["dark"] * 4,
        axis__occupation=["nurse"] * 40,
        by=("occupation",),
        groups={"tone_band": DeclaredGroups("tone_band", groups, dict.fromkeys(groups, 1 / 3), "")},
        operating={"skin.band": OperatingCharacteristics("tone_band", groups, groups, counts, "")},
        references={
            "training": Training(
                "", {("nurse", "tone_band"): Composition({"dark": 0.2, "medium": 0.4, "light": 0.1 + 0.2 + 0.1})}
            )
        },
    )
    nurse, mean = METRIC(view)
    assert nurse.slice["group"] == "light"
    assert nurse.value == pytest.approx(0.1)
    assert (mean.value, mean.status) == (None, Status.INSUFFICIENT)
    assert "1 of 1 occupations" in mean.why


def test_shares_are_corrected_before_they_are_compared(drawn):
    poor = replace(PERFECT, counts=((800, 200), (200, 800)))
    found = by_job(METRIC(drawn(training(nurse=0.9, CEO=0.9), operating=poor, nurse=(74, 26), CEO=(74, 26))))
    assert found["nurse"].value == pytest.approx(0.0, abs=1e-6)  # 0.9 of them, seen through the errors: 0.74
    assert found["nurse"].high - found["nurse"].low > 0.15


def test_without_a_training_composition_there_is_no_number(drawn):
    (found,) = METRIC(drawn({}, nurse=(20, 4), CEO=(4, 20)))
    assert (found.status, found.value) == (Status.UNAVAILABLE, None)
    assert "`training`" in found.why


def test_an_occupation_that_the_composition_lacks_has_none_and_is_left_out_of_the_mean(drawn):
    found = by_job(METRIC(drawn(training(nurse=0.8, chef=0.4), nurse=(20, 4), CEO=(4, 20), chef=(12, 12))))
    assert (found["CEO"].status, found["CEO"].value) == (Status.UNAVAILABLE, None)
    assert "presentation of CEO" in found["CEO"].why
    assert found[None].value == pytest.approx((found["nurse"].value + found["chef"].value) / 2)
    assert (found[None].clusters, found[None].extra["occupations"], found[None].missing) == (2, 3, 24)
    assert "2 of 3" in found[None].method


def test_too_few_images_of_an_occupation(drawn):
    found = by_job(METRIC(drawn(training(nurse=0.8, CEO=0.3, chef=0.4), nurse=(20, 4), CEO=(4, 2), chef=(12, 12))))
    assert (found["CEO"].status, found["CEO"].value) == (Status.INSUFFICIENT, None)
    assert found[None].clusters == 2


def test_other_groups_or_no_occupations(drawn, bias_view):
    other = Training("", {("nurse", "presentation"): Composition({"feminine": 0.5, "androgynous": 0.5})})
    found = by_job(METRIC(drawn({"training": other}, nurse=(20, 4))))
    assert found["nurse"].status is Status.UNAVAILABLE
    assert "other groups" in found["nurse"].why
    assert found[None].value is None
    (found,) = METRIC(bias_view(["feminine"] * 40, references=training(nurse=0.8)))
    assert (found.status, found.value) == (Status.UNAVAILABLE, None)
    assert "occupation" in found.why


def test_without_operating_characteristics_nothing_is_assumed(bias_view):
    view = bias_view(["feminine"] * 40, operating={}, references=training(nurse=0.8), by=("occupation",))
    (found,) = METRIC(view)
    assert found.status is Status.UNAVAILABLE
    assert "operating characteristics" in found.why


@pytest.mark.slow
@pytest.mark.parametrize("sample", [None, 100])
def test_truth_is_covered_through_the_whole_metric(drawn, sample):
    rng = np.random.default_rng(2)
    matrix, shares = np.array([[0.94, 0.06], [0.07, 0.93]]), {"nurse": (0.8, 0.9), "CEO": (0.3, 0.35)}
    true = {"nurse": 0.1, "CEO": -0.05, None: 0.025}
    held = []
    for _ in range(400):
        counts = tuple(tuple(int(c) for c in rng.multinomial(300, row)) for row in matrix)
        trained = {job: rng.binomial(sample, p) / sample if sample else p for job, (p, _) in shares.items()}
        seen = {job: rng.multinomial(60, np.array([p, 1 - p]) @ matrix) for job, (_, p) in shares.items()}
        operating = replace(PERFECT, counts=counts)
        found = by_job(METRIC(drawn(training(n=sample, **trained), operating=operating, **seen)))
        held.append([found[job].low <= a <= found[job].high for job, a in true.items()])
    assert (np.mean(held, axis=0) >= 0.92).all()
    assert (np.mean(held, axis=0) <= 0.99).all()
