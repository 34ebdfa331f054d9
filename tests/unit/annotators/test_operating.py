# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from audit.annotators._label_map import RACE_WORDS
from audit.annotators._operating import measured
from audit.annotators.attributes import AttributeAnnotator
from audit.checkpoints import reference_folder
from audit.config import AuditConfig
from audit.errors import ConfigError

GROUPS = {"presentation": ("feminine", "masculine"), "glasses": ("glasses", "none")}
COUNTS = [[90, 4, 6], [5, 85, 10]]
TABLE = {
    "truth": ["feminine", "masculine"],
    "answers": ["feminine", "masculine", "could not tell"],
    "counts": COUNTS,
    "within": {"tone_band=dark": [[40, 3, 2], [4, 30, 6]], "tone_band=light": {"counts": [[50, 1, 4], [1, 55, 4]]}},
}
HEADER = "attribute,truth,answer,count,within\n"
ROWS = """presentation,feminine,feminine,90,
presentation,feminine,masculine,4,
presentation,feminine,could not tell,6,
presentation,masculine,feminine,5,
presentation,masculine,masculine,85,
presentation,masculine,could not tell,10,
presentation,feminine,feminine,40,tone_band=dark
presentation,masculine,masculine,30,tone_band=dark
"""


def read(tmp_path, content, name="counts.json"):
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return measured(str(file), GROUPS, where="annotator 'x'")


def test_json_with_parts(tmp_path):
    found = read(tmp_path, {"measured_on": "200 images of generator g", "presentation": TABLE})
    assert set(found) == {"presentation"}
    table = found["presentation"]
    assert (table.attribute, table.truth, table.answers) == (
        "presentation",
        *(tuple(TABLE[k]) for k in ("truth", "answers")),
    )
    assert table.matrix().tolist() == COUNTS
    assert table.measured_on == "200 images of generator g"
    assert table.within["tone_band=light"] == ((50, 1, 4), (1, 55, 4))


def test_csv_holds_the_same(tmp_path):
    table = read(tmp_path, "\ufeff" + HEADER + ROWS, "counts.csv")["presentation"]
    assert table.matrix().tolist() == COUNTS
    assert table.within == {"tone_band=dark": ((40, 0, 0), (0, 30, 0))}
    assert table.measured_on == "labelled images in counts.csv"


def test_the_counts_of_a_bundled_model_can_be_read_back():
    file = reference_folder("attributes") / "operating.json"
    table = measured(str(file), {"presentation": ("feminine", "masculine")}, where="x")["presentation"]
    bundled = AttributeAnnotator().spec.operating["presentation"]
    assert table.counts == bundled.counts
    assert table.measured_on == bundled.measured_on


@pytest.mark.parametrize("counts", [None, "after_autoencoder"])
def test_parts_of_the_bundled_counts_by_tone_band(counts):
    operating = AttributeAnnotator(counts=counts).spec.operating
    table = operating["presentation"]
    assert set(table.within) == {"tone_band=light", "tone_band=medium", "tone_band=dark"}
    # Every render has a tone, so the parts add up to the whole.
    assert np.sum(list(table.within.values()), axis=0).tolist() == table.matrix().tolist()
    raw = json.loads((reference_folder("attributes") / "operating.json").read_text())
    dark = (raw if counts is None else raw[counts])["presentation_by_tone_band"]["dark"]["counts"]
    assert [list(row) for row in table.within["tone_band=dark"]] == dark
    assert operating["age"].within == {}


def test_nothing_measured(tmp_path):
    assert measured(None, GROUPS, where="x") == {}


def change(**more):
    return {"presentation": {**TABLE, "within": {}, **more}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not JSON"),
        ("[]", "not an object"),
        ({"age": TABLE}, "counts nothing of presentation, glasses; it counts age"),
        ({"presentation": [1]}, "presentation: needs truth"),
        (change(counts=None), "presentation: counts must be a list"),
        (change(counts=[[1, 2, 3]]), "not 2 rows of 3 counts"),
        (change(counts=[[90, 4], [5, 85]]), "not 2 rows of 3 counts"),
        (change(counts=[[90, -4, 6], [5, 85, 10]]), "-4 is not a count"),
        (change(counts=[[90, 4.5, 6], [5, 85, 10]]), "4.5 is not a count"),
        (change(counts=[[90, True, 6], [5, 85, 10]]), "True is not a count"),
        (change(truth=["feminine", "feminine"]), "occurs twice in truth"),
        (change(answers=["feminine", "masculine", "unsure"]), "the answer 'unsure' is none of"),
        (change(answers=["feminine", "could not tell"], counts=[[1, 2], [3, 4]]), "no count of the answer 'masculine'"),
        (change(answers=["feminine", "masculine"], counts=[[1, 2], [3, 4]]), "no count of the answer 'could not tell'"),
        (change(truth=["feminine", "could not tell"]), "is an answer, not a truth"),
        (change(truth=["feminine", "androgynous"]), "no labelled image whose truth is 'masculine'"),
        (change(counts=[[0, 0, 0], [5, 85, 10]]), "no labelled image whose truth is 'feminine'"),
        (change(within=[1]), "within must map"),
        (change(within={"dark": COUNTS}), "as \"axis=value\", got 'dark'"),
        (change(within={"tone_band=dark": [[1]]}), "within tone_band=dark: the table is not"),
        (change(within={"tone_band=dark": {**TABLE, "truth": ["masculine", "feminine"]}}), "truth differs"),
        (change(within={"tone_band=dark": COUNTS, "tone_band=light": COUNTS}), "count more images than the whole"),
    ],
)
def test_wrong_tables(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "counts.json") in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        ("attribute,truth,count\n", "no column 'answer'", 1),
        (HEADER + "presentation,feminine,feminine,-3,\n", "count '-3': cannot be counted", 2),
        (HEADER + "presentation,feminine,feminine,3.5,\n", "count '3.5': cannot be counted", 2),
        (HEADER + "presentation,feminine,,3,\n", "answer '', count '3': cannot be counted", 2),
        (HEADER + "presentation,feminine,feminine,3,,9\n", "cannot be counted", 2),
        (HEADER + ROWS + "presentation,feminine,masculine,4,\n", "counted twice", 10),
    ],
)
def test_wrong_rows(tmp_path, content, message, line):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, content, "counts.csv")
    assert caught.value.where == f"{tmp_path / 'counts.csv'}:{line}"


def test_parts_without_a_whole(tmp_path):
    with pytest.raises(ConfigError, match="count more images than the whole"):
        read(tmp_path, HEADER + "presentation,feminine,feminine,40,tone_band=dark\n", "counts.csv")


def test_what_the_documentation_shows_is_accepted(tmp_path):
    from audit.annotators._label_map import groups_of

    page = (Path(__file__).parents[3] / "docs" / "annotators.md").read_text()
    (counts,) = re.findall(r"```csv\n(.*?)```", page, flags=re.S)
    table = read(tmp_path, counts, "counts.csv")["presentation"]
    assert table.matrix().sum(axis=1).tolist() == [200, 200]
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.S)]
    begin = {"name": "a", "generators": [{"name": "g", "kind": "renderer"}], "probes": [{"set": "occupations"}]}
    options = [AuditConfig.model_validate({**begin, **block}).instruments.options for block in blocks]
    assert groups_of(options[0]["zero_shot"]["attributes"], where="x")
    assert set(groups_of(options[1]["classifier"]["labels"], where="x")) == set(options[1]["classifier"]["slices"])
    assert all(word in page for word in RACE_WORDS - {"ethnicities", "races"})
