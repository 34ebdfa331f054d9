# SPDX-License-Identifier: Apache-2.0
"""Reading run folders: what is found, what is filtered, and what a damaged folder says."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from data import Filter, count, distinct, estimates, find, labels, open_run, run_paths, tally, verdict

from audit.errors import StoreError
from audit.types import Decision

HOSTILE_WORD = "onerror="


def test_run_paths_joins_arguments_and_environment_and_expands_folders_of_runs(run_folder, tmp_path):
    found = run_paths([str(run_folder)], {"GENAUDIT_RUNS": os.pathsep.join([str(tmp_path), str(run_folder)])})
    assert found == (run_folder, tmp_path)
    assert run_paths([str(run_folder.parent)], {}) == (run_folder,)
    assert run_paths([], {}) == ()


def test_every_request_is_one_row_in_the_order_of_the_plan(run_folder):
    run = open_run(run_folder)
    rows = find(run, Filter(), limit=1000)
    planned = pq.read_table(run_folder / "requests.parquet").to_pylist()
    assert [row["request_id"] for row in rows] == [row["request_id"] for row in planned]
    assert count(run, Filter()) == len(planned) == 72
    assert Counter(row["outcome"] for row in rows) == {"image": 67, "refused": 2, "blocked": 2, "error": 1}
    assert rows[0]["seed"] == planned[0]["seed"]


def test_pages_do_not_overlap_and_cover_all(run_folder):
    run = open_run(run_folder)
    ids = [row["request_id"] for start in range(0, 72, 24) for row in find(run, Filter(), limit=24, offset=start)]
    assert len(set(ids)) == 72


@pytest.mark.parametrize(
    ("wanted", "n"),
    [
        (Filter(generators=("gan",)), 36),
        (Filter(generators=("gan", "diffusion")), 72),
        (Filter(probes=("named_people",)), 24),
        (Filter(outcomes=("error",)), 1),
        (Filter(words="NURSE"), 12),
        (Filter(words="portrait nurse"), 12),
        (Filter(words="nurse builder"), 0),
        (Filter(words="%"), 0),
        (Filter(words=HOSTILE_WORD), 12),
        (Filter(words="' OR 1=1 --"), 0),
        (Filter(generators=("x') OR true --",)), 0),
        (Filter(above=True), 4),
        (Filter(searched=True), 56),
        (Filter(labels={"skin_tone.tone_band": ("dark",)}), 23),
        (Filter(labels={'no "such" column': ("dark",)}), 72),
    ],
)
def test_filters(run_folder, wanted, n):
    run = open_run(run_folder)
    assert count(run, wanted) == n
    assert len(find(run, wanted, limit=100)) == n


def test_matches_come_most_similar_first(run_folder):
    rows = find(open_run(run_folder), Filter(above=True, order="likeness.score"), limit=10)
    scores = [row["likeness.score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row["likeness.reference"] for row in rows} == {"R-03"}


def test_annotation_columns_are_scalars_only(run_folder):
    names = labels(open_run(run_folder))
    assert "attributes.presentation" in names
    assert "attributes.box" not in names


def test_distinct_and_tally_count_what_is_there(run_folder):
    run = open_run(run_folder)
    assert distinct(run, "outcome") == ["blocked", "error", "image", "refused"]
    assert distinct(run, "nothing; DROP TABLE pictures") == []
    counted = tally(run, "generator", "credentials.state")
    states = {(row["generator"], row["credentials.state"]): row["n"] for row in counted}
    assert sum(states.values()) == 67
    assert states["gan", "invalid"] == states["gan", "absent"] == 6
    assert tally(run, "generator", "not_there") == []


def test_estimates_and_verdict_are_those_of_the_store(run_folder):
    run = open_run(run_folder)
    found = verdict(run)
    assert len(estimates(run)) == len(pq.read_table(run_folder / "estimates.parquet"))
    assert found is not None
    assert found.decision is Decision.FAIL


def test_digest_follows_content(own_run):
    before = open_run(own_run).digest
    assert open_run(own_run).digest == before
    (own_run / "verdict.json").unlink()
    after = open_run(own_run)
    assert after.digest != before
    assert verdict(after) is None


def test_path_with_glob_characters_reads_only_itself(own_run, tmp_path):
    odd = own_run.rename(tmp_path / "a[b]*=c?'d")
    assert count(open_run(odd), Filter()) == 72


def test_missing_unfinished_and_foreign_folders_say_what_to_do(own_run, tmp_path):
    (tmp_path / "empty").mkdir()
    (own_run / "manifest.json").unlink()
    expected = {tmp_path / "none": "does not exist", tmp_path / "empty": "plan.json", own_run: "not complete"}
    for path, words in expected.items():
        with pytest.raises(StoreError, match=words) as caught:
            open_run(path)
        assert caught.value.hint


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}'])
def test_damaged_manifest(own_run, text):
    (own_run / "manifest.json").write_text(text)
    with pytest.raises(StoreError):
        open_run(own_run)


@pytest.mark.parametrize("name", ["requests.parquet", "generations/part-00000.parquet"])
def test_damaged_table(own_run, name):
    (own_run / name).write_bytes(b"PAR1 no more")
    with pytest.raises(StoreError, match="cannot be read"):
        count(open_run(own_run), Filter())


def test_damaged_estimates_and_verdict(own_run):
    (own_run / "verdict.json").write_text('{"policy": 3}')
    with pytest.raises(StoreError):
        verdict(open_run(own_run))
    (own_run / "estimates.parquet").write_bytes(b"")
    with pytest.raises(StoreError):
        estimates(open_run(own_run))


def test_run_without_annotations_or_estimates(own_run):
    for file in [*own_run.glob("annotations/*/*.parquet"), own_run / "estimates.parquet", own_run / "verdict.json"]:
        file.unlink()
    run = open_run(own_run)
    assert (labels(run), estimates(run), verdict(run)) == ((), (), None)
    assert count(run, Filter(above=True)) == 0
    assert count(run, Filter()) == 72


def test_thumbs_lie_where_the_store_puts_them(run_folder: Path):
    run = open_run(run_folder)
    rows = find(run, Filter(outcomes=("image",)), limit=5)
    assert all(run.thumb(row["sha256"]).is_file() for row in rows)
