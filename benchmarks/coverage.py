# SPDX-License-Identifier: Apache-2.0
"""Do 95 % intervals of corrected shares hold the truth 95 % of the time? ``make coverage``.

Audits of known populations are simulated, each with confusion counts and answers of its own, and every interval is
computed by the code that audits use. A cell is one design; its coverage has a Monte-Carlo error, which is stated. Then
families of gates, all of them on their limit: how often does any of them fail? Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core

import numpy as np

from audit.metrics.bias._groups import LEVELS
from audit.policy.family import judge_family
from audit.stats._instrument import Array, Instrument
from audit.stats._inversion import invert
from audit.stats.annotator_error import Correction
from audit.stats.corrected import bootstrap_intervals, delta_limits
from audit.types import Decision, Estimate, Status

__all__ = ["Cell", "independent", "prompts", "simulate"]

LEVEL = 0.95
SHARES = (0.05, 0.2, 0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Cell:
    """One design: group 0 has ``share``, the others equal parts of the rest; ``sizes`` are images by cluster."""

    share: float
    k: int
    accuracy: float
    validation: int
    images: int
    sizes: tuple[int, ...] = ()
    correlation: float = 0.0

    def shares(self) -> Array:
        return np.r_[self.share, np.full(self.k - 1, (1 - self.share) / (self.k - 1))]

    def matrix(self, abstain: float = 0.03) -> Array:
        wrong = (1 - self.accuracy) / (self.k - 1)
        told = np.full((self.k, self.k), wrong) + (self.accuracy - wrong) * np.eye(self.k)
        return np.hstack([told * (1 - abstain), np.full((self.k, 1), abstain)])

    def __str__(self) -> str:
        design = f"n {self.images}"
        if self.sizes:
            few, many = min(self.sizes), max(self.sizes)
            design = f"{len(self.sizes)} clusters of {few} to {many}, ICC {self.correlation:g}"
        return f"{design}, p {self.share:g}, k {self.k}, accuracy {self.accuracy:g}, {self.validation} validation"


def independent(*, quick: bool) -> Iterator[Cell]:
    """Images that share nothing."""
    ks, accuracies, validations = ((2, 5), (0.75, 0.98), (100, 1000)) if quick else GRID
    for k, accuracy, validation, n in itertools.product(ks, accuracies, validations, (50, 200, 2000)):
        yield from (Cell(p, k, accuracy, validation, n) for p in SHARES)


GRID = (2, 3, 5, 10), (0.75, 0.85, 0.95, 0.98), (100, 300, 1000)


def prompts(*, quick: bool) -> Iterator[Cell]:
    """Prompts within a slice that differ, equally and unequally often asked, and images that share seeds."""
    ks, accuracies = ((2,), (0.97,)) if quick else ((2, 4), (0.85, 0.97))
    counts, images = ((8, 50), (5, 50)) if quick else ((8, 20, 50), (5, 20, 50))
    designs = [(m,) * g for g, m in itertools.product(counts, images)]
    designs += [(5, 10, 20, 50) * g for g in ((3,) if quick else (3, 10))]  # unequal
    designs += [(m,) * 100 for m in ((2,) if quick else (2, 4))]  # seeds, each under a few prompts
    for k, accuracy, sizes, icc in itertools.product(ks, accuracies, designs, (0.0, 0.1, 0.3)):
        yield from (Cell(p, k, accuracy, 300, sum(sizes), sizes, icc) for p in SHARES)


def draw(cell: Cell, rng: np.random.Generator, reps: int) -> tuple[Array, Array, Array | None]:
    """Confusion counts (reps, k, r), answers (reps, r) and answers by cluster (reps, G, r) or None."""
    matrix, shares = cell.matrix(), cell.shares()
    counts = rng.multinomial(cell.validation, matrix, size=(reps, cell.k)).astype(np.float64)
    if not cell.sizes:
        return counts, rng.multinomial(cell.images, shares @ matrix, size=reps).astype(np.float64), None
    mix: Array = np.broadcast_to(shares, (reps, len(cell.sizes), cell.k))
    if cell.correlation:  # Dirichlet shares of each cluster: two of its images agree by chance or by correlation
        gammas = rng.standard_gamma(shares * (1 / cell.correlation - 1), size=mix.shape) + 1e-300
        mix = gammas / gammas.sum(axis=-1, keepdims=True)
    answers = mix @ matrix
    table = rng.multinomial(np.array(cell.sizes), answers / answers.sum(axis=-1, keepdims=True))
    return counts, table.sum(axis=1).astype(np.float64), table.astype(np.float64)


def ours(instrument: Instrument, answers: Array, table: Array | None) -> tuple[Array, Array]:
    found = invert(instrument, answers, levels=np.array([LEVEL]), clusters=table)
    return found.low[:, 0], found.high[:, 0]


def delta(instrument: Instrument, answers: Array, table: Array | None) -> tuple[Array, Array]:
    return delta_limits(instrument, answers, level=LEVEL, clusters=table)


def naive(instrument: Instrument, answers: Array, _table: Array | None) -> tuple[Array, Array]:
    """What forgetting the clusters does."""
    return ours(instrument, answers, None)


def simulate(cell: Cell, *, seed: int, reps: int, method: Callable[..., tuple[Array, Array]] = ours) -> Array:
    """Coverage and mean width of group 0, coverage of group 1, share of audits with an interval."""
    counts, answers, table = draw(cell, np.random.default_rng([seed, hash(cell) & 0xFFFFFFFF]), reps)
    instrument = Instrument.of(counts)
    usable = np.isfinite(instrument.scores[:, 0, 0])
    low, high = method(instrument, answers, table)
    held = ((low <= cell.shares() + 1e-9) & (cell.shares() <= high + 1e-9))[usable]
    return np.array([held[:, 0].mean(), (high - low)[usable, 0].mean(), held[:, 1].mean(), usable.mean()])


def _cell(job: tuple[Cell, int, Callable[..., tuple[Array, Array]]]) -> Array:
    cell, reps, method = job
    return simulate(cell, seed=1, reps=reps, method=method)


def report(name: str, cells: Sequence[Cell], found: Array, reps: int) -> None:
    """One method on one part of the grid."""
    held, width, other = found[:, 0], found[:, 1], found[:, 2]
    worst, error = int(held.argmin()), float(np.sqrt(held * (1 - held) / reps).mean())
    out = int(((held < 0.925) | (held > 0.99)).sum())
    print(f"{name}: mean {held.mean():.4f}, worst {held[worst]:.4f}, best {held.max():.4f} of {len(cells)} cells,")
    print(
        f"  {out} cells outside 0.925 to 0.990; Monte-Carlo error of a cell {error:.4f}; mean width {width.mean():.3f}"
    )
    print(f"  worst cell: {cells[worst]}")
    far = np.array([not 0.05 <= cell.shares()[1] <= 0.95 for cell in cells])
    if far.any():
        print(f"  groups with shares under 0.05 in {far.sum()} cells: mean {other[far].mean():.4f}, ", end="")
        print(f"worst {other[far].min():.4f}")


def grid(cells: Sequence[Cell], found: Array) -> None:
    """Coverage of every cell, one row a design and one column a share, in per cent."""
    rows: dict[str, list[float]] = {}
    for cell, held in zip(cells, found[:, 0], strict=True):
        name = str(cell).replace(f"p {cell.share:g}, ", "")
        rows.setdefault(name, []).append(100 * held)
    print(f"  {'design':<74}" + "".join(f"{f'p {share:g}':>8}" for share in SHARES))
    for name, row in rows.items():
        print(f"  {name:<74}" + "".join(f"{value:>8.1f}" for value in row))


def families(reps: int) -> bool:
    """How often any of m slices fails that all keep their limit, by the code that policies judge with."""
    rng, kept = np.random.default_rng(4), True
    correction = Correction(np.array([[960.0, 30, 10], [40, 940, 20]]))
    limits, n = (-0.2, 0.2), 250
    print(f"slices with a gap of exactly 20 points against a limit of 20, {n} images each: any failure, {reps} audits")
    for m in (8, 50, 150):
        wrong = {"holm": 0, "none": 0}
        for _ in range(reps):
            answers = rng.multinomial(n, correction.forward(np.array([0.7, 0.3])), size=m)
            family = [_gap(correction, row) for row in answers]
            for way in wrong:
                wrong[way] += any(j.decision is Decision.FAIL for j in judge_family(family, limits, correction=way))
        print(
            f"  {m:>4} slices  Holm {100 * wrong['holm'] / reps:.1f} %  each alone {100 * wrong['none'] / reps:.1f} %"
        )
        kept &= wrong["holm"] / reps <= 0.05
    return kept


@lru_cache(maxsize=4096)
def _curve(correction: Correction, answers: tuple[int, ...]) -> tuple[tuple[float, float, float], ...]:
    low, high = correction.curve(np.array(answers), levels=np.array(LEVELS))
    return tuple(
        (level, float(a) - 0.5, float(b) - 0.5) for level, a, b in zip(LEVELS, low[:, 0], high[:, 0], strict=True)
    )


def _gap(correction: Correction, answers: Array) -> Estimate:
    curve = _curve(correction, tuple(int(count) for count in answers))
    _, low, high = min(curve, key=lambda point: abs(point[0] - LEVEL))
    words = {
        "metric": "gap",
        "version": "1",
        "unit": "share",
        "generator": "g",
        "slice": {},
        "method": "",
        "level": LEVEL,
    }
    numbers = {"value": (low + high) / 2, "low": low, "high": high, "n": 1, "clusters": 1, "missing": 0}
    return Estimate(**words, **numbers, status=Status.OK, curve=curve)


def by(name: str, key: Callable[[Cell], object], cells: Sequence[Cell], found: Array) -> None:
    """Mean and worst coverage along one axis of the grid."""
    parts = []
    for value in sorted({str(key(cell)) for cell in cells}, key=float):
        held = found[[str(key(cell)) == value for cell in cells], 0]
        parts.append(f"{value}: {held.mean():.3f} ({held.min():.3f})")
    print(f"  by {name}, mean (worst)  " + "  ".join(parts))


def bootstrap(reps: int) -> None:
    """The bootstrap goes audit by audit: a few cells, few repetitions."""
    cells = [Cell(p, 3, 0.95, 300, 200) for p in (0.05, 0.5)]
    cells += [Cell(p, 3, 0.95, 300, 400, (20,) * 20, 0.1) for p in (0.05, 0.5)]
    for cell in cells:
        rng, held, peers = np.random.default_rng(3), 0, [0, 0]
        counts, answers, table = draw(cell, rng, reps)
        for i in range(reps):
            correction, by_cluster = Correction(counts[i]), None if table is None else table[i]
            boot = bootstrap_intervals(correction, answers[i], clusters=by_cluster, draws=400, seed=i)
            held += bool(boot.low[0] <= cell.share <= boot.high[0])
            for j, method in enumerate((ours, delta)):
                low, high = method(correction.instrument, answers[i], by_cluster)
                peers[j] += bool(low.ravel()[0] <= cell.share <= high.ravel()[0])
        print(f"  {held / reps:.3f} bootstrap, {peers[0] / reps:.3f} ours, {peers[1] / reps:.3f} delta: {cell}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sixth of the grid, 1,000 repetitions a cell")
    quick = parser.parse_args().quick
    reps, start = 1000 if quick else 2000, time.perf_counter()
    free, held = list(independent(quick=quick)), list(prompts(quick=quick))
    few = free[:: 4 if quick else 6], held[:: 4 if quick else 6]
    parts = [("mid-p inversion, independent images", free, ours), ("mid-p inversion, clusters", held, ours)]
    parts += [("delta method, independent images, part of the grid", few[0], delta)]
    parts += [("delta method, clusters, part of the grid", few[1], delta)]
    parts += [("mid-p inversion, clusters forgotten, part of the grid", few[1], naive)]
    print(f"{len(free)} + {len(held)} cells, {reps} audits each, nominal {LEVEL}")
    with ProcessPoolExecutor(2) as pool:
        total = []
        for name, cells, method in parts:
            jobs = pool.map(_cell, [(cell, reps, method) for cell in cells], chunksize=4)
            found = np.array(list(_counted(jobs, name, len(cells))))
            report(name, cells, found, reps)
            if method is ours:
                total.append(found[:, 0])
                by("share", lambda cell: cell.share, cells, found)
                by("groups", lambda cell: cell.k, cells, found)
                by("accuracy", lambda cell: cell.accuracy, cells, found)
                grid(cells, found)
            if method is ours and cells is free:
                by("images", lambda cell: cell.images, cells, found)
                by("validation images a group", lambda cell: cell.validation, cells, found)
            elif method is ours:
                by("clusters", lambda cell: len(cell.sizes), cells, found)
                by("intraclass correlation", lambda cell: cell.correlation, cells, found)
            print(f"  {time.perf_counter() - start:.0f} s", flush=True)
    every = np.concatenate(total)
    met = bool(0.94 <= every.mean() <= 0.97 and every.min() >= 0.925)
    print(f"all cells of the mid-p inversion: mean {every.mean():.4f}, worst {every.min():.4f}")
    print(f"{'PASS' if met else 'FAIL'}  target: mean from 0.94 to 0.97, worst cell at least 0.925")
    kept = families(reps // 5)
    print(f"{'PASS' if kept else 'FAIL'}  target: any false failure in at most 5 % of the audits")
    print(f"three intervals audit by audit, {reps // 5} audits:")
    bootstrap(reps // 5)
    print(f"{time.perf_counter() - start:.0f} s")
    return 0 if met and kept else 1


def _counted(found: Iterator[Array], name: str, cells: int) -> Iterator[Array]:
    for number, one in enumerate(found, start=1):
        print(f"\r{name}: {number} of {cells}    ", end="" if number < cells else "\r", file=sys.stderr)
        yield one


if __name__ == "__main__":
    sys.exit(main())
