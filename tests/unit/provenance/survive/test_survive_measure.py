# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.stats import binomtest

from audit.errors import AnnotatorError, ConfigError, StoreError
from audit.images import encode_png
from audit.provenance import Stamper
from audit.provenance.survive import (
    EDITS,
    Edit,
    Family,
    Finding,
    Journal,
    Layer,
    Outcome,
    Plan,
    Row,
    draw,
    find_images,
    home,
    measure,
    run,
    select_edits,
    survive,
)
from audit.provenance.survive.matrix import cells_of, cost_of
from audit.provenance.survive.results import fingerprint

SOME = select_edits(["copy", "append", "strip", "png", "jpeg-75", "text-edit", "crop-10"])


@pytest.fixture(scope="session")
def images(save) -> dict[str, bytes]:
    return {f"{seed}.png": save(seed=seed) for seed in range(5)}


@pytest.fixture(scope="session")
def plan(lsb, stamper) -> Plan:
    return Plan(SOME, watermark=lsb, stamper=stamper)


def never(data: bytes) -> bytes:
    raise AssertionError("edited again")


def die(data: bytes) -> bytes:
    import os

    os._exit(9)


def interrupt(data: bytes) -> bytes:
    raise KeyboardInterrupt


# -- counting --------------------------------------------------------------------------------------------------


def test_shares_have_exact_intervals_and_what_was_not_done_does_not_count() -> None:
    kinds = [Outcome.KEPT] * 6 + [Outcome.BROKEN] * 2 + [Outcome.GONE] * 3 + [Outcome.MISSING] * 4
    rows = [Row(str(i), "e", Layer.XMP, kind) for i, kind in enumerate(kinds)]
    cell, empty = cells_of(rows, ["e", "f"], [Layer.XMP], level=0.9)
    assert (cell.kept, cell.broken, cell.gone, cell.missing, cell.n) == (6, 2, 3, 4, 11)
    for share, k in ((cell.kept_share, 6), (cell.broken_share, 2)):
        assert share is not None
        wanted = binomtest(k, 11).proportion_ci(0.9, method="exact")
        assert (share.value, share.low, share.high) == pytest.approx((k / 11, wanted.low, wanted.high))
    assert (empty.n, empty.kept_share, empty.broken_share) == (0, None, None)


def test_cost_over_pictures_that_were_marked() -> None:
    found = [Finding(str(i), psnr=p, ssim=s) for i, (p, s) in enumerate([(40, 0.9), (math.inf, 1.0), (44, None)])]
    cost = cost_of([*found, Finding("unmarked")])
    assert cost is not None
    assert (cost.n, cost.unchanged, cost.psnr.median, cost.psnr.p10) == (3, 1, 44, 40)
    assert cost.ssim is not None
    assert cost.ssim.p10 == 0.9
    same = cost_of([Finding("a", psnr=math.inf)])
    assert same is not None
    assert (same.psnr.median, same.ssim) == (None, None)
    assert cost_of([Finding("a")]) is None


# -- measuring -------------------------------------------------------------------------------------------------


def test_fresh_copies_carry_all_layers_and_the_same_sample_gives_the_same_table(images, plan) -> None:
    found = survive(images, plan)
    assert found.images == 5
    assert all(finding.fresh and finding.layers == tuple(Layer) for finding in found.findings)
    kept = {(c.edit, c.layer): c.kept for c in found.cells}
    assert [kept["copy", layer] for layer in Layer] == [5, 5, 5, 5]
    assert [kept["append", layer] for layer in Layer] == [0, 5, 5, 5]
    assert [kept["strip", layer] for layer in Layer] == [0, 0, 0, 5]
    assert found.cell("append", Layer.C2PA).broken == 5
    assert found.cell("text-edit", Layer.TEXT).broken == 5
    again = survive(images, plan)
    assert (again.rows, again.cost) == (found.rows, found.cost)
    assert found.cost is not None
    # 64 lowest bits of which half change by one level: the closed form of the error
    assert found.cost.psnr.median == pytest.approx(10 * math.log10(255**2 / (32 / (96 * 128 * 3))), abs=1.5)
    with pytest.raises(KeyError):
        found.cell("flip", Layer.C2PA)


