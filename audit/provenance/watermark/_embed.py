# SPDX-License-Identifier: Apache-2.0
"""Embedding: the weakest pattern that the reader reads after JPEG and after crops."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audit.provenance.watermark import _frame
from audit.provenance.watermark._frame import Plane
from audit.provenance.watermark._layout import Layout

__all__ = ["embed"]

Pixels = NDArray[np.uint8]
Real = NDArray[np.float64]
Window = tuple[slice, slice]

_CUT = 0.1  # of each side, in the crops that are tried
_QUALITY = 75
_OFFSET = (3, 5)  # pixels by which a crop moves the blocks of JPEG
_PILOT = 4.0  # level of the pilot that a search finds after a crop
_PILOT_SHARE = 0.7  # amplitude, against that of the code
_START, _START_SMALL = 1.15, 0.5  # root mean square of the first attempt, levels
_STEP = 0.2
_MOST = 60  # attempts
_LOUDEST = 14.0  # root mean square of the pattern, 25 dB: beyond it a picture is another
_SHARPNESS = 2.0  # how much more the worst crop counts than the others
_TEXTURE = 0.2  # how far strength moves to where the picture is flat and little is needed


def embed(rgb: Pixels, layout: Layout, chips: Real, *, wanted: float) -> Pixels:
    """Mark a picture: follow the gradient of the reader's own score until it is high enough.

    Args:
        rgb: (h, w, 3).
        layout: of the key.
        chips: (255,) what the chips are to be, +1 or -1.
        wanted: score to be reached after JPEG, whole and with a tenth cut off at any two sides.
    """
    height, width = rgb.shape[:2]
    short = min(height, width)
    count = _frame.tiles(short)
    symbols = layout.symbols(chips, pilot=_PILOT_SHARE)
    pattern = _frame.woven(symbols, layout, (height, width), short / count)
    pattern *= np.float32((_START_SMALL if short <= _frame.SMALL else _START) / pattern.std())
    marked = _added(rgb, pattern)
    for _ in range(_MOST):
        step = _step(list(_views(marked)), layout, chips, count=count, wanted=wanted)
        if step is None or pattern.std() > _LOUDEST:
            break
        part = _frame.looked_at(pattern)
        part += _enlarged(step, part.shape)
        marked = _added(rgb, pattern)
    return marked


def _added(rgb: Pixels, pattern: Plane) -> Pixels:
    """The pattern added to each colour; as all three move together, hues hardly do."""
    moved: Pixels = (rgb + pattern[..., None]).round().clip(0, 255).astype(np.uint8)
    return moved


def _jpeg(rgb: Pixels) -> Pixels:
    sink = io.BytesIO()
    Image.fromarray(rgb).save(sink, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(sink))


def _enlarged(plane: Plane, shape: tuple[int, ...]) -> Plane:
    if plane.shape == shape:
        return plane
    return np.asarray(Image.fromarray(plane).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _views(marked: Pixels) -> Iterator[tuple[Plane, list[Window]]]:
    """What a reader may get, luma at the working size or half of it, each with what a crop may leave of it."""
    whole = _frame.working(_jpeg(marked))
    windows = list(_windows(whole.shape))
    if min(marked.shape[:2]) > _frame.SMALL:
        yield whole, windows
        return
    yield whole, windows[:1]
    height, width = marked.shape[:2]
    half = Image.fromarray(marked).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    yield _frame.working(np.asarray(half)), windows[:1]
    moved = _jpeg(np.roll(marked, _OFFSET, (0, 1)))
    yield _frame.working(np.roll(moved, [-k for k in _OFFSET], (0, 1))), windows[1:]


def _step(
    views: list[tuple[Plane, list[Window]]], layout: Layout, chips: Real, *, count: int, wanted: float
) -> Plane | None:
    """What to add to the pattern; None where every crop of every view scores as wanted."""
    shape = views[0][0].shape
    lacks, pulls = [], []
    for luma, windows in views:
        tile = min(luma.shape) / count
        plane, slope = _frame.plane_of(luma, tile)
        slope = _enlarged(slope, shape)
        for window in windows:
            seen = np.zeros_like(plane)
            seen[window] = plane[window]
            score, level, symbols = _pull(_frame.whitened(_frame.waves(seen, tile), layout)[None], layout, chips)
            lacks.append(max(wanted - score, _PILOT - level, 0.0))
            pulls.append((window, slope.clip(0), symbols))
    if max(lacks) <= 0:
        return None
    weight = np.exp(_SHARPNESS * (np.array(lacks) - max(lacks)))
    step = np.zeros(shape, np.float32)
    for (window, slope, symbols), share in zip(pulls, weight / weight.sum(), strict=True):
        if share > 0.02:
            woven = _frame.woven(symbols, layout, shape, min(shape) / count) * slope**_TEXTURE
            step[window] += np.float32(share) * woven[window]
    return step * np.float32(_STEP / (step.std() + 1e-9))


def _windows(shape: tuple[int, ...]) -> Iterator[Window]:
    """The whole picture, and what is left with a tenth cut off at two sides."""
    height, width = shape[0], shape[1]
    y, x = int(height * _CUT), int(width * _CUT)
    yield slice(0, height), slice(0, width)
    for down in (slice(0, height - y), slice(y, height)):
        for across in (slice(0, width - x), slice(x, width)):
            yield down, across


def _pull(waves: _frame.Complex, layout: Layout, chips: Real) -> tuple[float, float, _frame.Complex]:
    """Score, level of the pilot, and the waves that raise both.

    With s the soft values and T = <c, s> / |s|, dT/ds = (c - T s / |s|) / |s|: towards the code word, and away from
    what the picture itself has in other directions.
    """
    soft = layout.chips(waves)[0]
    norm = float(np.linalg.norm(soft)) + 1e-12
    score = float(chips @ soft) / norm
    level = float(layout.level(waves)[0])
    wish = layout.symbols(chips - score / norm * soft, pilot=0.0) * layout.weights(waves)[0]
    pilot = layout.symbols(np.zeros_like(chips), pilot=_PILOT_SHARE * min(1.0, max(0.0, (_PILOT - level) / 2 + 1)))
    return score, level, wish / layout.weights(waves).mean() + pilot
