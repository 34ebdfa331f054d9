# SPDX-License-Identifier: Apache-2.0
"""The threshold of the enrolled works and the counts of its errors, measured once and kept in the user's cache."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.likeness.calibration import Calibration, calibrate
from audit.likeness.works import DEGRADED, Works, degrade
from audit.types import OperatingCharacteristics

__all__ = ["ANSWERS", "COPIES", "Measured", "keep", "kept", "measure", "paintings"]

ANSWERS = ("copy", "no copy", "could not tell")
#: Degraded copies that misses are counted on, of all works together.
COPIES = 500
_SEED = 1618


@dataclass(frozen=True, slots=True)
class Measured:
    """A threshold and how often it errs.

    Attributes:
        calibration: of the threshold.
        operating: confusion counts of the column ``copy``.
    """

    calibration: Calibration
    operating: OperatingCharacteristics


def measure(
    works: Works,
    originals: Sequence[NDArray[np.uint8]],
    strangers: tuple[NDArray[np.float32], NDArray[np.float32] | None],
    *,
    fpir: float,
    level: float,
    of_what: str,
) -> Measured:
    """Calibrate on pictures that are not enrolled, and count the errors.

    Args:
        works: enrolled.
        originals: their pictures.
        strangers: similarities (n,) of pictures that are not enrolled, to set the threshold by, and of others (m,) to
            count false alarms on; None: counted on the same.
        fpir: false alarms per picture that are asked for.
        level: of the interval of the true rate.
        of_what: the pictures that are not enrolled, in words.

    Raises:
        ConfigError: fewer than 3 / fpir pictures that are not enrolled.
    """
    first, second = (scores if scores is None else scores[np.isfinite(scores)] for scores in strangers)
    assert first is not None
    found = calibrate(
        first, fpir=fpir, level=level, gallery_size=len(works.ids), reference_ids=works.ids, embedder_digest="ncc-16"
    )
    rng = np.random.default_rng(_SEED)
    copies = works.compare([degrade(originals[k % len(originals)], rng=rng) for k in range(COPIES)])[0]
    counts = (_counts(copies, found.threshold), _counts(first if second is None else second, found.threshold))
    words = f"{COPIES} copies of the works: {DEGRADED}; {sum(counts[1])} {of_what}"
    return Measured(found, OperatingCharacteristics("copy", ANSWERS[:2], ANSWERS, counts, words))


def _counts(scores: NDArray[np.float32], threshold: float) -> tuple[int, ...]:
    told = scores[np.isfinite(scores)]
    above = int((told > threshold).sum())
    return above, len(told) - above, len(scores) - len(told)


def paintings(pool: str, n: int) -> Iterator[NDArray[np.uint8]]:
    """The first ``n`` of a fixed sequence of paintings of a pool that no generator was trained on."""
    from audit.reference.scenes import painting_ids, render_paintings

    ids = painting_ids(n, pool=pool, rng=np.random.default_rng([_SEED, pool == "heldout"]))
    for start in range(0, n, 250):
        yield from render_paintings(ids[start : start + 250])


def kept(path: Path) -> Measured | None:
    """What `keep` wrote, None where it is missing or damaged."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        counts = tuple(tuple(int(cell) for cell in row) for row in raw["counts"])
        operating = OperatingCharacteristics("copy", ANSWERS[:2], ANSWERS, counts, str(raw["measured_on"]))
        return Measured(Calibration.from_dict(raw["calibration"]), operating)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep(path: Path, measured: Measured) -> None:
    """Write it under another name and rename it; a cache that cannot be written costs time, nothing else."""
    operating = measured.operating
    content: dict[str, Any] = {
        "calibration": measured.calibration.as_dict(),
        "counts": operating.counts,
        "measured_on": operating.measured_on,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        Path(temporary).replace(path)
    except OSError:
        return
