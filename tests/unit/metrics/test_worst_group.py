# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.bias.representation_gap import METRIC as GAP
from audit.metrics.bias.worst_group import METRIC
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

JOBS = [f"job{i}" for i in range(8)]
NAMES = np.array(["feminine", "masculine", "could not tell"], dtype=object)
MATRIX = np.array([[0.95, 0.03, 0.02], [0.02, 0.95, 0.03]])


def sliced(bias_view, answers, **more):
    jobs = np.repeat(np.array(JOBS, dtype=object), len(answers) // len(JOBS))
    return bias_view(list(answers), axis__occupation=list(jobs), prompt_id=list(jobs), by=("occupation",), **more)


def test_it_names_the_cell_that_is_furthest_off(bias_view):
    answers = (["feminine"] * 10 + ["masculine"] * 10) * 3 + ["feminine"] * 4 + ["masculine"] * 16
    answers += (["feminine"] * 11 + ["masculine"] * 9) * 4
    view = sliced(bias_view, answers)
    (found,) = METRIC(view)
    gaps = [e for e in GAP(view) if "occupation" in e.slice]
    worst = max(gaps, key=lambda e: abs(e.value))
    assert found.slice == {"attribute": "presentation"}
    assert found.value == pytest.approx(abs(worst.value))
    assert (found.extra["worst_occupation"], found.extra["worst_share"]) == ("job3", worst.extra["share"])
    assert (found.extra["looked_at"], found.n) == (16, 160)
    at = {round(level, 9): (low, high) for level, low, high in worst.curve}
    assert found.high > max(abs(e) for e in at[0.95])  # allows for sixteen looks
    assert found.low < min(abs(e) for e in at[0.95])


def test_without_slices_the_pool_is_looked_at(bias_view):
    (found,) = METRIC(bias_view(["feminine"] * 30 + ["masculine"] * 10, prompt_id=["p"] * 40))
    assert (found.extra["looked_at"], found.n) == (2, 40)


def test_slices_without_a_number_are_counted(bias_view):
    answers = ["feminine"] * 140 + [None] * 20
    (found,) = METRIC(sliced(bias_view, answers))
    assert found.extra["slices_left_out"] == 1
    (none,) = METRIC(sliced(bias_view, [None] * 160))
    assert none.status is Status.INSUFFICIENT


@pytest.mark.parametrize("shares", [[0.5] * 8, [0.5] * 6 + [0.25, 0.85]])
def test_the_interval_holds_the_largest_true_gap_and_the_floor_is_what_chance_gives(bias_view, shares):
    rng, held, values = np.random.default_rng(3), 0, []
    for _ in range(60):
        counts = tuple(tuple(int(c) for c in rng.multinomial(800, row)) for row in MATRIX)
        operating = OperatingCharacteristics("presentation", ("feminine", "masculine"), tuple(NAMES), counts, "")
        answers = np.concatenate([NAMES[rng.choice(3, 30, p=np.array([p, 1 - p]) @ MATRIX)] for p in shares])
        (found,) = METRIC(sliced(bias_view, answers, operating={"attributes.presentation": operating}))
        held += found.low <= max(abs(p - 0.5) for p in shares) <= found.high
        values.append(found.value)
    assert held >= 0.95 * 60 - 2 * (60 * 0.95 * 0.05) ** 0.5
    if max(shares) == 0.5:
        assert found.floor == pytest.approx(np.mean(values), abs=0.02)


def test_attributes_do_not_mix(make_view):
    two = {
        name: OperatingCharacteristics(name, ("a", "b"), ("a", "b"), ((900, 100), (100, 900)), "")
        for name in ("first", "second")
    }
    groups = {name: DeclaredGroups(name, ("a", "b"), {"a": 0.5, "b": 0.5}, "x") for name in two}
    operating = {f"x.{name}": oc for name, oc in two.items()}
    view = make_view(40, x__first=["a"] * 40, x__second=["a", "b"] * 20, groups=groups, operating=operating)
    first, second = METRIC(view)
    assert first.value == pytest.approx(0.5)
    assert second.value == pytest.approx(0.0, abs=1e-9)
