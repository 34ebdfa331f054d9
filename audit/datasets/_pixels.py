# SPDX-License-Identifier: Apache-2.0
"""From bytes that anybody may have made to pixels, or to the reason why not."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from audit.datasets._records import Dropped, Progress, Reason, Record, Refused
from audit.datasets._store import Dataset
from audit.images import MAX_PIXELS, decode

__all__ = ["Header", "each", "header", "pixels", "quiet_pillow", "sift"]

T = TypeVar("T")
# Pillow reads more, but some of that runs other programs (EPS) or is no picture format of any image set.
_MEDIA = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with more pictures behind it, as telephones make them
    "PNG": "image/png",
    "PPM": "image/x-portable-anymap",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_ORIENTATION = 0x0112
_CHUNK = 64
_WORKERS = 4  # Pillow lets other threads run while it decodes; more of them only hold more pictures at a time


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself before its pixels are decoded.

    Attributes:
        media_type: by content, whatever the name says.
        width, height: as stored.
        mode: Pillow's word for the channels.
        frames: how many pictures are in it.
        turned: EXIF says that it lies on its side, upside down or mirrored.
        transparent: it has an alpha channel or a transparent colour.
        deep: more than 8 bits a channel.
    """

    media_type: str
    width: int
    height: int
    mode: str
    frames: int
    turned: bool
    transparent: bool
    deep: bool


def header(data: bytes) -> Header:
    """Read the header. Raises Refused: empty, not an image, damaged, or a decompression bomb."""
    if not data:
        raise Refused(Reason.EMPTY, "the file has no bytes")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            _check_size(image.width, image.height)
            return _read_header(image, data)
    except Refused:
        raise
    except Image.DecompressionBombError:
        raise Refused(Reason.BOMB, f"claims more than {MAX_PIXELS} pixels") from None
    except UnidentifiedImageError:
        if data.startswith(_MAGIC):
            raise Refused(Reason.UNDECODABLE, "begins like an image, but its header is damaged") from None
        raise Refused(Reason.NOT_IMAGE, "not an image, whatever its name says") from None
    except Exception as error:  # noqa: BLE001 - a decoder that is fed hostile bytes may raise anything
        raise _damaged(error) from None


def pixels(data: bytes, found: Header | None = None) -> NDArray[np.uint8]:
    """RGB, uint8 (h, w, 3): first frame, upright, transparency on white, 16 bits scaled to 8.

    Raises:
        Refused: as `header`, or the pixels are not whole, or their range is not known.
    """
    found = found or header(data)
    try:
        if not found.mode.startswith(("I", "F")):
            return decode(data)
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            return _eight_bits(image, found)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(error) from None


def each(
    dataset: Dataset, work: Callable[[Record, bytes], T], *, what: str, progress: Progress
) -> Generator[tuple[Record, T | Refused], None, None]:
    """Apply ``work`` to every file of a set, a few at a time, and give the answers in order.

    Args:
        dataset: the set.
        work: record and bytes to an answer; Refused is an answer as well.
        what: for the progress bar.
        progress: told after every chunk.

    Raises:
        StoreError: a file is gone or has changed.
    """

    def one(record: Record) -> T | Refused:
        try:
            return work(record, dataset.read(record))
        except Refused as refused:
            return refused

    todo, pool = dataset.records, ThreadPoolExecutor(_WORKERS)
    try:
        with quiet_pillow():
            for start in range(0, len(todo), _CHUNK):
                part = todo[start : start + _CHUNK]
                yield from zip(part, pool.map(one, part), strict=True)
                progress(what, start + len(part), len(todo))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C must not wait for the whole chunk


def sift(
    dataset: Dataset, work: Callable[[Record, bytes], T], *, step: str, progress: Progress
) -> tuple[list[tuple[Record, T]], list[Dropped]]:
    """The same for a step that leaves out what is refused; when it returns or raises, nothing works any more.

    Returns:
        Records with their answers, and what is left out, both in order.
    """
    good: list[tuple[Record, T]] = []
    dropped: list[Dropped] = []
    with closing(each(dataset, work, what=step, progress=progress)) as answers:
        for record, answer in answers:
            if isinstance(answer, Refused):
                dropped.append(Dropped.of(record, answer, step=step))
            else:
                good.append((record, answer))
    return good, dropped


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Pillow warns of what we look at anyway: large pictures, odd EXIF, palettes with transparency."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        yield


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _MEDIA if name in Image.OPEN)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise Refused(Reason.BOMB, f"claims more than {MAX_PIXELS} pixels ({width}x{height})")


def _read_header(image: Image.Image, data: bytes) -> Header:
    kind = str(image.format)
    sixteen = kind == "PNG" and len(data) > 24 and data[24] == 16  # IHDR; Pillow gives colour in 8 bits without a word
    return Header(
        media_type=_MEDIA[kind],
        width=image.width,
        height=image.height,
        mode=image.mode,
        frames=1 if kind == "MPO" else int(getattr(image, "n_frames", 1)),
        turned=image.getexif().get(_ORIENTATION, 1) not in {None, 1},
        transparent="A" in image.getbands() or "transparency" in image.info,
        deep=sixteen or image.mode.startswith(("I", "F")),
    )


def _eight_bits(image: Image.Image, found: Header) -> NDArray[np.uint8]:
    """Pillow would clip 16 bits at 255. What holds 32 bits or fractions has no range that could be known."""
    if image.mode in {"I", "F"} and not (image.mode == "I" and found.media_type == "image/png"):
        raise Refused(Reason.MODE, f"mode {image.mode}: which level is white is written nowhere")
    upright = ImageOps.exif_transpose(image)
    grey = (np.asarray(upright).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _damaged(error: Exception) -> Refused:
    words = str(error).removeprefix("image cannot be decoded: ") or type(error).__name__
    cut = "truncat" in words.lower()
    return Refused(Reason.TRUNCATED if cut else Reason.UNDECODABLE, words)
