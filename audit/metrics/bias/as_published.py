# SPDX-License-Identifier: Apache-2.0
"""Indices of other audits as they publish them, to set their figures beside ours: nothing here is corrected.

They read the instrument's answers as the truth and say nothing of chance. Beside each stands its floor, what a
generator of equal shares scores on average at these numbers of images, and a bootstrap interval over images. An index
with a flaw keeps it: `audit.stats.published` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._rows import coded
from audit.metrics.bias._shares import Answered, answered, free_attributes
from audit.metrics.bias.training import Training
from audit.stats import published
from audit.stats.annotator_error import cleam_interval
from audit.stats.intervals import Interval
from audit.types import DeclaredGroups, Estimate, MetricSpec, Outcome, Scalar, View

__all__ = ["METRIC"]

Array = NDArray[np.float64]
Index = Callable[[Array], float | None]
_REPS = 200
_BATCHES, _BATCH = 30, 400  # of CLEAM: 400 labels a batch as published for diffusion models


@metric(
    MetricSpec(
        id="bias.as_published",
        version="1",
        title="Indices as others publish them",
        unit="index",
        direction="none",
        bounds=(None, None),
        purposes=frozenset({"bias"}),
        needs=("training",),
        min_n=10,
        cluster=None,
        citation="Cho et al. 2023; Lee et al. 2023; D'Inca et al. 2024; Teo et al. 2023; Friedrich et al. 2023; "
        "Shen et al. 2024; Chinchure et al. 2024; Luo et al. 2024",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per attribute and index, over the whole probe set."""
    for item in free_attributes(view, spec):
        if isinstance(item, Estimate):
            yield item
            continue
        declared, free = item
        found = answered(free, spec, declared)
        yield from [found] if isinstance(found, Estimate) else _attribute(found, spec)


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Answers that name a declared group, by prompt; prompts without an image have a row as well.

    Attributes:
        counts: shape (prompts, k). unknown: images of each prompt without a group, shape (prompts,).
    """

    counts: Array
    unknown: Array

    def drawn(self, shares: Array, rng: np.random.Generator) -> Array:
        """As many answers again, with shares (prompts, k)."""
        sizes = self.counts.sum(axis=1).astype(np.int64)
        found: Array = rng.multinomial(sizes, shares).astype(np.float64)
        return found


def _attribute(found: Answered, spec: MetricSpec) -> Iterator[Estimate]:
    view, declared = found.view, found.declared
    told, where = _told(found), {"attribute": declared.attribute}
    n = int(told.counts.sum())
    if n < spec.min_n:
        yield insufficient(view, spec, where, n=n, why=f"{n} images with a group, needs {spec.min_n}")
        return
    for name, (index, how) in _indices(declared, told).items():
        yield _estimate(found, spec, told, name, index, how)
    if len(declared.groups) == 2 and set(declared.groups) <= set(found.operating.answers):
        yield _cleam(found, spec, told)
        yield from _fair_diffusion(found, spec)


def _told(found: Answered) -> _Told:
    groups = found.declared.groups
    places = np.array([*(groups.index(a) if a in groups else -1 for a in found.operating.answers), -1])
    names, prompt = coded(found.view.columns["prompt_id"])
    code, k = places[found.codes], len(groups)
    image = found.view.columns["outcome"] == Outcome.IMAGE.value
    at = (prompt * (k + 1) + np.where(code < 0, k, code))[image]
    table = np.bincount(at, minlength=len(names) * (k + 1)).reshape(-1, k + 1).astype(np.float64)
    return _Told(table[:, :k], table[:, k])


def _indices(declared: DeclaredGroups, told: _Told) -> Mapping[str, tuple[Index, str]]:
    """Each index as a function of counts by prompt, and how it treats what it sees."""
    k, unknown = len(declared.groups), told.unknown
    reference = {g: float(declared.reference.get(g, 0.0)) for g in declared.groups}

    def pooled(of: Callable[[Array], float | None]) -> Index:
        return lambda counts: of(counts.sum(axis=0))

    def shares(of: Callable[[Array], float | None]) -> Index:
        return pooled(lambda counts: of(counts / counts.sum()))

    def implicit(p: Array) -> float:
        return published.bigbench_implicit(dict(zip(declared.groups, p.tolist(), strict=True)), reference)

    found: dict[str, tuple[Index, str]] = {
        "dalleval_mad": (published.dalleval_mad, "DALL-Eval, mean absolute deviation, mean over prompts"),
        "openbias_context_free": (
            pooled(lambda counts: published.openbias_context_free(_whole(counts))),
            "OpenBias, 1 - H / ln k, captions together",
        ),
        "openbias_context_aware": (
            lambda counts: published.openbias_context_aware([_whole(row) for row in counts]),
            "OpenBias, 1 - H / ln k, mean over captions",
        ),
        "cleam_fairness": (shares(published.cleam_fairness), "CLEAM, Euclidean distance from equal shares"),
        "mean_pairwise_gap": (
            lambda counts: float(np.mean([published.mean_pairwise_gap(r / r.sum()) for r in counts if r.sum()])),
            "Shen et al., mean |p_i - p_j|, mean over prompts",
        ),
        "tibet_mad": (
            shares(published.tibet_mad),
            "TIBET, root of the mean absolute deviation; of shares of groups, published for counterfactuals",
        ),
        "bigbench_implicit": (shares(implicit), "BIGbench, (cosine to the reference + 1) / 2"),
        "fairmop_entropy": (
            pooled(lambda counts: published.fairmop_entropy(_whole(counts))),
            "FairMOP, entropy over the groups that occur",
        ),
        "fairmop_divergence": (
            pooled(lambda counts: published.fairmop_divergence(_whole(counts))),
            "FairMOP, divergence from equal shares over the groups that occur",
        ),
    }
    return found | _heim(k, unknown)


def _heim(k: int, unknown: Array) -> dict[str, tuple[Index, str]]:
    """HEIM's imbalances, of two groups and of ten tones: means over prompts, those without an image included."""

    def two(counts: Array) -> float:
        return float(np.mean([published.heim_gender_imbalance(int(row[0]), int(row.sum())) for row in counts]))

    def ten(counts: Array) -> float:
        rows = zip(counts, unknown, strict=True)
        return float(np.mean([published.heim_skin_tone_imbalance(_whole(row), int(u)) for row, u in rows]))

    if k == 2:
        return {"heim_imbalance": (two, "HEIM, |share of the first group - 0.5|, mean over prompts")}
    how = "HEIM, mean of |share - 0.1| with unknown in the denominator, mean over prompts"
    return {"heim_imbalance": (ten, how)} if k == 10 else {}


