# SPDX-License-Identifier: Apache-2.0
"""People in the loop through the real command line: export, answer, read, agree, and a run that holds the labels."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from audit.cli import _main
from audit.labels import labelled, open_export
from audit.runs import Run
from tests.e2e.conftest import SMALL

AUDIT = {**SMALL, "metrics": ["bias.representation_gap"], "reports": ["json"]}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "audit.yaml").write_text(yaml.safe_dump(AUDIT))
    line = [sys.executable, "-m", "audit", "run", "audit.yaml", "--out", "run"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def here(monkeypatch, capsys, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same command line in this process, which saves a second a call; from the words to the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        line = ["genaudit", *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        capsys.readouterr()
        code = _main._run()
        return subprocess.CompletedProcess(line, code, *capsys.readouterr())

    return run


@pytest.fixture
def finished(made_once: Path, tmp_path: Path) -> Run:
    shutil.copytree(made_once, tmp_path / "run")
    return Run.open(tmp_path / "run")


def _perceived(run: Run) -> dict[str, str]:
    """What people say here: what the bundled instrument saw."""
    table = run.annotations("attributes")
    return dict(zip(table["request_id"].to_pylist(), table["presentation"].to_pylist(), strict=True))


def _answer(folder: Path, rater: str, said: dict[str, str], *, wrong: int = 0) -> Path:
    """Fills the rater's sheet in as a person would; the first ``wrong`` answers are "could not tell"."""
    key = {item.item: item.request_id for item in open_export(folder).items}
    rows = list(csv.DictReader((folder / rater / "sheet.csv").read_text().splitlines()))
    for place, row in enumerate(rows):
        row["presentation"] = "could not tell" if place < wrong else said[key[row["item"]]]
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path = folder.parent / f"{rater}.csv"
    path.write_text(sink.getvalue())
    return path


def test_from_export_to_agreement(finished: Run, genaudit, here, tmp_path: Path) -> None:
    words = ("--attribute", "presentation", "--n", "24", "--per-slice", "2", "--repeat", "0.25")
    done = genaudit("labels", "export", finished.path, "--out", "out", *words)
    assert done.returncode == 0, done.stderr
    assert "drawn\t24 of 48 images\t8 strata" in done.stdout
    assert "next: genaudit labels read" in done.stderr
    said = _perceived(finished)
    sheets = [_answer(tmp_path / "out", "rater-1", said), _answer(tmp_path / "out", "rater-2", said, wrong=3)]

    done = genaudit("labels", "read", "out", *sheets, "--into", "run", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["labelled"] == {"presentation": 24}
    first = [said[item.request_id] for item in open_export(tmp_path / "out").items if item.rater == "rater-1"]
    assert summary["sheets"][0]["untold"] == first.count("could not tell")
    assert [s["answered"] for s in summary["sheets"]] == [30, 30]
    card = json.loads((tmp_path / "run" / "labels" / "labels.json").read_text())
    assert card["attributes"] == {"presentation": ["feminine", "masculine"]}

    done = genaudit("labels", "agreement", "run", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    items = open_export(tmp_path / "out").items
    second = [item for item in items if item.rater == "rater-2"]
    shy = {item.request_id for item in second[:3] if item.occasion == 1 and said[item.request_id] != "could not tell"}
    assert rows[0]["same"]["value"] == pytest.approx(1 - len(shy) / 24)
    assert {"occupation", "generator", "group"} == {next(iter(row["slice"])) for row in rows[1:]}
    plain = here("labels", "agreement", "run").stdout
    assert "presentation\tall images\tn=24\talpha " in plain
    assert "interval of a share\t2.0 labels an image" in plain


def test_labels_are_columns_of_the_next_run(finished: Run, here, tmp_path: Path) -> None:
    done = here("labels", "export", finished.path, "--out", "out", "--attribute", "presentation", "--n", "24",
                    "--per-slice", "2", "--raters", "1", "-q")  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    _answer(tmp_path / "out", "rater-1", _perceived(finished)).rename(tmp_path / "out" / "rater-1.csv")
    done = here("labels", "read", "out", "--into", "run")  # finds the sheet
    assert done.returncode == 0, done.stderr
    assert "rater-1\trater-1.csv\t24 of 24 rows" in done.stdout

    instruments = {
        "annotators": ["attributes", "people"],
        "options": {"people": {"table": "run/labels/labels.parquet"}},
    }
    (tmp_path / "again.yaml").write_text(yaml.safe_dump({**AUDIT, "instruments": instruments}))
    done = here("run", "again.yaml", "--out", "again")
    assert done.returncode == 0, done.stderr
    again = Run.open(tmp_path / "again")
    found = {row["request_id"]: row for row in again.annotations("people").to_pylist()}
    expected = {row["request_id"]: row for row in labelled(finished).to_pylist()}
    assert set(found) == set(again.generations()["request_id"].to_pylist())
    for name, row in found.items():
        label = expected.get(name)
        assert row["presentation"] == (label and label["label"])
        assert np.isnan(row["presentation_weight"]) if label is None else row["presentation_weight"] == label["weight"]
    assert sum(row["weight"] for row in expected.values()) == pytest.approx(48)


def test_the_next_run_on_the_folder_reads_the_labels_and_draws_nothing(finished: Run, here, tmp_path: Path) -> None:
    words = ("--attribute", "presentation", "--n", "48", "--raters", "1", "-q")
    assert here("labels", "export", "run", "--out", "out", *words).returncode == 0
    _answer(tmp_path / "out", "rater-1", _perceived(finished)).rename(tmp_path / "out" / "rater-1.csv")
    assert here("labels", "read", "out", "--into", "run").returncode == 0
    drawn = {path: path.stat().st_mtime_ns for path in (finished.path / "generations").iterdir()}
    fingerprints = {e.fingerprint for e in finished.estimates() if e.metric == "bias.representation_gap"}

    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(AUDIT))
    done = here("run", "audit.yaml", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (finished.path / "generations").iterdir()} == drawn
    gaps = [e for e in finished.estimates() if e.metric == "bias.representation_gap"]
    whole = next(e for e in gaps if e.slice.get("group") == "feminine" and "occupation" not in e.slice)
    assert whole.extra["labelled"] == 48
    assert "prediction-powered" in whole.method
    assert not fingerprints & {e.fingerprint for e in gaps}
    assert "people" in {a["name"] for a in finished.manifest["annotators"]}

    refused = here("run", "audit.yaml", "--out", "run", "--fresh")
    assert refused.returncode == 20
    assert "labels by people" in refused.stderr
    assert (finished.path / "labels" / "labels.parquet").is_file()


def test_error_of_an_instrument_on_the_very_images(finished: Run, here, tmp_path: Path) -> None:
    words = ("--attribute", "presentation", "--n", "48", "--raters", "1", "--by-answer", "attributes.presentation")
    done = here("labels", "export", "run", "--out", "out", *words, "--per-slice", "1")
    assert done.returncode == 0, done.stderr
    said = _perceived(finished)
    people = {name: "feminine" if k % 7 == 0 else label for k, (name, label) in enumerate(sorted(said.items()))}
    sheet = _answer(tmp_path / "out", "rater-1", people)
    assert here("labels", "read", "out", sheet, "--into", "run").returncode == 0
    done = here("labels", "error", "run", "--attribute", "presentation", "--out", "operating.json")
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "operating.json").read_text())["presentation"]
    for group, counts in zip(table["truth"], table["counts"], strict=True):
        mine = [said[name] for name, label in people.items() if label == group]
        assert counts == [mine.count(answer) for answer in table["answers"]]


