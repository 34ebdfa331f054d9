# SPDX-License-Identifier: Apache-2.0
"""How well the face embedder tells people apart: counts on held-out identities, boxes predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.reference.instruments import AttributeNet, FaceEmbedder
from audit.reference.train.instruments.data import degraded, draw, repeated_people
from audit.reference.train.instruments.operating import DEGRADATION

#: Pictures of each held-out person.
EACH = 4
FALSE_ACCEPT_RATES = (1e-2, 1e-3, 1e-4)
GALLERY_SIZES = (20, 200)
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def rates(mated: NDArray[np.float64], non_mated: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Count accepted pairs at thresholds set by the false accept rate on the non-mated pairs.

    Args:
        mated: similarities of two pictures of one person.
        non_mated: similarities of pictures of two persons.

    Returns:
        For every rate: threshold, accepted and all pairs of both kinds. A pair is accepted when its similarity is
        above the threshold, which is the smallest that keeps the false accepts within the rate.
    """
    order = np.sort(non_mated)[::-1]
    out = []
    for far in FALSE_ACCEPT_RATES:
        threshold = float(order[int(far * len(order))])
        out.append(
            {
                "false_accept_rate": far,
                "threshold": threshold,
                "mated_accepted": int((mated > threshold).sum()),
                "mated": len(mated),
                "non_mated_accepted": int((non_mated > threshold).sum()),
                "non_mated": len(non_mated),
            }
        )
    return out


def maxima(z: NDArray[np.float32], who: NDArray[np.int64], *, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Describe the highest similarity of people outside a gallery to anyone in it.

    Args:
        z: unit vectors (n, d).
        who: identity of each (n,).
        size: people in the gallery, one picture each.
        rng: chooses the gallery.
    """
    ids, first = np.unique(who, return_index=True)
    chosen = rng.permutation(len(ids))[:size]
    outside = ~np.isin(who, ids[chosen])
    best = (z[outside] @ z[first[chosen]].T).max(axis=1)
    return {
        "gallery": size,
        "probes": int(outside.sum()),
        "identities": int(len(ids) - size),
        "quantiles": {str(q): float(np.quantile(best, q)) for q in QUANTILES},
    }


def measure_faces(embedder: FaceEmbedder, net: AttributeNet, *, held_out: int, seed: int) -> dict[str, Any]:
    """Measure the embedder on ``held_out`` degraded renders of a quarter as many people nobody was trained on.

    Returns:
        The content of ``operating.json``.
    """
    rng = np.random.default_rng([seed, 9])
    people = repeated_people(held_out // EACH, EACH, rng=rng, pool="heldout")
    images = degraded(draw(people).images, seed=seed)
    z = embedder.embed(images, net.predict(images)["box"])
    similarity = (z @ z.T).astype(np.float64)
    above = np.triu(np.ones(similarity.shape, dtype=bool), k=1)
    same = people.identity_id[:, None] == people.identity_id[None, :]
    mated, non_mated = similarity[same & above], similarity[~same & above]
    return {
        "measured_on": {
            "n": len(people),
            "identities": held_out // EACH,
            "pictures_each": EACH,
            "what": "renders of people whom neither instruments nor generators saw; boxes by the attribute classifier",
            "pool": "heldout",
            "seed": seed,
            "degradation": DEGRADATION,
        },
        "rates": rates(mated, non_mated),
        "non_mated_maxima": [maxima(z, people.identity_id, size=size, rng=rng) for size in GALLERY_SIZES],
        "similarity": {
            "mated_quantiles": {str(q): float(np.quantile(mated, q)) for q in (0.01, 0.05, 0.5, 0.95)},
            "non_mated_quantiles": {str(q): float(np.quantile(non_mated, q)) for q in (0.5, 0.95, 0.99, 0.999)},
        },
    }
