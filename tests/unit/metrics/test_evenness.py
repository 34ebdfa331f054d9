# SPDX-License-Identifier: Apache-2.0
"""`bias.entropy` and `bias.jensen_shannon`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from audit.metrics.bias.entropy import METRIC as ENTROPY
from audit.metrics.bias.jensen_shannon import METRIC as DIVERGENCE
from audit.metrics.bias.representation_gap import METRIC as GAP
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

AGE = OperatingCharacteristics(
    "age",
    ("young", "middle-aged", "older"),
    ("young", "middle-aged", "older", "could not tell"),
    ((960, 20, 0, 20), (10, 900, 70, 20), (0, 30, 940, 30)),
    "1,000 images a group",
)
REFERENCE = {"young": 0.5, "middle-aged": 0.3, "older": 0.2}
AGES = DeclaredGroups("age", AGE.truth, REFERENCE, "a table")


def ages(make_view, counts):
    answers = [age for age, count in zip(AGE.truth, counts, strict=True) for _ in range(count)]
    more = {"groups": {"age": AGES}, "operating": {"attributes.age": AGE}, "prompt_id": ["p"] * len(answers)}
    return make_view(len(answers), attributes__age=answers, **more)


def test_both_are_functions_of_the_corrected_shares(make_view):
    view = ages(make_view, (60, 30, 10))
    shares = np.array([e.extra["share"] for e in GAP(view)])
    (entropy,), (divergence,) = ENTROPY(view), DIVERGENCE(view)
    assert entropy.value == pytest.approx(stats.entropy(shares) / np.log(3))
    assert divergence.value == pytest.approx(jensenshannon(shares, list(REFERENCE.values()), base=2) ** 2)
    assert divergence.extra["base"] == 2
    for found in (entropy, divergence):
        assert found.low < found.value < found.high
        assert found.extra["excess"] == pytest.approx(found.value - found.floor)
        assert (found.n, found.missing) == (100, 0)


def test_a_generator_at_its_reference_has_an_interval_to_the_end_of_the_scale(make_view):
    (found,) = ENTROPY(ages(make_view, (33, 34, 33)))
    assert found.high == 1.0
    assert found.floor < found.value
    (found,) = DIVERGENCE(ages(make_view, (50, 30, 20)))
    assert found.low == 0.0
    assert found.value < found.floor


def test_two_groups_have_the_range_over_the_interval_of_the_share(bias_view):
    view = bias_view(["feminine"] * 30 + ["masculine"] * 10, prompt_id=["p"] * 40)
    gap = GAP(view)[0]
    ends = np.array([gap.extra["share_low"], gap.extra["share_high"]])
    assert ends.min() > 0.5
    entropies = stats.entropy(np.stack([ends, 1 - ends])) / np.log(2)
    (found,) = ENTROPY(view)
    assert (found.high, found.low) == pytest.approx(tuple(entropies))
    (found,) = ENTROPY(bias_view(["feminine"] * 21 + ["masculine"] * 19, prompt_id=["p"] * 40))
    assert found.high == 1.0
    (found,) = DIVERGENCE(bias_view(["feminine"] * 21 + ["masculine"] * 19, prompt_id=["p"] * 40))
    assert found.low == 0.0


def test_prompts_of_one_mind_each_widen_both(make_view):
    prompts = [f"p{i // 10}" for i in range(300)]
    more = {"groups": {"age": AGES}, "operating": {"attributes.age": AGE}, "prompt_id": prompts}
    alike = make_view(300, attributes__age=[AGE.truth[i // 10 % 3] for i in range(300)], **more)
    mixed = make_view(300, attributes__age=[AGE.truth[i % 3] for i in range(300)], **more)
    for metric in (ENTROPY, DIVERGENCE):
        (wide,), (narrow,) = metric(alike), metric(mixed)
        assert wide.value == pytest.approx(narrow.value)
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
        assert wide.clusters == 30


def test_the_truth_is_held_where_images_of_a_prompt_are_alike(make_view):
    """Thirty prompts of eight images with shares of their own, intraclass correlation 0.2."""
    rng, mean = np.random.default_rng(1), np.array([0.6, 0.3, 0.1])
    truth = stats.entropy(mean) / np.log(3), jensenshannon(mean, list(REFERENCE.values()), base=2) ** 2
    matrix, held = AGE.matrix() / 1000, np.zeros(2)
    for _ in range(60):
        people = [rng.choice(3, 8, p=rng.dirichlet(mean * 4)) for _ in range(30)]
        answers = [AGE.answers[rng.choice(4, p=matrix[i])] for i in np.concatenate(people)]
        more = {"groups": {"age": AGES}, "operating": {"attributes.age": AGE}}
        view = make_view(240, attributes__age=answers, prompt_id=[f"p{i // 8}" for i in range(240)], **more)
        held += [e.low <= t <= e.high for (e,), t in zip((ENTROPY(view), DIVERGENCE(view)), truth, strict=True)]
    assert (held / 60 >= 0.95 - 2 * 0.028).all()


def test_no_answers_give_no_number(make_view):
    for metric in (ENTROPY, DIVERGENCE):
        (found,) = metric(ages(make_view, (0, 0, 0)))
        assert (found.status, found.value) == (Status.INSUFFICIENT, None)
