# SPDX-License-Identifier: Apache-2.0
"""What the generators are trained on: people drawn by the planted shares, some of them the memorised ones."""

from __future__ import annotations

import numpy as np

from audit.reference.people import OCCUPATIONS, People, concat, planted, sample_people


def training_people(n: int, *, rng: np.random.Generator) -> People:
    """Draw ``n`` people of the planted world, in random order.

    Eight occupations and plain clothes are equally likely; ``memorised_share`` of the rows show one of the five
    memorised people (half of them in plain clothes), who are called by name in their captions.

    Args:
        n: how many.
        rng: source of every random choice.

    Returns:
        The people.
    """
    known = int(rng.binomial(n, planted()["memorised_share"]))
    ids = np.array([row["identity_id"] for row in planted()["gallery"] if row["memorised"]], dtype=np.int64)
    jobs = np.where(rng.random(known) < 0.5, -1, rng.integers(0, len(OCCUPATIONS), known))
    named = sample_people(known, rng=rng, occupation_index=jobs, identity_id=rng.choice(ids, known))
    others = rng.integers(-1, len(OCCUPATIONS), n - known)
    return concat([named, sample_people(n - known, rng=rng, occupation_index=others)])[rng.permutation(n)]
