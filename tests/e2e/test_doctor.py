# SPDX-License-Identifier: Apache-2.0
"""``genaudit doctor --generator`` as users run it: good and broken generators, each in a process of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.checkpoints import save_ddpm

ROOT = Path(__file__).parents[2]
BROKEN = """
import os
import numpy as np
from audit.types import Generation, GeneratorSpec, Outcome


def noise(*known):
    return np.random.default_rng(list(known)).integers(0, 255, (16, 16, 3), dtype=np.uint8)


def hashed(prompt, seed):
    return noise(abs(hash(prompt)), seed)


def dies(prompt, seed):
    if not prompt.isascii():
        os._exit(3)
    return noise(*prompt.encode(), seed)


class Sleeper:
    def __init__(self, name, *, model=None, params=None, options=None):
        self.spec = GeneratorSpec(name, "sleeper", "m", None, capabilities=frozenset({"seed"}))

    def generate(self, batch):
        return [Generation(r.id, Outcome.IMAGE, pixels=noise(0 if len(batch) > 9 else r.seed)) for r in batch]
"""


@pytest.fixture
def doctor(genaudit, tmp_path):
    """Exit code, rows by check and standard error of a look at one generator."""
    (tmp_path / "broken.py").write_text(BROKEN)

    def look(model, *words, **options):
        done = genaudit("doctor", "--generator", model, "--json", *words, **options)
        rows = json.loads(done.stdout) if done.stdout else []
        return done.returncode, {row["check"]: row for row in rows}, done.stderr

    return look


def states(rows, state):
    return {name for name, row in rows.items() if row["state"] == state}


def folder(path):
    """Two prompts with three pictures each."""
    path.mkdir()
    rows = []
    for text in ("nurse", "pilot"):
        for k in range(3):
            rgb = np.random.default_rng(len(rows)).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(rgb).save(path / f"{text}{k}.png")
            rows.append({"file_name": f"{text}{k}.png", "text": text})
    (path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_bundled_gan_keeps_every_promise(doctor):
    code, rows, told = doctor("reference:gan", "--images", "6")
    assert code == 0, rows
    assert states(rows, "BAD") == states(rows, "warn") == set()
    assert states(rows, "cannot") == {"negative", "guidance", "steps"}
    assert rows["seeds"]["figures"]["effective_n"] == 6
    assert rows["started again"]["figures"]["started_again_largest"] == 0
    assert "asking gan" in told


@pytest.mark.slow
def test_a_pipeline_keeps_every_promise(doctor, tmp_path):
    code, rows, _ = doctor(save_ddpm(tmp_path / "model"), "--param", "steps=2", "--images", "4")
    assert code == 0, rows
    assert states(rows, "cannot") == {"licence", "prompts", "odd prompts", "negative", "guidance"}


def test_finished_images_cannot_be_seeded_and_are_not_blamed_for_it(doctor, tmp_path):
    where = folder(tmp_path / "done")
    code, rows, _ = doctor(where, "--kind", "folder", "--prompt", "nurse", "--prompt", "pilot", "--images", "6")
    assert (code, states(rows, "BAD")) == (0, set())
    assert rows["seeds"]["state"] == "cannot"
    assert "cannot be repeated" in rows["seeds"]["means"]
    code, rows, _ = doctor(where, "--kind", "folder")
    assert (code, states(rows, "BAD")) == (20, {"pictures"})
    assert "--prompt" in rows["pictures"]["hint"]


def test_what_differs_between_processes_is_found(doctor):
    code, rows, _ = doctor("broken:hashed", "--kind", "callable")
    assert (code, states(rows, "BAD")) == (20, {"started again"})


def test_a_prompt_that_kills_the_process_ends_neither_the_look_nor_the_other_rows(doctor):
    code, rows, _ = doctor("broken:dies", "--kind", "callable")
    assert (code, states(rows, "BAD")) == (20, {"odd prompts"})
    assert "ended with code 3" in rows["odd prompts"]["found"]


@pytest.mark.slow
def test_an_installed_plug_in_is_looked_at_like_any_other(doctor, tmp_path):
    info = tmp_path / "sleeper-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[audit.generators]\nsleeper = broken:Sleeper\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    code, rows, _ = doctor("any/model", "--kind", "sleeper", "--images", "9", env=env)
    assert code == 0, rows
    code, rows, _ = doctor("any/model", "--kind", "sleeper", "--images", "10", env=env)
    assert (code, states(rows, "BAD")) == (20, {"seeds", "batch size"})
    assert rows["seeds"]["figures"]["effective_n"] == 1


@pytest.mark.slow
def test_an_audit_file_names_generators_and_prompts(genaudit, tmp_path):
    blocks = [{"name": name, "kind": "renderer", "options": {"size": 16}} for name in ("one", "two")]
    text = {"generators": blocks, "probes": [{"set": "occupations"}]}
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(text))
    done = genaudit("doctor", "--generator", "audit.yaml", "--images", "4")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith(("ok ", "BAD", "cannot", "warn", "  "))] == [
        "one (renderer)",
        "two (renderer)",
    ]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--kind", "gan"], 2, "need a generator"),
        (["--generator", "reference:renderer", "--param", "size"], 2, "--param: 'size' is no name=value"),
        (["--generator", "reference:renderer", "--option", "sise=3"], 2, "unknown option"),
        (["--generator", "reference:nothing"], 20, "no bundled model"),
    ],
)
def test_wrong_words_are_told_with_their_exit_code(genaudit, words, code, told):
    done = genaudit("doctor", *words)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
