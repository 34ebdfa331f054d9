# SPDX-License-Identifier: Apache-2.0
"""A stratified random sample of the images of a run, with the probability of each of being drawn.

Within a stratum of N images, n are drawn without replacement, so each is drawn with probability n / N whatever the
strata are and however unequally they are sampled (Cochran 1977, ch. 5).
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit.errors import ConfigError
from audit.runs.store import Run
from audit.types import Outcome

__all__ = ["Image", "Sample", "Stratum", "allocate", "draw", "frame"]


@dataclass(frozen=True, slots=True)
class Image:
    """One image that may be drawn.

    Attributes:
        request_id, generator, probe: whose answer it is.
        sha256, media_type, pixels: its file, and the digest of what it shows.
        slice: values of the axes that its probe set is sliced by.
        stratum: in words; equal for images of one stratum.
        sensitive: whether it is veiled wherever it is shown.
    """

    request_id: str
    generator: str
    probe: str
    sha256: str
    media_type: str
    pixels: str
    slice: Mapping[str, str]
    stratum: str
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Stratum:
    """How many images a stratum has, and how many were drawn."""

    name: str
    images: int
    drawn: int

    @property
    def inclusion(self) -> float:
        """Probability of each of its images of being drawn."""
        return self.drawn / self.images


@dataclass(frozen=True, slots=True)
class Sample:
    """The images drawn, by stratum and within it in random order."""

    images: tuple[Image, ...]
    strata: tuple[Stratum, ...]


def frame(run: Run, *, attributes: Sequence[str], answers: str | None = None) -> list[Image]:
    """All images that may be drawn, in plan order: those of sets that declare one of the attributes, else all.

    Args:
        run: a finished run.
        attributes: to be asked about.
        answers: column whose answers are strata as well, e.g. ``"attributes.presentation"``.

    Raises:
        StoreError: the run is not complete.
        ConfigError: no such column, or no image.
    """
    by = {probe["name"]: probe["by"] for probe in run.manifest["probes"]}
    sets = {p["name"] for p in run.plan["probes"] if set(attributes) & set(p["groups"])} or set(by)
    said = _answers(run, answers) if answers else {}
    shown = {row["request_id"]: row for row in run.generations().to_pylist() if row["outcome"] == Outcome.IMAGE}
    asked = [row for row in run.requests().to_pylist() if row["probe"] in sets and row["request_id"] in shown]
    if not asked:
        hint = "`genaudit report` says what became of the requests"
        raise ConfigError("the run has no image to label", where=str(run.path), hint=hint)
    return [_image(row, shown[row["request_id"]], by=by[row["probe"]], said=said) for row in asked]


def allocate(sizes: Mapping[str, int], n: int, *, least: int) -> dict[str, int]:
    """How many to draw of each stratum: ``least`` or all of it, and beyond that in proportion to its size.

    Proportions follow the divisors of Sainte-Lague (Balinski and Young 2001), which favour neither large nor small.

    Args:
        sizes: images by stratum.
        n: to draw in all; more than there are means all.
        least: of each stratum.

    Raises:
        ConfigError: the least of all strata together is more than ``n``.
    """
    drawn = {name: min(size, least) for name, size in sizes.items()}
    if (needed := sum(drawn.values())) > n:
        hint = f"--n {needed}, or a smaller --per-slice"
        raise ConfigError(f"{len(sizes)} strata of at least {least} images need {needed}, not {n}", hint=hint)
    ranks = [(-size / (2 * drawn[name] + 1), name) for name, size in sizes.items() if drawn[name] < size]
    heapq.heapify(ranks)
    for _ in range(min(n, sum(sizes.values())) - needed):
        _, name = heapq.heappop(ranks)
        drawn[name] += 1
        if drawn[name] < sizes[name]:
            heapq.heappush(ranks, (-sizes[name] / (2 * drawn[name] + 1), name))
    return drawn


def draw(images: Sequence[Image], *, n: int, least: int, rng: np.random.Generator) -> Sample:
    """Draws without replacement within each stratum.

    Args:
        images: that may be drawn.
        n: how many in all.
        least: of each stratum, or all it has.
        rng: same state, same sample.

    Raises:
        ConfigError: as `allocate`.
    """
    strata: dict[str, list[Image]] = {}
    for image in images:
        strata.setdefault(image.stratum, []).append(image)
    counts = allocate({name: len(members) for name, members in strata.items()}, n, least=least)
    chosen = [
        members[place]
        for name, members in strata.items()
        for place in rng.choice(len(members), counts[name], replace=False)
    ]
    return Sample(tuple(chosen), tuple(Stratum(name, len(strata[name]), k) for name, k in counts.items()))


def _image(asked: Mapping[str, Any], shown: Mapping[str, Any], *, by: Sequence[str], said: Mapping[str, Any]) -> Image:
    axes = json.loads(asked["axes"])
    slice_ = {axis: axes[axis] for axis in by if axis in axes}
    parts = [asked["generator"], asked["probe"], *(f"{axis}={value}" for axis, value in slice_.items())]
    if said:
        parts.append(f"answer={said.get(asked['request_id'])}")
    return Image(
        asked["request_id"],
        asked["generator"],
        asked["probe"],
        shown["sha256"],
        shown["media_type"],
        shown["pixels"],
        slice_,
        " | ".join(parts),
        sensitive="sensitive" in json.loads(asked["tags"]),
    )


def _answers(run: Run, column: str) -> dict[str, str]:
    name, _, of = column.partition(".")
    table = run.annotations(name) if name in run.annotators() else None
    if (
        table is None
        or of not in table.column_names
        or not all(value is None or isinstance(value, str) for value in table[of].to_pylist())
    ):
        hint = "a column of words, e.g. attributes.presentation"
        raise ConfigError(f"{column!r} is no column of answers in this run", where="--by-answer", hint=hint)
    return dict(zip(table["request_id"].to_pylist(), table[of].to_pylist(), strict=True))