def test_worker_processes_find_the_same(images, plan) -> None:
    assert survive(images, plan, workers=2).rows == survive(images, plan).rows


def test_images_with_credentials_are_measured_as_they_are(save, plan, claim, stamper) -> None:
    signed = stamper.stamp(save("JPEG"), claim).data
    found = measure("a.jpg", signed, plan)
    assert (found.fresh, found.layers, found.psnr) == (False, (Layer.C2PA, Layer.XMP), None)
    again = measure("a.jpg", signed, Plan(SOME, watermark=plan.watermark, stamper=stamper, restamp=True))
    assert (again.fresh, again.layers) == (True, tuple(Layer))


def test_a_mark_that_is_there_stays_and_is_not_marked_over(draw_picture, lsb, plan, stamper) -> None:
    data = encode_png(lsb.embed(draw_picture(), b"mine"))
    found = measure("a", data, plan)
    assert (found.fresh, found.layers) == (False, (Layer.WATERMARK,))
    again = measure("a", data, Plan(SOME, watermark=lsb, stamper=stamper, restamp=True))
    assert (again.fresh, again.layers, again.psnr) == (True, tuple(Layer), None)
    assert next(r.outcome for r in again.rows if (r.edit, r.layer) == ("copy", Layer.WATERMARK)) is Outcome.KEPT


def test_a_mark_that_is_declared_and_cannot_be_read_is_a_loss(draw_picture, lsb, stamper, claim) -> None:
    class Idle(type(lsb)):
        def embed(self, rgb, payload, /):
            return rgb

    for watermark, wanted in ((lsb, Outcome.KEPT), (Idle(), Outcome.GONE)):
        signed = Stamper(stamper.chain.folder, watermark=watermark).mark(draw_picture(), claim).data
        found = measure("a", signed, Plan(SOME, watermark=lsb))
        assert found.layers == (Layer.C2PA, Layer.XMP, Layer.WATERMARK)
        assert next(r.outcome for r in found.rows if (r.edit, r.layer) == ("copy", Layer.WATERMARK)) is wanted


def test_without_a_stamper_bare_images_have_nothing_to_lose(images, lsb) -> None:
    found = survive(images, Plan(SOME, watermark=lsb))
    assert (found.images, found.rows, found.cost) == (0, (), None)
    assert {finding.note for finding in found.findings} == {"carries none of the layers"}
    assert all(cell.kept_share is None for cell in found.cells)


def test_pictures_that_cannot_be_read_or_marked_are_told(tmp_path, plan) -> None:
    tiny = encode_png(np.zeros((8, 8, 3), np.uint8))
    found = survive({"junk": b"junk", "gone": tmp_path / "none.png", "tiny": tiny, "empty": b""}, plan)
    notes = {finding.image: finding.note for finding in found.findings}
    assert "cannot be decoded" in notes["junk"]
    assert "0x" not in notes["junk"]
    assert "cannot be opened" in notes["gone"]
    assert "too small" in notes["tiny"]
    assert found.images == 1
    assert Layer.WATERMARK not in found.findings[2].layers


def test_only_the_layers_asked_for(images, stamper, lsb) -> None:
    found = survive(images, Plan(SOME, (Layer.TEXT,), watermark=lsb, stamper=stamper))
    assert {row.layer for row in found.rows} == {Layer.TEXT}
    assert found.cost is None


def test_an_edit_that_cannot_be_done_is_missing(save, stamper, claim) -> None:
    signed = {"a.jpg": stamper.stamp(save("JPEG"), claim).data}
    found = survive(signed, Plan(select_edits(["recompress", "copy"])))
    cell = found.cell("recompress", Layer.C2PA)
    assert (cell.n, cell.missing, cell.kept_share) == (0, 1, None)


