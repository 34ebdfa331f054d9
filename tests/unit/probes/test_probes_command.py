# SPDX-License-Identifier: Apache-2.0
"""``genaudit probes``: two commands from a folder of images to an audit of it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from audit.cli import _main
from audit.probes import load_probe_set
from audit.reference.render import render
from audit.reference.world import sample_people


@pytest.fixture
def genaudit(monkeypatch, capsys, tmp_path):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["genaudit", *map(str, words)])
        code = _main._run()
        said = capsys.readouterr()
        return code, said.out, said.err

    monkeypatch.chdir(tmp_path)
    return run


@pytest.fixture
def images(tmp_path):
    faces = render(sample_people(9, rng=np.random.default_rng(3), identity_pool="heldout"))
    folder = tmp_path / "outputs"
    folder.mkdir()
    rows = []
    for n, rgb in enumerate(faces):
        Image.fromarray(rgb).save(folder / f"{n}.png")
        rows.append({"file_name": f"{n}.png", "prompt": f"a portrait of a {('nurse', 'cook')[n % 2]} "})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_two_commands_from_images_to_an_audit(genaudit, images, tmp_path):
    code, out, err = genaudit("probes", "import", "images", "outputs", "--out", "mine.yaml", "--licence", "CC0-1.0")
    assert code == 0, err
    assert out.splitlines() == ["wrote\t2 prompts x 4\tmine.yaml"]
    assert "read as metadata: 9 rows, 2 prompts" in err
    assert "prompts have 4 to 5 images; repetitions: 4, the fewest; 1 images will not be asked for" in err
    (images / "3.png").write_bytes((images / "3.png").read_bytes()[:200])
    config = {
        "generators": [{"name": "ours", "kind": "folder", "model": "outputs"}],
        "probes": [{"set": str(tmp_path / "mine.yaml")}],
        "instruments": {"annotators": ["skin_tone"]},
        "gallery": None,
        "reference": None,
        "metrics": ["outcomes.answered"],
        "provenance": {"stamp": False},
        "reports": ["json"],
        "out": str(tmp_path / "run"),
    }
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config))
    assert genaudit("validate", "audit.yaml")[:2] == (0, "ours\tmine\t8\n")
    line = [sys.executable, "-m", "audit", "run", "audit.yaml", "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "run" / "generations").to_pylist()
    assert sorted(row["outcome"] for row in rows) == ["error"] + ["image"] * 7
    lost = next(row for row in rows if row["outcome"] == "error")
    assert "cannot be decoded" in lost["message"]
    assert json.loads(lost["meta"])["file_name"] == "3.png"


def test_the_most_images_of_a_prompt_may_count(genaudit, images):
    code, out, err = genaudit("probes", "import", "images", "outputs", "--out", "m.yaml", "--count", "most", "--json")
    assert code == 0, err
    done = json.loads(out)
    assert (done["prompts"], done["repetitions"], done["form"]) == (2, 5, "images")
    assert any("1 requests will find no image" in text for text in done["notes"])
    assert load_probe_set("m.yaml").prompts[0].text == "a portrait of a nurse"


def test_prompt_ids_of_the_metadata_are_kept(genaudit, images):
    rows = [
        {"file_name": "0.png", "text": "a nurse", "prompt_id": "jobs/one"},
        {"file_name": "1.png", "text": "a nurse", "prompt_id": "jobs/two"},
    ]
    (images / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert genaudit("probes", "import", "images", "outputs", "--out", "jobs.yaml")[0] == 0
    assert [p.id for p in load_probe_set("jobs.yaml").prompts] == ["jobs/one", "jobs/two"]
    rows[1]["text"] = None
    (images / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, _, err = genaudit("probes", "import", "images", "outputs", "--out", "jobs.yaml", "--force")
    assert code == 20
    assert "metadata.jsonl:2" in err


def test_a_published_list_and_a_look_into_it(genaudit, tmp_path):
    (tmp_path / "p.csv").write_text("Prompts,Category\na bench,A\na cup,B\n\n")
    code, out, err = genaudit("probes", "import", "auto", "p.csv", "--out", "d.yaml")
    assert code == 0, err
    assert out == "wrote\t2 prompts x 4\td.yaml\naxis\tcategory\t2 values\tsliced\n"
    assert "note: read as drawbench: its columns are category, prompts" in err
    assert "note: p.csv: 1 empty lines left out: 4" in err
    assert "note: the licence is not known" in err
    code, out, _ = genaudit("probes", "show", "d.yaml", "--first", "1")
    assert code == 0
    assert "axis\tcategory\t2 values\tsliced\tA 1, B 1" in out
    assert out.endswith("d/a-bench\ta bench\n")
    code, _, err = genaudit("probes", "import", "auto", "p.csv", "--out", "d.yaml")
    assert code == 2
    assert "d.yaml: is there already" in err
    assert "--force" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["csv", "gone.csv"], "gone.csv: cannot be read"),
        (["images", "gone"], "'gone' is not a folder or file"),
        (["images", "a", "b"], "one folder or file, not 2"),
        (["pictures", "gone"], "no format is called 'pictures'"),
    ],
)
def test_wrong_use_has_exit_code_two(genaudit, words, message):
    code, _, err = genaudit("probes", "import", *words, "--out", "o.yaml")
    assert code == 2
    assert message in err
    assert "hint: " in err
