# SPDX-License-Identifier: Apache-2.0
"""A whole audit through the command line, and what it leaves on disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from audit.runs import Run
from audit.types import Outcome, Status
from tests.e2e.conftest import SMALL


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "audit.yaml").write_text(yaml.safe_dump(SMALL))
    line = [sys.executable, "-m", "audit", "run", "audit.yaml", "--out", "run"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def finished(made_once: Path, tmp_path: Path) -> Run:
    """A copy, so that a test may spoil it."""
    shutil.copytree(made_once, tmp_path / "run")
    return Run.open(tmp_path / "run")


def test_every_request_has_exactly_one_row(finished: Run) -> None:
    planned = finished.requests()["request_id"].to_pylist()
    answered = finished.generations()["request_id"].to_pylist()
    assert sorted(planned) == sorted(answered)
    assert len(set(planned)) == len(planned) == 8 * 6


def test_images_are_stored_under_their_digest_and_verify(finished: Run, genaudit) -> None:
    rows = finished.generations().to_pylist()
    assert all(finished.image_path(row["sha256"], row["media_type"]).is_file() for row in rows)
    assert all(finished.thumb_path(row["sha256"]).is_file() for row in rows)
    done = genaudit("verify", finished.path / "images", "--json")
    assert done.returncode == 0, done.stderr
    states = [json.loads(line)["state"] for line in done.stdout.splitlines()]
    assert states == ["valid_untrusted"] * len(rows)


def test_a_changed_image_is_told(finished: Run, genaudit) -> None:
    path = next((finished.path / "images").rglob("*.png"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    done = genaudit("verify", finished.path / "images")
    assert done.returncode == 21
    assert str(path) in done.stdout


def test_every_number_has_interval_n_method_and_fingerprint(finished: Run) -> None:
    estimates = finished.estimates()
    asked = {*finished.manifest["config"]["metrics"], "outcomes.distinct"}  # the last one belongs to every run
    assert {e.metric for e in estimates} == asked
    numbers = [e for e in estimates if e.status is Status.OK]
    assert len(numbers) > 10
    for e in numbers:
        assert e.low <= e.value <= e.high, e
        assert e.n > 0, e
        assert e.method, e
        assert len(e.fingerprint) == 16, e


def test_manifest_names_everything_the_numbers_rest_on(finished: Run) -> None:
    manifest = finished.manifest
    assert manifest["counts"] == {"renderer": {"image": 48, "refused": 0, "blocked": 0, "error": 0}}
    assert {a["name"] for a in manifest["annotators"]} == {"attributes", "credentials", "skin_tone"}
    assert all(len(a["digest"]) == 64 for a in manifest["annotators"])
    assert manifest["packages"]["torch"]
    assert manifest["probes"][0]["digest"]


def test_running_again_generates_nothing_and_changes_no_number(finished: Run, small, genaudit) -> None:
    before = (finished.path / "estimates.parquet").read_bytes()
    images = {path: path.stat().st_mtime_ns for path in (finished.path / "images").rglob("*.png")}
    done = genaudit("run", small(), "--out", finished.path)
    assert done.returncode == 0, done.stderr
    assert (finished.path / "estimates.parquet").read_bytes() == before
    assert images == {path: path.stat().st_mtime_ns for path in (finished.path / "images").rglob("*.png")}


def test_gate_and_report_work_on_the_finished_run(finished: Run, genaudit, tmp_path: Path) -> None:
    strict = tmp_path / "strict.yaml"
    rule = "{id: silence, rule: threshold, metric: outcomes.answered, at_most: 0.5}"
    strict.write_text(f"schema: 1\nname: strict\nversion: 1.0.0\ntitle: Too strict\nrules:\n  - {rule}\n")
    done = genaudit("gate", finished.path, "--policy", strict, "--json")
    assert done.returncode == 10, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["decision"] == "fail"
    assert all(f["evidence"] for f in verdict["findings"])
    done = genaudit("report", finished.path, "-f", "md")
    assert done.returncode == 0, done.stderr
    assert "strict" in Path(tmp_path / done.stdout.strip()).read_text()


def test_json_goes_to_standard_output_and_talk_to_standard_error(finished: Run, small, genaudit) -> None:
    done = genaudit("run", small(), "--out", finished.path, "--json")
    assert json.loads(done.stdout)["schema"] == 1
    assert "generate renderer" in done.stderr


def test_refusals_blocks_and_errors_are_rows(small, genaudit, tmp_path: Path) -> None:
    options = {"refuse": ["CEO"], "block": ["nurse"], "fail_on": ["chef"]}
    generators = [{"name": "renderer", "kind": "renderer", "batch_size": 8, "options": options}]
    done = genaudit("run", small(generators=generators, policy=None), "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "run")
    counts = run.manifest["counts"]["renderer"]
    assert counts == {"image": 30, "refused": 6, "blocked": 6, "error": 6}
    errors = [row for row in run.generations().to_pylist() if row["outcome"] == Outcome.ERROR]
    assert all(row["message"] for row in errors)
    answered = next(e for e in run.estimates() if e.metric == "outcomes.answered" and not e.slice)
    assert answered.value == pytest.approx(30 / 48)
    gap = [e for e in run.estimates() if e.metric == "bias.representation_gap" and e.slice.get("occupation") == "CEO"]
    assert gap
    assert all(e.value is None and e.missing == 6 for e in gap), "a refused occupation has no share, not share 0"


def test_errors_can_be_asked_again(small, genaudit, tmp_path: Path) -> None:
    """A folder of images that lacks one, which is then supplied."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    lines = []
    for index in range(4):
        name = f"{index}.png"
        lines.append(json.dumps({"file_name": name, "text": "a portrait of a nurse"}))
        if index != 2:
            Image.new("RGB", (64, 64), (200, 150, 30 * index)).save(folder / name)
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    config = small(
        generators=[{"name": "mine", "kind": "folder", "model": str(folder), "plain": True}],
        probes=[{"set": "occupations", "repetitions": 4, "limit": 1}],
        policy=None,
    )
    assert genaudit("run", config, "--out", tmp_path / "run").returncode == 0
    counts = Run.open(tmp_path / "run").manifest["counts"]["mine"]
    assert (counts["image"], counts["error"]) == (3, 1)
    Image.new("RGB", (64, 64), (90, 90, 90)).save(folder / "2.png")
    again = genaudit("run", config, "--out", tmp_path / "run", "--retry-errors")
    assert again.returncode == 0, again.stderr
    counts = Run.open(tmp_path / "run").manifest["counts"]["mine"]
    assert (counts["image"], counts["error"]) == (4, 0)
    assert not list((tmp_path / "run").rglob("kept-*"))


def test_help_is_quick_and_imports_no_torch(genaudit) -> None:
    heavy = "{'torch', 'ray', 'streamlit', 'c2pa', 'diffusers', 'transformers', 'pandas', 'scipy'}"
    probe = f"import sys; import audit.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    start = time.perf_counter()
    done = genaudit("--help")
    assert done.returncode == 0
    for command in ("run", "validate", "gate", "report", "verify", "dashboard", "list", "doctor"):
        assert command in done.stdout
    assert time.perf_counter() - start < 10  # a hang, not a benchmark: `make bench` measures it


def test_parquet_is_read_by_others(finished: Run) -> None:
    table = pq.read_table(finished.path / "estimates.parquet").to_pandas()
    assert {"metric", "value", "low", "high", "n", "floor", "status"} <= set(table.columns)
