# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from audit.annotators.likeness import LikenessAnnotator
from audit.errors import AnnotatorError, ConfigError
from audit.likeness import Calibration
from audit.types import Annotator, ImageRecord

TOMORROW = datetime.now(UTC).date() + timedelta(days=1)


def records(images: Any) -> list[ImageRecord]:
    return [ImageRecord(f"r-{i}", "00", "a portrait", b"", np.asarray(image)) for i, image in enumerate(images)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Untrained networks of the real classes: the finder always says "face", so that every image is compared."""
    import torch

    from audit.reference.instruments import AttributeNet, FaceEmbedder

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    finder = AttributeNet()
    with torch.no_grad():
        finder.heads["face"].weight.zero_()
        finder.heads["face"].bias.copy_(torch.tensor([-4.0, 4.0]))
    finder.save_pretrained(folder / "attributes")
    FaceEmbedder().save_pretrained(folder / "faces")
    return {"model": str(folder / "faces"), "face_model": str(folder / "attributes")}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Twelve noise images, of which two are enrolled, and forty strangers."""
    rng = np.random.default_rng(0)
    for name, count in {"gallery": 2, "others": 40}.items():
        (tmp_path / name).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number:02d}.png")
    consent = {"basis": "fictional", "holder": "nobody", "expires": TOMORROW.isoformat()}
    listed = [{"id": f"R-{n}", "images": [f"{n:02d}.png"], "consent": consent} for n in range(2)]
    (tmp_path / "gallery" / "gallery.yaml").write_text(yaml.safe_dump({"references": listed}))
    return {"gallery": str(tmp_path / "gallery"), "non_members": str(tmp_path / "others")}


def enrolled(folders: dict[str, str]) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(Path(folders["gallery"]).glob("*.png"))]


def test_enrolled_pictures_are_found_and_strangers_are_not(models, folders) -> None:
    annotator = LikenessAnnotator(**models, **folders, fpir=0.1, searches=50)
    assert isinstance(annotator, Annotator)
    strangers = [np.asarray(Image.open(path)) for path in sorted(Path(folders["non_members"]).glob("*.png"))]
    columns = annotator.annotate(records([*enrolled(folders), *strangers]))
    assert list(columns) == list(annotator.spec.columns)
    assert columns["reference"].tolist()[:2] == ["R-0", "R-1"]
    np.testing.assert_allclose(columns["score"][:2], 1, atol=1e-5)
    calibration = annotator.references()["likeness"]
    assert isinstance(calibration, Calibration)
    assert (calibration.searches, calibration.false_alarms, calibration.gallery_size) == (40, 3, 2)
    assert calibration.reference_ids == ("R-0", "R-1")
    # The non-members themselves exceed the threshold exactly as often as the calibration says.
    assert columns["above"][2:].sum() == calibration.false_alarms
    assert (columns["above"] == (columns["score"] > calibration.threshold)).all()
    assert [r is not None for r in columns["reference"]] == (columns["above"] == 1).tolist()


def test_no_face_is_no_number(models, folders, tmp_path) -> None:
    annotator = LikenessAnnotator(**models, **folders, fpir=0.1)
    annotator.annotate(records(enrolled(folders)))
    network = annotator._model._networks[0].heads["face"]
    network.bias.data = network.bias.data.flip(0)  # from now on: no face anywhere
    columns = annotator.annotate(records(enrolled(folders)))
    assert np.isnan(columns["score"]).all()
    assert np.isnan(columns["above"]).all()
    assert columns["reference"].tolist() == [None, None]


def test_sizes_and_order_do_not_matter(models, folders) -> None:
    annotator = LikenessAnnotator(**models, **folders, fpir=0.1)
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 255, (h, w, 3), dtype=np.uint8) for h, w in ((64, 64), (1, 1), (200, 90), (64, 64))]
    forward, back = annotator.annotate(records(images)), annotator.annotate(records(images[::-1]))
    np.testing.assert_allclose(forward["score"], back["score"][::-1], atol=1e-6)
    assert {len(v) for v in annotator.annotate([]).values()} == {0}


