# SPDX-License-Identifier: Apache-2.0
"""Agreement, by published figures and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audit.errors import ConfigError, StoreError
from audit.labels import Design, Labels, agreement, export, open_labels, read_into
from audit.labels._table import Answer
from tests.unit.labels.conftest import fill

# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", section C: four observers, twelve units.
PUBLISHED = ("1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")


def answer(rater, unit, label, *, occasion=1, where=None, generator="g"):
    slice_ = json.dumps(where or {})
    return Answer(
        rater, f"{rater}{unit}{occasion}", occasion, "a", label, "", str(unit), generator, "p", slice_, "", "", "s", 1.0
    )


def labels(answers, groups):
    return Labels(tuple(answers), {"attributes": {"a": list(groups)}})


def published():
    said = [
        answer(f"r{k}", unit, label, where={"half": "first" if unit < 6 else "second"})
        for k, row in enumerate(PUBLISHED)
        for unit, label in enumerate(row.split())
        if label != "."
    ]
    return labels(said, "12345")


def test_published_alpha():
    found = agreement(published())
    whole = found.rows[0]
    assert whole.slice == {}
    assert round(whole.alpha.value, 3) == 0.743  # as printed there
    assert whole.alpha.low < 0.743 < whole.alpha.high
    assert whole.n == 11  # one unit has a single label


def test_interval_of_a_share_widens_by_the_formula():
    found = agreement(published())
    alpha, m = found.rows[0].alpha.value, 3  # 41 labels of 12 units, 3 to the nearest
    assert found.labels_an_image["a"] == pytest.approx(41 / 12)
    assert found.widening["a"] == pytest.approx(((1 + (m - 1) * alpha) / (m * alpha)) ** 0.5)


def test_rows_by_group_generator_and_axis():
    rows = {tuple(row.slice.items()): row for row in agreement(published()).rows}
    assert {key[0][0] for key in rows if key} == {"group", "generator", "half"}
    assert rows[("half", "first"),].n == 6
    assert rows[("half", "second"),].n == 5
    assert rows[("generator", "g"),].alpha.value == pytest.approx(rows[()].alpha.value)
    # group 4 against all others: ones in unit 6 by all, and once in unit 5
    observed = 2 * 3 / 3 / 40  # six mixed ordered pairs in the unit of four raters, over 3; 40 pairable labels
    expected = 2 * 5 * 35 / (40 * 39)
    assert rows[("group", "4"),].alpha.value == pytest.approx(1 - observed / expected)


def test_could_not_tell_is_an_answer():
    said = [answer("r1", u, "x") for u in range(4)] + [answer("r2", u, "could not tell") for u in range(4)]
    (row, *_) = agreement(labels(said, "xy")).rows
    assert row.alpha.value == pytest.approx(1 - 1 / (2 * 4 * 4 / (8 * 7)))
    assert row.same.value == 0


def test_pairs_by_hand():
    first, second = "xxxyy", "xyxy?"
    words = {"x": "x", "y": "y", "?": "could not tell"}
    said = [answer("r1", u, words[s]) for u, s in enumerate(first)]
    said += [answer("r2", u, words[s]) for u, s in enumerate(second)] + [answer("r3", 9, "x")]
    pairs = agreement(labels(said, "xy")).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [("r1", "r2"), ("r1", "r3"), ("r2", "r3")]
    assert pairs[0].answers == ("x", "y", "could not tell")
    assert pairs[0].counts == ((2, 1, 0), (0, 1, 1), (0, 0, 0))
    assert pairs[0].same.value == pytest.approx(3 / 5)
    assert (pairs[1].same, pairs[1].alpha) == (None, None)  # they saw no picture in common


def test_pictures_shown_twice_tell_how_steady_a_rater_is():
    said = [answer("r1", u, "x") for u in range(6)] + [answer("r1", u, "xxy"[u], occasion=2) for u in range(3)]
    (steady,) = agreement(labels(said, "xy")).steadiness
    assert (steady.rater, steady.same.n) == ("r1", 3)
    assert steady.same.value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([answer("r1", u, "x") for u in range(9)], "0 images with two labels"),
        ([answer(r, u, "x") for u in range(9) for r in ("r1", "r2")], "all answers are the same"),
        ([], "0 images with two labels"),
    ],
)
def test_no_data_is_no_number(said, why):
    found = agreement(labels(said, "xy"))
    assert found.rows[0].alpha is None
    assert why in found.rows[0].why
    assert found.widening == {"a": None}


def test_raters_who_toss_coins_carry_no_share():
    said = [answer("r1", u, "xy"[u % 2]) for u in range(40)] + [answer("r2", u, "xy"[u // 2 % 2]) for u in range(40)]
    found = agreement(labels(said, "xy"))
    assert found.rows[0].alpha.value < 0.05
    assert found.rows[0].same.value == 0.5
    assert found.widening["a"] is None or found.widening["a"] > 3


def test_raters_of_known_error_agree_as_they_should():
    """Two raters right with probability .9 about two equally frequent groups: alpha is 1 - 2 (2 (.9) (.1))."""
    rng = np.random.default_rng(3)
    values, covered = [], 0
    for _ in range(60):
        truth = rng.integers(0, 2, 200)
        said = [
            answer(rater, unit, "xy"[int(group ^ (rng.random() < 0.1))])
            for unit, group in enumerate(truth)
            for rater in ("r1", "r2")
        ]
        row = agreement(labels(said, "xy")).rows[0]
        values.append(row.alpha.value)
        covered += row.alpha.low < 0.64 < row.alpha.high
    assert abs(np.mean(values) - 0.64) < 4 * np.std(values) / 60**0.5
    assert covered >= 51  # of 60 at 95 %: fewer than that one time in a thousand


def test_read_from_a_run_a_table_or_filled_sheets(made, tmp_path):
    out = export(made.run, tmp_path / "out", Design(n=40, per_slice=4))
    with pytest.raises(ConfigError, match="no sheet in the export has an answer"):
        open_labels(out.path)
    with pytest.raises(StoreError, match="holds no labels"):
        open_labels(made.run.path)
    wrong = sorted(made.truth)[::5]

    def shy(name, _):
        return "could not tell" if name in wrong else made.truth[name]

    sheets = [
        fill(out, "rater-1", lambda name, _: made.truth[name], out.path / "rater-1.csv"),
        fill(
            out,
            "rater-2",
            lambda n, _: "could not tell" if n in wrong else made.truth[n],
            out.path / "rater-2" / "sheet.csv",
        ),
    ]
    read_into(out, sheets, made.run.path)
    read_into(out, sheets, tmp_path / "labels.jsonl")
    places = (out.path, made.run.path, tmp_path / "labels.jsonl")
    first, second, third = (agreement(open_labels(place)) for place in places)
    assert first == second == third
    seen = {item.request_id for item in out.items}
    assert first.rows[0].same.value == pytest.approx(1 - len(seen & set(wrong)) / 40)
