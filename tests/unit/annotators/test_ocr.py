# SPDX-License-Identifier: Apache-2.0
"""The general reader of text on pictures whose words are known, and the counting of its own error."""

from __future__ import annotations

import importlib.util
import logging

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from audit.annotators import _ocr_error, _ocr_reader
from audit.annotators._ocr_error import measured_error, misspelt, rendered
from audit.annotators._ocr_reader import Line, in_reading_order
from audit.annotators.ocr import OcrAnnotator
from audit.errors import AnnotatorError, ConfigError
from audit.stats.text import AS_ASKED, OTHERWISE, ReadingError, levenshtein, normalised
from tests.asking import record

WORDS = ("OPEN", "TAXI", "PARK", "FISH", "PRAK", "OPFN")


@pytest.fixture(scope="module")
def ocr():
    return OcrAnnotator(error_words=8)


def page(*texts, size=(320, 200), height=28):
    """Texts at (x, y)."""
    image = Image.new("RGB", size, (240, 235, 220))
    for text, place in texts:
        ImageDraw.Draw(image).text(place, text, fill=(20, 30, 60), font=ImageFont.load_default(height))
    return np.asarray(image)


def test_words_of_eight_pixels_are_read_from_small_pictures(ocr):
    from audit.reference.scenes import render_signs

    signs = render_signs(list(WORDS), rng=np.random.default_rng(0))
    assert signs.shape[1:3] == (64, 64)
    columns = ocr.annotate([record(sign) for sign in signs])
    assert columns["text"].tolist() == list(WORDS), "misspelt words are not mended"
    assert (columns["confidence"] > 0.5).all()
    assert columns["boxes"].tolist() == [1] * len(WORDS)


def test_rows_are_read_from_top_to_bottom_and_left_to_right(ocr):
    rgb = page(("bakery", (180, 20)), ("Fresh", (20, 20)), ("open today", (60, 120)))
    columns = ocr.annotate([record(rgb)])
    assert columns["text"][0].split() == ["Fresh", "bakery", "open", "today"]
    assert columns["text"][0].splitlines()[-1] == "open today"


def test_pictures_without_text(ocr):
    flat, tiny = np.full((64, 64, 3), 90, np.uint8), np.zeros((3, 7, 3), np.uint8)
    columns = ocr.annotate([record(flat), record(tiny)])
    assert columns["text"].tolist() == [None, None]
    assert columns["boxes"].tolist() == [0, 0]
    assert np.isnan(columns["confidence"]).all()


def test_it_is_silent(ocr, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        ocr.annotate([record(page(("stop", (20, 40)))), record(np.full((64, 64, 3), 90, np.uint8))])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_the_digest_names_networks_and_packages(ocr, monkeypatch):
    before = OcrAnnotator().spec.digest
    assert ocr.spec.digest == before, "how the error is counted does not change what is read"
    assert ocr.reference_fingerprint() != OcrAnnotator(error_words=9).reference_fingerprint()
    monkeypatch.setattr(_ocr_reader, "version", lambda name: "0")
    assert OcrAnnotator().spec.digest != before


def test_reading_order_of_lines():
    lines = [Line("c", 0.5, 10, 52, 70), Line("b", 0.9, 90, 12, 32), Line("a", 0.8, 10, 10, 30)]
    found = in_reading_order(lines)
    assert (found.text, found.confidence, found.boxes) == ("a b\nc", 0.5, 3)
    nothing = in_reading_order([])
    assert (nothing.text, nothing.boxes) == (None, 0)


def test_mistakes_are_one_letter_or_one_swap_away():
    rng = np.random.default_rng(0)
    seen = set()
    for word in ("zoo", "Taxi", "BAKERY", "tomorrow") * 50:
        wrong = misspelt(word, rng)
        assert normalised(wrong) != normalised(word)
        assert len(wrong) == len(word)
        differ = [i for i, (a, b) in enumerate(zip(word, wrong, strict=True)) if a != b]
        assert len(differ) == 1 or (len(differ) == 2 and sorted(word) == sorted(wrong))
        assert levenshtein(word, wrong) <= 2
        seen.add(len(differ))
    assert seen == {1, 2}


def test_the_rendered_words_are_the_same_for_everybody_and_are_legible():
    first, again = list(rendered(10)), list(rendered(10))
    assert [word for word, _, _ in first] == [word for word, _, _ in again]
    assert all(np.array_equal(a, b) for (_, _, a), (_, _, b) in zip(first, again, strict=True))
    for _, _, picture in first:
        assert min(picture.shape[:2]) >= 64
        assert np.ptp(picture.astype(int).mean(axis=2)) > 40


def test_counting_a_reader_whose_error_is_known():
    """A reader that is told what is shown, but takes every fourth picture for the word without its mistake."""
    n = 40
    shown = iter([(word, text) for word, text, _ in rendered(n)])
    calls = iter(range(2 * n))

    def read(picture):
        word, text = next(shown)
        k = next(calls)
        if k % 2 == 0:  # a picture of the word itself: every fifth is not read at all
            return None if k // 2 % 5 == 0 else text.upper()
        return word if k // 2 % 4 == 0 else text

    found = measured_error(read, instrument="known", n=n)
    assert (found.right, found.right_read, found.wrong, found.wrong_read) == (40, 32, 40, 10)
    rates = np.array([1.0 if k % 5 == 0 else 0.0 for k in range(n)])
    assert found.rate == pytest.approx(0.2)
    assert found.rate_error == pytest.approx(rates.std(ddof=1) / n**0.5)
    assert found.operating().counts == ((32, 8), (10, 30))
    assert found.operating().truth == (AS_ASKED, OTHERWISE)


def test_the_error_is_counted_once_and_kept(ocr, tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path))
    error = OcrAnnotator(error_words=4).references()["ocr_error"]
    assert isinstance(error, ReadingError)
    assert error.right_read >= 3
    assert error.wrong_read <= 1
    monkeypatch.setattr(_ocr_error, "_measure", None)
    assert OcrAnnotator(error_words=4).references()["ocr_error"] == error
    (kept,) = (tmp_path / "ocr").iterdir()
    kept.write_text(kept.read_text()[:20])
    with pytest.raises(TypeError):
        OcrAnnotator(error_words=4).references()


def test_options(monkeypatch):
    assert OcrAnnotator(error_words=0).references() == {}
    assert OcrAnnotator(error_words=0).reference_fingerprint() is None
    for options in ({"error_words": 1}, {"error_words": -4}, {"threads": 0}, {"words": 3}):
        with pytest.raises(ConfigError):
            OcrAnnotator(**options)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rapidocr" else real(name))
    with pytest.raises(ConfigError, match="not installed") as caught:
        OcrAnnotator()
    assert caught.value.hint == "pip install 'genaudit[ocr]'"


def test_a_package_without_networks_is_refused(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    bare = importlib.util.spec_from_file_location("rapidocr", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: bare if name == "rapidocr" else real(name))
    with pytest.raises(AnnotatorError, match="no networks"):
        _ = OcrAnnotator().spec


def test_a_failure_of_the_libraries_below_names_the_picture():
    def broken(picture):
        raise ValueError("input has the wrong rank")

    annotator = OcrAnnotator()
    annotator._reader._engine = broken
    with pytest.raises(AnnotatorError, match="fails on a picture of 64 x 80: ValueError: input has the wrong rank"):
        annotator.annotate([record(np.zeros((64, 80, 3), np.uint8))])


def test_registering_it_imports_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys; from audit.registry import ANNOTATORS; ANNOTATORS.get('ocr')(); "
        "assert not {'rapidocr', 'onnxruntime', 'cv2', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
