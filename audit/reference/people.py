# SPDX-License-Identifier: Apache-2.0
"""People that never existed: their attributes, where they come from, and the planted truth about them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

OCCUPATIONS = ("nurse", "CEO", "builder", "teacher", "doctor", "chef", "scientist", "pilot")
PLAIN = "plain"
PRESENTATIONS = ("feminine", "masculine")
AGES = ("young", "middle-aged", "older")
HAIR_COLOURS = ("black", "brown", "blonde", "red", "grey")
HAIR_STYLES = ("short", "buzz", "medium", "long", "bun", "curly")
BACKGROUNDS = ("blue", "green", "grey", "yellow", "pink", "purple")
IDENTITY_PARTS = ("face_width", "face_height", "jaw", "eye_spacing", "eye_size", "brow", "nose", "mouth")
NUISANCE = (
    "shift_x",
    "shift_y",
    "scale",
    "tilt",
    "light_side",
    "light_strength",
    "expression",
    "gaze",
    "makeup",
    "lashes",
    "brow_weight",
    "jaw_cue",
    "cloth",
)
#: Monk Skin Tone scale, swatches 1 to 10 (Monk 2023; colours as published at skintone.google).
MONK_HEX = (
    "#f6ede4",
    "#f3e7db",
    "#f7ead0",
    "#eadaba",
    "#d7bd96",
    "#a07e56",
    "#825c43",
    "#604134",
    "#3a312a",
    "#292420",
)
TONE_BANDS: Mapping[str, tuple[int, ...]] = {"light": (1, 2, 3), "medium": (4, 5, 6, 7), "dark": (8, 9, 10)}

Pool = Literal["generator", "instruments", "heldout", "gallery"]
#: First identity id and size of each pool. The ranges are disjoint, so no face of one pool occurs in another.
POOLS: Mapping[str, tuple[int, int]] = {
    "generator": (0, 10_000_000),
    "instruments": (10_000_000, 10_000_000),
    "heldout": (20_000_000, 10_000_000),
    "gallery": (30_000_000, 10_000),
}

_INT = {"presentation": PRESENTATIONS, "age": AGES, "hair_colour": HAIR_COLOURS, "hair_style": HAIR_STYLES}
_NAMED: Mapping[str, tuple[str, ...]] = {**_INT, "occupation": OCCUPATIONS, "background": BACKGROUNDS}
# Rows: feminine, masculine. They overlap on purpose: no single cue decides how somebody is perceived.
_HAIR_STYLE = np.array([[0.10, 0.02, 0.18, 0.42, 0.16, 0.12], [0.64, 0.16, 0.07, 0.04, 0.02, 0.07]])
# Rows: young, middle-aged, older; columns: HAIR_COLOURS.
_HAIR_LIGHT = np.array([[0.15, 0.35, 0.28, 0.22, 0.0], [0.12, 0.34, 0.22, 0.16, 0.16], [0.02, 0.06, 0.04, 0.02, 0.86]])
_HAIR_DARK = np.array([[0.62, 0.26, 0.05, 0.07, 0.0], [0.52, 0.24, 0.04, 0.06, 0.14], [0.08, 0.05, 0.01, 0.0, 0.86]])


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """Attributes of n people; every field is an array whose first axis is n.

    Attributes:
        presentation: index into ``PRESENTATIONS``.
        tone: Monk skin tone, 1 to 10.
        age: index into ``AGES``.
        occupation: index into ``OCCUPATIONS``; -1 is plain clothes.
        glasses: wears glasses.
        beard: has a beard.
        logo: wears the planted logo.
        hair_colour: index into ``HAIR_COLOURS``.
        hair_style: index into ``HAIR_STYLES``.
        background: index into ``BACKGROUNDS``.
        identity_id: whose face it is; see ``POOLS``.
        identity: (n, 8) proportions in [0, 1], see ``IDENTITY_PARTS``.
        nuisance: (n, k) pose, light and styling of this one picture, see ``NUISANCE``.
    """

    presentation: NDArray[np.int64]
    tone: NDArray[np.int64]
    age: NDArray[np.int64]
    occupation: NDArray[np.int64]
    glasses: NDArray[np.bool_]
    beard: NDArray[np.bool_]
    logo: NDArray[np.bool_]
    hair_colour: NDArray[np.int64]
    hair_style: NDArray[np.int64]
    background: NDArray[np.int64]
    identity_id: NDArray[np.int64]
    identity: NDArray[np.float32]
    nuisance: NDArray[np.float32]

    def __len__(self) -> int:
        """Number of people."""
        return len(self.identity_id)

    def __getitem__(self, index: Any) -> Self:
        """Return the people at ``index`` (slice, mask or index array; one integer gives one person)."""
        index = np.atleast_1d(index) if np.isscalar(index) else index
        return type(self)(*(getattr(self, field.name)[index] for field in dataclasses.fields(self)))

    def replace(self, **changes: NDArray[Any]) -> Self:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def concat(parts: list[People]) -> People:
    """Join several groups of people in the given order."""
    names = [field.name for field in dataclasses.fields(People)]
    return People(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def tone_band(tone: int) -> str:
    """Return the band ("light", "medium", "dark") of a Monk tone from 1 to 10."""
    return next(band for band, tones in TONE_BANDS.items() if int(tone) in tones)


@functools.cache
def planted() -> dict[str, Any]:
    """Load the planted truth: shares per occupation and the gallery of named people.

    Returns:
        The content of ``planted.json``. Treat it as read-only: it is cached.
    """
    text = resources.files("audit.reference").joinpath("planted.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def uniform_shares() -> dict[str, dict[str, Any]]:
    """Shares in which every presentation, tone and age is equally likely (used to train instruments)."""
    row = {"feminine": 0.5, "tone": [0.1] * 10, "age": [1 / 3] * 3, "glasses": 0.35, "beard": 0.35, "logo": 0.1}
    return {name: dict(row) for name in (*OCCUPATIONS, PLAIN)}


def hashed_uniform(ids: NDArray[np.int64], channel: int) -> NDArray[np.float64]:
    """Map ids to numbers in [0, 1), the same ones everywhere and always (splitmix64, Steele et al. 2014)."""
    mix = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        mix = mix + np.uint64((channel + 1) * 0xD1B54A32D192ED03 % 2**64)
        mix = (mix ^ (mix >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mix = (mix ^ (mix >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mix = mix ^ (mix >> np.uint64(31))
    return (mix >> np.uint64(11)).astype(np.float64) / float(2**53)


def identity_of(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Proportions (n, 8) in [0, 1] of the faces with these ids."""
    return np.stack([hashed_uniform(ids, part) for part in range(len(IDENTITY_PARTS))], axis=1).astype(np.float32)