def test_plans_that_make_no_sense(stamper) -> None:
    with pytest.raises(ValueError, match="stamper"):
        Plan(restamp=True)
    with pytest.raises(ValueError, match="same id"):
        Plan((EDITS[0], EDITS[0]))
    with pytest.raises(ConfigError):
        survive({})


# -- going on --------------------------------------------------------------------------------------------------


def test_an_interrupted_measurement_goes_on_and_edits_nothing_twice(images, plan, tmp_path) -> None:
    journal = Journal(tmp_path / "f.jsonl", fingerprint(plan))
    seen: list[tuple[int, int]] = []

    def stop(_what: str, done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survive(images, plan, journal=journal, progress=stop)
    assert seen == [(0, 5), (1, 5), (2, 5), (3, 5)]
    whole = survive(images, plan, journal=journal)
    assert whole == survive(images, plan)
    done = Plan((Edit("copy", "", Family.COPY, False, {}, never),), stamper=plan.stamper)
    assert survive(images, done, journal=journal).findings == whole.findings


def test_an_interrupt_ends_the_workers_and_keeps_what_is_done(images, plan, tmp_path) -> None:
    journal = Journal(tmp_path / "f.jsonl", fingerprint(plan))

    def stop(_what: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survive(images, plan, workers=2, journal=journal, progress=stop)
    assert survive(images, plan, workers=2, journal=journal) == survive(images, plan)


def test_a_worker_that_dies_is_told_without_a_traceback_of_others(images, plan) -> None:
    dying = Plan((Edit("die", "", Family.COPY, False, {}, die),), stamper=plan.stamper)
    with pytest.raises(AnnotatorError) as caught:
        survive(images, dying, workers=2)
    assert "--workers 1" in str(caught.value.hint)


def test_a_line_cut_short_and_a_changed_image_are_measured_again(images, plan, tmp_path, save) -> None:
    journal = Journal(tmp_path / "f.jsonl", fingerprint(plan))
    survive(images, plan, journal=journal)
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[:-30])
    other = {**images, "0.png": save(seed=77)}
    found = survive(other, plan, journal=journal)
    assert found == survive(other, plan)
    assert len(journal.path.read_bytes().splitlines()) == 1 + 1 + 5 + 2  # blank, head, five, two again


def test_findings_of_other_instruments_are_not_mixed(images, plan, tmp_path, lsb) -> None:
    survive(images, plan, journal=Journal(tmp_path / "f.jsonl", fingerprint(plan)))
    keyed = Plan(SOME, watermark=type(lsb)(b"other"), stamper=plan.stamper)
    with pytest.raises(StoreError) as caught:
        survive(images, keyed, journal=Journal(tmp_path / "f.jsonl", fingerprint(keyed)))
    assert "--force" in str(caught.value.hint)


# -- files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, images) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, data in images.items():
        (tmp_path / "in" / "deep" / name).write_bytes(data)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path / "in"


def test_results_on_disk(folder, plan, tmp_path) -> None:
    sample = draw(find_images([folder]), n=4, seed=1)
    survival, summary = run(sample, plan, tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "survival.json").read_text())
    assert stored == json.loads(json.dumps(summary))
    assert (stored["images"]["found"], stored["images"]["drawn"], stored["images"]["fresh"]) == (5, 4, 4)
    assert stored["layers"] == {"c2pa": 4, "xmp": 4, "text": 4, "watermark": 4}
    assert stored["instruments"]["watermark"]["name"] == "lsb"
    assert {"Pillow", "c2pa-python", "numpy", "scipy"} <= set(stored["instruments"]["libraries"])
    assert stored["cost"]["n"] == 4
    table = pq.read_table(tmp_path / "out" / "matrix.parquet")
    assert table.num_rows == len(survival.rows) == 4 * 4 * len(SOME)
    assert table.column_names == ["image", "edit", "layer", "outcome", "fresh"]
    for cell in stored["cells"]:
        mine = [r for r in table.to_pylist() if (r["edit"], r["layer"]) == (cell["edit"], cell["layer"])]
        assert sum(r["outcome"] == "kept" for r in mine) == cell["kept"]
    before = (tmp_path / "out" / "matrix.parquet").read_bytes()
    run(sample, plan, tmp_path / "out")
    assert (tmp_path / "out" / "matrix.parquet").read_bytes() == before


