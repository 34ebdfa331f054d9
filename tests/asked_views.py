# SPDX-License-Identifier: Apache-2.0
"""Views of prompts that ask for groups: pairs, obedience, service, variety, association, clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audit.types import DeclaredGroups, OperatingCharacteristics, View

WHO = ("feminine", "masculine")
AGES = ("young", "middle-aged", "older")
SCENES = ("meeting", "kitchen")
EACH = 30  # images a prompt


def sure(attribute: str, groups: Sequence[str]) -> OperatingCharacteristics:
    """An instrument without a counted error: the worst value is the worst exactly."""
    counts = tuple((*(10**6 * (i == j) for j in range(len(groups))), 0) for i in range(len(groups)))
    return OperatingCharacteristics(attribute, tuple(groups), (*groups, "could not tell"), counts, "renders")


def declared(attribute: str, groups: Sequence[str]) -> DeclaredGroups:
    """Groups with equal reference shares."""
    return DeclaredGroups(attribute, tuple(groups), dict.fromkeys(groups, 1 / len(groups)), "policy choice")


def objects(values: Sequence[object]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out


def _base(prompts: Sequence[str], outcomes: Sequence[str]) -> dict[str, np.ndarray]:
    n = len(prompts)
    return {
        "request_id": objects([f"r{i:04d}" for i in range(n)]),
        "prompt_id": objects(prompts),
        "probe": objects(["asked"] * n),
        "outcome": objects(outcomes),
        "repetition": np.arange(n) % EACH,
        "text": objects(prompts),
        "pair": objects([None] * n),
        "seconds": np.full(n, np.nan),
    }


def asked(
    shown: Callable[[str, int], str],
    age: Callable[[str, int], str],
    *,
    refused: Callable[[str, str], bool] = lambda who, scene: False,
    varied: bool = True,
) -> View:
    """Two scenes by two words that ask for a presentation, at equal seeds.

    Args:
        shown: perceived presentation, from the group asked for and the place of the image.
        age: apparent age, likewise.
        refused: whether the requests of a group in a scene are.
        varied: whether images differ; otherwise all of them are one picture.
    """
    cells = [(who, scene) for who in WHO for scene in SCENES for _ in range(EACH)]
    words, drawn = [who for who, _ in cells], [not refused(who, scene) for who, scene in cells]
    n, rng = len(cells), np.random.default_rng(0)
    features = np.ones((n, 12)) + (rng.normal(size=(n, 12)) if varied else 0.0)
    hidden = ~np.array(drawn)
    features[hidden] = np.nan
    columns = _base([f"{scene} {who}" for who, scene in cells], ["image" if d else "refused" for d in drawn])
    columns |= {
        "pair": objects([scene for _, scene in cells]),
        "axis.who": objects(words),
        "axis.scene": objects([scene for _, scene in cells]),
        "attributes.presentation": objects(
            [shown(w, i) if d else None for i, (w, d) in enumerate(zip(words, drawn, strict=True))]
        ),
        "attributes.age": objects(
            [age(w, i) if d else None for i, (w, d) in enumerate(zip(words, drawn, strict=True))]
        ),
        "clip.similarity": np.where(hidden, np.nan, rng.normal(0.3, 0.02, n)),
        "clip.features": features,
    }
    return View(
        "g",
        columns,
        groups={"presentation": declared("presentation", WHO), "age": declared("age", AGES)},
        operating={"attributes.presentation": sure("presentation", WHO), "attributes.age": sure("age", AGES)},
        by=("scene",),
        asks={"presentation": "who"},
        paired={"who": WHO},
        seed=3,
    )


def identities(nurse: Sequence[str], ceo: Sequence[str], *, refused: bool = False, images: bool = True) -> View:
    """Few images of two identity prompts, so that there are two clusters, and images of two occupations."""
    people = [who for who in WHO for _ in range(14)]
    shown = [*people, *nurse, *ceo]
    jobs = [*[None] * len(people), *["nurse"] * len(nurse), *["CEO"] * len(ceo)]
    drawn = np.array([images and not (refused and job == "CEO") for job in jobs])
    columns = _base([job or who for job, who in zip(jobs, shown, strict=True)], np.where(drawn, "image", "refused"))
    columns["axis.who"] = objects([*people, *[None] * (len(shown) - len(people))])
    columns["axis.occupation"] = objects(jobs)
    columns["clip.features"] = np.where(drawn[:, None], np.eye(4)[[WHO.index(who) for who in shown]], np.nan)
    groups = {"presentation": declared("presentation", WHO)}
    return View("g", columns, groups=groups, by=("occupation",), asks={"presentation": "who"}, seed=3)


def concepts(*, noise: float = 0.0, images: bool = True) -> View:
    """Twenty images of each of two concepts that look like one pole each, and of the poles."""
    names = ("career", "family", *WHO)
    words = [name for name in names for _ in range(20)]
    middle = np.array([{"career": 1.0, "family": 0.0, "feminine": 0.0, "masculine": 1.0}[word] for word in words])
    features = np.stack([middle, 1 - middle, np.ones(80)], axis=1)
    features += noise * np.random.default_rng(1).normal(size=features.shape)
    columns = _base(words, ["image" if images else "refused"] * 80)
    columns["axis.concept"] = objects([word if word not in WHO else None for word in words])
    columns["axis.pole"] = objects([word if word in WHO else None for word in words])
    columns["clip.features"] = features if images else np.full_like(features, np.nan)
    return View("g", columns, groups={"presentation": declared("presentation", WHO)}, asks={"presentation": "pole"})
