# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.annotators.works import WorksAnnotator
from audit.errors import ConfigError
from audit.likeness.works import degrade
from tests.asking import record


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("GENAUDIT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def annotator():
    return WorksAnnotator()


@pytest.fixture(scope="module")
def artwork():
    from audit.reference.scenes import plant, render_paintings

    return render_paintings(np.array([plant("artwork")["painting_id"]]))[0]


def records(images):
    return [record(np.asarray(image), name=f"w{index}") for index, image in enumerate(images)]


def test_the_artwork_and_its_copies_are_found(annotator, artwork):
    rng = np.random.default_rng(11)
    columns = annotator.annotate(records([artwork, *(degrade(artwork, rng=rng) for _ in range(60))]))
    assert set(columns["copy"]) == {"copy"}
    assert set(columns["work"]) == {"Tidal Garden"}
    assert columns["similarity"].min() > 0.9


def test_other_paintings_are_called_copies_at_the_declared_rate(annotator):
    from audit.reference.scenes import painting_ids, render_paintings

    ids = painting_ids(600, pool="generator", rng=np.random.default_rng(12))
    columns = annotator.annotate(records(render_paintings(ids)))
    assert (columns["copy"] == "copy").mean() < 0.025
    assert columns["similarity"].max() < 0.8


def test_portraits_and_signs_are_no_copies(annotator, portraits):
    from audit.reference.scenes import render_signs

    signs = render_signs(["OPEN", "EXIT", "TAXI", "FARM"] * 10, rng=np.random.default_rng(3))
    columns = annotator.annotate([*portraits, *records(signs)])
    assert set(columns["copy"]) == {"no copy"}
    assert columns["similarity"].max() < 0.42


def test_flat_pictures_could_not_be_told(annotator):
    columns = annotator.annotate(records([np.full((64, 64, 3), 50, np.uint8)]))
    assert columns["copy"].tolist() == ["could not tell"]
    assert columns["work"].tolist() == [None]
    assert np.isnan(columns["similarity"]).all()


def test_counts_and_threshold(annotator):
    operating, found = annotator.spec.operating["copy"], annotator.references()["works"]
    assert (operating.truth, operating.answers) == (("copy", "no copy"), ("copy", "no copy", "could not tell"))
    assert [sum(row) for row in operating.counts] == [500, 2000]
    assert operating.counts[0][0] >= 495
    assert 5 <= operating.counts[1][0] <= 40
    assert (found.searches, found.false_alarms, found.reference_ids) == (2000, 19, ("Tidal Garden",))
    assert 0.3 < found.threshold < 0.6


def test_calibration_is_cached(annotator, cache, monkeypatch):
    first = annotator.spec
    monkeypatch.setattr("audit.annotators._works.measure", lambda *_, **__: pytest.fail("measured again"))
    assert WorksAnnotator().spec == first
    assert [path.stem for path in (cache / "works").iterdir()] == [first.digest]


def test_a_folder_of_works_needs_pictures_to_calibrate_on(tmp_path: Path, artwork, cache):
    from audit.reference.scenes import painting_ids, render_paintings

    for name, ids in {
        "mine": [41_000_001, 41_000_002],
        "others": painting_ids(80, pool="heldout", rng=np.random.default_rng(2)),
    }.items():
        (tmp_path / name).mkdir()
        for number, image in enumerate(render_paintings(np.asarray(ids))):
            Image.fromarray(image).save(tmp_path / name / f"{name}-{number}.png")
    folder = str(tmp_path / "mine")
    with pytest.raises(ConfigError, match="needs pictures that copy none") as caught:
        WorksAnnotator(folder=folder)
    assert "non_members" in str(caught.value.hint)
    annotator = WorksAnnotator(folder=folder, non_members=str(tmp_path / "others"), fpir=0.05)
    mine = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "mine").iterdir())]
    columns = annotator.annotate(records([*mine, artwork]))
    assert columns["work"].tolist()[:2] == ["mine-0", "mine-1"]
    assert columns["copy"].tolist() == ["copy", "copy", "no copy"]
    assert annotator.spec.operating["copy"].counts[1] == (3, 77, 0)
    assert "pictures it was calibrated on" in annotator.spec.operating["copy"].measured_on
    assert annotator.spec.digest != WorksAnnotator().spec.digest
    path = cache / "works" / f"{annotator.spec.digest}.json"
    path.write_text("damaged")
    again = WorksAnnotator(folder=folder, non_members=str(tmp_path / "others"), fpir=0.05)
    assert again.spec == annotator.spec
    assert path.read_text() != "damaged"
    with pytest.raises(ConfigError, match="cannot be stated"):
        _ = WorksAnnotator(folder=folder, non_members=str(tmp_path / "others"), fpir=0.01).spec


def test_bad_folders(tmp_path):
    with pytest.raises(ConfigError, match="is no folder"):
        _ = WorksAnnotator(folder=str(tmp_path / "no"), non_members="reference:paintings").spec
    with pytest.raises(ConfigError, match="no PNG"):
        _ = WorksAnnotator(folder=str(tmp_path), non_members="reference:paintings").spec
