# SPDX-License-Identifier: Apache-2.0
"""Counts of what survived, with exact intervals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audit.provenance.survive.layers import LAYERS, Layer, Outcome
from audit.stats.intervals import Interval, clopper_pearson

__all__ = ["Cell", "Cost", "Finding", "Row", "Spread", "Survival", "cells_of", "cost_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one layer of one image under one edit."""

    image: str
    edit: str
    layer: Layer
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Finding:
    """All that was found on one image.

    Attributes:
        image: name.
        fresh: whether copies stamped for this purpose were looked at, instead of the file as it was.
        layers: that the image had before it was edited.
        rows: outcomes, one an edit and layer.
        psnr: of the watermark that was put in (dB), infinite where it changed nothing; None where none was.
        ssim: of the same.
        note: what to know about this image; with no layers, why it was not measured.
    """

    image: str
    fresh: bool = False
    layers: tuple[Layer, ...] = ()
    rows: tuple[Row, ...] = ()
    psnr: float | None = None
    ssim: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One edit and one layer over all images that had the layer.

    Attributes:
        edit, layer: which.
        kept, broken, gone: images. missing: images that the edit could not be done on.
        kept_share, broken_share: of the images that were edited, with Clopper-Pearson intervals; None without any.
    """

    edit: str
    layer: Layer
    kept: int
    broken: int
    gone: int
    missing: int
    kept_share: Interval | None
    broken_share: Interval | None

    @property
    def n(self) -> int:
        """Images that had the layer and were edited."""
        return self.kept + self.broken + self.gone


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 10th percentile of a measure that is better the higher it is; None where it is infinite."""

    median: float | None
    p10: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What the watermark did to the pictures.

    Attributes:
        n: pictures of which both versions are known. unchanged: of these, the same after embedding.
        psnr: in dB. ssim: structural similarity, None where no picture has 11 x 11 pixels.
    """

    n: int
    unchanged: int
    psnr: Spread
    ssim: Spread | None


@dataclass(frozen=True, slots=True)
class Survival:
    """What of each layer survives what.

    Attributes:
        findings: by image, in the order of the images.
        cells: in the order of the edits, then of the layers.
        cost: of the watermark, None where none was put in.
        level: of the intervals.
    """

    findings: tuple[Finding, ...]
    cells: tuple[Cell, ...]
    cost: Cost | None
    level: float

    @property
    def rows(self) -> tuple[Row, ...]:
        """All outcomes."""
        return tuple(row for finding in self.findings for row in finding.rows)

    @property
    def images(self) -> int:
        """Images that had at least one layer."""
        return sum(bool(finding.layers) for finding in self.findings)

    def cell(self, edit: str, layer: Layer) -> Cell:
        """One of the cells. Raises KeyError for one that was not measured."""
        for cell in self.cells:
            if (cell.edit, cell.layer) == (edit, layer):
                return cell
        raise KeyError(f"{edit}, {layer}")


def cells_of(rows: Iterable[Row], edits: Sequence[str], layers: Sequence[Layer], *, level: float) -> tuple[Cell, ...]:
    """Counts and shares of every edit and layer."""
    counts = Counter((row.edit, row.layer, row.outcome) for row in rows)
    return tuple(
        _cell(edit, layer, {o: counts[edit, layer, o] for o in Outcome}, level=level)
        for edit in edits
        for layer in LAYERS
        if layer in layers
    )


def _cell(edit: str, layer: Layer, of: dict[Outcome, int], *, level: float) -> Cell:
    kept, broken, gone = of[Outcome.KEPT], of[Outcome.BROKEN], of[Outcome.GONE]
    n = kept + broken + gone
    shares = (clopper_pearson(k, n, level=level) if n else None for k in (kept, broken))
    return Cell(edit, layer, kept, broken, gone, of[Outcome.MISSING], *shares)


def cost_of(findings: Iterable[Finding]) -> Cost | None:
    """What embedding did to the pictures whose unmarked version is known."""
    known = [finding for finding in findings if finding.psnr is not None]
    if not known:
        return None
    similar = [finding.ssim for finding in known if finding.ssim is not None]
    ratios = [finding.psnr for finding in known if finding.psnr is not None]
    unchanged = sum(math.isinf(ratio) for ratio in ratios)
    return Cost(len(known), unchanged, _spread(ratios), _spread(similar) if similar else None)


def _spread(values: Sequence[float]) -> Spread:
    # "lower": a value that was seen, so that infinities do not become differences of infinities
    median, p10 = (float(np.quantile(values, q, method="lower")) for q in (0.5, 0.1))
    return Spread(*(None if math.isinf(value) else value for value in (median, p10)))
