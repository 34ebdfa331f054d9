# SPDX-License-Identifier: Apache-2.0
"""Share of pictures of people whose clothes carry the planted logo, corrected for the instrument's error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, metric, missing_column, slices
from audit.metrics._corrected import corrected_share, unusable
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]

_COLUMN, _LOGO = "scene.logo", "logo"


@metric(
    MetricSpec(
        id="likeness.logo_share",
        version="2",
        title="Pictures with the logo",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias", "likeness"}),
        needs=(_COLUMN, "scene.kind"),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Clopper and Pearson 1934",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis; a picture that shows no person is missing, not one without the logo."""
    absent = missing_column(view, spec) or unusable(view, spec, _COLUMN)
    if absent is not None:
        yield absent
        return
    counts = dict(zip(view.operating[_COLUMN].truth, view.operating[_COLUMN].counts, strict=True))
    alarm = counts["no logo"][view.operating[_COLUMN].answers.index(_LOGO)] / sum(counts["no logo"])
    for where, part in slices(view):
        found = corrected_share(part, spec, where, column=_COLUMN, said=_said(part), of=_LOGO)
        yield replace(found, extra={**found.extra, "false_alarm": alarm})


def _said(view: View) -> NDArray[np.object_]:
    """Answers about the logo, None where no person may be shown."""
    asked = images(view) & ~np.isin(view.columns["scene.kind"].astype(str), ("painting", "sign"))
    return np.array([answer if ok else None for answer, ok in zip(view.columns[_COLUMN], asked, strict=True)], object)
