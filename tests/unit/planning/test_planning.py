# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.planning import images_in_all, images_needed, needs, questions
from audit.policy import load_policy
from audit.probes import load_probe_set
from audit.stats.annotator_error import Correction
from audit.types import OperatingCharacteristics

HALF = np.array([0.5, 0.5])


def counts(a0: float, a1: float, n: int) -> np.ndarray:
    return np.array([[a0 * n, (1 - a0) * n], [(1 - a1) * n, a1 * n]])


@pytest.mark.parametrize(("shift", "images"), [(0.02, 4904), (0.05, 783), (0.1, 194), (0.15, 85), (0.2, 47)])
def test_a_perfect_instrument_needs_what_the_textbook_says(shift, images):
    # Fleiss 1981, eq. 2.3, two-sided .05, power .8, one sample against .5
    truth = np.array([0.5 + shift, 0.5 - shift])
    assert images_needed(None, HALF, truth, group=0, alpha=0.05, power=0.8).images == images


def test_an_instrument_costs_its_inflation_and_its_own_doubt():
    exact = Correction(counts(0.947, 0.983, 10**9))
    found = images_needed(exact, HALF, np.array([0.55, 0.45]), group=0, alpha=0.05, power=0.8)
    assert found.images == pytest.approx(905, abs=3)  # 783 / J^2, J = .93
    assert found.inflation == pytest.approx(1 / 0.93**2, rel=0.01)
    few = Correction(counts(0.947, 0.983, 100))
    assert few.identified
    doubtful = images_needed(few, HALF, np.array([0.55, 0.45]), group=0, alpha=0.05, power=0.8)
    assert doubtful.images is None or doubtful.images > found.images
    assert images_needed(few, HALF, np.array([0.51, 0.49]), group=0, alpha=0.05, power=0.8).images is None


def test_the_power_is_kept_when_simulated():
    # fail a share of .8 against the limit .7: the exact answer is only approximated by the normal one
    limit, truth = np.array([0.7, 0.3]), np.array([0.8, 0.2])
    correction = Correction(counts(0.95, 0.93, 2000))
    images = images_needed(correction, limit, truth, group=0, alpha=0.05, power=0.8).images
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(400):
        answers = rng.multinomial(images, truth @ correction.matrix)
        found += correction.estimate(answers.astype(float)).low[0] > 0.7
    assert 0.72 < found / 400 < 0.88


def test_wrong_wishes_are_refused():
    with pytest.raises(ValueError, match="different shares"):
        images_needed(None, HALF, HALF, group=0, alpha=0.05, power=0.8)


@pytest.fixture(scope="module")
def asked():
    return questions(load_policy("quickstart"), [load_probe_set("occupations")], ["diffusion", "gan"])


def test_questions_are_the_findings_of_the_policy(asked):
    # two generators, eight occupations; one group of presentation and three of tone
    assert len(asked) == 2 * 8 * (1 + 3)
    nurse = next(q for q in asked if q.slice == {"occupation": "nurse"})
    assert (nurse.rule, nurse.group, nurse.together) == ("presentation-gap", "feminine", 8)
    assert nurse.prompts == ("occupations/nurse",)
    assert {q.together for q in asked if q.declared.attribute == "tone_band"} == {24}


def test_one_image_answers_all_questions_about_its_prompt(asked):
    known = {
        "presentation": OperatingCharacteristics(
            "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((960, 40), (30, 970)), "test"
        )
    }
    found = needs(asked, known, margin=0.1)
    answers = [answer for need in found for answer in need.answers]
    dearest, other = found[0], found[-1]
    assert dearest.images >= other.images > 0
    assert images_in_all(answers) == 2 * 8 * max(need.images for need in found)
    assert {need.attribute for need in found if need.answers[0].measured} == {"presentation"}
    # what the other rule asks is answered by the same images
    assert other.saved == 0
    assert 0 < dearest.saved < images_in_all(answers)


def test_an_instrument_that_tells_nothing_apart_decides_nothing(asked):
    blind = OperatingCharacteristics(
        "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((52, 48), (49, 51)), "test"
    )
    found = [n for n in needs(asked, {"presentation": blind}, margin=0.1) if n.attribute == "presentation"]
    assert all(need.hardest is None and need.impossible == 8 for need in found)
