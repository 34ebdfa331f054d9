# SPDX-License-Identifier: Apache-2.0
"""``genaudit stamp`` as a user types it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.cli import _main
from audit.errors import ConfigError
from audit.provenance import verify_bytes, verify_path
from audit.provenance.batch import plan

RGB = np.stack(np.meshgrid(np.arange(64), np.arange(48), indexing="xy") * 2, axis=-1)[..., :3].astype(np.uint8)
SUFFIX = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "AVIF": "avif", "TIFF": "tif", "GIF": "gif"}


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, kind)
    return out.getvalue()


@pytest.fixture
def genaudit(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("GENAUDIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["genaudit", *map(str, words)])
        code = _main._run()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def folder(tmp_path) -> Path:
    for kind, suffix in SUFFIX.items():
        path = tmp_path / "renders" / ("deep" if kind == "GIF" else "") / f"a_{suffix}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(kind))
    (tmp_path / "renders" / "notes.txt").write_text("no image")
    return tmp_path / "renders"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_folder_keeps_its_structure_and_its_sources(genaudit, folder, tmp_path) -> None:
    before = contents(folder)
    code, out, err = genaudit("stamp", "renders", "--out", "stamped", "--generator", "my-model", "--seed", "7")
    assert code == 0, out + err
    assert contents(folder) == before
    made = contents(tmp_path / "stamped")
    assert sorted(made) == sorted(name for name in before if name != "notes.txt")
    for data in made.values():
        verdict = verify_bytes(data)
        assert (verdict.state.verified, verdict.generator, verdict.ai) == (True, "my-model", True)
    assert out.count("stamped\t") == 6
    assert "6 of 6 stamped, signed by genaudit development chain - not trusted" in err


def test_one_file(genaudit, folder, tmp_path) -> None:
    code, _, _ = genaudit("stamp", folder / "a_jpg.jpg", "--out", "one.jpg", "--prompt", "a secret cat")
    assert (code, verify_path(tmp_path / "one.jpg").state.verified) == (0, True)
    assert b"secret" not in (tmp_path / "one.jpg").read_bytes()
    (tmp_path / "prompt.txt").write_text("a public cat\n", encoding="utf-8")
    options = ["--prompt-file", "prompt.txt", "--public-prompt"]
    code, _, _ = genaudit("stamp", folder / "a_jpg.jpg", "--out", "two.jpg", *options)
    assert code == 0
    assert b"a public cat<" in (tmp_path / "two.jpg").read_bytes()


def test_a_failing_file_is_told_and_the_others_go_on(genaudit, folder, tmp_path) -> None:
    (folder / "a_png.png").write_bytes(encoded("PNG")[:100])
    (folder / "b.jpg").write_bytes(b"text")
    code, out, err = genaudit("stamp", folder, "--out", "stamped")
    assert code == 20
    assert "not stamped\trenders/a_png.png" in out.replace(f"{tmp_path}/", "")
    assert "no known image" in out
    assert "5 of 7 stamped" in err
    assert sorted(contents(tmp_path / "stamped")) == [
        "a_avif.avif",
        "a_jpg.jpg",
        "a_tif.tif",
        "a_webp.webp",
        "deep/a_gif.gif",
    ]


def test_json_lines(genaudit, folder) -> None:
    (folder / "b.jpg").write_bytes(b"text")
    code, out, _ = genaudit("stamp", folder, "--out", "stamped", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, len(rows)) == (20, 7)
    assert [Path(row["path"]).name for row in rows if not row["stamped"]] == ["b.jpg"]
    for row in rows:
        if row["stamped"]:
            assert row["manifest_id"] == verify_path(Path(row["out"])).manifest_id
            assert (row["error"], row["timestamped"], row["parent"]) == (None, False, None)
        else:
            assert (row["manifest_id"], row["timestamped"]) == (None, None)
            assert row["error"]


def test_another_format(genaudit, folder, tmp_path) -> None:
    code, out, err = genaudit("stamp", folder / "a_png.png", folder / "a_webp.webp", "--out", "s", "--format", "jpeg")
    assert code == 0, out + err
    made = contents(tmp_path / "s")
    assert sorted(made) == ["a_png.jpg", "a_webp.jpg"]
    assert all(data.startswith(b"\xff\xd8\xff") and verify_bytes(data).state.verified for data in made.values())


def test_files_that_are_there_are_not_replaced_without_a_word(genaudit, folder, tmp_path) -> None:
    (tmp_path / "stamped").mkdir()
    (tmp_path / "stamped" / "a_png.png").write_bytes(b"mine")
    code, out, _ = genaudit("stamp", folder, "--out", "stamped")
    assert (code, (tmp_path / "stamped" / "a_png.png").read_bytes()) == (20, b"mine")
    assert "--force" in out
    code, _, _ = genaudit("stamp", folder, "--out", "stamped", "--force")
    assert (code, verify_path(tmp_path / "stamped" / "a_png.png").state.verified) == (0, True)


def test_broken_parents(genaudit, folder, tmp_path) -> None:
    assert genaudit("stamp", folder / "a_jpg.jpg", "--out", "one.jpg")[0] == 0
    data = (tmp_path / "one.jpg").read_bytes()
    (tmp_path / "broken.jpg").write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    code, out, _ = genaudit("stamp", "broken.jpg", "--out", "again.jpg")
    assert (code, (tmp_path / "again.jpg").exists()) == (20, False)
    assert "--broken-parents record" in out
    code, _, _ = genaudit("stamp", "broken.jpg", "--out", "again.jpg", "--broken-parents", "record")
    assert (code, verify_path(tmp_path / "again.jpg").state) == (0, "bad_ingredient")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["renders", "--out", "renders"], "an image to be stamped lies here"),
        (["none", "--out", "x"], "does not exist"),
        (["renders/notes.txt", "renders/deep/none.gif", "--out", "x"], "does not exist"),
        (["empty", "--out", "x"], "no images found"),
        (["renders/a_png.png", "--out", "x.jpg"], "named .jpg, but it would hold image/png"),
        (["renders/a_png.png", "renders/../renders/a_png.png", "--out", "x"], "2 files would be written here"),
        (["renders", "--out", "x", "--prompt", "a", "--prompt-file", "b"], "two prompts"),
        (["renders", "--out", "x", "--prompt-file", "none"], "cannot be read"),
        (["renders", "--out", "x", "--keys", "nowhere"], "cannot be read"),
        (["renders", "--out", "x", "--tsa", "nowhere"], "no address"),
        (["renders", "--out", "x", "--quality", "0"], "quality"),
        (["renders"], "--out"),
    ],
)
def test_usage_errors_write_nothing(genaudit, folder, tmp_path, words, said) -> None:
    (tmp_path / "empty").mkdir()
    before = contents(tmp_path)
    code, out, err = genaudit("stamp", *words)
    assert code == 2, out + err
    assert said in err
    assert {k: v for k, v in contents(tmp_path).items() if not k.startswith("home")} == before


def test_results_inside_the_source_folder_are_not_stamped_again(genaudit, folder) -> None:
    assert genaudit("stamp", "renders", "--out", "renders/stamped")[0] == 0
    code, out, _ = genaudit("stamp", "renders", "--out", "renders/stamped", "--force")
    assert (code, out.count("stamped\t")) == (0, 6)
    assert not (folder / "stamped" / "stamped").exists()


def test_a_link_does_not_lead_back_to_a_source(folder, tmp_path) -> None:
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    with pytest.raises(ConfigError, match="lies here"):
        plan([folder], tmp_path / "link")


@pytest.mark.slow
def test_an_interrupt_leaves_whole_files_only(tmp_path) -> None:
    source = tmp_path / "renders"
    source.mkdir()
    big = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(big, "PNG", compress_level=1)
    for index in range(400):
        (source / f"{index:03}.png").write_bytes(big.getvalue())
    environment = {**os.environ, "GENAUDIT_HOME": str(tmp_path / "home")}
    line = [sys.executable, "-m", "audit", "stamp", str(source), "--out", str(tmp_path / "out"), "--workers", "2"]
    job = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*.png")) and time.monotonic() < until:
        time.sleep(0.02)
    job.send_signal(signal.SIGINT)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 130, err
    made = sorted((tmp_path / "out").iterdir())
    assert 0 < len(made) < 400
    assert all(path.suffix == ".png" and not path.name.startswith(".") for path in made)
    assert all(verify_path(path).state.verified for path in made)


def test_a_watermark_and_a_store_that_leads_back(genaudit, tmp_path) -> None:
    from audit.images import decode
    from audit.provenance.store import ManifestStore
    from audit.provenance.watermark import find

    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((160, 160), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    words = ["stamp", "a.jpg", "--out", "b.jpg", "--watermark", "spread", "--store", "m.sqlite", "--json"]
    code, out, err = genaudit(*words)
    assert code == 0, out + err
    row = json.loads(out)
    # A re-save takes the credentials away; the watermark leads back to them.
    Image.open(tmp_path / "b.jpg").save(tmp_path / "c.webp", quality=90)
    assert verify_path(tmp_path / "c.webp").state == "absent"
    reading = find("spread").read(decode((tmp_path / "c.webp").read_bytes()))
    assert reading.payload is not None
    (kept,) = ManifestStore(tmp_path / "m.sqlite").find(reading.payload, row["watermark"])
    assert (kept.manifest_id, kept.payload) == (row["manifest_id"], row["payload"])
    code, _, err = genaudit("stamp", "a.jpg", "--out", "d.jpg", "--watermark", "sprad")
    assert (code, "did you mean 'spread'" in err) == (2, True)
