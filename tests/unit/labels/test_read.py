# SPDX-License-Identifier: Apache-2.0
"""Sheets come back: nothing wrong passes, nothing right is lost, and every label lands on its image."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from audit.errors import ConfigError, StoreError
from audit.labels import Design, export, labelled, read_into
from audit.labels._table import load
from tests.unit.labels.conftest import fill, make_run


@pytest.fixture
def exported(made, tmp_path):
    return export(made.run, tmp_path / "out", Design(n=40, per_slice=4, raters=2, repeat=0.1))


@pytest.fixture
def sheets(made, exported, tmp_path):
    """Both raters say the truth; the second cannot tell masculine pictures of pilots."""

    def shy(name, _):
        return "could not tell" if "pilot" in name and made.truth[name] == "masculine" else made.truth[name]

    return [
        fill(exported, "rater-1", lambda name, _: made.truth[name], tmp_path / "rater-1.csv"),
        fill(exported, "rater-2", shy, tmp_path / "rater-2.csv"),
    ]


def test_labels_land_on_the_images_that_were_seen(made, exported, sheets):
    done = read_into(exported, sheets, made.run.path)
    assert done.table == str(made.run.path / "labels" / "labels.parquet")
    found = {row["request_id"]: row for row in labelled(made.run).to_pylist()}
    assert set(found) == {item.request_id for item in exported.items}
    for name, row in found.items():
        shy = "pilot" in name and made.truth[name] == "masculine"
        assert row["label"] == ("could not tell" if shy else made.truth[name])  # one each: a tie
        assert row["raters"] == 2
    assert done.labelled == {"presentation": 40}
    assert [sheet.answered for sheet in done.sheets] == [44, 44]
    twice = [i.request_id for i in exported.items if i.rater == "rater-2" and i.occasion == 2]
    seen = [*found, *twice]
    assert done.sheets[1].untold == sum("pilot" in name and made.truth[name] == "masculine" for name in seen)


def test_weights_add_up_to_the_images_of_each_stratum(made, exported, sheets):
    read_into(exported, sheets, made.run.path)
    stratum = {item.request_id: item.stratum for item in exported.items}
    total, each = defaultdict(float), defaultdict(set)
    for row in labelled(made.run).to_pylist():
        total[stratum[row["request_id"]]] += row["weight"]
        each[stratum[row["request_id"]]].add(row["weight"])
    assert total == pytest.approx(exported.strata)
    inclusion = {item.stratum: item.inclusion for item in exported.items}
    assert {name: next(iter(weights)) for name, weights in each.items()} == pytest.approx(
        {name: 1 / p for name, p in inclusion.items()}
    )


def test_sheets_that_end_early_are_counted_and_weighted_up(made, exported, tmp_path):
    path = fill(exported, "rater-1", lambda name, _: made.truth[name], tmp_path / "r.csv", keep=25)
    done = read_into(exported, [path], made.run.path)
    (sheet,) = done.sheets
    assert (sheet.rows, sheet.items, sheet.answered, sheet.unanswered) == (25, 44, 25, 19)
    early = {i.request_id for i in exported.items if i.rater == "rater-1" and i.position < 25 and i.occasion == 1}
    rows = labelled(made.run).to_pylist()
    assert {row["request_id"] for row in rows} == early
    assert done.labelled["presentation"] == len(early)
    stratum = {item.request_id: item.stratum for item in exported.items}
    seen = {stratum[name] for name in early}
    assert done.unlabelled_strata["presentation"] == len(set(exported.strata) - seen)
    assert sum(row["weight"] for row in rows) == pytest.approx(sum(exported.strata[name] for name in seen))
    # what was not answered stays visible: a row without a label, and without a weight
    kept = load(made.run.path / "labels" / "labels.parquet").answers
    assert len(kept) == 44
    assert all((answer.label is None) == (answer.weight is None) for answer in kept)


def test_raters_may_come_one_after_the_other_and_again(made, exported, sheets, tmp_path):
    both = read_into(exported, sheets, tmp_path / "both.csv")
    read_into(exported, sheets[:1], made.run.path)
    done = read_into(exported, sheets[1:], made.run.path)
    assert [sheet.rater for sheet in done.sheets] == ["rater-1", "rater-2"]
    assert done.replaced == ()
    assert load(made.run.path / "labels" / "labels.parquet").answers == load(tmp_path / "both.csv").answers
    assert both.labelled == done.labelled
    changed = fill(exported, "rater-2", lambda name, _: made.truth[name], tmp_path / "new.csv")
    assert read_into(exported, [changed], made.run.path).replaced == ("rater-2",)
    assert {row["label"] for row in labelled(made.run).to_pylist()} == {"feminine", "masculine"}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_form_of_table_holds_the_same(made, exported, sheets, tmp_path, suffix):
    read_into(exported, sheets, made.run.path)
    read_into(exported, sheets, tmp_path / f"labels.{suffix}")
    expected = load(made.run.path / "labels" / "labels.parquet")
    found = load(tmp_path / f"labels.{suffix}")
    assert found.answers == expected.answers
    assert {**found.card, "written": ""} == {**expected.card, "written": ""}


def test_sheets_as_spreadsheets_save_them(made, exported, sheets, tmp_path):
    text = sheets[0].read_text().replace(",", ";").replace("feminine", " Feminine ")
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b";;;\r\n")
    found = read_into(exported, [path], tmp_path / "a.csv")
    read_into(exported, sheets[:1], tmp_path / "b.csv")
    assert load(tmp_path / "a.csv").answers == load(tmp_path / "b.csv").answers
    assert found.sheets[0].unanswered == 0


def test_sheets_as_json_lines(made, tmp_path):
    out = export(made.run, tmp_path / "out", Design(n=40, per_slice=4, raters=1, form="jsonl"))
    key = {item.item: item.request_id for item in out.items}
    path = out.path / "rater-1" / "sheet.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({**row, "presentation": made.truth[key[row["item"]]], "comment": "é"}) for row in rows]
    path.write_text("\n".join(lines))
    read_into(out, [path], made.run.path)
    assert {r["request_id"]: r["label"] for r in labelled(made.run).to_pylist()} == {
        name: made.truth[name] for name in key.values()
    }
    assert {answer.comment for answer in load(made.run.path / "labels" / "labels.parquet").answers} == {"é"}


def spoil(path, line, change):
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")
    return path


def refuse(exported, sheets, tmp_path, match):
    with pytest.raises(ConfigError, match=match) as caught:
        read_into(exported, sheets, tmp_path / "labels.csv")
    assert not (tmp_path / "labels.csv").exists()
    return caught.value


def test_an_unknown_item(exported, sheets, tmp_path):
    error = refuse(exported, [spoil(sheets[0], 7, lambda row: "x" + row)], tmp_path, "unknown item 'x")
    assert error.where == f"{sheets[0]}:7"
    assert "export" in error.hint


def test_an_unknown_answer_and_how_many_more(exported, sheets, tmp_path):
    for line in range(3, 12):
        spoil(sheets[0], line, lambda row: row.replace("masculine", "femnine").replace("feminine", "femnine"))
    error = refuse(exported, sheets, tmp_path, "'femnine' is no answer for presentation")
    assert error.where == f"{sheets[0]}:3"
    assert error.hint == "one of: feminine, masculine, could not tell; or nothing"
    assert error.message.count("\n") == 5
    assert f"\n{sheets[0]}:7: 'femnine'" in error.message
    assert error.message.endswith("and 4 more")


def test_a_doubled_row(exported, sheets, tmp_path):
    lines = sheets[0].read_text().splitlines()
    sheets[0].write_text("\n".join([*lines, lines[3]]))
    error = refuse(exported, sheets, tmp_path, "stands twice")
    assert error.where == f"{sheets[0]}:{len(lines) + 1}"


def test_items_of_another_rater(exported, sheets, tmp_path):
    other = sheets[1].read_text().splitlines()[4]
    error = refuse(exported, [spoil(sheets[0], 9, lambda _: other)], tmp_path, "item of rater-2 in a sheet of rater-1")
    assert error.where == f"{sheets[0]}:9"


def test_two_sheets_of_one_rater(exported, sheets, tmp_path):
    copy = tmp_path / "rater-2-final.csv"
    copy.write_text(sheets[0].read_text())
    assert refuse(exported, [sheets[0], copy], tmp_path, "a second sheet of rater-1").where == str(copy)


def test_columns_that_are_missing_or_new(exported, sheets, tmp_path):
    renamed = spoil(sheets[0], 1, lambda row: row.replace("presentation", "gender"))
    error = refuse(exported, [renamed], tmp_path, "no column 'presentation'")
    assert "column 'gender' was not asked for" in error.message


def test_files_that_are_no_sheets(exported, tmp_path):
    (tmp_path / "empty.csv").write_text("item,image,presentation,comment\n")
    refuse(exported, [tmp_path / "empty.csv"], tmp_path, "holds no row")
    refuse(exported, [tmp_path / "nowhere.csv"], tmp_path, "cannot be read")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    refuse(exported, [tmp_path / "sheet.xlsx"], tmp_path, "cannot read .xlsx")
    (tmp_path / "latin.csv").write_bytes("item,presentation\nx,é\n".encode("latin-1"))
    assert refuse(exported, [tmp_path / "latin.csv"], tmp_path, "not UTF-8").where.endswith("latin.csv:2")
    (tmp_path / "torn.csv").write_text("item,presentation\na,b,c\n")
    assert refuse(exported, [tmp_path / "torn.csv"], tmp_path, "more cells").where.endswith("torn.csv:2")
    (tmp_path / "torn.jsonl").write_text('{"item": 1}\n[1]\n')
    assert refuse(exported, [tmp_path / "torn.jsonl"], tmp_path, "not an object").where.endswith("torn.jsonl:2")


def test_labels_of_two_exports_are_not_mixed(made, exported, sheets, tmp_path):
    read_into(exported, sheets, made.run.path)
    other = export(made.run, tmp_path / "other", Design(n=40, per_slice=4, raters=1, seed=5))
    path = fill(other, "rater-1", lambda name, _: made.truth[name], tmp_path / "o.csv")
    with pytest.raises(ConfigError, match="labels of another export") as caught:
        read_into(other, [path], made.run.path)
    assert "--force" in caught.value.hint
    read_into(other, [path], made.run.path, force=True)
    assert {r["request_id"] for r in labelled(made.run).to_pylist()} == {i.request_id for i in other.items}


def test_labels_do_not_go_into_a_run_of_other_pictures(made, exported, sheets, tmp_path):
    other = make_run(tmp_path / "elsewhere", seed=1)  # same requests, other pictures
    with pytest.raises(StoreError, match="40 of the labelled images are not in this run"):
        read_into(exported, sheets, other.run.path)
    assert not (other.run.path / "labels").exists()


def test_labels_go_nowhere_else(made, exported, sheets, tmp_path):
    with pytest.raises(ConfigError, match="no run folder and no table"):
        read_into(exported, sheets, tmp_path / "out")
    (tmp_path / "mine.csv").write_text("my own file")
    with pytest.raises(ConfigError, match="no table of labels"):
        read_into(exported, sheets, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "my own file"


def test_a_run_without_labels_says_so(made):
    with pytest.raises(StoreError, match="no labels by people"):
        labelled(made.run)
