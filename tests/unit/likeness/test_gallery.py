# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from audit.errors import AnnotatorError, ConfigError
from audit.likeness import Consent, Gallery, load_gallery, read_image
from audit.likeness.gallery import gallery_digest

TODAY = datetime.now(UTC).date()
FICTION = Consent("fictional person", "nobody", None)


class MeanColour:
    """A real, tiny embedder: the mean colour is the direction, and a black image shows no face."""

    digest = "colour"

    def embed(self, images: Sequence[np.ndarray], /) -> tuple[np.ndarray, np.ndarray]:
        means = np.stack([image.reshape(-1, 3).mean(axis=0) for image in images]).astype(np.float32)
        found = means.sum(axis=1) > 0
        length = np.linalg.norm(means, axis=1, keepdims=True)
        return means / np.where(length > 0, length, 1), found


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (8, 8), colour).save(path)


def listing(**changes: object) -> dict[str, object]:
    consent = {"basis": "written release", "holder": "legal", "expires": (TODAY + timedelta(days=1)).isoformat()}
    return {"id": "R-01", "images": ["red.png", "green.png"], "consent": consent, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in {"red": (200, 0, 0), "green": (0, 100, 0), "blue": (0, 0, 250), "black": (0, 0, 0)}.items():
        paint(tmp_path / f"{name}.png", colour)
    return tmp_path


def write(folder: Path, *references: object) -> Path:
    (folder / "gallery.yaml").write_text(yaml.safe_dump({"references": list(references)}))
    return folder


def test_a_reference_is_the_mean_direction_of_its_images(folder: Path) -> None:
    write(folder, listing(), listing(id="R-02", images=["blue.png"]))
    gallery = load_gallery(folder, MeanColour())
    assert gallery.ids == ("R-01", "R-02")
    assert gallery.embeddings.dtype == np.float32
    half = np.sqrt(0.5)  # brightness of the single images has no say
    np.testing.assert_allclose(gallery.embeddings, [[half, half, 0], [0, 0, 1]], atol=1e-6)
    assert gallery.embedder_digest == "colour"
    assert gallery.consents[0].holder == "legal"
    assert "embeddings" not in repr(gallery)


def consent(**changes: object) -> dict[str, object]:
    raw = listing()["consent"]
    assert isinstance(raw, dict)
    return {key: value for key, value in {**raw, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"consent": consent(expires=(TODAY - timedelta(days=1)).isoformat())}, "consent expired on"),
        ({"consent": consent(expires=...)}, "consent.expires: is missing"),
        ({"consent": consent(basis=" ")}, "consent.basis"),
        ({"consent": None}, "consent"),
        ({"id": "mara-velen"}, "references.0.id"),
        ({"images": []}, "references.0.images"),
        ({"name": "Mara"}, "unknown key"),
        ({"images": ["missing.png"]}, "does not exist"),
        ({"images": ["../outside.png"]}, "outside the gallery folder"),
        ({"images": ["black.png"]}, "no face found"),
        ({"images": ["broken.png"]}, "cannot be read"),
        ({"images": ["empty.png"]}, "cannot be read"),
    ],
)
def test_what_is_refused_and_where(folder: Path, changes: dict[str, object], message: str) -> None:
    (folder / "broken.png").write_bytes((folder / "red.png").read_bytes()[:-30])
    (folder / "empty.png").write_bytes(b"")
    paint(folder.parent / "outside.png", (1, 1, 1))
    write(folder, listing(id="R-07", images=["blue.png"]) if "id" not in changes else listing(id="R-08"))
    load_gallery(folder, MeanColour())  # the listing is fine without the change
    write(folder, listing(**changes))
    with pytest.raises(ConfigError, match=message) as caught:
        load_gallery(folder, MeanColour())
    assert caught.value.where
    assert caught.value.hint


def test_consent_holds_through_its_last_day(folder: Path) -> None:
    write(folder, listing(consent=consent(expires=TODAY.isoformat())))
    assert len(load_gallery(folder, MeanColour())) == 1


def test_twice_the_same_id_or_nobody(folder: Path) -> None:
    with pytest.raises(ConfigError, match="R-01 is listed twice"):
        load_gallery(write(folder, listing(), listing()), MeanColour())
    with pytest.raises(ConfigError, match="references"):
        load_gallery(write(folder), MeanColour())
    (folder / "gallery.yaml").unlink()
    with pytest.raises(ConfigError, match="gallery file does not exist"):
        load_gallery(folder, MeanColour())


def test_from_arrays() -> None:
    gallery = Gallery(("R-01",), np.array([[3.0, 4.0]], np.float32), "d", (FICTION,))
    np.testing.assert_allclose(gallery.embeddings, [[0.6, 0.8]], rtol=1e-6)
    with pytest.raises(ConfigError, match="enrolled twice"):
        Gallery(("R-01", "R-01"), np.eye(2, dtype=np.float32), "d", (FICTION,) * 2)
    with pytest.raises(ConfigError, match="consent expired"):
        Gallery(("R-01",), np.eye(1, dtype=np.float32), "d", (Consent("b", "h", date(2020, 1, 1)),))
    with pytest.raises(ConfigError, match="cannot be made"):
        Gallery((), np.zeros((0, 3), np.float32), "d", ())
    with pytest.raises(AnnotatorError, match="no direction"):
        Gallery(("R-01",), np.zeros((1, 3), np.float32), "d", (FICTION,))


def test_digest_follows_images_and_listing(folder: Path) -> None:
    first = gallery_digest(write(folder, listing()))
    assert first == gallery_digest(folder)
    paint(folder / "green.png", (0, 101, 0))
    second = gallery_digest(folder)
    assert second != first
    assert gallery_digest(write(folder, listing(id="R-02"))) != second


def test_images_are_turned_as_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (4, 2, 3)
    Image.new("LA", (3, 5)).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").shape == (5, 3, 3)
