# SPDX-License-Identifier: Apache-2.0
"""What raters are given tells them nothing that they are not to know, and everything they need."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from audit.errors import ConfigError, StoreError
from audit.labels import Design, export, open_export
from audit.labels._attributes import attributes_of, declared_groups
from audit.labels._export import _order


@pytest.fixture
def exported(made, tmp_path):
    return export(made.run, tmp_path / "out", Design(n=40, per_slice=4, raters=3, repeat=0.1))


def test_every_rater_sees_every_image_once_and_some_twice(exported):
    for rater in ("rater-1", "rater-2", "rater-3"):
        mine = [item for item in exported.items if item.rater == rater]
        once = [item.request_id for item in mine if item.occasion == 1]
        assert len(once) == len(set(once)) == 40
        twice = [item.request_id for item in mine if item.occasion == 2]
        assert len(twice) == len(set(twice)) == 4
        assert [item.position for item in mine] == list(range(44))


def test_names_and_order_differ_by_rater(exported):
    orders = [tuple(i.request_id for i in exported.items if i.rater == f"rater-{k}") for k in (1, 2, 3)]
    assert len(set(orders)) == 3
    assert len({item.item for item in exported.items}) == len(exported.items)


def test_pictures_are_the_same_pixels_without_anything_else(exported, made):
    for item in exported.items:
        path = exported.path / item.rater / "images" / f"{item.item}.png"
        with Image.open(path) as image:
            assert image.info == {}
            np.testing.assert_array_equal(np.asarray(image), made.pictures[item.request_id])
        assert b"secretgan" not in path.read_bytes()


def test_a_rater_is_told_nothing_of_where_pictures_come_from(exported):
    secrets = ["secretgan", "secretdiff", "nurse", "pilot", "chef", "jobs", "inclusion", str(exported.path.parent)]
    secrets += [item.sha256[:12] for item in exported.items] + [item.pixels[:12] for item in exported.items]
    for rater in ("rater-1", "rater-2", "rater-3"):
        folder = exported.path / rater
        text = "".join(p.read_text() for p in folder.rglob("*") if p.suffix in {".md", ".html", ".csv"})
        names = " ".join(path.name for path in folder.rglob("*"))
        assert [secret for secret in secrets if secret in text or secret in names] == []
        mine = {item.item for item in exported.items if item.rater == rater}
        assert {path.stem for path in (folder / "images").iterdir()} == mine
        others = {item.item for item in exported.items if item.rater != rater}
        assert not others & set(re.findall(r"\w+", text))


def test_sheet_and_page_hold_the_same_items_in_the_same_order(exported):
    key = [item.item for item in exported.items if item.rater == "rater-2"]
    rows = list(csv.DictReader((exported.path / "rater-2" / "sheet.csv").read_text().splitlines()))
    assert list(rows[0]) == ["item", "image", "presentation", "comment"]
    assert [row["item"] for row in rows] == key
    assert all((exported.path / "rater-2" / row["image"]).is_file() for row in rows)
    page = (exported.path / "rater-2" / "index.html").read_text()
    assert re.findall(r'data-item="(\w+)"', page) == key
    assert set(re.findall(r'type="radio"[^>]*value="([^"]+)"', page)) == {"feminine", "masculine", "could not tell"}
    assert not re.search(r"https?://", page)


def test_sheets_as_json_lines(made, tmp_path):
    found = export(made.run, tmp_path / "out", Design(n=40, per_slice=4, form="jsonl"))
    rows = [json.loads(line) for line in (found.path / "rater-1" / "sheet.jsonl").read_text().splitlines()]
    assert [row["item"] for row in rows] == [item.item for item in found.items if item.rater == "rater-1"]
    assert rows[0]["presentation"] == ""


def test_the_key_states_the_probability_of_each_image(exported):
    sizes = {s["name"]: s for s in exported.card["strata"]}
    for item in exported.items:
        assert item.inclusion == sizes[item.stratum]["drawn"] / sizes[item.stratum]["images"]
    assert sum(s["images"] for s in sizes.values()) == 84
    assert sum(s["drawn"] for s in sizes.values()) == 40


def test_same_seed_same_key_and_more_raters_do_not_change_the_sample(made, tmp_path, exported):
    design = Design(n=40, per_slice=4, raters=3, repeat=0.1)
    again = export(made.run, tmp_path / "again", design)
    assert (again.path / "key/key.csv").read_bytes() == (exported.path / "key/key.csv").read_bytes()
    one = export(made.run, tmp_path / "one", Design(n=40, per_slice=4, raters=1))
    assert {i.request_id for i in one.items} == {i.request_id for i in exported.items}
    other = export(made.run, tmp_path / "other", Design(n=40, per_slice=4, raters=1, seed=1))
    assert {i.request_id for i in other.items} != {i.request_id for i in exported.items}


@pytest.mark.parametrize("n", [1, 2, 3, 7, 40, 200])
def test_a_repeat_comes_back_late(n):
    order = _order(n, 0.3, np.random.default_rng(n))
    assert sorted(place for place, time in order if time == 1) == list(range(n))
    first = {place: k for k, (place, time) in enumerate(order) if time == 1}
    again = {place: k for k, (place, time) in enumerate(order) if time == 2}
    assert len(again) == min(round(0.3 * n), max(1, n - n // 4))
    assert all(k - first[place] > n // 4 for place, k in again.items())


def test_a_folder_that_holds_something_is_left_alone(made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rater-1.csv").write_text("answers")
    with pytest.raises(ConfigError, match="is there already"):
        export(made.run, tmp_path / "out", Design())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rater-1.csv"]


def test_a_damaged_run_leaves_no_half_of_an_export(made, tmp_path):
    next((made.run.path / "images").rglob("*.png")).write_bytes(b"broken")
    with pytest.raises(StoreError, match="cannot be read"):
        export(made.run, tmp_path / "out", Design(n=84, per_slice=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_key_that_was_edited_is_told(exported):
    path = exported.path / "key" / "key.csv"
    path.write_bytes(path.read_bytes().replace(b"rater-1", b"rater-2", 1))
    with pytest.raises(StoreError, match="key was changed"):
        open_export(exported.path)
    with pytest.raises(StoreError, match="not an export"):
        open_export(exported.path.parent)


def test_words_of_groups_cannot_break_the_page(made, tmp_path):
    design = Design(attributes=("mood=<script>alert(1)</script>,O'Neil & co",), n=8, per_slice=1, raters=1)
    page = (export(made.run, tmp_path / "out", design).path / "rater-1" / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_declared_groups_are_the_default(made):
    declared = declared_groups(made.run.plan)
    assert attributes_of([], declared) == {"presentation": ("feminine", "masculine")}
    assert attributes_of(["presentation"], declared) == attributes_of([], declared)
    assert attributes_of(["mood=glad, sad"], declared) == {"mood": ("glad", "sad")}


def test_groups_that_two_sets_declare_differently_are_nobodys():
    probes = [{"groups": {"age": {"groups": ["young", "old"]}}}, {"groups": {"age": {"groups": ["old", "young"]}}}]
    assert declared_groups({"probes": probes}) == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("presentation", "no groups for"),
        ("mood=glad", "two groups"),
        ("mood=glad,glad", "two groups"),
        ("mood=glad,", "two groups"),
        ("mood=glad,could not tell", "cannot be an answer"),
        ("item=a,b", "no name"),
        ("mo od=a,b", "no name"),
        ("race=a,b", "race"),
        ("perceived_race=a,b", "race"),
        ("Ethnicity=a,b", "race"),
        ("perceivedRace=a,b", "race"),
    ],
)
def test_attributes_that_are_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        attributes_of([given], {})


def test_race_only_when_told():
    assert attributes_of(["race=a,b"], {}, allow_race=True) == {"race": ("a", "b")}
    assert attributes_of(["brace_colour=a,b"], {}) == {"brace_colour": ("a", "b")}
    with pytest.raises(ConfigError, match="twice"):
        attributes_of(["mood=a,b", "mood=a,c"], {})
    with pytest.raises(ConfigError, match="declare no groups"):
        attributes_of([], {})
