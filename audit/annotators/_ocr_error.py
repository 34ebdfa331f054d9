# SPDX-License-Identifier: Apache-2.0
"""How often the reader of text errs: known words are rendered, read back and counted, once for each reader."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import digest_of
from audit.paths import cache_dir
from audit.stats.text import ReadingError, error_rate, normalised

__all__ = ["LETTERS", "error_digest", "measured_error", "misspelt", "rendered"]

Read = Callable[[NDArray[np.uint8]], str | None]

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VERSION = "1"
_SEED = 3141  # of the rendered words: they are the same for everybody
# fmt: off
_WORDS: Final = (
    "bakery", "bank", "beach", "bistro", "books", "bread", "bus", "cafe", "cheese", "cinema", "city", "closed",
    "coffee", "coast", "dance", "danger", "exit", "farm", "fish", "flowers", "fresh", "garage", "garden", "gate",
    "happy", "harbour", "home", "hotel", "ice", "juice", "kitchen", "lemon", "library", "lunch", "market", "metro",
    "milk", "music", "museum", "new", "north", "ocean", "office", "open", "park", "parking", "peace", "pizza",
    "police", "post", "quiet", "river", "sale", "school", "shop", "silence", "south", "stop", "street", "summer",
    "taxi", "tea", "theatre", "tickets", "toilet", "tomorrow", "train", "vintage", "welcome", "winter", "yoga", "zoo",
)
# fmt: on
_HEIGHTS: Final = (10, 14, 20, 32)  # pixels, of Pillow's font
_DOTS: Final = (1, 2, 3)  # pixels a dot of the font of the reference world, seven dots high


def measured_error(read: Read, *, instrument: str, n: int) -> ReadingError:
    """Counts from the user's cache where they are there, else from reading 2 n rendered words.

    Args:
        read: a picture to its text.
        instrument: digest of the reader.
        n: words as they are, and as many with a mistake.
    """
    path = cache_dir() / "ocr" / f"{digest_of({'instrument': instrument, 'error': error_digest(n)})}.json"
    cached = _cached(path)
    if cached is None:
        cached = _measure(read, n)
        _keep(path, cached)
    return cached


def error_digest(n: int) -> str:
    """sha256 over which words are rendered, and how."""
    return digest_of({"version": _VERSION, "seed": _SEED, "n": n, "words": _WORDS, "sizes": [_HEIGHTS, _DOTS]})


def rendered(n: int, *, seed: int = _SEED) -> Iterator[tuple[str, str, NDArray[np.uint8]]]:
    """``n`` times a word, then the same word with a mistake: the word, what the picture shows, and the picture."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        word = _cased(str(rng.choice(_WORDS)), rng)
        for shown in (word, misspelt(word, rng)):
            yield word, shown, _picture(shown, rng)


def misspelt(word: str, rng: np.random.Generator) -> str:
    """The word with one letter exchanged for another, or two different neighbours swapped."""
    i = int(rng.integers(len(word)))
    swap = word[:i] + word[i : i + 2][::-1] + word[i + 2 :]
    if rng.random() < 0.5 and normalised(swap) != normalised(word):
        return swap
    others = [letter for letter in LETTERS if letter != word[i].upper()]
    letter = str(rng.choice(others))
    return word[:i] + (letter if word[i].isupper() else letter.lower()) + word[i + 1 :]


def _cased(word: str, rng: np.random.Generator) -> str:
    return (word.upper(), word.capitalize(), word)[int(rng.integers(3))]


def _picture(text: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Text somewhere on a plain ground, dark on light or light on dark, under a little noise."""
    dot, height = int(rng.choice(_DOTS)), int(rng.choice(_HEIGHTS))
    mask = _dotted(text.upper(), dot) if rng.random() < 0.3 else _set(text, height)
    h, w = mask.shape
    side = max(64, round(1.3 * w))
    y, x = int(rng.integers(2, side - h - 1)), int(rng.integers(2, side - w - 1))
    ground, ink = rng.integers(150, 256, 3), rng.integers(0, 90, 3)
    if rng.random() < 0.5:
        ground, ink = ink, ground
    canvas = np.zeros((side, side))
    canvas[y : y + h, x : x + w] = mask
    levels: NDArray[np.float64] = ground + canvas[..., None] * (ink - ground)
    levels += rng.normal(0, rng.uniform(0, 6), (side, side, 3))
    return levels.round().clip(0, 255).astype(np.uint8)


def _set(text: str, height: int) -> NDArray[np.float64]:
    """Pillow's own font, (h, w) from 0 to 1."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(height)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=font)
    mask = Image.new("L", (round(right - left) + 2, round(bottom - top) + 2))
    ImageDraw.Draw(mask).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(mask) / 255


def _dotted(text: str, dot: int) -> NDArray[np.float64]:
    """The letters of the reference world, (7 dot, w)."""
    from audit.reference._font import GLYPHS

    letters = [np.pad(np.array(GLYPHS[letter]), ((0, 0), (0, 1))) for letter in text]
    return np.kron(np.concatenate(letters, axis=1), np.ones((dot, dot)))


def _measure(read: Read, n: int) -> ReadingError:
    right: list[bool] = []
    wrong: list[bool] = []
    rates: list[float] = []
    for word, shown, picture in rendered(n):
        text = read(picture) or ""
        (right if shown == word else wrong).append(normalised(text) == normalised(word))
        if shown == word:
            rates.append(error_rate(word, text))
    error = float(np.std(rates, ddof=1)) / n**0.5
    about = f"{n} words rendered 7 to 32 pixels high in two fonts, and {n} misspelt ones"
    return ReadingError(n, sum(right), n, sum(wrong), float(np.mean(rates)), error, about)


def _cached(path: Path) -> ReadingError | None:
    try:
        return ReadingError(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # not there, or half a file of an interrupted copy: it is counted again


def _keep(path: Path, found: ReadingError) -> None:
    """Atomically; a cache that cannot be written is no reason to fail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(dataclasses.asdict(found), stream)
        Path(name).replace(path)
    except OSError:
        return
