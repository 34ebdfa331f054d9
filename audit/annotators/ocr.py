# SPDX-License-Identifier: Apache-2.0
"""Text in pictures, read by a general reader, with the reader's own error counted on words that are known."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from audit.annotators._nets import objects
from audit.annotators._ocr_error import error_digest, measured_error
from audit.annotators._ocr_reader import OcrReader
from audit.checkpoints import check_options, digest_of
from audit.errors import ConfigError
from audit.stats.text import ReadingError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["OcrAnnotator"]

_WHERE = "annotator 'ocr'"
_COLUMNS = {
    "text": "all text in reading order, rows separated by line breaks; none where nothing was read",
    "confidence": "the reader's confidence in the least sure piece, 0 to 1; NaN where nothing was read",
    "boxes": "pieces of text",
}
_THREADS, _WORDS = 1, 150


class OcrAnnotator:
    """What PP-OCR reads, by the package ``rapidocr``; its networks come inside the package, nothing is downloaded.

    Each picture is read by itself. Text is given as read, upper and lower case; metrics say how they compare it.

    Args:
        **options: ``error_words`` (150: rendered words that the reader's own error is counted on, and as many
            misspelt ones; 0: not counted, so that shares are not corrected), ``threads`` (1: of the networks).

    Raises:
        ConfigError: an unknown option, a number out of range, or the package is not installed.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, {"error_words": int, "threads": int}, where=_WHERE)
        words, threads = options.get("error_words"), options.get("threads")
        self._words = _WORDS if words is None else int(words)
        if self._words < 0 or self._words == 1:
            raise ConfigError(f"error_words must be 0, or 2 at least, got {self._words}", where=_WHERE)
        if threads is not None and threads < 1:
            raise ConfigError(f"threads must be 1 at least, got {threads}", where=_WHERE)
        self._reader = OcrReader(threads=threads or _THREADS)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. Raises AnnotatorError where the package carries none."""
        digest = digest_of({"version": self.version, "reader": self._reader.digest()})
        return AnnotatorSpec("ocr", self.version, digest, _COLUMNS, licence="Apache-2.0")

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        pages = [self._reader.read(image.rgb) for image in images]
        return {
            "text": objects([page.text for page in pages]),
            "confidence": np.array([page.confidence for page in pages], dtype=np.float64),
            "boxes": np.array([page.boxes for page in pages], dtype=np.float64),
        }

    def references(self) -> dict[str, ReadingError]:
        """The reader's own error, counted once (half a minute) and kept in the user's cache."""
        return {"ocr_error": self._error} if self._words else {}

    def reference_fingerprint(self) -> str | None:
        """sha256 over the words that the error is counted on, None where it is not counted."""
        return error_digest(self._words) if self._words else None

    @functools.cached_property
    def _error(self) -> ReadingError:
        return measured_error(lambda rgb: self._reader.read(rgb).text, instrument=self.spec.digest, n=self._words)
