# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from audit.errors import ProbeError
from audit.probes import load_probe_set
from audit.probes._references import read_references
from audit.types import OtherReference

SET = """\
schema: 1
name: demo
version: 1.0.0
title: Demo
purpose: bias
licence: CC0-1.0
card: {description: d, source: s, design: d, limits: l, language: en, created: 2026-01-02}
repetitions: 2
template: a portrait of a {job}
axes: {job: [nurse, CEO, cook]}
groups:
  presentation:
    groups: [feminine, masculine]
    reference: uniform
    source: x
    others:
      statistics: {file: shares.csv, axis: job}
"""
HEADER = "job,attribute,group,share,source,year\n"
NURSE = "nurse,presentation,feminine,0.879,Table 11,2022\nnurse,presentation,masculine,0.121,Table 11,2022\n"


def read(folder: Path, text: str, groups: tuple[str, ...] = ("feminine", "masculine")) -> OtherReference:
    path = folder / "shares.csv"
    path.write_text(text, encoding="utf-8")
    return read_references(path, axis="job", attribute="presentation", groups=groups, values=["nurse", "CEO", "cook"])


def refused(folder: Path, text: str) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        read(folder, text)
    return caught.value


def test_shares_by_value_with_source_and_year(tmp_path):
    other = read(tmp_path, HEADER + NURSE)
    assert other.axis == "job"
    assert list(other.rows) == ["nurse"]  # a value without a row has no reference
    assert other.rows["nurse"].shares == {"feminine": 0.879, "masculine": 0.121}
    assert (other.rows["nurse"].source, other.rows["nurse"].year) == ("Table 11", 2022)


def test_comments_blank_lines_marks_of_spreadsheets_and_further_columns_are_passed_over(tmp_path):
    text = "\ufeff# what it is\n\n# more\r\n" + (HEADER + NURSE).replace("\n", ",note\n# in between\n", 1)
    text = text.replace("2022\n", "2022,seen\n")
    assert read(tmp_path, text) == read(tmp_path, HEADER + NURSE)


def test_columns_may_stand_in_any_order(tmp_path):
    text = (
        "year,share,group,source,job,attribute\n2022,0.879,feminine,Table 11,nurse,presentation\n"
        "2022,0.121,masculine,Table 11,nurse,presentation\n"
    )
    assert read(tmp_path, text) == read(tmp_path, HEADER + NURSE)


def test_rows_about_other_attributes_are_not_read(tmp_path):
    more = "nurse,age,young,0.5,Elsewhere,2021\npilot,age,young,7,Elsewhere,never\n"
    assert read(tmp_path, HEADER + more + NURSE) == read(tmp_path, HEADER + NURSE)


def test_groups_stand_as_declared_whatever_the_order_of_rows(tmp_path):
    first, second, _ = NURSE.split("\n")
    other = read(tmp_path, HEADER + second + "\n" + first + "\n")
    assert list(other.rows["nurse"].shares) == ["feminine", "masculine"]


def test_no_year_is_a_policy_choice(tmp_path):
    assert read(tmp_path, HEADER + NURSE.replace("2022", "")).rows["nurse"].year is None


def test_shares_rounded_in_print_are_brought_to_a_sum_of_one(tmp_path):
    text = HEADER + "".join(
        f"cook,presentation,{group},{share},s,2022\n" for group, share in (("a", 0.333), ("b", 0.333), ("c", 0.333))
    )
    shares = read(tmp_path, text, groups=("a", "b", "c")).rows["cook"].shares
    assert shares == {"a": pytest.approx(1 / 3), "b": pytest.approx(1 / 3), "c": pytest.approx(1 / 3)}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-15)


def test_a_source_may_hold_commas_and_lines_keep_their_numbers(tmp_path):
    quoted = NURSE.replace("Table 11", '"Table 11,\nannual averages"')
    assert read(tmp_path, HEADER + quoted).rows["nurse"].source == "Table 11,\nannual averages"
    error = refused(tmp_path, "# one comment\n" + HEADER + quoted + "cook,presentation,feminine,2,s,2022\n")
    assert error.where == f"{tmp_path / 'shares.csv'}:7"


