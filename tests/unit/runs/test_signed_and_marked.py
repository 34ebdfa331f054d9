# SPDX-License-Identifier: Apache-2.0
"""A run whose images carry both layers: what is stored, what is measured, and the way back from a stripped copy."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from audit.config import AuditConfig, ProvenanceConfig
from audit.errors import ConfigError
from audit.images import decode, pixel_digest
from audit.pipeline import execute
from audit.provenance import ManifestStore, recover, verify_bytes
from audit.provenance.watermark import find, find_keyed, payload_of
from audit.runs import Run
from audit.runs._generate import Shelf, store
from audit.runs._signing import signing_for
from audit.runs._spent import Spent
from audit.types import Generation, GeneratorSpec, Outcome

SPEC = GeneratorSpec("g", "callable", "m", None)


def config(folder, **provenance) -> AuditConfig:
    generators = [{"name": "renderer", "kind": "renderer", "batch_size": 4, "params": {"size": 128}}]
    bare = {"instruments": {"annotators": ["credentials"]}, "gallery": None, "reference": None}
    probes = [{"set": "occupations", "repetitions": 2, "limit": 4}]
    block = {"out": str(folder), "generators": generators, "probes": probes, "reports": [], "provenance": provenance}
    return AuditConfig.model_validate({**block, **bare})


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("marked") / "run"
    execute(config(folder, watermark="spread"))
    return Run.open(folder)


def files(run: Run) -> list[tuple[dict, bytes]]:
    rows = run.generations().to_pylist()
    return [(row, run.image_path(row["sha256"], row["media_type"]).read_bytes()) for row in rows]


def test_every_image_names_its_request_and_run_and_the_row_names_its_manifest(marked: Run) -> None:
    for row, data in files(marked):
        found = verify_bytes(data)
        assert found.state.verified
        assert (found.request_id, found.run_id, found.manifest_id) == (row["request_id"], marked.id, row["manifest_id"])
        assert row["payload"] == payload_of(row["manifest_id"], 8 * len(bytes.fromhex(row["payload"]))).hex()
        assert found.watermark is not None
        assert found.watermark.value == row["payload"]


def test_what_is_measured_is_the_marked_picture(marked: Run, tmp_path) -> None:
    execute(config(tmp_path / "plain"))
    plain = {row["request_id"]: row for row, _ in files(Run.open(tmp_path / "plain"))}
    for row, data in files(marked):
        assert row["pixels"] == pixel_digest(decode(data))
        assert row["pixels"] != plain[row["request_id"]]["pixels"]
        assert plain[row["request_id"]]["payload"] is None
    assert not (tmp_path / "plain" / "manifests.sqlite").exists()


def test_a_stripped_copy_leads_back_to_request_and_run(marked: Run) -> None:
    mark = find("spread")
    with ManifestStore(marked.manifests, readonly=True) as store:
        assert len(store) == marked.generations().num_rows
        for row, data in files(marked):
            out = io.BytesIO()
            Image.fromarray(decode(data)).save(out, "JPEG", quality=75)
            found = recover(out.getvalue(), store=store, watermarks=[mark])
            assert found.outcome == "recovered", found.message
            assert (found.kept.request_id, found.kept.run_id) == (row["request_id"], marked.id)


def test_a_picture_that_cannot_be_marked_is_signed_all_the_same(marked: Run, tmp_path) -> None:
    """Sixteen pixels wide: too small for a mark, and the row says so."""
    request = replace(marked.planned()[0], params={})
    run = Run.create(tmp_path / "small", marked.plan, [request])
    signing = signing_for(ProvenanceConfig(watermark="spread"), SPEC, run)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    small = Generation(request.id, Outcome.IMAGE, pixels=pixels)
    store(Shelf(run, signing, False, Spent()), "00-000", [(request, small)])
    row = run.generations().to_pylist()[0]
    assert row["message"].startswith("no watermark: ")
    assert row["payload"] is None
    found = verify_bytes(run.image_path(row["sha256"], row["media_type"]).read_bytes())
    assert found.state.verified
    assert found.manifest_id == row["manifest_id"]
    assert found.watermark is None, "a mark that is not there must not be declared"


def test_credentials_of_two_runs_of_one_plan_name_different_runs(marked: Run, tmp_path) -> None:
    run = Run.create(tmp_path / "again", marked.plan, marked.planned())
    log = (run.path / "log.jsonl").read_text()
    (run.path / "log.jsonl").write_text(log.replace('"time": "20', '"time": "19').replace('"time":"20', '"time":"19'))
    assert run.id != marked.id
    assert len(run.id) == 32


def test_the_prompt_is_in_the_file_only_where_that_was_asked_for(marked: Run, tmp_path) -> None:
    execute(config(tmp_path / "public", public_prompts=True))
    texts = {request.id: request.prompt.text.encode() for request in marked.planned()}
    for row, data in files(marked):
        assert texts[row["request_id"]] not in data
    for row, data in files(Run.open(tmp_path / "public")):
        assert texts[row["request_id"]] in data


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ({"watermark": "none-such"}, "none-such"),
        ({"keys": "no-such-folder"}, "no-such-folder"),
        ({"keys": "callable:no_such_module:sign"}, "no_such_module"),
    ],
)
def test_what_cannot_sign_is_told_before_the_first_image(tmp_path, block, error) -> None:
    with pytest.raises(ConfigError, match=error):
        execute(config(tmp_path / "run", **block))
    assert not list((tmp_path / "run" / "images").rglob("*.png"))


def test_a_mark_without_credentials_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs stamp: true"):
        ProvenanceConfig(stamp=False, watermark="spread")


def test_with_a_secret_key_only_its_holder_reads_the_mark(tmp_path) -> None:
    key = tmp_path / "mark.key"
    key.write_text("a secret of ours\n")
    with pytest.raises(ConfigError, match="can be read by others"):
        execute(config(tmp_path / "open", watermark="spread", watermark_key=str(key)))
    key.chmod(0o600)
    execute(config(tmp_path / "run", watermark="spread", watermark_key=str(key)))
    for row, data in files(Run.open(tmp_path / "run")):
        rgb = decode(data)
        assert find_keyed("spread", key).read(rgb).payload == bytes.fromhex(row["payload"])
        assert not find("spread").read(rgb).found
