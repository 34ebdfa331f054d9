# SPDX-License-Identifier: Apache-2.0
"""``genaudit stamp`` and ``genaudit recover`` as a user meets them: marked, published, stripped, found again."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> dict[str, str]:
    return {**os.environ, "GENAUDIT_HOME": str(tmp_path_factory.mktemp("home")), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def published(tmp_path, genaudit, env) -> Path:
    """Three stamped pictures, and what is left of them after somebody saved them as JPEG."""
    from audit.reference.render import render
    from audit.reference.world import sample_people

    for folder in ("drawn", "jpeg"):
        (tmp_path / folder).mkdir()
    for i, rgb in enumerate(render(sample_people(3, rng=np.random.default_rng(2), identity_pool="heldout"), size=96)):
        Image.fromarray(rgb).save(tmp_path / "drawn" / f"{i}.png")
    words = ("stamp", "drawn", "--out", "stamped", "--generator", "my-model", "--prompt", "a hidden nurse")
    done = genaudit(*words, "--watermark", "spread", "--store", "m.sqlite", env=env)
    assert done.returncode == 0, done.stderr
    for path in sorted((tmp_path / "stamped").glob("*.png")):
        Image.open(path).convert("RGB").save(tmp_path / "jpeg" / f"{path.stem}.jpg", quality=80)
    return tmp_path


def test_stamp_publish_strip_recover(published, genaudit, env) -> None:
    assert genaudit("verify", "jpeg", env=env).returncode == 21, "nothing is left in the files"
    done = genaudit("recover", "jpeg", "--store", "m.sqlite", "--json", env=env)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, [row["outcome"] for row in rows]) == (0, ["recovered"] * 3), done.stderr
    stamped = [json.loads(line) for line in genaudit("verify", "stamped", "--json", env=env).stdout.splitlines()]
    for row, whole in zip(rows, stamped, strict=True):
        assert Path(row["path"]).stem == Path(whole["path"]).stem
        same = ("manifest_id", "generator", "issuer", "signed_at", "request_id", "run_id", "state")
        assert {key: row[key] for key in same} == {key: whole[key] for key in same}
        assert row["p_value"] < 1e-6
    assert "3 recovered" in done.stderr
    assert "hidden nurse" not in done.stdout
    assert b"hidden nurse" not in (published / "m.sqlite").read_bytes()


def test_the_line_for_people_names_who_and_what(published, genaudit, env) -> None:
    root = Path(env["GENAUDIT_HOME"]) / "keys" / "root.pem"
    done = genaudit("recover", "jpeg/0.jpg", "--store", "m.sqlite", "--trust", root, env=env)
    (line,) = done.stdout.splitlines()
    outcome, path, message, *facts = line.split("\t")
    assert (outcome, path, done.returncode) == ("recovered", "jpeg/0.jpg", 0)
    assert "valid and trusted" in message
    said = dict(fact.split("=", 1) for fact in facts)
    assert said["generator"] == "my-model"
    assert {"manifest_id", "issuer", "signed_at", "request_id", "distance", "likeness", "p_value"} <= set(said)


def test_what_is_not_found_is_told_by_the_exit_code(published, genaudit, env) -> None:
    (published / "jpeg" / "junk.jpg").write_bytes(b"no image")
    Image.open(published / "drawn" / "0.png").save(published / "jpeg" / "unmarked.png")
    done = genaudit("recover", "jpeg", "--store", "m.sqlite", env=env)
    outcomes = sorted(line.split("\t")[0] for line in done.stdout.splitlines())
    assert (done.returncode, outcomes) == (21, ["no_mark", "recovered", "recovered", "recovered", "unreadable"])


def test_a_run_folder_stands_for_its_store(published, genaudit, env) -> None:
    (published / "run").mkdir()
    (published / "m.sqlite").rename(published / "run" / "manifests.sqlite")
    assert genaudit("recover", "jpeg", "--store", "run", "--quiet", env=env).returncode == 0


def test_mistakes_are_told(published, genaudit, env) -> None:
    sqlite3.connect(published / "other.sqlite").execute("CREATE TABLE x (y)").connection.close()
    (published / "key").write_text("a secret")
    (published / "key").chmod(0o600)
    (published / "empty").mkdir()
    for words, code, said in (
        (("jpeg", "--store", "none.sqlite"), 20, "no such file"),
        (("jpeg", "--store", "other.sqlite"), 20, "no manifest store"),
        (("jpeg", "--store", "m.sqlite", "--watermark", "spred"), 2, "spread"),
        (("jpeg", "--store", "m.sqlite", "--watermark-key", "none"), 2, "key cannot be read"),
        (("nowhere", "--store", "m.sqlite"), 2, "does not exist"),
        (("empty", "--store", "m.sqlite"), 2, "no images found"),
        (("jpeg", "--store", "m.sqlite", "--trust", "key"), 2, "certificate"),
    ):
        done = genaudit("recover", *words, env=env)
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
    other = genaudit("recover", "jpeg", "--store", "m.sqlite", "--watermark-key", "key", env=env)
    assert other.returncode == 21, "another key reads nothing"