@pytest.mark.parametrize(
    ("change", "message", "line", "hint"),
    [
        (("0.879", "87.9"), "share '87.9' is no number from 0 to 1", 2, "0.87, not 87 %"),
        (("0.879", "nan"), "share 'nan' is no number from 0 to 1", 2, "0.87, not 87 %"),
        (("0.879", "-0.1"), "share '-0.1' is no number from 0 to 1", 2, "0.87, not 87 %"),
        (("0.879", ""), "share '' is no number from 0 to 1", 2, "0.87, not 87 %"),
        (("2022", "last year"), "year 'last year' is none", 2, None),
        (("2022", "²"), "year '²' is none", 2, None),
        (("2022", "0022"), "year '0022' is none", 2, None),
        (("Table 11", ""), "nurse: no source", 2, "say where the share comes from"),
        (("masculine", "masculin"), "'masculin' is no group of 'presentation'", 3, "did you mean 'masculine'?"),
        (("masculine", "feminine"), "nurse: 'feminine' stands twice", 3, None),
        (("nurse", "nurze"), "no prompt has job 'nurze'", 2, "did you mean 'nurse'?"),
        (("nurse", "xyz"), "no prompt has job 'xyz'", 2, "known: nurse, CEO, cook"),
        (("feminine,0.879,Table 11", "feminine"), "needs 6 cells", 2, "quote cells that hold a comma"),
        (("Table 11,2022", "Table 11, A,2022"), "needs 6 cells", 2, "quote cells that hold a comma"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path, change, message, line, hint):
    error = refused(tmp_path, HEADER + NURSE.replace(*change))
    assert str(error).endswith(message)
    assert (error.where, error.hint) == (f"{tmp_path / 'shares.csv'}:{line}", hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'job'"),
        (HEADER.replace("source", "origin") + NURSE, "has no column 'source'"),
        (HEADER.replace("\n", ",job\n") + NURSE.replace("2022\n", "2022,CEO\n"), "two columns have the same name"),
        (HEADER, "no row is about 'presentation'"),
        (HEADER + NURSE.split("\n", maxsplit=1)[0] + "\n", "nurse: no share of 'masculine'"),
        (HEADER + NURSE.replace("0.121", "0.2"), "nurse: shares sum to 1.079, not to 1"),
        (HEADER + NURSE.replace("2022", "2021", 1), "nurse: its groups have several sources or years"),
        (HEADER + NURSE + '"nurse', "no CSV: unexpected end of data"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, text, message):
    error = refused(tmp_path, text)
    assert str(error).endswith(message)
    assert error.where == str(tmp_path / "shares.csv")


def test_a_set_reads_its_tables_beside_it(tmp_path):
    (tmp_path / "demo.yaml").write_text(SET)
    (tmp_path / "shares.csv").write_text(HEADER + NURSE)
    declared = load_probe_set(tmp_path / "demo.yaml").groups["presentation"]
    assert declared.reference == {"feminine": 0.5, "masculine": 0.5}
    assert declared.others == {"statistics": read(tmp_path, HEADER + NURSE)}


def test_a_missing_table_and_an_axis_that_no_prompt_has_are_errors(tmp_path):
    (tmp_path / "demo.yaml").write_text(SET)
    with pytest.raises(ProbeError, match="reference cannot be read") as missing:
        load_probe_set(tmp_path / "demo.yaml")
    assert missing.value.hint == "`file` names a CSV beside the probe set"
    (tmp_path / "demo.yaml").write_text(SET.replace("axis: job", "axis: jobs"))
    with pytest.raises(ProbeError, match="no prompt has an axis 'jobs'") as unknown:
        load_probe_set(tmp_path / "demo.yaml")
    assert unknown.value.hint == "did you mean 'job'?"
    assert unknown.value.where.endswith("demo.yaml:17:44")


def test_other_shares_are_another_set(tmp_path):
    """The digest covers what images are compared with; comments and notes in the table are not part of it."""
    (tmp_path / "demo.yaml").write_text(SET)
    digests = []
    for text in (HEADER + NURSE, "# note\n" + HEADER + NURSE, HEADER + NURSE.replace("0.879", "0.880")):
        (tmp_path / "shares.csv").write_text(text)
        digests.append(load_probe_set(tmp_path / "demo.yaml").digest)
    assert digests[0] == digests[1] != digests[2]
