# SPDX-License-Identifier: Apache-2.0
"""RapidOCR as a function of one picture: lines that were found, put in the order in which people read them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import digest_folder, digest_of
from audit.errors import AnnotatorError, ConfigError

__all__ = ["SMALLEST", "Line", "OcrReader", "Page", "in_reading_order"]

_WHERE = "annotator 'ocr'"
_HINT = "pip install 'genaudit[ocr]'"
#: Smaller pictures cannot hold a letter.
SMALLEST = 8
# The detector enlarges the shorter side to this; letters of 8 pixels in 64x64 are read as well as at its own 736
# pixels, at a third of the time, and worse at 320. Enlarging before it gains nothing.
_SIDE = 480
_PACKAGES = ("onnxruntime", "opencv-python-headless", "rapidocr")


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of text in one place.

    Attributes:
        text: as read, upper and lower case.
        confidence: of the reader, 0 to 1.
        left, top, bottom: of its box, in pixels.
    """

    text: str
    confidence: float
    left: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Page:
    """What was read in a picture.

    Attributes:
        text: pieces side by side with a space between, rows with a line break; None where nothing was read.
        confidence: that of the least sure piece, NaN where nothing was read.
        boxes: pieces.
    """

    text: str | None
    confidence: float
    boxes: int


class OcrReader:
    """The detector and the recogniser that come inside the package ``rapidocr``; nothing is downloaded.

    Args:
        threads: of the runtime, at least 1.

    Raises:
        ConfigError: the package is not installed.
    """

    def __init__(self, *, threads: int) -> None:
        if importlib.util.find_spec("rapidocr") is None or importlib.util.find_spec("onnxruntime") is None:
            raise ConfigError("rapidocr is not installed", where=_WHERE, hint=_HINT)
        self._threads = min(threads, os.cpu_count() or 1)
        self._engine: Any = None

    def digest(self) -> str:
        """sha256 over the networks, the packages around them and the settings; loads no weights."""
        packages = {name: _version(name) for name in _PACKAGES}
        return digest_of({"weights": digest_folder(_models()), "packages": packages, "side": _SIDE})

    def read(self, rgb: NDArray[np.uint8]) -> Page:
        """Read one picture, (h, w, 3). Raises AnnotatorError where the networks fail."""
        if min(rgb.shape[:2]) < SMALLEST:
            return in_reading_order(())
        try:
            self._engine = self._engine or _engine(self._threads)
            found = self._engine(np.ascontiguousarray(rgb[..., ::-1]))  # OpenCV's order of colours
        except Exception as error:  # several libraries below, each with errors of its own
            shape = " x ".join(str(side) for side in rgb.shape[:2])
            message = f"rapidocr fails on a picture of {shape}: {type(error).__name__}: {str(error)[:300]}"
            raise AnnotatorError(message, where=_WHERE, hint=f"{_HINT}, as constraints.txt pins it") from error
        if found.boxes is None or found.txts is None:
            return in_reading_order(())
        pieces = zip(found.txts, found.scores, np.asarray(found.boxes), strict=True)
        return in_reading_order([_line(text, score, box) for text, score, box in pieces])


def in_reading_order(lines: Sequence[Line]) -> Page:
    r"""Rows from top to bottom, each from left to right.

    A piece whose middle is above the lower edge of a row's first piece is part of that row.

    >>> in_reading_order([Line("OPEN", 0.9, 40, 11, 20), Line("WE ARE", 0.8, 2, 10, 20), Line("now", 1, 9, 30, 39)])
    Page(text='WE ARE OPEN\nnow', confidence=0.8, boxes=3)
    """
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        same = rows and (line.top + line.bottom) / 2 < rows[-1][0].bottom
        if same:
            rows[-1].append(line)
        else:
            rows.append([line])
    text = "\n".join(" ".join(line.text for line in sorted(row, key=lambda line: line.left)) for row in rows)
    least = min((line.confidence for line in lines), default=float("nan"))
    return Page(text or None, least, len(lines))


def _line(text: str, score: float, box: NDArray[np.floating]) -> Line:
    return Line(str(text).strip(), float(score), float(box[:, 0].min()), float(box[:, 1].min()), float(box[:, 1].max()))


def _models() -> Path:
    """Where the networks are. Raises AnnotatorError where the package carries none."""
    found = importlib.util.find_spec("rapidocr")
    folder = Path(found.origin).parent / "models" if found and found.origin else Path()
    if not any(folder.glob("*rec*.onnx")) or not any(folder.glob("*det*.onnx")):
        raise AnnotatorError(f"{folder} holds no networks", where=_WHERE, hint=f"{_HINT}, as constraints.txt pins it")
    return folder


def _engine(threads: int) -> Any:
    import rapidocr

    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            # No third network that turns text upright: a word upside down is not the word that was asked for.
            "Global.use_cls": False,
            "Det.limit_side_len": _SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # another build of the same library, e.g. opencv-python
        return None
