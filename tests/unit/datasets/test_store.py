# SPDX-License-Identifier: Apache-2.0
"""The promises of a set on disk: nothing lost, nothing changed, nothing half-written."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from audit.datasets import CleanRules, Shape, augment, card, clean, collect, normalise, open_set, parse_parts, split
from audit.datasets import _store as store
from audit.datasets._records import Record, from_table, to_table
from audit.datasets._transforms import TRANSFORMS, parse
from audit.errors import ConfigError, StoreError


def _png(rgb: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(rgb).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twelve pictures of noise, 40x20."""
    (tmp_path / "in").mkdir()
    for i in range(12):
        rgb = np.random.default_rng(i).integers(0, 256, (20, 40, 3), np.uint8)
        (tmp_path / "in" / f"{i:02d}.png").write_bytes(_png(rgb))
    collect([str(tmp_path / "in")], tmp_path / "raw")
    return tmp_path / "raw"


def test_records_survive_the_table() -> None:
    records = [
        Record("a" * 64, "s", "1", 3, 4, "RGB", "image/png", "c", "MIT", "b" * 64, "c" * 64, {"n": 1, "t": True}),
        Record("d" * 64, "s", "2", meta={"mixed": "x", "f": 0.5}),
        Record("e" * 64, "s", "3", meta={"mixed": 3, "n": 2**70}),
    ]
    found = from_table(to_table(records))
    assert found[1] == records[1]
    assert found[0].meta == {"n": "1", "t": True}  # a column has one type; what does not fit it becomes words
    assert found[2].meta == {"mixed": "3", "n": str(2**70)}


@pytest.mark.parametrize("value", ["../../etc/passwd", "A" * 64, None])
def test_a_table_cannot_lead_out_of_its_folder(raw: Path, value: str | None) -> None:
    table = pq.read_table(raw / "records.parquet")
    rows = table.to_pylist()
    rows[0]["sha256"] = value
    pq.write_table(table.from_pylist(rows, schema=table.schema), raw / "records.parquet")
    with pytest.raises(StoreError, match="not a sha256"):
        open_set(raw)


def test_a_file_that_changed_is_an_error_and_nothing_is_left(raw: Path, tmp_path: Path) -> None:
    found = open_set(raw)
    found.image_path(found.records[3]).write_bytes(_png(np.zeros((20, 40, 3), np.uint8)))
    with pytest.raises(StoreError, match="has changed"):
        clean(raw, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "raw"]


def test_a_step_that_loses_an_image_fails(raw: Path, tmp_path: Path) -> None:
    found = open_set(raw)
    keys = [record.key for record in found.records]
    for kept in (keys[:-1], [*keys, keys[0]]):
        with pytest.raises(RuntimeError, match="neither kept nor dropped"):
            store.finish(tmp_path, step="x", options={}, given=keys, origins=kept, records=[], dropped=[], before=None)


def test_the_digest_ignores_order_and_place_but_no_word(raw: Path) -> None:
    records = open_set(raw).records
    digest = store.digest_records(records)
    assert digest == store.digest_records(records[::-1])
    moved = [Record(**{**_fields(r), "source": "elsewhere"}) for r in records]
    assert digest == store.digest_records(moved)
    said = [*records[:-1], Record(**{**_fields(records[-1]), "caption": "new"})]
    assert digest != store.digest_records(said)


def _fields(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}


