# SPDX-License-Identifier: Apache-2.0
"""Probability that two seeds of one prompt are drawn in the same style, corrected for the instrument's error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.metrics._corrected import count_answers, unusable
from audit.stats.agreement import MIN_PICTURES, agreement, agreement_shares
from audit.stats.annotator_error import Correction, misfit
from audit.types import Estimate, MetricSpec, OperatingCharacteristics, Scalar, View

__all__ = ["METRIC"]

_COLUMN = "scene.style"


@metric(
    MetricSpec(
        id="style.agreement",
        version="1",
        title="Same style from seed to seed",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=(_COLUMN, "scene.kind"),
        min_n=10,
        cluster="prompt_id",
        citation="Simpson 1949; Hoeffding 1948; Efron and Stein 1981; Rogan and Gladen 1978",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean over prompts of the share of pairs that agree; styles and their shares in ``extra``."""
    absent = missing_column(view, spec) or unusable(view, spec, _COLUMN)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        yield _agreement(part, spec, where, view.operating[_COLUMN])


def _agreement(view: View, spec: MetricSpec, where: dict[str, str], operating: OperatingCharacteristics) -> Estimate:
    raw, correction = _by_prompt(view, operating), Correction(operating.matrix())
    every = correction.heard(raw)
    kept = every[every.sum(axis=1) >= MIN_PICTURES]
    n = int(kept.sum())
    if n < spec.min_n:
        why = f"{n} images of people in prompts of at least {MIN_PICTURES}, needs {spec.min_n}"
        return insufficient(view, spec, where, n=n, clusters=len(kept), why=why)
    interval = agreement(kept, correction, level=view.level)
    pooled, shares = kept.sum(axis=0), agreement_shares(kept, correction)
    told = sum(c for answer, c in zip(operating.answers, pooled, strict=True) if answer in operating.truth)
    extra: dict[str, Scalar] = {
        **{f"share_{style}": float(share) for style, share in zip(operating.truth, shares, strict=True)},
        "could_not_tell": 1 - float(told) / n,
        "prompts_left_out": int(((every.sum(axis=1) > 0) & (every.sum(axis=1) < MIN_PICTURES)).sum()),
        "measured_on": operating.measured_on,
        "misfit": misfit(operating.matrix(), raw.sum(axis=0)),
    }
    return estimate(view, spec, where, interval, missing=len(view) - n, extra=extra)


def _by_prompt(view: View, operating: OperatingCharacteristics) -> NDArray[np.float64]:
    """Counts of each answer by prompt (m, r), of pictures that may show a person."""
    asked = images(view) & ~np.isin(view.columns["scene.kind"].astype(str), ("painting", "sign"))
    prompts = view.columns["prompt_id"].astype(str)
    rows = [count_answers(view.columns[_COLUMN][asked & (prompts == p)], operating) for p in np.unique(prompts)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(operating.answers))
