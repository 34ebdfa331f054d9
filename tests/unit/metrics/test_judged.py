# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.metrics.quality.judged import CORRECT, DRIFT
from audit.policy.missing import worst_case
from audit.stats.annotator_error import Correction
from audit.stats.drift import drift, two_judgements
from audit.stats.shares import clustered_share
from audit.types import OperatingCharacteristics, Status

DAY = 86_400.0
ANSWERS = ("yes", "no", "could not tell")


def words(flags):
    return ["yes" if flag else "no" for flag in flags]


def judge(counts):
    return OperatingCharacteristics("correct", ("yes", "no"), ANSWERS, counts, "300 images that people judged")


def test_share_judged_correct_with_prompts_as_clusters(make_view):
    right = np.arange(40) % 3 > 0
    said = words(right)
    said[5], said[6] = "could not tell", None
    view = make_view(40, judgements__correct=said, outcome=["image"] * 38 + ["refused", "error"])
    (found,) = CORRECT(view)
    kept = np.array([word in {"yes", "no"} for word in said]) & (np.arange(40) < 38)
    expected = clustered_share(right[kept], np.arange(40)[kept] % 4)
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)
    assert (found.n, found.missing, found.clusters, found.extra["could_not_tell"]) == (36, 4, 4, 1)
    k = int(right[kept].sum())
    assert (found.extra["if_those_are_wrong"], found.extra["if_those_are_right"]) == (k / 37, (k + 1) / 37)
    worst = worst_case(found)
    assert (worst.low, worst.high) == pytest.approx((k / 38, (k + 2) / 38))


def test_slices_and_too_few(make_view):
    view = make_view(24, judgements__correct=["yes", "no"] * 12, axis__kind=["a"] * 20 + ["b"] * 4, by=("kind",))
    whole, many, few = CORRECT(view)
    assert (whole.value, many.slice, many.n) == (0.5, {"kind": "a"}, 20)
    assert (few.status, few.why) == (Status.INSUFFICIENT, "4 images judged right or wrong, needs 10")
    assert CORRECT(make_view(5))[0].status is Status.UNAVAILABLE


def test_the_share_is_corrected_for_the_judges_own_error(make_view):
    """A judge that calls a fifth of the wrong ones right: of 300 images 62 % are called right where 50 % are."""
    counts = ((93, 5, 2), (18, 80, 2))
    said = ["yes"] * 166 + ["no"] * 128 + ["could not tell"] * 6
    view = make_view(300, judgements__correct=said, operating={"judgements.correct": judge(counts)})
    (found,) = CORRECT(view)
    table = np.zeros((4, 3))
    for i, word in enumerate(said):
        table[i % 4, ANSWERS.index(word)] += 1
    expected = Correction(np.array(counts, dtype=float)).estimate(table.sum(axis=0), clusters=table)
    assert (found.value, found.low, found.high) == (expected.shares[0], expected.low[0], expected.high[0])
    assert found.value == pytest.approx(0.5, abs=0.02)
    assert found.extra["raw_share"] == pytest.approx(166 / 294)
    assert (found.n, found.extra["measured_on"]) == (300, "300 images that people judged")


def test_a_judge_that_guesses_gives_no_number(make_view):
    view = make_view(40, judgements__correct=["yes"] * 40, operating={"judgements.correct": judge(((5, 5, 0),) * 2)})
    assert CORRECT(view)[0].status is Status.UNIDENTIFIED


def test_two_judges_of_the_same_images(make_view):
    rng = np.random.default_rng(0)
    first = rng.random(80) < 0.6
    second = first ^ (rng.random(80) < 0.15)
    again = words(second)
    again[3] = None
    view = make_view(
        80,
        judgements__correct=words(first),
        judgements__again=again,
        judgements__judge=["geneval"] * 80,
        judgements__again_judge=["soft-tifa"] * 80,
    )
    (found,) = DRIFT(view)
    kept = np.arange(80) != 3
    expected = two_judgements(first[kept], second[kept], (np.arange(80) % 4)[kept])
    assert found.slice == {"against": "soft-tifa"}
    assert (found.value, found.low, found.high) == (
        expected.change.value,
        expected.change.low,
        expected.change.high,
    )
    assert (found.n, found.missing) == (79, 1)
    names = ("agreement", "kappa", "mcnemar_p")
    assert [found.extra[name] for name in names] == [expected.agreement.value, expected.kappa.value, expected.p]
    assert found.extra["kappa_low"] < found.extra["kappa"] < found.extra["kappa_high"]
    same = make_view(
        80,
        judgements__correct=words(first),
        judgements__again=words(second),
        judgements__judge=["g"] * 80,
        judgements__again_judge=["g"] * 80,
    )
    assert DRIFT(same)[0].slice == {"against": "g, later"}


def test_a_judge_held_against_people_over_time(make_view):
    """Known drift: later the judge calls 40 % of the wrong ones right, before 5 %."""
    rng = np.random.default_rng(1)
    people = rng.random(400) < 0.5
    at = rng.permutation(400) * DAY
    late = at >= 200 * DAY
    judged = people | (rng.random(400) < np.where(late, 0.4, 0.05))
    view = make_view(
        400,
        prompt_id=[f"p{i % 100}" for i in range(400)],
        judgements__correct=words(judged),
        judgements__people=words(people),
        judgements__judged_at=at,
    )
    against, over_time = DRIFT(view)
    assert (against.slice, over_time.slice) == ({"against": "people"}, {"against": "people", "over": "time"})
    assert against.value == pytest.approx(judged.mean() - people.mean())
    assert (against.extra["gained"], against.extra["lost"]) == ((judged & ~people).sum(), 0)
    expected = drift(judged.astype(float) - people, at, np.arange(400) % 100)
    assert (over_time.value, over_time.low) == (expected.change.value, expected.change.low)
    assert over_time.low <= 0.35 / 2 <= over_time.high
    assert over_time.low > 0
    assert over_time.extra["late"] - over_time.extra["early"] == pytest.approx(over_time.value)
    assert over_time.extra["a_day"] > 0


def test_an_audit_of_a_steady_judge_rarely_cries_wolf(make_view):
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(100):
        people = rng.random(120) < 0.5
        judged = people ^ (rng.random(120) < 0.15)
        view = make_view(
            120,
            prompt_id=[f"p{i % 40}" for i in range(120)],
            judgements__correct=words(judged),
            judgements__people=words(people),
            judgements__judged_at=rng.permutation(120) * DAY,
        )
        found = DRIFT(view)[1]
        alarms += not found.low <= 0 <= found.high
    assert alarms <= stats.binom.ppf(0.999, 100, 0.05)


def test_drift_without_anything_to_compare(make_view):
    assert DRIFT(make_view(30))[0].status is Status.UNAVAILABLE
    (alone,) = DRIFT(make_view(30, judgements__correct=["yes"] * 30, judgements__again=[None] * 30))
    assert (alone.status, alone.why) == (Status.UNAVAILABLE, "no image was judged twice, and none by people")
    few = make_view(30, judgements__correct=["yes"] * 30, judgements__people=["no"] * 9 + [None] * 21)
    assert [found.status for found in DRIFT(few)] == [Status.INSUFFICIENT, Status.INSUFFICIENT]
    dated = {"judgements__correct": words([True] * 60), "judgements__people": words([True] * 60)}
    once = DRIFT(make_view(60, **dated, judgements__judged_at=np.full(60, DAY)))[1]
    assert (once.status, once.why) == (Status.INSUFFICIENT, "all judgements are of one time")