def test_what_is_wrong_is_told_with_its_place(finished: Run, here, tmp_path: Path) -> None:
    done = here("labels", "export", "run", "--out", "out", "--attribute", "race=a,b")
    assert done.returncode == 2
    assert "race cannot be seen" in done.stderr
    assert "--allow-race" in done.stderr
    assert not (tmp_path / "out").exists()
    done = here("labels", "export", "run", "--out", "out", "--attribute", "presentation", "--n", "3")
    assert done.returncode == 2
    assert "hint: --n " in done.stderr
    assert here("labels", "export", "run", "--out", "out", "--per-slice", "1").returncode == 0
    done = here("labels", "read", "out", "--into", "run")
    assert done.returncode == 2
    assert "no sheet in the export has an answer" in done.stderr
    sheet = _answer(tmp_path / "out", "rater-1", dict.fromkeys(_perceived(finished), "fem"))
    done = here("labels", "read", "out", sheet, "--into", "run")
    assert done.returncode == 2
    assert f"error: {sheet}:2: 'fem' is no answer for presentation" in done.stderr
    assert "hint: one of: feminine, masculine, could not tell" in done.stderr
    assert not (tmp_path / "run" / "labels").exists()
    done = here("labels", "agreement", "run")
    assert done.returncode == 20
    assert "holds no labels" in done.stderr


def test_labels_do_not_touch_what_the_run_holds(finished: Run, here, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    here("labels", "export", "run", "--out", "out", "--attribute", "presentation", "--per-slice", "1")
    sheet = _answer(tmp_path / "out", "rater-1", _perceived(finished))
    assert here("labels", "read", "out", sheet, "--into", "run").returncode == 0
    after = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    new = {path.relative_to(finished.path).as_posix() for path in set(after) - set(before)}
    assert new <= {"labels/labels.parquet", "labels/labels.json", ".lock"}
    assert {path.name for path in before if before[path] != after[path]} <= {"log.jsonl", ".lock"}
    assert pq.read_table(finished.path / "labels" / "labels.parquet").num_rows == 48
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(AUDIT))
    done = here("run", "audit.yaml", "--out", "run", "-q")  # and the run goes on being itself
    assert done.returncode == 0, done.stderr
    assert len(labelled(finished)) == 48
