# SPDX-License-Identifier: Apache-2.0
"""Where the tiles of a mark lie: their size and shift, found by the pilot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audit.provenance.watermark import _frame
from audit.provenance.watermark._frame import Complex, Plane
from audit.provenance.watermark._layout import REACH, Layout

__all__ = ["CUT", "TURNED", "UPRIGHT", "Alignment", "alignments", "crops", "guess", "planes"]

#: Alignments decoded at most, beyond the guesses: of plain crops, of crops of another size, and turned or mirrored.
CUT: Final = 5
UPRIGHT: Final = 5
TURNED: Final = 4
_SMALLEST, _LARGEST = 22.0, 190.0  # pixels over a tile
_GRID = 64  # shifts tried over a tile
_PEAKS = 4  # kept of each map of shifts
_REFINED = 8  # peaks that are looked at more closely
_COARSE_STEP = 0.03  # of scale, at most
_TABLE = (np.arange(1 - REACH, REACH) % _GRID).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Alignment:
    """A guess at where the tiles lie.

    Attributes:
        waves: (n,) of the layout, whitened, as they would be were the tiles to begin in the corner.
        level: of the pilot.
        detail: for people.
    """

    waves: Complex
    level: float
    detail: str


@dataclass(frozen=True, slots=True)
class _Peak:
    level: float
    count: int  # tiles over the short side
    scale: float
    step: float
    turn: int  # 0: upright
    down: float  # shift, in tiles
    across: float

    def near(self, other: _Peak) -> bool:
        return (
            (self.count, self.turn) == (other.count, other.turn)
            and abs(np.log(self.scale / other.scale)) < 0.7 * self.step
            and all(
                abs((a - b + 0.5) % 1 - 0.5) < 1.6 / _GRID
                for a, b in ((self.down, other.down), (self.across, other.across))
            )
        )


def planes(luma: Plane) -> Iterator[tuple[int, Plane]]:
    """Numbers of tiles over the short side with where to look for them, likeliest first, worked out when asked for."""
    short = min(luma.shape)
    counts = [n for n in (1, 2, 4, 8) if _SMALLEST <= short / n <= _LARGEST]
    for count in sorted(counts, key=lambda n: abs(np.log2(short / n / 64))):
        yield count, _frame.plane_of(luma, short / count)[0]


def guess(plane: Plane, count: int, layout: Layout) -> Alignment:
    """The alignment of a picture of which nothing was cut away, whatever its size now."""
    waves = _frame.whitened(_frame.waves(plane, min(plane.shape) / count), layout)
    return Alignment(waves, float(layout.level(waves[None])[0]), f"whole picture, {count} tiles")


def alignments(found: dict[int, Plane], layout: Layout, *, reach: float, turned: bool) -> list[Alignment]:
    """The likeliest alignments, by the pilot alone.

    Args:
        found: by ``planes``.
        layout: of the key.
        reach: by which factor the short side may once have been longer.
        turned: look at the seven other ways up instead.
    """
    peaks = [peak for count, plane in found.items() for peak in _peaks(plane, count, layout, (reach, turned))]
    chosen: list[_Peak] = []
    for peak in sorted(peaks, key=lambda p: -p.level):
        if not any(peak.near(other) for other in chosen):
            chosen.append(peak)
        if len(chosen) == _REFINED:
            break
    refined = [_refined(found[peak.count], peak, layout) for peak in chosen]
    return _best(refined, TURNED if turned else UPRIGHT)


def crops(found: dict[int, Plane], layout: Layout, *, reach: float) -> list[Alignment]:
    """The likeliest alignments of a small picture from which whole rows and columns were cut, and nothing else done.

    A pilot in a small picture is faint, and what is fitted to it is a little off. These few alignments need no fit.
    """
    tried: list[Alignment] = []
    for count, plane in found.items():
        height, width = plane.shape
        short = min(plane.shape)
        if short > _frame.SMALL:
            continue
        cut_y, cut_x = (np.arange(int(side * (reach - 1)) + 1) for side in plane.shape)
        for before in range(short, int(short * reach) + 1):
            tile = before / count
            waves = _frame.whitened(_frame.waves(plane, tile), layout)
            level = layout.levels(waves, -cut_y / tile, -cut_x / tile)
            for at in np.argpartition(level.ravel(), -_PEAKS)[-_PEAKS:]:
                y, x = divmod(int(at), len(cut_x))
                where = f"{height}x{width} cut out at {y}, {x}, tile of {tile:g} pixels"
                tried.append(Alignment(layout.moved(waves, -y / tile, -x / tile), float(level[y, x]), where))
    return _best(tried, CUT)


def _best(found: list[Alignment], count: int) -> list[Alignment]:
    return sorted(found, key=lambda a: -a.level)[:count]


def _peaks(plane: Plane, count: int, layout: Layout, how: tuple[float, bool]) -> Iterator[_Peak]:
    reach, turned = how
    whole = min(plane.shape) / count
    # A wrong scale may put the fastest wave out by half a cycle at the far ends, no more.
    step = min(_COARSE_STEP, whole / (REACH * max(plane.shape)))
    for scale in np.exp(np.arange(0.0, np.log(reach) + step / 2, step)):
        table = _frame.waves(plane, whole * scale)
        views = _frame.mirrored(table, plane.shape, whole * scale) if turned else [table]
        waves = _frame.whitened(np.stack(views), layout)
        cells = [_cells((reach - 1) * side / (whole * scale)) for side in plane.shape]
        for turn, score in enumerate(_maps(waves, layout)):
            swapped = turned and turn + 1 in _frame.SIDEWAYS
            rows, columns = cells[::-1] if swapped else cells
            near = score[np.ix_(rows, columns)]
            flat = near.ravel()
            for at in np.argpartition(flat, -_PEAKS)[-_PEAKS:]:
                y, x = divmod(int(at), len(columns))
                yield _Peak(
                    float(flat[at]), count, float(scale), step, turn + turned, rows[y] / _GRID, columns[x] / _GRID
                )


def _cells(cut: float) -> NDArray[np.intp]:
    """Shifts to look at, in cells of the grid, where at most ``cut`` tiles were cut off before the picture begins."""
    most = min(_GRID, int(np.ceil(cut * _GRID)) + 3)
    return np.arange(2 - most, 2) % _GRID  # negative: the tiles begin outside


def _maps(waves: Complex, layout: Layout) -> NDArray[np.float32]:
    """Level of the pilot at all shifts, (m, 64, 64), of waves (m, n): one inverse Fourier transform each."""
    spectrum = np.zeros((len(waves), _GRID, _GRID), np.complex64)
    rows, columns = layout.down[layout.pilot], _TABLE[layout.across[layout.pilot] + REACH - 1]
    spectrum[:, rows, columns] = waves[:, layout.pilot] * layout.tone.conj()
    scale = _GRID**2 / np.sqrt(len(layout.pilot) / 2)
    return np.asarray(scipy.fft.ifft2(spectrum, overwrite_x=True).real * scale)


def _refined(plane: Plane, peak: _Peak, layout: Layout) -> Alignment:
    """The best alignment near a peak, between the shifts and scales of the search."""
    nudge = np.linspace(-1, 1, 5)
    down, across = (peak.down + nudge / _GRID), (peak.across + nudge / _GRID)
    best = Alignment(np.zeros(len(layout.ring), complex), -np.inf, "")
    for finer in (-0.35, 0.0, 0.35):
        tile = min(plane.shape) / peak.count * peak.scale * np.exp(finer * peak.step)
        table = _frame.waves(plane, tile)
        view = _frame.mirrored(table, plane.shape, tile)[peak.turn - 1] if peak.turn else table
        waves = _frame.whitened(view, layout)
        level = layout.levels(waves, down, across)
        y, x = np.unravel_index(level.argmax(), level.shape)
        if level[y, x] > best.level:
            way = f", turned or mirrored ({peak.turn} of 7)" if peak.turn else ""
            where = f"tile of {tile:.2f} pixels at {down[y] % 1:.3f}, {across[x] % 1:.3f}{way}"
            best = Alignment(layout.moved(waves, down[y], across[x]), float(level[y, x]), where)
    return best
