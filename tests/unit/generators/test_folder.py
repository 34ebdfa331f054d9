# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from audit.errors import ConfigError, GeneratorError
from audit.generators import FolderGenerator
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask


def picture(path, level, **more):
    rng = np.random.default_rng(level)
    Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(path, **more)
    return path


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    picture(root / "a.png", 1)
    picture(root / "b.jpg", 2)
    picture(root / "c.webp", 3)
    (root / "empty.png").write_bytes(b"")
    (root / "cut.png").write_bytes((root / "a.png").read_bytes()[:400])
    (root / "text.png").write_text("not a picture")
    picture(root / "d.bmp", 4)
    picture(tmp_path / "secret.png", 5)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    return root


def write(folder, *rows):
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return FolderGenerator("f", model=str(folder))


def test_rows_of_a_prompt_answer_its_repetitions_and_bytes_are_kept(folder):
    generator = write(
        folder,
        {"file_name": "a.png", "text": "a nurse", "seed": 7},
        {"file_name": "b.jpg", "text": "a ceo"},
        {"file_name": "c.webp", "text": "a nurse"},
    )
    batch = [ask("a nurse", repetition=1), ask("a ceo"), ask("a nurse")]
    answers = generator.generate(batch)
    assert [a.image for a in answers] == [(folder / n).read_bytes() for n in ("c.webp", "b.jpg", "a.png")]
    assert [a.media_type for a in answers] == ["image/webp", "image/jpeg", "image/png"]
    assert answers[2].meta == {"file_name": "a.png", "seed": 7}
    assert [a.request_id for a in answers] == [r.id for r in batch]
    assert answers[0].seconds is None


def test_prompt_id_wins_over_text(folder):
    generator = write(
        folder,
        {"file_name": "a.png", "text": "a nurse", "prompt_id": "jobs/nurse"},
        {"file_name": "b.jpg", "text": "a nurse", "prompt_id": "other/nurse"},
    )
    answer = generator.generate([ask("a nurse", prompt_id="other/nurse")])[0]
    assert answer.meta["file_name"] == "b.jpg"


def test_csv(folder):
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream)
        writer.writerows([["file_name", "text", "outcome", "message"], ["a.png", "a nurse, smiling", "", ""]])
        writer.writerow(["", "a nurse, smiling", "refused", "no"])
    generator = FolderGenerator("f", model=str(folder))
    drawn, refused = generator.generate([ask("a nurse, smiling", repetition=k) for k in range(2)])
    assert drawn.outcome is Outcome.IMAGE
    assert (refused.outcome, refused.message) == (Outcome.REFUSED, "no")


def test_missing_images_are_error_rows(folder):
    generator = write(folder, {"file_name": "a.png", "text": "a nurse"})
    third, unknown = generator.generate([ask("a nurse", repetition=2), ask("a pilot")])
    assert third.outcome is unknown.outcome is Outcome.ERROR
    assert "no image for 'a-nurse', repetition 2: 1 of that prompt" in third.message
    assert "not among the finished images" in unknown.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.png", "the file is empty"),
        ("text.png", "not a PNG, JPEG or WebP"),
        ("d.bmp", "not a PNG, JPEG or WebP"),
        ("gone.png", "no such file"),
        ("../secret.png", "leads out of the folder"),
        ("link.png", "leads out of the folder"),
        ("/etc/hostname", "leads out of the folder"),
    ],
)
def test_damaged_and_foreign_files_are_error_rows_that_name_file_and_place(folder, name, reason):
    answer = write(folder, {"file_name": name, "text": "a nurse"}).generate([ask("a nurse")])[0]
    assert (answer.outcome, answer.image) == (Outcome.ERROR, None)
    assert answer.message.startswith(f"{name}: ")
    assert reason in answer.message
    assert answer.message.endswith("(metadata.jsonl:1)")
    assert answer.meta == {"file_name": name}


def test_a_cut_file_is_handed_on_and_found_where_images_are_decoded(folder):
    answer = write(folder, {"file_name": "cut.png", "text": "a nurse"}).generate([ask("a nurse")])[0]
    assert answer.image == (folder / "cut.png").read_bytes()
    with pytest.raises(ValueError, match="cannot be decoded"):
        pixels_of(answer)


def test_images_outside_are_read_only_if_that_is_asked_for(folder):
    row = {"file_name": str(folder.parent / "secret.png"), "text": "a nurse"}
    assert write(folder, row).generate([ask("a nurse")])[0].outcome is Outcome.ERROR
    allowed = FolderGenerator("f", model=str(folder), options={"allow_outside": True})
    assert allowed.generate([ask("a nurse")])[0].image == (folder.parent / "secret.png").read_bytes()
    before = allowed.spec.digest
    picture(folder.parent / "secret.png", 77)
    assert FolderGenerator("f", model=str(folder), options={"allow_outside": True}).spec.digest != before


def test_larger_files_than_allowed_are_refused(folder):
    write(folder, {"file_name": "a.png", "text": "a nurse"})
    small = FolderGenerator("f", model=str(folder), options={"max_bytes": 100})
    assert "more than 100 (option max_bytes)" in small.generate([ask("a nurse")])[0].message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"file_name": "a.png"}', "neither text nor prompt_id"),
        ('{"text": "x"}', "no file_name"),
        ('{"file_name": "a.png", "text": "x", "outcome": "fine"}', "fine"),
        ('{"file_name": "a.png", "text": "x", "seed": "s"}', "invalid literal"),
        ('{"file_name": "a.png", "text": "x", "seconds": -1}', "no time"),
        ('{"file_name": "a.png", "text": "x", "prompt": "y"}', "'text' and 'prompt', and they differ"),
    ],
)
def test_broken_metadata_names_the_line(folder, line, message):
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "x"}\n' + line)
    with pytest.raises(GeneratorError, match=message) as caught:
        FolderGenerator("f", model=str(folder)).generate([ask("x")])
    assert "metadata.jsonl:2" in caught.value.where
    assert "generator 'f'" in caught.value.where
    assert caught.value.hint


def test_digest_covers_the_images(folder):
    before = write(folder, {"file_name": "a.png", "text": "a nurse"}).spec
    picture(folder / "a.png", 9)
    after = FolderGenerator("f", model=str(folder)).spec
    assert before.digest != after.digest
    assert before.details["rows"] == 1


def test_no_folder_no_metadata(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder or file"):
        FolderGenerator("f", model=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"has no metadata.jsonl or metadata.csv"):
        FolderGenerator("f", model=str(tmp_path))
    with pytest.raises(ConfigError, match=r"holds nothing in the layout .metadata."):
        FolderGenerator("f", model=str(tmp_path), options={"metadata": "list.csv"})
