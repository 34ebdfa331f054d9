# SPDX-License-Identifier: Apache-2.0
"""The images that pull a number most: why a generator scores as it does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from audit.render.format import metric_title, slice_words

__all__ = ["EACH", "Telling", "telling"]

EACH = 6


@dataclass(frozen=True, slots=True)
class Telling:
    """One image that stands out.

    Attributes:
        request_id: whose image.
        kind: "worst" or "best".
        measure: title and slice of the number, in words.
        note: what the image does to it.
    """

    request_id: str
    kind: str
    measure: str
    note: str


def telling(scores: pa.Table, manifest: Mapping[str, Any], asked: Mapping[str, str]) -> Iterator[Telling]:
    """The worst and the best images by every measure that can tell, of every generator.

    Args:
        scores: columns request_id, metric, slice (JSON), value.
        manifest: of the run; its metrics say which direction is better.
        asked: generator by request id, of requests with an image.
    """
    specs = {spec["id"]: spec for spec in manifest.get("metrics", ())}
    groups: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    columns = (scores[name].to_pylist() for name in ("request_id", "metric", "slice", "value"))
    for id_, metric, where, value in zip(*columns, strict=True):
        if id_ in asked and specs.get(metric, {}).get("direction") in ("lower", "higher"):
            groups.setdefault((metric, where, asked[id_]), []).append((id_, value))
    for (metric, where, _), rows in groups.items():
        if len(rows) >= 2 * EACH:
            yield from _ends(rows, lower=specs[metric]["direction"] == "lower", measure=_words(metric, where, manifest))


def _words(metric: str, where: str, manifest: Mapping[str, Any]) -> str:
    """Title and slice, e.g. "Frechet distance (clip features)"."""
    titles = {spec["id"]: spec["title"] for spec in manifest.get("metrics", ())}
    words = slice_words(json.loads(where), probe=len(manifest.get("probes", ())) > 1)
    return metric_title(metric, titles) + ("" if words == "all" else f" ({words})")


def _ends(rows: list[tuple[str, float]], *, lower: bool, measure: str) -> Iterator[Telling]:
    """Worst first, then best first."""
    values = np.array([value for _, value in rows])
    sign = "+" if values.min() < 0 < values.max() else ""
    worst_first = np.argsort(-values if lower else values, kind="stable")
    for kind, chosen in (("worst", worst_first[:EACH]), ("best", worst_first[::-1][:EACH])):
        for place in chosen:
            yield Telling(rows[place][0], kind, measure, f"{values[place]:{sign}.3g}")
