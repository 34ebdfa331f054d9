# SPDX-License-Identifier: Apache-2.0
"""People's labels read like any other instrument."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.annotators._votes import majority, read_votes
from audit.annotators.people import PeopleAnnotator
from audit.errors import ConfigError
from audit.images import pixel_digest
from tests.asking import record

GROUPS = {"presentation": ["feminine", "masculine"]}
RNG = np.random.default_rng(0)
IMAGES = [record(RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8), name=f"r{k}") for k in range(4)]


def table(tmp_path, text, name="labels.csv"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def annotate(path, images=IMAGES, **options):
    columns = PeopleAnnotator(table=path, **{"attributes": GROUPS, **options}).annotate(images)
    return {name: values.tolist() for name, values in columns.items()}


@pytest.mark.parametrize(
    ("labels", "settled"),
    [
        (["x"], "x"),
        (["x", "y", "x"], "x"),
        (["x", "y"], "could not tell"),
        (["x", "x", "could not tell"], "x"),
        (["x", "could not tell"], "could not tell"),
        (["x", "y", "x", "y", "could not tell"], "could not tell"),
    ],
)
def test_majority(labels, settled):
    assert majority(labels) == settled
    assert majority(labels[::-1]) == settled


def test_a_spreadsheet_by_request(tmp_path):
    found = annotate(table(tmp_path, "request_id,presentation\nr2,masculine\nr0,could not tell\n"))
    assert found["presentation"] == ["could not tell", None, "masculine", None]
    np.testing.assert_array_equal(found["presentation_weight"], [1, np.nan, 1, np.nan])
    np.testing.assert_array_equal(found["presentation_raters"], [1, np.nan, 1, np.nan])


def test_several_raters_weights_and_blanks(tmp_path):
    text = (
        "request_id;rater;presentation;weight\n"
        "r0;ann;feminine;4\nr0;bob;feminine;4\nr0;cy;masculine;4\n"
        "r1;ann;feminine;2.5\nr1;bob;masculine;2.5\nr2;ann;;3\n"
    )
    found = annotate(table(tmp_path, text))
    assert found["presentation"] == ["feminine", "could not tell", None, None]
    np.testing.assert_array_equal(found["presentation_weight"], [4, 2.5, np.nan, np.nan])
    np.testing.assert_array_equal(found["presentation_raters"], [3, 2, np.nan, np.nan])


@pytest.mark.parametrize("key", ["sha256", "pixels"])
def test_by_digest_of_file_or_pixels(tmp_path, key):
    digest = IMAGES[1].sha256 if key == "sha256" else pixel_digest(IMAGES[1].rgb)
    found = annotate(table(tmp_path, f"{key},presentation\n{digest},feminine\n"))
    assert found["presentation"] == [None, "feminine", None, None]


def test_a_label_is_of_a_picture_not_of_a_request(tmp_path):
    shown = pixel_digest(IMAGES[0].rgb)
    text = f"request_id,pixels,presentation\nr0,{shown},feminine\nr1,{shown},feminine\n"
    assert annotate(table(tmp_path, text))["presentation"] == ["feminine", None, None, None]


def test_json_lines_and_parquet_in_the_long_form(tmp_path):
    names = ("request_id", "rater", "occasion", "attribute", "label", "weight")
    cells = [
        ("r0", "a", 1, "presentation", "feminine", 2.0),
        ("r0", "a", 2, "presentation", "masculine", 2.0),
        ("r0", "b", 1, "presentation", None, None),
        ("r3", "a", 1, "age", "young", 7.0),
    ]
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    lines = table(tmp_path, "\n".join(map(json.dumps, rows)), "labels.jsonl")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "labels.parquet")
    (tmp_path / "labels.json").write_text(json.dumps({"attributes": {**GROUPS, "age": ["young", "old"]}}))
    first, second = annotate(lines, attributes=None), annotate(str(tmp_path / "labels.parquet"), attributes=None)
    assert first["presentation"] == ["feminine", None, None, None]
    assert first["age"] == [None, None, None, "young"]
    np.testing.assert_array_equal(first["age_weight"], [np.nan, np.nan, np.nan, 7])
    np.testing.assert_equal(first, second)


def test_identity_changes_with_the_labels_and_the_groups(tmp_path):
    digests = {
        PeopleAnnotator(table=table(tmp_path, text, name), attributes=groups).spec.digest
        for name, text in (("a.csv", "request_id,x\nr0,u\n"), ("b.csv", "request_id,x\nr0,v\n"))
        for groups in ({"x": ["u", "v"]}, {"x": ["u", "v", "w"]})
    }
    assert len(digests) == 4


def test_own_error_only_from_a_file(tmp_path):
    path = table(tmp_path, "request_id,presentation\nr0,feminine\n")
    assert PeopleAnnotator(table=path, attributes=GROUPS).spec.operating == {}
    counts = {"truth": GROUPS["presentation"], "answers": [*GROUPS["presentation"], "could not tell"]}
    own = table(tmp_path, json.dumps({"presentation": {**counts, "counts": [[48, 1, 1], [2, 47, 1]]}}), "own.json")
    measured = PeopleAnnotator(table=path, attributes=GROUPS, operating=own).spec.operating
    assert measured["presentation"].counts == ((48, 1, 1), (2, 47, 1))


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("request_id,presentation\nr0,femnine\n", "'femnine' is no answer", 2),
        ("image,presentation\nr0,feminine\n", "which images", None),
        ("request_id,presentation\n,feminine\n", "no request_id", 2),
        ("request_id,rater,presentation\nr0,a,feminine\nr0,a,masculine\n", "answers presentation of r0 twice", 3),
        ("request_id,presentation,weight\nr0,feminine,-1\n", "no weight", 2),
        ("request_id,presentation,presentation\nr0,feminine,feminine\n", "stands twice", 1),
    ],
)
def test_tables_that_are_refused_with_their_place(tmp_path, text, says, line):
    path = table(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as caught:
        annotate(path)
    assert caught.value.where == (path if line is None else f"{path}:{line}")
    assert caught.value.hint


def test_groups_are_declared_and_never_read_off_answers(tmp_path):
    path = table(tmp_path, "request_id,presentation\nr0,feminine\n")
    with pytest.raises(ConfigError, match="no option `attributes`, and no card") as caught:
        PeopleAnnotator(table=path)
    assert "declared" in caught.value.hint
    with pytest.raises(ConfigError, match="two groups"):
        PeopleAnnotator(table=path, attributes={"presentation": ["feminine"]})
    with pytest.raises(ConfigError, match="no table"):
        PeopleAnnotator()


def test_race_only_when_told(tmp_path):
    path = table(tmp_path, "request_id,race\nr0,a\n")
    with pytest.raises(ConfigError, match="race"):
        PeopleAnnotator(table=path, attributes={"race": ["a", "b"]})
    assert read_votes(tmp_path / "labels.csv", {"race": ["a", "b"]}).found["race"]["r0"].label == "a"
    PeopleAnnotator(table=path, attributes={"race": ["a", "b"]}, allow_race=True)
