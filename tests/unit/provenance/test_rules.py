# SPDX-License-Identifier: Apache-2.0
"""Findings of many files beside rules: a row speaks for all images or none, and silence is never a yes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from audit.cli._main import app
from audit.errors import StoreError
from audit.provenance import Claim, Stamper
from audit.provenance._sources import find as sources
from audit.provenance.crosswalk import assess
from audit.provenance.rules import evidence_in, survived
from audit.provenance.watermark import find

MARK = find("spread")


@pytest.fixture(scope="module")
def marked(tmp_path_factory, stamper: Stamper) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    marker = Stamper(stamper.keys, watermark=MARK)
    for seed in range(3):
        rgb = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        image = Image.fromarray(rgb).resize((128, 128), Image.Resampling.BICUBIC)
        made = marker.mark(image, Claim.about("model", version="2", prompt="a cat", seed=seed))
        (folder / f"{seed}.png").write_bytes(made.data)
    return folder


def status(evidence) -> dict[str, str]:
    return {row.id: str(row.status) for row in assess(evidence)}


def test_what_all_images_carry_supports(marked: Path) -> None:
    found = evidence_in(sources([marked]), watermark=MARK)
    assert str(found["watermark.matches"]) == str(found["verified"]) == "3 of 3 images"
    assert found["rubric:conformance"].holds
    assert found["xmp.source_type"].holds
    said = status(found)
    for row in ("eu-50-2-marked", "eu-r133-combination", "code-1-1-1-signed", "code-1-1-2", "ca-b-1-b", "ca-b-1-d"):
        assert said[row] == "supports", row
    assert said["code-1-1-1-time"] == said["ca-b-1-a"] == "not assessed", "no time stamp, and a development chain"


def test_one_image_without_marks_is_enough_against(marked: Path, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.effect_noise((128, 128), 40).convert("RGB").save(out, "PNG")
    (tmp_path / "bare.png").write_bytes(out.getvalue())
    found = evidence_in(sources([marked, tmp_path]), watermark=MARK)
    assert str(found["verified"]) == "3 of 4 images"
    assert status(found)["code-1-1-2"] == status(found)["eu-50-2-marked"] == "not assessed"


def test_what_nobody_looked_for_is_unknown(marked: Path) -> None:
    found = evidence_in(sources([marked]))
    assert found["watermark.found"].holds is None
    assert status(found)["code-1-1-2"] == "not assessed"


def test_tampered_and_junk_files_support_nothing(marked: Path, tmp_path: Path) -> None:
    data = bytearray((marked / "0.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "tampered.png").write_bytes(data)
    (tmp_path / "junk.png").write_bytes(b"junk")
    found = evidence_in(sources([tmp_path]), watermark=MARK)
    assert found["verified"].yes == 0
    assert "supports" not in {
        status(found)[row] for row in ("eu-50-2-marked", "code-1-1-1-signed", "ca-b-1-b", "ca-b-1-c", "ca-b-1-d")
    }


def test_survival_is_read_where_it_was_measured(tmp_path: Path) -> None:
    assert survived(tmp_path) == {}
    cell = {"edit": "jpeg-75", "layer": "watermark", "n": 4, "kept": 3, "broken": 0, "gone": 1, "missing": 0}
    (tmp_path / "survival.json").write_text(json.dumps({"cells": [{**cell, "kept_share": None, "broken_share": None}]}))
    assert str(survived(tmp_path)["survival:jpeg-75:watermark"]) == "3 of 4 images"
    (tmp_path / "survival.json").write_text('{"cells": 3}')
    with pytest.raises(StoreError, match="cannot be read"):
        survived(tmp_path)


def test_the_command_prints_rows_and_never_more_than_supports(marked: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["rules", str(marked), "--json", "-q"], standalone_mode=False)
    rows = [json.loads(line) for line in shown.stdout.splitlines() if line.startswith("{")]
    assert {row["status"] for row in rows} == {"supports", "not assessed"}
    assert len(rows) > 20
    assert "no legal advice" in shown.output
    (tmp_path / "empty").mkdir()
    assert CliRunner().invoke(app, ["rules", str(tmp_path / "empty")], standalone_mode=False).exception.exit_code == 2