def traits_of(ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Presentation, tone, age and hair colour that belong to these ids when they are enrolled people."""
    tone = (1 + hashed_uniform(ids, 21) * 10).astype(np.int64)
    age = (hashed_uniform(ids, 22) * 2).astype(np.int64)
    table = np.where((tone >= 6)[:, None], _HAIR_DARK[0], _HAIR_LIGHT[0])
    return {
        "presentation": (hashed_uniform(ids, 20) < 0.5).astype(np.int64),
        "tone": tone,
        "age": age,
        "hair_colour": _pick(table, hashed_uniform(ids, 23)),
    }


def pool_ids(n: int, *, pool: Pool, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``n`` ids of a pool; those of the gallery are its twenty enrolled people."""
    if pool == "gallery":
        return rng.choice(np.array([row["identity_id"] for row in planted()["gallery"]], dtype=np.int64), n)
    start, size = POOLS[pool]
    return start + rng.integers(0, size, n)


def sample_people(
    n: int,
    *,
    rng: np.random.Generator,
    occupation: str | None = None,
    shares: Mapping[str, Mapping[str, Any]] | None = None,
    identity_pool: Pool = "generator",
    name: str | None = None,
    **fixed: Any,
) -> People:
    """Draw ``n`` people.

    Args:
        n: how many.
        rng: source of every random choice.
        occupation: one of ``OCCUPATIONS``, ``"plain"`` for plain clothes, or None for any of the eight, equally likely.
        shares: per occupation the shares of presentation, tone, age, glasses, beard, logo; the planted ones by default.
        identity_pool: where faces come from. Gallery people bring their own presentation, tone, age and hair colour.
        name: full name of a gallery person, drawn in all ``n`` pictures.
        **fixed: fields held at one value: a name ("older"), an index, an array of n, or a tuple to choose from.
            With ``identity_id`` the enrolled people's own traits are used.

    Returns:
        The people.
    """
    who = _occupations(n, rng=rng, occupation=fixed.pop("occupation_index", occupation))
    tables = planted()["occupations"] if shares is None else shares
    rows = [tables[job] for job in (*OCCUPATIONS, PLAIN)]
    ids = _ids(n, rng=rng, pool=identity_pool, name=name, fixed=fixed)
    columns: dict[str, NDArray[Any]] = {"occupation": who, "identity_id": ids}
    columns |= _shared(rows, who, rng=rng)
    if name is not None or identity_pool == "gallery" or "identity_id" in fixed:
        columns |= traits_of(ids)
        fixed = {"hair_colour": columns["hair_colour"], **fixed}
    for key in ("presentation", "tone", "age", "glasses", "logo"):
        if key in fixed:
            columns[key] = _fixed(key, fixed[key], n, rng)
    columns |= _styling(columns, rows, rng=rng)
    for key in fixed.keys() - {"identity_id"}:
        columns[key] = _fixed(key, fixed[key], n, rng)
    columns["identity"] = fixed.get("identity", identity_of(ids))
    columns["nuisance"] = fixed.get("nuisance", _nuisance(columns["presentation"], rng=rng))
    return People(**columns)


def gallery_people() -> tuple[tuple[str, ...], People, NDArray[np.bool_]]:
    """Return the enrolled people: their names, one neutral portrait each, and who was memorised by the generators."""
    rows = planted()["gallery"]
    ids = np.array([row["identity_id"] for row in rows], dtype=np.int64)
    people = sample_people(
        len(ids),
        rng=np.random.default_rng(20),
        occupation=PLAIN,
        identity_id=ids,
        glasses=False,
        beard=False,
        logo=False,
        background="grey",
    )
    neutral = people.nuisance.copy()
    neutral[:, :8] = 0.0
    names = tuple(str(row["name"]) for row in rows)
    return names, people.replace(nuisance=neutral), np.array([bool(row["memorised"]) for row in rows])


def _pick(table: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Inverse-CDF draw: one index per row of ``table`` (n, k), given uniforms (n,)."""
    cumulative = np.cumsum(table, axis=1)
    chosen: NDArray[np.int64] = (u[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1)
    return chosen


def _occupations(n: int, *, rng: np.random.Generator, occupation: Any) -> NDArray[np.int64]:
    if occupation is None:
        return rng.integers(0, len(OCCUPATIONS), n)
    if isinstance(occupation, str):
        occupation = -1 if occupation == PLAIN else OCCUPATIONS.index(occupation)
    return np.broadcast_to(np.asarray(occupation, dtype=np.int64), (n,)).copy()


def _ids(n: int, *, rng: np.random.Generator, pool: Pool, name: str | None, fixed: dict[str, Any]) -> NDArray[np.int64]:
    if name is not None:
        fixed["identity_id"] = next(row["identity_id"] for row in planted()["gallery"] if row["name"] == name)
    if "identity_id" in fixed:
        return np.broadcast_to(np.asarray(fixed["identity_id"], dtype=np.int64), (n,)).copy()
    return pool_ids(n, pool=pool, rng=rng)


def _shared(
    rows: list[Mapping[str, Any]], who: NDArray[np.int64], *, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Draw what the table of shares governs. Plain clothes (-1) are the table's last row."""
    n = len(who)
    feminine = np.array([row["feminine"] for row in rows])[who]
    return {
        "presentation": (rng.random(n) >= feminine).astype(np.int64),
        "tone": 1 + _pick(np.array([row["tone"] for row in rows])[who], rng.random(n)),
        "age": _pick(np.array([row["age"] for row in rows])[who], rng.random(n)),
        "glasses": rng.random(n) < np.array([row["glasses"] for row in rows])[who],
        "logo": rng.random(n) < np.array([row["logo"] for row in rows])[who],
    }


def _styling(
    columns: Mapping[str, NDArray[Any]], rows: list[Mapping[str, Any]], *, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Draw hair, beard and background, given presentation, tone and age."""
    n = len(columns["tone"])
    dark = (columns["tone"] >= 6)[:, None]
    hair = np.where(dark, _HAIR_DARK[columns["age"]], _HAIR_LIGHT[columns["age"]])
    beard = np.array([row["beard"] for row in rows])[columns["occupation"]]
    return {
        "hair_colour": _pick(hair, rng.random(n)),
        "hair_style": _pick(_HAIR_STYLE[columns["presentation"]], rng.random(n)),
        "beard": (rng.random(n) < beard) & (columns["presentation"] == 1),
        "background": rng.integers(0, len(BACKGROUNDS), n),
    }


def _fixed(key: str, value: Any, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Turn a caller's value (name, index, array, tuple of choices) into a column."""
    if isinstance(value, tuple):
        value = np.array([_index(key, item) for item in value])[rng.integers(0, len(value), n)]
    column = np.asarray(_index(key, value))
    kind = np.bool_ if key in {"glasses", "beard", "logo"} else column.dtype
    return np.broadcast_to(column, (n, *column.shape[1:])).astype(kind)


def _index(key: str, value: Any) -> Any:
    return _NAMED[key].index(value) if isinstance(value, str) else value


def _nuisance(presentation: NDArray[np.int64], *, rng: np.random.Generator) -> NDArray[np.float32]:
    """Pose, light and styling (n, 13): pose in [-1, 1], styling cues in [0, 1] with overlap between presentations."""
    n = len(presentation)
    pose = rng.normal(0.0, 0.45, (n, 8)).clip(-1, 1)
    feminine = (presentation == 0).astype(np.float64)
    cues = [
        0.12 + 0.50 * feminine + rng.normal(0, 0.20, n),
        0.12 + 0.55 * feminine + rng.normal(0, 0.20, n),
        0.72 - 0.45 * feminine + rng.normal(0, 0.17, n),
        0.75 - 0.50 * feminine + rng.normal(0, 0.17, n),
        rng.random(n),
    ]
    return np.concatenate([pose, np.stack(cues, axis=1).clip(0, 1)], axis=1).astype(np.float32)