def _whole(counts: Array) -> list[int]:
    return [int(count) for count in counts]


def _estimate(found: Answered, spec: MetricSpec, told: _Told, name: str, index: Index, how: str) -> Estimate:
    """The index, what it scores by chance, and its scatter over images."""
    view, k = found.view, told.counts.shape[1]
    where, n = {"attribute": found.declared.attribute, "index": name}, int(told.counts.sum())
    value = index(told.counts)
    if value is None or not np.isfinite(value):
        return insufficient(view, spec, where, n=n, why=f"{how}: not defined for these answers")
    rng = np.random.default_rng(view.seed)
    sizes = told.counts.sum(axis=1, keepdims=True)
    again = _repeated(index, told, told.counts / np.maximum(sizes, 1.0), rng)
    floor = float(np.mean(_repeated(index, told, np.full(told.counts.shape, 1.0 / k), rng)))
    return _done(found, spec, where, (value, again), how=how, floor=floor, n=n)


def _repeated(index: Index, told: _Told, shares: Array, rng: np.random.Generator) -> Array:
    values = [index(told.drawn(shares, rng)) for _ in range(_REPS)]
    return np.array([value for value in values if value is not None and np.isfinite(value)])


def _done(
    found: Answered,
    spec: MetricSpec,
    where: Mapping[str, str],
    drawn: tuple[float, Array],
    *,
    how: str,
    floor: float | None,
    n: int,
) -> Estimate:
    view, (value, again) = found.view, drawn
    low, high = np.quantile(again, [(1 - view.level) / 2, (1 + view.level) / 2])
    method = f"as published: {how}; no correction for n or the instrument; percentile bootstrap over images in prompts"
    interval = Interval(value, min(value, float(low)), max(value, float(high)), n, n, method)
    extra: dict[str, Scalar] = {"as_published": True, "excess": None if floor is None else value - floor}
    return estimate(view, spec, where, interval, missing=len(view) - n, floor=floor, extra=extra)


