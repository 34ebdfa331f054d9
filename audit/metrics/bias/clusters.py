# SPDX-License-Identifier: Apache-2.0
"""Where images fall among clusters of the images of people whose groups were asked for; no label of a person is used.

In the manner of Luccioni et al. 2023 ("Stable bias", sec. 4.2): images of identity prompts, those that ask for a group,
are clustered by their embeddings; images of all other prompts, occupations say, go to the nearest cluster. What the
identity prompts ask for evenly, the clusters hold roughly evenly; other prompts that fall into few of them are drawn as
few kinds of people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric, missing_column
from audit.metrics.bias._rows import Codes, axis_codes, image_features, none_asked, ordered, parts, rows
from audit.stats.annotator_error import Correction
from audit.stats.clusters import assign, distance, share_differences, ward_centres
from audit.stats.divergence import normalised_entropy, plug_in_interval
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_FEATURES = "clip.features"
#: Clusters, and how many identity images each needs on average.
_CLUSTERS, _EACH = 12, 10


@dataclass(frozen=True, slots=True, eq=False)
class _Clustered:
    """Images and the clusters they fall into.

    Attributes:
        view: of all rows.
        spec: of the metric.
        clusters: place of each row's cluster, -1 without an image; shape (n,).
        identity: rows whose prompt asks for a group, shape (n,).
        k: how many clusters there are.
        called: what the prompts of most images of each cluster ask for, with its share.
        seen: entropies that were computed already, by the counts they are of.
    """

    view: View
    spec: MetricSpec
    clusters: Codes
    identity: NDArray[np.bool_]
    k: int
    called: tuple[str, ...]
    seen: dict[bytes, dict[str, Scalar]] = field(default_factory=dict)

    def counts(self, index: Codes) -> Codes:
        """Images by cluster among the rows ``index``, shape (k,)."""
        found = self.clusters[index]
        return np.bincount(found[found >= 0], minlength=self.k)


@metric(
    MetricSpec(
        id="bias.clusters",
        version="1",
        title="Distance from the clusters of identity prompts",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(_FEATURES,),
        design="asks",
        min_n=10,
        cluster=None,
        citation="Luccioni et al. 2023, sec. 4.2; Ward 1963; Levin and Peres 2017, prop. 4.2",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by each axis of the other prompts: against identity prompts, and against the rest of the others."""
    absent = missing_column(view, spec)
    if absent is not None or not view.asks:
        yield absent or none_asked(view, spec)
        return
    view = ordered(view, _FEATURES)
    identity = _asking(view)
    if identity.all() or not identity.any():
        what = "prompts that ask for no group (occupations, say)" if identity.any() else "prompts that ask for a group"
        why = f"the probe set lacks {what} beside the others" if len(view) else "no requests"
        status = Status.UNAVAILABLE if len(view) else Status.INSUFFICIENT
        yield insufficient(view, spec, {}, why=why, status=status)
        return
    unit, kept = image_features(view)
    known = np.flatnonzero(identity & kept)
    if len(known) < 2 * _EACH:
        why = f"{len(known)} images of identity prompts, needs {2 * _EACH}"
        yield insufficient(rows(view, np.flatnonzero(~identity)), spec, {}, why=why)
        return
    centres = ward_centres(unit[known], min(_CLUSTERS, len(known) // _EACH))
    if len(centres) < 2:
        yield insufficient(
            rows(view, np.flatnonzero(~identity)), spec, {}, why="the identity prompts' images are alike"
        )
        return
    clusters = np.where(kept, assign(unit, centres), -1)
    called = tuple(_asked_most(view, np.flatnonzero(identity & (clusters == c))) for c in range(len(centres)))
    yield from _estimates(_Clustered(view, spec, clusters, identity, len(centres), called))


def _asking(view: View) -> NDArray[np.bool_]:
    asking = np.zeros(len(view), dtype=bool)
    for attribute, axis in view.asks.items():
        if attribute in view.groups:
            asking |= axis_codes(view, axis, view.groups[attribute].groups) >= 0
    return asking


def _asked_most(view: View, index: Codes) -> str:
    """What most images of a cluster were asked to show: describes the cluster, takes no part in making it."""
    said: list[str] = []
    for attribute, axis in view.asks.items():
        groups = view.groups[attribute].groups if attribute in view.groups else ()
        codes = axis_codes(view, axis, groups)[index]
        if (codes >= 0).any():
            counts = np.bincount(codes[codes >= 0], minlength=len(groups))
            said.append(f"{groups[int(counts.argmax())]} {100 * counts.max() / counts.sum():.0f} %")
    return ", ".join(said) or "no images"


def _estimates(found: _Clustered) -> Iterator[Estimate]:
    others, pool = found.counts(np.flatnonzero(~found.identity)), found.counts(np.flatnonzero(found.identity))
    for where, index in parts(found.view, _axes(found)):
        mine = index[~found.identity[index]]
        yield _against(found, {**where, "reference": "identity prompts"}, mine, pool)
        rest = others - found.counts(mine)
        if where and rest.any():
            yield _against(found, {**where, "reference": "other prompts"}, mine, rest)


def _axes(found: _Clustered) -> Sequence[str]:
    """Axes of the other prompts: declared slices, else all that they have and that ask for nothing."""
    if found.view.by:
        return [axis for axis in found.view.by if axis not in found.view.asks.values()]
    names = sorted(name.removeprefix("axis.") for name in found.view.columns if name.startswith("axis."))
    return [name for name in names if name not in found.view.asks.values()]


def _against(found: _Clustered, where: Mapping[str, str], mine: Codes, other: Codes) -> Estimate:
    part, counts = rows(found.view, mine), found.counts(mine)
    n, m = int(counts.sum()), int(other.sum())
    if n < found.spec.min_n or m < found.spec.min_n:
        why = f"{n} images and {m} of the {where['reference']}, needs {found.spec.min_n} of each"
        return insufficient(part, found.spec, where, n=n, why=why)
    apart = distance(counts, other, level=found.view.level, seed=found.view.seed)
    extra: dict[str, Scalar] = {
        "excess": apart.value - apart.floor,
        "clusters": found.k,
        "reference_n": m,
        **_entropy(found, counts),
        **_outstanding(found, counts, other),
    }
    method = "bootstrap of both samples, triangle inequality; clusters and prompts taken as fixed"
    interval = Interval(apart.value, apart.low, apart.high, n, n, method)
    return estimate(part, found.spec, where, interval, missing=len(part) - n, floor=apart.floor, extra=extra)


def _entropy(found: _Clustered, counts: Codes) -> dict[str, Scalar]:
    """Normalised entropy of the assignment: 1 where all clusters are as frequent, 0 where all images fall into one."""
    key = counts.tobytes()
    if key not in found.seen:
        n, shares = int(counts.sum()), counts / counts.sum()
        exact = Correction(1e9 * np.eye(found.k))  # what cluster an image is nearest to is read without error
        low, high = plug_in_interval(
            normalised_entropy, shares, exact, n=n, level=found.view.level, seed=found.view.seed, reps=500
        )
        found.seen[key] = {"entropy": float(normalised_entropy(shares)), "entropy_low": low, "entropy_high": high}
    return found.seen[key]


def _outstanding(found: _Clustered, counts: Codes, other: Codes) -> dict[str, Scalar]:
    """The most over- and the most under-represented cluster, with limits that hold for all clusters at once."""
    differences = share_differences(counts, other, level=found.view.level)
    extra: dict[str, Scalar] = {
        "clusters_over": int((differences[:, 1] > 0).sum()),
        "clusters_under": int((differences[:, 2] < 0).sum()),
    }
    for name, c in (("over", int(differences[:, 0].argmax())), ("under", int(differences[:, 0].argmin()))):
        value, low, high = (float(x) for x in differences[c])
        extra |= {f"{name}_cluster": c + 1, f"{name}_asked": found.called[c]}
        extra |= {f"{name}_difference": value, f"{name}_low": low, f"{name}_high": high}
    return extra
