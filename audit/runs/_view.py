# SPDX-License-Identifier: Apache-2.0
"""Tables to the views that metrics read, and the fingerprint of what a number was measured with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audit.metrics import ImageScores, insufficient
from audit.metrics.bias.training import Training
from audit.prices import PriceList
from audit.probes import ProbeSet
from audit.probes.load import AXIS, ORIGINAL
from audit.runs._files import to_json
from audit.runs._tables import columns_from, metered
from audit.types import AnnotatorSpec, Columns, Estimate, Metric, MetricSpec, OperatingCharacteristics, Status, View

__all__ = ["base_columns", "measure", "scores", "views", "with_prices", "with_training"]


def base_columns(
    requests: pa.Table, generations: pa.Table, annotations: Mapping[str, pa.Table]
) -> dict[str, NDArray[Any]]:
    """One row a request, in plan order; what is missing is None or NaN."""
    ids = requests["request_id"].to_pylist()
    place = {request_id: row for row, request_id in enumerate(ids)}
    n = len(ids)
    columns: dict[str, NDArray[Any]] = {
        name: _objects(requests[name]) for name in ("request_id", "generator", "probe", "prompt_id", "text", "pair")
    }
    columns["repetition"] = requests["repetition"].to_numpy()
    columns.update(_axes(requests))
    taken = metered(generations)
    columns.update(columns_from(taken, _order(taken, place), n))
    answered = generations.select(["request_id", "outcome", "seconds", "pixels"])
    answered = answered.rename_columns(["request_id", "outcome", "seconds", "picture"])
    columns.update(columns_from(answered, _order(answered, place), n))
    for name, table in annotations.items():
        for column, values in columns_from(table, _order(table, place), n).items():
            columns[f"{name}.{column}"] = values
    return columns


def _objects(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.array(column.to_pylist(), dtype=object)


def _axes(requests: pa.Table) -> dict[str, NDArray[Any]]:
    parsed = [json.loads(text) for text in requests["axes"].to_pylist()]
    names = sorted({name for axes in parsed for name in axes})
    return {f"axis.{name}": np.array([axes.get(name) for axes in parsed], dtype=object) for name in names}


def _order(table: pa.Table, place: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([place[request_id] for request_id in table["request_id"].to_pylist()], dtype=np.int64)


def views(
    columns: Mapping[str, NDArray[Any]],
    generator: str,
    probes: Sequence[ProbeSet],
    spec: MetricSpec,
    caps: Mapping[str, int],
    rivals: Sequence[str] = (),
) -> Iterator[tuple[View, dict[str, str]]]:
    """The views a metric gets for one generator, each with the slice that its estimates are put under.

    A metric without purposes sees all requests at once; any other sees each probe set of its purposes by itself, since
    sets differ in prompts, groups and references and must never be pooled. Of a set that is asked in several wordings
    it sees the original one, unless it is about wordings.

    Args:
        columns: of all generators.
        generator: whose rows.
        probes: all sets of the audit.
        spec: of the metric.
        caps: images a prompt of the fixed design, by set that may stop earlier.
        rivals: generators that a metric which compares holds it against.
    """
    mine = columns["generator"] == generator
    if not spec.purposes:
        yield View(generator, {name: values[mine] for name, values in columns.items()}), {}
        return
    fitting = [probe for probe in probes if probe.declares(spec.design)] or probes
    for probe in fitting:
        if probe.purpose in spec.purposes:
            plain = _as_it_stands(probe, spec)
            taken = _rows(columns, generator, probe.name, plain=plain)
            paired = _arms(probe, plain=plain)
            view = View(generator, taken, groups=probe.groups, by=probe.by, asks=probe.asks, paired=paired)
            others = {name: _rows(columns, name, probe.name, plain=plain) for name in rivals} if spec.compares else {}
            yield replace(view, cap=caps.get(probe.name), rivals=others), {"probe": probe.name}


def _as_it_stands(probe: ProbeSet, spec: MetricSpec) -> bool:
    """Whether the metric sees the prompts in their original wording only.

    Other words are asked to be compared with it, and would blur every other number: they are seen by metrics of that
    design, and where nothing else is exchanged by those of all paired designs.
    """
    if not probe.wordings or spec.design == "wordings":
        return False
    return spec.design != "paired" or len(probe.paired) > 1


def _rows(columns: Mapping[str, NDArray[Any]], generator: str, probe: str, *, plain: bool) -> dict[str, NDArray[Any]]:
    rows = (columns["generator"] == generator) & (columns["probe"] == probe)
    if plain:
        rows &= columns[f"axis.{AXIS}"] == ORIGINAL
    return {name: values[rows] for name, values in columns.items()}


def _arms(probe: ProbeSet, *, plain: bool) -> dict[str, tuple[str, ...]]:
    """Values of each paired axis in the order of the file: the first is what the others are compared with."""
    axes = [axis for axis in probe.paired if not plain or axis != AXIS]
    return {axis: tuple(dict.fromkeys(prompt.axes[axis] for prompt in probe.prompts)) for axis in axes}


def with_training(view: View, training: Training | None) -> View:
    """The view with its generator's training composition among the references, where there is one."""
    if training is None:
        return view
    references = {**view.references, "training": training}
    return replace(view, references=references, fingerprints={**view.fingerprints, "training": training.digest})