def test_a_folder_without_a_single_picture_that_can_be_read(plan, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"junk")
    with pytest.raises(StoreError, match=r"nothing to lose .* cannot be decoded"):
        run(draw(find_images([tmp_path]), n=1, seed=0), plan, tmp_path / "out")
    assert not (tmp_path / "out" / "survival.json").exists()


def test_force_starts_afresh(folder, plan, tmp_path, stamper) -> None:
    sample = draw(find_images([folder]), n=2, seed=1)
    run(sample, plan, tmp_path / "out")
    other = Plan(SOME[:2], stamper=stamper)
    with pytest.raises(StoreError):
        run(sample, other, tmp_path / "out")
    survival, _ = run(sample, other, tmp_path / "out", force=True)
    assert {row.edit for row in survival.rows} == {"copy", "append"}


def test_a_larger_sample_holds_the_smaller_one_and_order_does_not_matter() -> None:
    images = {f"{i}.png": Path(f"{i}.png") for i in range(50)}
    small, large = (draw(images, n=n, seed=3).images for n in (10, 20))
    assert set(small) < set(large)
    assert draw(dict(reversed(images.items())), n=10, seed=3).images == small
    assert draw(images, n=10, seed=4).images != small
    assert draw(images, n=99, seed=3).images == dict(sorted(images.items()))


def test_every_image_is_drawn_as_often_as_any_other() -> None:
    images = {f"{i}.png": Path(f"{i}.png") for i in range(20)}
    counts = dict.fromkeys(images, 0)
    for seed in range(2000):
        for name in draw(images, n=5, seed=seed).images:
            counts[name] += 1
    chi2 = sum((n - 500) ** 2 / 500 for n in counts.values()) / (1 - 5 / 20)
    assert chi2 < 43.8  # 99.9 % of chi-squared with 19 degrees of freedom


def test_where_images_are_found(folder, tmp_path, save) -> None:
    single = tmp_path / "one.jpg"
    single.write_bytes(save("JPEG"))
    assert set(find_images([folder, single])) == {*(f"deep/{i}.png" for i in range(5)), "one.jpg"}
    (folder / "images").mkdir()
    (folder / "images" / "x.png").write_bytes(save())
    (folder / "thumbs").mkdir()
    (folder / "plan.json").write_text("{}")
    (folder / "requests.parquet").write_bytes(b"")
    assert set(find_images([folder])) == {"images/x.png"}
    with pytest.raises(ConfigError, match="does not exist"):
        find_images([tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match="no images"):
        find_images([folder / "thumbs"])
    assert home([folder]) == folder / "survival"
    assert home([single]) == home([folder, single]) == Path("survival")


def test_two_files_of_one_name_are_two_images(tmp_path, save) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(save())
    assert len(find_images([tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"])) == 2
    assert len(find_images([tmp_path / "a", tmp_path / "b"])) == 2


def test_a_disk_that_says_no(folder, plan, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError) as caught:
        run(draw(find_images([folder]), n=1, seed=0), plan, tmp_path / "file")
    assert caught.value.exit_code == 20


def test_a_key_that_cannot_sign_is_an_error_not_a_finding(images, tmp_path) -> None:
    with pytest.raises(ConfigError):
        survive(images, Plan(SOME, stamper=Stamper(tmp_path / "none")))


def test_rotated_by_exif_is_upright_in_a_fresh_copy(plan, draw_picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.fromarray(draw_picture()).save(out, "PNG", exif=exif)
    found = measure("a", out.getvalue(), plan)
    assert found.layers == tuple(Layer)