def test_calibration_is_cached_without_any_embedding(models, folders, cache) -> None:
    options = {**models, **folders, "fpir": 0.1}
    first = LikenessAnnotator(**options).references()["likeness"]
    (path,) = (cache / "likeness").iterdir()
    assert json.loads(path.read_text()) == first.as_dict()
    assert path.stat().st_size < 2000
    path.write_text(json.dumps({**first.as_dict(), "searches": 12345}))
    assert LikenessAnnotator(**options).references()["likeness"].searches == 12345  # it is read
    path.write_text("damaged")
    assert LikenessAnnotator(**options).references()["likeness"] == first
    assert (
        LikenessAnnotator(**{**options, "fpir": 0.2}).references()["likeness"] != first
    )  # other settings, other entry


def test_expired_consent_is_refused_although_the_calibration_is_cached(models, folders) -> None:
    LikenessAnnotator(**models, **folders, fpir=0.1).references()
    path = Path(folders["gallery"]) / "gallery.yaml"
    path.write_text(path.read_text().replace(TOMORROW.isoformat(), "2020-01-01"))
    annotator = LikenessAnnotator(**models, **folders, fpir=0.1)
    with pytest.raises(ConfigError, match="consent expired"):
        annotator.references()
    with pytest.raises(ConfigError, match="consent expired"):
        annotator.annotate(records(enrolled(folders)))


def test_digest_follows_what_it_is_measured_with(models, folders) -> None:
    def digest(**changes: Any) -> str:
        return LikenessAnnotator(**{**models, **folders, "fpir": 0.1, **changes}).spec.digest

    base = digest()
    assert base == digest()
    others = {digest(fpir=0.2), digest(searches=60), digest(level=0.9), digest(non_members="reference:renderer")}
    others |= {digest(gallery="reference:gallery")}
    (next(iter(Path(folders["non_members"]).glob("*.png")))).unlink()
    others |= {digest()}
    assert len(others | {base}) == 7


def test_too_few_strangers_for_the_rate(models, folders) -> None:
    with pytest.raises(ConfigError, match="40 non-member searches") as caught:
        LikenessAnnotator(**models, **folders, fpir=0.01).references()
    assert "at least 300" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"galery": "x"}, "unknown key"), ({"fpir": 0.0}, "fpir"), ({"searches": 3}, "searches"), ({"level": 1}, "level")],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LikenessAnnotator(**options)


def test_missing_folders_and_weights(models, folders, tmp_path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        _ = LikenessAnnotator(**{**models, "gallery": str(tmp_path / "none")}).spec
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no PNG"):
        _ = LikenessAnnotator(**{**models, **folders, "non_members": str(tmp_path / "empty")}).spec
    with pytest.raises(AnnotatorError, match="weights cannot be read") as caught:
        _ = LikenessAnnotator(model=str(tmp_path / "empty"), face_model=models["face_model"]).spec
    assert caught.value.hint


def test_nothing_heavy_is_loaded_early() -> None:
    code = "import sys; import audit.annotators.likeness as m; m.LikenessAnnotator(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def bundled() -> bool:
    from audit.reference.instruments import weights_dir

    return all((weights_dir(name) / "model.safetensors").is_file() for name in ("faces", "attributes"))


@pytest.mark.slow
@pytest.mark.skipif(not bundled(), reason="the bundled face embedder is not trained yet")
def test_bundled_models_find_the_enrolled_and_keep_the_false_alarm_rate() -> None:
    from scipy.stats import binom

    from audit.likeness.faces import reference_strangers
    from audit.reference.render import render
    from audit.reference.world import gallery_people, sample_people

    annotator = LikenessAnnotator(fpir=0.01, searches=2000)
    calibration = annotator.references()["likeness"]
    assert calibration.fpir_low < 0.01 < calibration.fpir_high
    _, people, _ = gallery_people()
    again = sample_people(200, rng=np.random.default_rng(77), identity_id=np.tile(people.identity_id, 10))
    columns = annotator.annotate(records(render(again)))
    expected = np.tile(calibration.reference_ids, 10)
    assert np.mean(columns["reference"] == expected) > 0.5  # other pose, light, clothes and hair than enrolled
    strangers = annotator.annotate(records(list(reference_strangers(1500, seed=5))))
    alarms = int(np.nansum(strangers["above"]))
    assert binom.ppf(1e-4, 1500, calibration.fpir_low) <= alarms <= binom.ppf(1 - 1e-4, 1500, calibration.fpir_high)