@pytest.mark.parametrize(("fit", "width", "height"), [("crop", 16, 16), ("pad", 16, 24), ("stretch", 50, 10)])
def test_every_fit_gives_the_size(raw: Path, tmp_path: Path, fit: str, width: int, height: int) -> None:
    normalise(raw, tmp_path / "out", shape=Shape(width, height, fit=fit))
    found = open_set(tmp_path / "out")
    images = [np.asarray(Image.open(found.image_path(r))) for r in found.records]
    assert {image.shape for image in images} == {(height, width, 3)}
    white = images[0] == 255
    assert (white[:8].all() and white[16:].all() and not white[8:16].all()) == (fit == "pad")


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_every_transform_changes_the_picture_and_repeats(raw: Path, tmp_path: Path, name: str) -> None:
    for out in ("a", "b"):
        augment(raw, tmp_path / out, transforms=[name], seed=4)
    a, b = open_set(tmp_path / "a"), open_set(tmp_path / "b")
    assert a.records == b.records
    before = open_set(raw)
    for record, parent in zip(a.records, before.records, strict=True):
        assert (record.parent, record.origin) == (parent.sha256, parent.sha256)
        new, old = (np.asarray(Image.open(s.image_path(r))) for s, r in ((a, record), (before, parent)))
        assert new.shape != old.shape or (new != old).any()
        assert str(record.meta["transforms"]).startswith(name)


def test_what_is_drawn_stays_in_its_range() -> None:
    transform = parse("jpeg:quality=30..40")
    drawn = [transform.draw(np.random.default_rng(i))["quality"] for i in range(200)]
    assert 30 <= min(drawn) < 32
    assert 38 < max(drawn) <= 40
    assert parse("flip").draw(np.random.default_rng(0)) == {"p": 1.0}


@pytest.mark.parametrize("text", ["train=0.5", "a=0.5,a=0.5", "a=x,b=1", "A=1", "a=-1,b=2", "a=nan,b=1", ""])
def test_parts_that_do_not_add_up_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_parts(text)


def test_columns_and_shares_hold_together(raw: Path, tmp_path: Path) -> None:
    table = pq.read_table(raw / "records.parquet")
    people = [f"p{i // 3}" for i in range(12)]
    pq.write_table(table.append_column("who", [people]), raw / "records.parquet")
    done = split(raw, tmp_path / "out", parts={"a": 0.5, "b": 0.25, "c": 0.25}, by="who", seed=1)
    who = {n: [r.meta["who"] for r in open_set(tmp_path / "out" / n).records] for n in "abc"}
    assert {n: len(w) for n, w in who.items()} == {"a": 6, "b": 3, "c": 3}
    assert sorted(name for names in who.values() for name in set(names)) == ["p0", "p1", "p2", "p3"]
    assert done.details["parts"]["a"] == {"asked": 0.5, "reached": 0.5, "images": 6, "groups": 2}


def test_steps_and_what_was_dropped_add_up_along_the_way(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "12.png").write_bytes(b"no")
    (tmp_path / "in" / "13.png").write_bytes((tmp_path / "in" / "00.png").read_bytes())
    collect([str(tmp_path / "in")], raw, force=True)
    clean(raw, tmp_path / "clean", rules=CleanRules(max_aspect=3))
    split(tmp_path / "clean", tmp_path / "out", parts={"a": 0.5, "b": 0.5})
    for name in "ab":
        part = open_set(tmp_path / "out" / name)
        assert [step["step"] for step in part.steps] == ["collect", "clean", "split"]
        assert {row.name: row.reason for row in part.dropped} == {"12.png": "not_image", "13.png": "exact_duplicate"}
        assert len(part.records) == 6


def test_a_card_without_instruments_says_so_and_escapes_what_it_is_told(raw: Path, tmp_path: Path) -> None:
    table = pq.read_table(raw / "records.parquet")
    column = table.column_names.index("licence")
    hostile = ["<script>|x\n# y"] * 12
    pq.write_table(table.set_column(column, "licence", [hostile]), raw / "records.parquet")
    content = card(raw, attributes=False)
    text = (raw / "CARD.md").read_text()
    assert content["composition"] == []
    assert "Not looked at" in text
    assert r"\<script\>\|x \# y: 12" in text
    assert card(raw, attributes=False) == content
    assert open_set(raw).records


def test_rules_that_nothing_could_pass_are_refused() -> None:
    for wrong in ({"drop_modes": ("cymk",)}, {"min_side": 9, "max_side": 8}, {"animated": "x"}):
        with pytest.raises(ConfigError):
            CleanRules(**wrong)
    with pytest.raises(ConfigError):
        Shape(0, 10)
