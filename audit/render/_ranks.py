# SPDX-License-Identifier: Apache-2.0
"""Which place a generator has in a row, as far as the data tell.

Two generators that answered the same prompts with the same seeds are told apart by the interval of their difference
where the run holds one: what prompts and seeds have in common cancels in it. Others are told apart where their own
intervals do not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from audit.render._comparison import Cell
from audit.types import Estimate

__all__ = ["Differences", "ranked"]

_DIFFERENCE = "quality.difference"
_RATED = ("higher", "lower")

Key = tuple[str, tuple[tuple[str, str], ...], str, str]
Better = Callable[[Estimate, Estimate], bool]


@dataclass(frozen=True, slots=True)
class Differences:
    """Paired differences that a run holds.

    Attributes:
        low_high: interval of the first generator's number minus the second's, by (metric, slice, first, second).
    """

    low_high: Mapping[Key, tuple[float, float]]

    @classmethod
    def of(cls, estimates: Sequence[Estimate]) -> Differences:
        """Those among ``estimates``."""
        found: dict[Key, tuple[float, float]] = {}
        for e in estimates:
            if e.metric == _DIFFERENCE and e.low is not None and e.high is not None and "score" in e.slice:
                rest = {key: value for key, value in e.slice.items() if key not in ("score", "against")}
                found[e.slice["score"], tuple(sorted(rest.items())), e.generator, e.slice["against"]] = (e.low, e.high)
        return cls(found)

    def between(self, mine: Estimate, other: Estimate) -> tuple[float, float] | None:
        """Interval of ``mine`` minus ``other``, None where the run holds none."""
        place = tuple(sorted(mine.slice.items()))
        found = self.low_high.get((mine.metric, place, mine.generator, other.generator))
        if found is not None:
            return found
        turned = self.low_high.get((mine.metric, place, other.generator, mine.generator))
        return None if turned is None else (-turned[1], -turned[0])


def ranked(cells: Sequence[Cell], direction: str, differences: Differences) -> list[Cell]:
    """The cells with the places that each may have, and a mark on one that is ahead of all others.

    Numbers that were not made with the same instruments and references have no order; where one generator has no
    number nobody is ahead.

    Args:
        cells: of one row.
        direction: "higher", "lower" or "none".
        differences: of the run.
    """
    numbers = [cell.estimate for cell in cells if cell.estimate is not None and cell.measured]
    alike = len({(e.fingerprint, e.version, e.unit) for e in numbers}) == 1
    if direction not in _RATED or len(numbers) < 2 or not alike:
        return list(cells)

    def better(mine: Estimate, other: Estimate) -> bool:
        return _better(mine, other, direction=direction, between=differences.between(mine, other))

    return [_placed(cell, numbers, len(numbers) == len(cells), better) for cell in cells]


def _placed(cell: Cell, numbers: Sequence[Estimate], complete: bool, better: Better) -> Cell:
    mine = cell.estimate
    if mine is None or not cell.measured:
        return cell
    others = [other for other in numbers if other is not mine]
    above, below = sum(better(other, mine) for other in others), sum(better(mine, other) for other in others)
    return replace(cell, ahead=complete and below == len(others), rank=(1 + above, len(numbers) - below))


def _better(mine: Estimate, other: Estimate, *, direction: str, between: tuple[float, float] | None) -> bool:
    """Whether ``mine`` is on the better side for certain; numbers without intervals never are."""
    if between is not None:
        return between[0] > 0 if direction == "higher" else between[1] < 0
    if None in (mine.low, mine.high, other.low, other.high):
        return False
    best, worst = (mine, other) if direction == "higher" else (other, mine)
    return bool(best.low > worst.high)  # type: ignore[operator]
