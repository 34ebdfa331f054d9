# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong: a message with place and hint, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from audit.runs import Run


def _told(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def test_unknown_key(small, genaudit) -> None:
    _told(genaudit("run", small(generatorz=[])), 2, "audit.yaml", "generatorz", "hint: did you mean 'generators'?")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"level": 1.5}, "level"),
        ({"seed": -1}, "seed"),
        ({"generators": []}, "generators"),
        ({"generators": [{"name": "a", "kind": "renderer", "batch_size": 0}]}, "generators.0.batch_size"),
        ({"probes": [{"set": "occupations", "repetitions": 0}]}, "probes.0.repetitions"),
        ({"gallery": {"fpir": 2}}, "gallery.fpir"),
    ],
)
def test_impossible_ranges(small, genaudit, changes, place) -> None:
    _told(genaudit("validate", small(**changes)), 2, "audit.yaml", place)


def test_missing_and_broken_files(genaudit, tmp_path: Path) -> None:
    _told(genaudit("run", "nowhere.yaml"), 2, "nowhere.yaml", "does not exist")
    (tmp_path / "broken.yaml").write_text("name: [unclosed\n")
    _told(genaudit("run", "broken.yaml"), 2, "broken.yaml:2:1")
    _told(genaudit("gate", "nowhere", "--policy", "observe"), 20, "nowhere", "not a run folder")
    _told(genaudit("verify", "nowhere"), 2, "nowhere", "does not exist")
    _told(genaudit("list", "nonsense"), 2, "nonsense", "metrics")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generators": [{"name": "a", "kind": "rendrer"}]}, ["rendrer", "did you mean 'renderer'?"]),
        ({"probes": [{"set": "ocupations"}]}, ["ocupations", "occupations"]),
        ({"metrics": ["quality.clip_scor"]}, ["quality.clip_scor", "quality.clip_score"]),
        ({"policy": "quickstrat"}, ["quickstrat", "quickstart"]),
        ({"reports": ["htlm"]}, ["htlm", "html"]),
    ],
)
def test_unknown_names_come_with_the_nearest_known_one(small, genaudit, changes, words) -> None:
    _told(genaudit("run", small(**changes)), 2, *words)


def test_probe_file_with_a_duplicate_id_and_an_empty_one(small, genaudit, tmp_path: Path) -> None:
    head = {
        "schema": 1,
        "name": "mine",
        "version": "1.0.0",
        "title": "Mine",
        "purpose": "quality",
        "licence": "CC0-1.0",
        "card": {
            "description": "d",
            "source": "own",
            "design": "d",
            "limits": "l",
            "language": "en",
            "created": "2026-11-01",
        },
        "repetitions": 1,
    }
    probes = tmp_path / "mine.yaml"
    probes.write_text(
        yaml.safe_dump({**head, "prompts": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}, sort_keys=False)
    )
    done = genaudit("run", small(probes=[{"set": str(probes)}]))
    _told(done, 2, "mine.yaml:18:7", "mine.yaml:16:7", "'mine/a'")
    probes.write_text(yaml.safe_dump({**head, "prompts": []}, sort_keys=False))
    _told(genaudit("run", small(probes=[{"set": str(probes)}])), 2, "mine.yaml")


def test_missing_model_folder_and_checkpoint_of_the_wrong_class(small, genaudit, tmp_path: Path) -> None:
    missing = [{"name": "a", "kind": "diffusers", "model": str(tmp_path / "no-such-model")}]
    done = genaudit("run", small(generators=missing), "--out", tmp_path / "one")
    assert done.returncode in {2, 20}
    _told(done, done.returncode, "no-such-model", "hint:")
    wrong = [{"name": "a", "kind": "diffusers", "model": "reference:attributes"}]
    _told(genaudit("run", small(generators=wrong), "--out", tmp_path / "two"), 20, "hint:")


def test_corrupt_and_empty_images_are_error_rows(small, genaudit, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "0.png").write_bytes(b"")
    (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    rows = [{"file_name": f"{i}.png", "text": "a portrait of a nurse"} for i in range(2)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = small(
        generators=[{"name": "mine", "kind": "folder", "model": str(folder)}],
        probes=[{"set": "occupations", "repetitions": 2, "limit": 1}],
        policy=None,
    )
    done = genaudit("run", config, "--out", tmp_path / "run")
    _told(done, 0)
    rows = Run.open(tmp_path / "run").generations().to_pylist()
    assert [row["outcome"] for row in rows] == ["error", "error"]
    assert "0.png" in rows[0]["message"]
    assert "1.png" in rows[1]["message"]


def test_folder_that_is_something_else_is_left_alone(small, genaudit, tmp_path: Path) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.txt").write_text("precious")
    _told(genaudit("run", small(), "--out", other), 20, "thesis", "--out")
    _told(genaudit("run", small(), "--out", other, "--fresh"), 20, "not a run folder")
    assert (other / "chapter1.txt").read_text() == "precious"


def test_run_of_another_plan_or_version_is_not_touched(small, genaudit, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert genaudit("run", small(), "--out", out).returncode == 0
    _told(genaudit("run", small(seed=4), "--out", out), 20, "another plan", "config", "--fresh")
    plan = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps({**plan, "schema": 99, "tool": {"name": "genaudit", "version": "9.9"}}))
    _told(genaudit("run", small(), "--out", out), 20, "9.9")
    _told(genaudit("report", out), 20, "9.9")
    assert genaudit("run", small(), "--out", out, "--fresh").returncode == 0, "it is not read, only deleted"


@pytest.mark.skipif(
    os.geteuid() != 0 and shutil.which("unshare") is None, reason="needs a small file system of its own"
)
def test_full_disk_keeps_what_was_done_and_resumes(small, genaudit, tmp_path: Path) -> None:
    """A real file system of 400 kB, mounted in a namespace of its own, so that it vanishes with the process."""
    import sys

    config, out = small(), tmp_path / "mount"
    out.mkdir()
    saved = tmp_path / "saved"
    script = (
        f"mount -t tmpfs -o size=400k tmpfs {out} && "
        f"{sys.executable} -m audit run {config} --out {out}/run; code=$?; cp -r {out}/run {saved}; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"namespaces are not allowed here: {done.stderr.strip()}")
    _told(done, 20, "No space left", "hint: free some space")
    kept = Run.open(saved).generations().num_rows
    assert 0 < kept < 48
    _told(genaudit("run", config, "--out", saved), 0)
    assert Run.open(saved).generations().num_rows == 48


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere")
def test_unwritable_folder(small, genaudit, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    if os.geteuid() == 0:
        _told(genaudit("run", small(), "--out", "/proc/genaudit-cannot-write-here"), 20, "cannot write", "--out")
    else:
        _told(genaudit("run", small(), "--out", closed / "run"), 20, "cannot write", "--out")