def _cleam(found: Answered, spec: MetricSpec, told: _Told) -> Estimate:
    """Point and interval of CLEAM for the share of the first declared group, with the interval as published."""
    view, groups, counts = found.view, found.declared.groups, found.operating.matrix()
    truth = [found.operating.truth.index(group) for group in groups]
    columns = [found.operating.answers.index(group) for group in groups]
    table = counts[np.ix_(truth, columns)]
    a0, a1 = (float(rate) for rate in np.diagonal(table) / table.sum(axis=1))
    pooled = told.counts.sum(axis=0)
    batches = np.random.default_rng(view.seed).binomial(_BATCH, pooled[0] / pooled.sum(), _BATCHES) / _BATCH
    value = published.cleam_point(float(batches.mean()), a0=a0, a1=a1)
    low, high = cleam_interval(batches, a0=a0, a1=a1)
    n, where = int(pooled.sum()), {"attribute": found.declared.attribute, "index": "cleam", "group": groups[0]}
    how = f"CLEAM, {_BATCHES} batches of {_BATCH} labels drawn again, confusion rates taken as exact"
    method = f"as published: {how}; its 95 % interval is too narrow and does not depend on the number of images"
    interval = Interval(value, min(low, high), max(low, high), n, n, method)
    extra: dict[str, Scalar] = {"as_published": True, "raw_share": float(pooled[0] / pooled.sum()), "a0": a0, "a1": a1}
    return estimate(view, spec, where, interval, missing=len(view) - n, extra=extra)


def _fair_diffusion(found: Answered, spec: MetricSpec) -> Iterator[Estimate]:
    """Shares of occupations that amplify, reflect or mitigate, where a training composition is declared."""
    training: Training | None = found.view.references.get("training")
    column = found.view.columns.get("axis.occupation")
    if training is None or column is None:
        return
    jobs, codes = coded(column)
    drawn = {job: _told(_only(found, codes == i)).counts.sum(axis=0) for i, job in enumerate(jobs)}
    attribute, group = found.declared.attribute, found.declared.groups[0]
    rows = {job: training.rows.get((job, attribute)) for job in jobs}
    kept = [job for job, row in rows.items() if row is not None and group in row.shares and drawn[job].sum()]
    if not kept:
        return
    counts = np.stack([drawn[job] for job in kept])
    trained = np.array([row.shares[group] for row in (rows[job] for job in kept) if row is not None])
    told, rng = _Told(counts, np.zeros(len(kept))), np.random.default_rng(found.view.seed)
    for name in ("amplified", "reflected", "mitigated"):
        index = _fair_diffusion_index(name, trained)
        again = _repeated(index, told, counts / counts.sum(axis=1, keepdims=True), rng)
        alike = _repeated(index, told, np.stack([trained, 1 - trained], axis=1), rng)
        where = {"attribute": attribute, "index": f"fair_diffusion_{name}"}
        how = f"Fair Diffusion, share of {len(kept)} occupations {name}"
        value = float(index(counts) or 0.0)
        yield _done(found, spec, where, (value, again), how=how, floor=float(alike.mean()), n=int(counts.sum()))


def _fair_diffusion_index(name: str, trained: Array) -> Index:
    def index(counts: Array) -> float:
        found = published.fair_diffusion(counts[:, 0] / counts.sum(axis=1), trained)
        return float(getattr(found, name))

    return index


def _only(found: Answered, mask: NDArray[np.bool_]) -> Answered:
    return replace(found, view=found.view.take(mask), codes=found.codes[mask], units=found.units[mask])