def with_prices(view: View, prices: PriceList | None) -> View:
    """The view with the price list among the references, where there is one."""
    if prices is None:
        return view
    references = {**view.references, "prices": prices}
    return replace(view, references=references, fingerprints={**view.fingerprints, "prices": prices.digest})


def measure(
    metric: Metric, view: View, slice_: Mapping[str, str], annotators: Sequence[AnnotatorSpec]
) -> list[Estimate]:
    """The estimates of one metric on one view, with slice and fingerprint filled in."""
    by_name = {spec.name: spec for spec in annotators}
    missing = [need for need in metric.spec.needs if "." in need and need.partition(".")[0] not in by_name]
    if missing:
        names = ", ".join(sorted({need.partition(".")[0] for need in missing}))
        why = f"the run has no annotator {names}"
        found: Sequence[Estimate] = [insufficient(view, metric.spec, {}, why=why, status=Status.UNAVAILABLE)]
    elif view.cap is not None and metric.spec.family == "bias" and not metric.spec.anytime:
        why = "prompts were stopped by looking at their answers, which its interval does not allow for"
        found = [insufficient(view, metric.spec, {}, why=why, status=Status.UNAVAILABLE)]
    else:
        found = metric(replace(view, operating=_operating(annotators)))
    taken_on = {e.slice.get("features") for e in found}
    marks = {space: _fingerprint(metric.spec, by_name, view, space) for space in taken_on}
    return [replace(e, slice={**slice_, **e.slice}, fingerprint=marks[e.slice.get("features")]) for e in found]


def scores(
    metric: Metric, view: View, slice_: Mapping[str, str]
) -> Iterator[tuple[Columns, str, Mapping[str, str], NDArray[np.float64]]]:
    """What single images of a view do to a metric's numbers, for `scores_to_table`; nothing where it cannot tell."""
    tell: Callable[[View], Sequence[ImageScores]] | None = getattr(metric, "scores", None)
    for found in tell(view) if tell is not None else ():
        yield view.columns, metric.spec.id, {**slice_, **found.slice}, found.values


def _operating(annotators: Sequence[AnnotatorSpec]) -> dict[str, OperatingCharacteristics]:
    return {f"{spec.name}.{column}": oc for spec in annotators for column, oc in spec.operating.items()}


def _others(view: View) -> dict[str, Any]:
    """Further references by attribute and name."""
    return {
        f"{attribute}.{name}": {value: dict(row.shares) for value, row in other.rows.items()}
        for attribute, groups in view.groups.items()
        for name, other in groups.others.items()
    }


def _fingerprint(
    spec: MetricSpec, annotators: Mapping[str, AnnotatorSpec], view: View, space: str | None = None
) -> str:
    """Digest of everything a number was measured with; one taken on features knows no other feature space."""
    read = [column for column in (*spec.needs, *spec.reads) if space is None or not column.endswith(".features")]
    named = {column.partition(".")[0] for column in read if "." in column} | ({space} if space else set())
    used = sorted(named & set(annotators))
    # A metric that corrects for classifier error reads whichever instrument answers its declared groups.
    if view.groups and spec.family == "bias":
        corrected = {name for name, annotator in annotators.items() if annotator.operating}
        used = sorted({*used, *corrected, *({"people"} & set(annotators))})
    content = {
        "metric": [spec.id, spec.version],
        "level": view.level,
        "annotators": {name: view.fingerprints.get(name, annotators[name].digest) for name in used},
        "groups": {name: [list(g.groups), dict(g.reference)] for name, g in view.groups.items()},
    }
    content |= {
        key: value for key, value in (("asks", dict(view.asks)), ("others", _others(view)), ("cap", view.cap)) if value
    }
    known = set(view.references) & set(view.fingerprints)
    references = {need: view.fingerprints[need] for need in spec.needs if need in known}
    if references:
        content["references"] = references
    return hashlib.sha256(to_json(content).encode()).hexdigest()[:16]
