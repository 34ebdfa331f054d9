# SPDX-License-Identifier: Apache-2.0
"""How far style wanders from seed to seed of one prompt, against how far it lies apart between prompts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.stats.dispersion import dispersion
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_COLUMN = "style.gram"
_PROMPTS = 4


@metric(
    MetricSpec(
        id="style.dispersion",
        version="1",
        title="Scatter of style from seed to seed",
        unit="ratio",
        direction="none",
        bounds=(0.0, None),
        purposes=frozenset({"quality"}),
        needs=(_COLUMN,),
        min_n=8,
        cluster="prompt_id",
        citation="Gatys, Ecker and Bethge 2016, eq. 3; Hoeffding 1948; Efron and Stein 1981",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean squared distance of two seeds of a prompt over that of pictures of two prompts."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        yield _dispersion(part, spec, where)


def _dispersion(view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    every = _by_prompt(view)
    kept = [group for group in every if len(group) >= 2]
    n = sum(len(group) for group in kept)
    if n < spec.min_n or len(kept) < _PROMPTS:
        why = f"{len(kept)} prompts of two images or more, needs {_PROMPTS}"
        return insufficient(view, spec, where, n=n, clusters=len(kept), why=why)
    found = dispersion(kept, level=view.level)
    if found is None:
        why = "all prompts are drawn in one and the same way, so there is nothing to compare with"
        return insufficient(view, spec, where, n=n, clusters=len(kept), why=why)
    extra: dict[str, Scalar] = {
        "within": found.within,
        "between": found.between,
        "prompts_left_out": len(every) - len(kept),
    }
    interval = Interval(found.value, found.low, found.high, n, len(kept), found.method)
    return estimate(view, spec, where, interval, missing=len(view) - n, extra=extra)


def _by_prompt(view: View) -> list[NDArray[np.float64]]:
    """Embeddings by prompt, of the images that have one."""
    grams = np.asarray(view.columns[_COLUMN], dtype=np.float64)
    if grams.ndim != 2:  # no image at all
        return []
    seen = images(view) & np.isfinite(grams).all(axis=1)
    prompts = view.columns["prompt_id"].astype(str)
    return [grams[seen & (prompts == name)] for name in np.unique(prompts[seen])]
