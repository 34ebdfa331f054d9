# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.intersection import METRIC, joint_counts
from audit.stats.annotator_error import Correction
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

PRESENTATION = OperatingCharacteristics(
    "presentation",
    ("feminine", "masculine"),
    ("feminine", "masculine", "could not tell"),
    ((940, 40, 20), (30, 940, 30)),
    "a thousand",
)
TONE = OperatingCharacteristics(
    "tone_band", ("light", "dark"), ("light", "dark"), ((450, 50), (25, 475)), "five hundred"
)
OPERATING = {"attributes.presentation": PRESENTATION, "skin_tone.tone_band": TONE}
GROUPS = {
    "presentation": DeclaredGroups("presentation", PRESENTATION.truth, {"feminine": 0.5, "masculine": 0.5}, "one"),
    "tone_band": DeclaredGroups("tone_band", TONE.truth, {"light": 0.6, "dark": 0.4}, "two"),
}
CELLS = ("feminine & light", "feminine & dark", "masculine & light", "masculine & dark")


def view_of(make_view, first, second, **more):
    more = {"groups": GROUPS, "operating": OPERATING, "prompt_id": ["p"] * len(first), **more}
    return make_view(len(first), attributes__presentation=list(first), skin_tone__tone_band=list(second), **more)


def drawn(rng, joint, n, *, tone=None):
    """Answers of both instruments about people of a joint distribution, errors independent given the truth."""
    cell = rng.choice(4, n, p=joint)
    a, b = cell // 2, cell % 2
    first, second = PRESENTATION.matrix(), TONE.matrix()
    said_a = [rng.choice(3, p=first[i] / first[i].sum()) for i in a]
    rows = [(second if tone is None else tone[i])[j] for i, j in zip(a, b, strict=True)]
    said_b = [rng.choice(2, p=row / row.sum()) for row in rows]
    return [PRESENTATION.answers[i] for i in said_a], [TONE.answers[i] for i in said_b]


def test_the_joint_matrix_is_the_kronecker_product_with_the_smaller_number_of_images():
    joint, counts = joint_counts(PRESENTATION, TONE)
    matrix = Correction(counts).matrix
    assert np.allclose(matrix, np.kron(PRESENTATION.matrix() / 1000, TONE.matrix() / 500))
    assert counts.sum(axis=1) == pytest.approx([500] * 4)
    assert joint.truth == CELLS
    assert joint.answers[:2] == ("feminine & light", "feminine & dark")


def test_a_generator_may_keep_both_shares_and_lose_a_cell(make_view):
    # Half feminine, three fifths light, and not one masculine person who is dark.
    first = ["feminine"] * 100 + ["masculine"] * 100
    second = ["light"] * 20 + ["dark"] * 80 + ["light"] * 100
    found = {e.slice.get("group"): e for e in METRIC(view_of(make_view, first, second))}
    assert list(found) == [*CELLS, None]
    assert found["masculine & dark"].value == pytest.approx(-0.2)
    assert found["masculine & dark"].extra["reference"] == pytest.approx(0.2)
    assert sum(found[cell].extra["share"] for cell in CELLS) == pytest.approx(1)
    worst = found[None]
    assert worst.slice == {"attribute": "presentation x tone_band"}
    assert worst.value == max(abs(found[cell].value) for cell in CELLS)
    assert worst.extra["worst_group"] == max(CELLS, key=lambda cell: abs(found[cell].value))
    assert worst.low > 0.05


def test_the_joint_shares_are_corrected_and_held(make_view):
    rng, truth = np.random.default_rng(2), np.array([0.45, 0.05, 0.2, 0.3])
    held, errors = np.zeros(4), []
    for _ in range(60):
        counted = {}
        for name, oc in OPERATING.items():
            rows = tuple(
                tuple(int(c) for c in rng.multinomial(sum(row), np.array(row) / sum(row))) for row in oc.counts
            )
            counted[name] = replace(oc, counts=rows)
        found = METRIC(view_of(make_view, *drawn(rng, truth, 200), operating=counted))[:4]
        gaps = truth - np.array([0.3, 0.2, 0.3, 0.2])
        held += [e.low <= gap <= e.high for e, gap in zip(found, gaps, strict=True)]
        errors.append([e.value for e in found] - gaps)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.012
    assert held.mean() / 60 >= 0.93


def test_errors_within_the_other_group_are_used_where_they_were_counted(make_view):
    # The tone of masculine people is misread far more often than that of feminine ones.
    kind, unkind = ((485, 15), (10, 490)), ((400, 100), (40, 460))
    within = {"presentation=feminine": kind, "presentation=masculine": unkind}
    knowing = {**OPERATING, "skin_tone.tone_band": replace(TONE, within=within)}
    truth = np.array([0.3, 0.2, 0.3, 0.2])
    tone = np.array([kind, unkind], dtype=float)
    first, second = drawn(np.random.default_rng(5), truth, 20_000, tone=tone)
    aware = METRIC(view_of(make_view, first, second, operating=knowing))[:4]
    naive = METRIC(view_of(make_view, first, second))[:4]
    assert max(abs(e.value) for e in aware) < 0.02
    assert max(abs(e.value) for e in naive) > 0.03


def test_cells_of_few_expected_images_are_not_told(make_view):
    first, second = ["feminine", "masculine"] * 12, ["light", "light", "dark", "dark"] * 6
    found = METRIC(view_of(make_view, first, second))  # 24 images: 7.2 expected light, 4.8 dark
    assert [e.status for e in found] == [Status.OK, Status.INSUFFICIENT, Status.OK, Status.INSUFFICIENT, Status.OK]
    assert found[1].why == "suppressed: 4.8 images expected, needs 5"
    assert (found[-1].extra["suppressed"], found[-1].extra["looked_at"]) == (2, 2)


def test_two_readings_of_one_attribute_do_not_meet(make_view):
    groups = {"tone": replace(GROUPS["tone_band"], attribute="tone"), "tone_band": GROUPS["tone_band"]}
    (found,) = METRIC(make_view(4, groups=groups))
    assert found.status is Status.UNAVAILABLE
    (found,) = METRIC(make_view(4, groups={"tone_band": GROUPS["tone_band"]}))
    assert "two declared attributes" in found.why


def test_two_weak_instruments_cannot_tell_cells_apart(make_view):
    weak = {name: replace(oc, counts=((60, 40), (40, 60)), answers=oc.truth) for name, oc in OPERATING.items()}
    found = METRIC(view_of(make_view, ["feminine"] * 40, ["light"] * 40, operating=weak))
    assert [e.status for e in found] == [Status.UNIDENTIFIED]
    assert "together" in found[0].why
