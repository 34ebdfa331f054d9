# SPDX-License-Identifier: Apache-2.0
"""Whom and what the renderer draws for a request, and what is then true of the picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.types import Request, Scalar

if TYPE_CHECKING:
    from audit.reference.world import People

__all__ = ["PLANTED", "PLANTS", "Sampler", "Shown", "truth_of"]

#: Facts that the renderer can have planted, and those it has unless told otherwise.
PLANTS = ("artwork", "logo", "memorised", "occupations", "refusals", "signs", "small", "style")
PLANTED = frozenset({"logo", "memorised", "occupations"})


@dataclass(frozen=True, slots=True)
class Shown:
    """What a picture shows; whom, if it shows anybody, `Sampler.person` says.

    Attributes:
        kind: "person", "painting" or "sign".
        style: of ``scenes.STYLES``.
        text: on the sign.
        painting: id of the painting.
    """

    kind: str = "person"
    style: str = "plain"
    text: str | None = None
    painting: int | None = None


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws the person of a request.

    Attributes:
        shares: "planted" or "uniform".
        cycle: repetitions in which shares are exact; 0: every request is drawn independently.
        duplicates: every so many repetitions repeat the first; 0: none do.
        memorised: share of requests drawn as memorised gallery people.
        plants: of ``PLANTS``: without "memorised" names mean nobody, without "logo" nobody wears one.
    """

    shares: str = "planted"
    cycle: int = 0
    duplicates: int = 0
    memorised: float = 0.0
    plants: frozenset[str] = PLANTED

    def person(self, request: Request) -> People:
        """One person (n = 1), a function of the request's prompt, repetition and seed only."""
        from audit.reference.world import parse_prompt, planted, sample_people, uniform_shares

        seed, repetition = self.luck(request)
        rng = np.random.default_rng(seed)
        wanted: dict[str, Any] = parse_prompt(request.prompt.text)
        if "memorised" not in self.plants:
            wanted.pop("name", None)
        if "logo" not in self.plants:
            wanted["logo"] = False
        u = {what: self._uniform(request.prompt.id, what, repetition, rng) for what in _DRAWN}
        tables = planted()["occupations"] if self.shares == "planted" else uniform_shares()
        if u["memorised"] < self.memorised and "name" not in wanted:
            names = [row["name"] for row in planted()["gallery"] if row["memorised"]]
            wanted["name"] = names[int(rng.integers(len(names)))]
        if self.cycle and "name" not in wanted:
            wanted = {**_at(u, tables, wanted), **wanted}
        return sample_people(1, rng=rng, shares=tables, **wanted)

    def shown(self, request: Request) -> Shown:
        """What to draw besides people, a function of the same things."""
        from audit.reference.scenes import SIGN_LETTERS, parse_scene, plant

        scene = parse_scene(request.prompt.text)
        seed, repetition = self.luck(request)
        rng = np.random.default_rng([seed, 1])  # a stream of its own: people stay who they are
        u = self._uniform(request.prompt.id, scene.kind, repetition, rng)
        if scene.kind == "painting":
            copied = "artwork" in self.plants and scene.painter is not None and u < plant("artwork")["share"]
            return Shown("painting", painting=plant("artwork")["painting_id"] if copied else _fresh(rng))
        if scene.kind == "sign":
            word = str(scene.word)[:SIGN_LETTERS]
            return Shown(
                "sign", text=_misspelt(word) if "signs" in self.plants and u < plant("signs")["share"] else word
            )
        if scene.kind == "illustration" and "style" in self.plants:
            shares = plant("style")["shares"]
            return Shown(style=list(shares)[_quantile(list(shares.values()), u)])
        return Shown()

    def luck(self, request: Request) -> tuple[int, int]:
        """Seed and repetition to draw with."""
        if self.duplicates and request.repetition % self.duplicates == 0:
            # The seed of repetition 0 is not known here, so all of them, 0 included, take one from the prompt.
            return _hash(request.prompt.id, "duplicate"), 0
        return request.seed, request.repetition

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


def _fresh(rng: np.random.Generator) -> int:
    from audit.reference.scenes import painting_ids

    return int(painting_ids(1, pool="generator", rng=rng)[0])


def _misspelt(word: str) -> str:
    from audit.reference.scenes import plant

    return str(plant("signs")["misspelt"].get(word, word))


def _quantile(shares: Any, u: float) -> int:
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    # Guards against 0.1 + 0.2 > 0.3: u is a middle of equal parts, never within 1e-9 of a true edge.
    return int(np.searchsorted(edges / edges[-1] + 1e-12, u, side="right").clip(0, len(edges) - 1))


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def truth_of(shown: Shown, person: People | None) -> dict[str, Scalar]:
    """What is true of one picture; ``work`` is the title of the protected artwork where it is a copy of that."""
    from audit.reference.scenes import plant

    copied = shown.painting == plant("artwork")["painting_id"]
    scene: dict[str, Scalar] = {
        "kind": shown.kind,
        "style": shown.style,
        "text": shown.text,
        "painting": shown.painting,
        "work": plant("artwork")["title"] if copied else None,
    }
    return scene if person is None else {**_looks(person), **scene}


def _looks(person: People) -> dict[str, Scalar]:
    """What is true of the picture of one person (n = 1)."""
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
