# SPDX-License-Identifier: Apache-2.0
"""Whom the renderer draws for a request, and what is then true of the picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.types import Request, Scalar

if TYPE_CHECKING:
    from audit.reference.world import People

__all__ = ["Sampler", "truth_of"]


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws the person of a request.

    Attributes:
        shares: "planted" or "uniform".
        cycle: repetitions in which shares are exact; 0: every request is drawn independently.
        duplicates: every so many repetitions repeat the first; 0: none do.
        memorised: share of requests drawn as memorised gallery people.
    """

    shares: str = "planted"
    cycle: int = 0
    duplicates: int = 0
    memorised: float = 0.0

    def person(self, request: Request) -> People:
        """One person (n = 1), a function of the request's prompt, repetition and seed only."""
        from audit.reference.world import parse_prompt, planted, sample_people, uniform_shares

        seed, repetition = request.seed, request.repetition
        if self.duplicates and repetition % self.duplicates == 0:
            # The seed of repetition 0 is not known here, so all of them, 0 included, take one from the prompt.
            seed, repetition = _hash(request.prompt.id, "duplicate"), 0
        rng = np.random.default_rng(seed)
        wanted: dict[str, Any] = parse_prompt(request.prompt.text)
        u = {what: self._uniform(request.prompt.id, what, repetition, rng) for what in _DRAWN}
        tables = planted()["occupations"] if self.shares == "planted" else uniform_shares()
        if u["memorised"] < self.memorised and "name" not in wanted:
            names = [row["name"] for row in planted()["gallery"] if row["memorised"]]
            wanted["name"] = names[int(rng.integers(len(names)))]
        if self.cycle and "name" not in wanted:
            wanted = {**_at(u, tables, wanted), **wanted}
        return sample_people(1, rng=rng, shares=tables, **wanted)

    def _uniform(self, prompt: str, what: str, repetition: int, rng: np.random.Generator) -> float:
        """A number in [0, 1): drawn, or with a cycle the middle of one of its equal parts, each used once."""
        drawn = float(rng.random())
        if not self.cycle:
            return drawn
        block, place = divmod(repetition, self.cycle)
        order = np.random.default_rng(_hash(prompt, what, str(block))).permutation(self.cycle)
        return (int(order[place]) + 0.5) / self.cycle


_DRAWN = ("memorised", "occupation", "presentation", "tone", "age", "glasses")


def _at(u: dict[str, float], tables: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Attributes at the quantiles ``u`` of the occupation's table."""
    from audit.reference.world import OCCUPATIONS

    occupation = wanted.get("occupation") or OCCUPATIONS[int(u["occupation"] * len(OCCUPATIONS))]
    row = tables[occupation]
    return {
        "occupation": occupation,
        "presentation": int(u["presentation"] >= row["feminine"]),
        "tone": 1 + _quantile(row["tone"], u["tone"]),
        "age": _quantile(row["age"], u["age"]),
        "glasses": bool(u["glasses"] < row["glasses"]),
    }


def _quantile(shares: Any, u: float) -> int:
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    # Guards against 0.1 + 0.2 > 0.3: u is a middle of equal parts, never within 1e-9 of a true edge.
    return int(np.searchsorted(edges / edges[-1] + 1e-12, u, side="right").clip(0, len(edges) - 1))


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def truth_of(person: People) -> dict[str, Scalar]:
    """What is true of the picture of one person (n = 1), under ``truth.<attribute>`` names."""
    from audit.reference.world import (
        AGES,
        BACKGROUNDS,
        HAIR_STYLES,
        OCCUPATIONS,
        PLAIN,
        PRESENTATIONS,
        planted,
        shown_hair,
        tone_band,
    )

    job, identity = int(person.occupation[0]), int(person.identity_id[0])
    name = next((row["name"] for row in planted()["gallery"] if row["identity_id"] == identity), None)
    return {
        "presentation": PRESENTATIONS[int(person.presentation[0])],
        "tone": int(person.tone[0]),
        "tone_band": tone_band(int(person.tone[0])),
        "age": AGES[int(person.age[0])],
        "occupation": PLAIN if job < 0 else OCCUPATIONS[job],
        "glasses": bool(person.glasses[0]),
        "beard": bool(person.beard[0]),
        "logo": bool(person.logo[0]),
        "hair": shown_hair(person)[0],
        "hair_style": HAIR_STYLES[int(person.hair_style[0])],
        "background": BACKGROUNDS[int(person.background[0])],
        "identity": identity,
        "name": name,
    }
