# SPDX-License-Identifier: Apache-2.0
"""Records to Arrow tables and back. The only place that knows the column types on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audit.runs._files import to_json
from audit.types import Columns, Decision, Estimate, Finding, Prompt, Request, Status, Verdict

__all__ = [
    "GENERATIONS",
    "SCORES",
    "columns_from",
    "columns_to_table",
    "estimates_from",
    "estimates_to_table",
    "metered",
    "requests_from",
    "requests_to_table",
    "scores_to_table",
    "verdict_from",
    "verdict_to_json",
]

GENERATIONS = pa.schema(
    [
        ("request_id", pa.string()),
        ("generator", pa.string()),
        ("outcome", pa.string()),
        ("sha256", pa.string()),
        ("pixels", pa.string()),
        ("media_type", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("seconds", pa.float64()),
        ("message", pa.string()),
        ("meta", pa.string()),
        ("manifest_id", pa.string()),
        ("payload", pa.string()),
    ]
)
SCORES = pa.schema(
    [("request_id", pa.string()), ("metric", pa.string()), ("slice", pa.string()), ("value", pa.float64())]
)
_REQUESTS = pa.schema(
    [
        ("request_id", pa.string()),
        ("generator", pa.string()),
        ("probe", pa.string()),
        ("prompt_id", pa.string()),
        ("text", pa.string()),
        ("negative", pa.string()),
        ("repetition", pa.int32()),
        ("seed", pa.int64()),
        ("axes", pa.string()),
        ("tags", pa.string()),
        ("pair", pa.string()),
        ("meant", pa.string()),
        ("params", pa.string()),
    ]
)
_METERED: Mapping[str, tuple[str, pa.DataType]] = {
    "cpu_seconds": ("meter.cpu_seconds", pa.float64()),
    "device_memory": ("meter.device_memory", pa.float64()),
    "device_reserved": ("meter.device_reserved", pa.float64()),
    "drawers": ("meter.drawers", pa.float64()),
    "energy": ("meter.energy", pa.float64()),
    "energy_by": ("meter.energy_by", pa.string()),
    "flops": ("meter.flops", pa.float64()),
    "flops_by": ("meter.flops_by", pa.string()),
    "memory": ("meter.memory", pa.float64()),
    "memory_by": ("meter.memory_by", pa.string()),
    "paid": ("cost", pa.float64()),  # of hosted models
}
_TYPES = {"float": pa.float64(), "float | None": pa.float64(), "int": pa.int64()}
_ESTIMATES = pa.schema([(field.name, _TYPES.get(str(field.type), pa.string())) for field in fields(Estimate)])


def requests_to_table(requests: Iterable[Request]) -> pa.Table:
    """One row a request, in plan order."""
    rows = [
        {
            "request_id": request.id,
            "generator": request.generator,
            "probe": request.prompt.probe,
            "prompt_id": request.prompt.id,
            "text": request.prompt.text,
            "negative": request.prompt.negative,
            "repetition": request.repetition,
            "seed": request.seed,
            "axes": to_json(dict(request.prompt.axes)),
            "tags": to_json(sorted(request.prompt.tags)),
            "pair": request.prompt.pair,
            "meant": request.prompt.meant,
            "params": to_json(dict(request.params)),
        }
        for request in requests
    ]
    return pa.Table.from_pylist(rows, schema=_REQUESTS)


def requests_from(table: pa.Table) -> list[Request]:
    """The inverse of requests_to_table."""
    return [
        Request(
            id=row["request_id"],
            generator=row["generator"],
            prompt=Prompt(
                row["prompt_id"],
                row["text"],
                row["probe"],
                json.loads(row["axes"]),
                row["negative"],
                frozenset(json.loads(row["tags"])),
                row["pair"],
                row.get("meant"),
            ),
            repetition=row["repetition"],
            seed=row["seed"],
            params=json.loads(row["params"]),
        )
        for row in table.to_pylist()
    ]


def columns_to_table(request_ids: Sequence[str], columns: Columns) -> pa.Table:
    """Annotation columns; two-dimensional float arrays become fixed-size lists of float32."""
    arrays: dict[str, pa.Array] = {"request_id": pa.array(list(request_ids), pa.string())}
    for name, values in columns.items():
        array = np.asarray(values)
        if array.ndim == 2:
            flat = pa.array(array.astype(np.float32).ravel(), pa.float32())
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, array.shape[1])
        elif array.dtype == object or array.dtype.kind in "US":
            arrays[name] = pa.array([None if value is None else str(value) for value in array], pa.string())
        else:
            arrays[name] = pa.array(array.astype(np.float64), pa.float64())
    return pa.table(arrays)


def columns_from(table: pa.Table, order: NDArray[np.int64], n: int) -> dict[str, NDArray[Any]]:
    """Columns spread over ``n`` rows: row ``order[i]`` gets the i-th annotation, all others None or NaN."""
    found: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        if name == "request_id":
            continue
        column = table[name].combine_chunks()
        if pa.types.is_fixed_size_list(column.type):
            width = column.type.list_size
            wide: NDArray[Any] = np.full((n, width), np.nan, np.float32)
            wide[order] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        elif pa.types.is_string(column.type):
            wide = np.full(n, None, object)
            wide[order] = column.to_numpy(zero_copy_only=False)
        else:
            wide = np.full(n, np.nan)
            wide[order] = column.to_numpy(zero_copy_only=False)
        found[name] = wide
    return found


def metered(generations: pa.Table) -> pa.Table:
    """What drawing took, out of the generations' ``meta``: one row a generation, null where nothing is known."""
    metas = [json.loads(text) if text else {} for text in generations["meta"].to_pylist()]
    columns: dict[str, pa.Array] = {"request_id": generations["request_id"].combine_chunks()}
    for name, (key, type_) in _METERED.items():
        fits = str if pa.types.is_string(type_) else (int, float)  # a generator may write what it likes into its meta
        found = [meta.get(key) for meta in metas]
        columns[name] = pa.array([value if isinstance(value, fits) else None for value in found], type_)
    return pa.table(columns)


def estimates_to_table(estimates: Iterable[Estimate]) -> pa.Table:
    """The long table of all numbers."""
    rows = [
        {
            **{f.name: getattr(e, f.name) for f in fields(e)},
            "slice": to_json(dict(e.slice)),
            "extra": to_json(dict(e.extra)),
            "curve": to_json([list(point) for point in e.curve]),
        }
        for e in estimates
    ]
    for row in rows:
        row["status"] = str(row["status"])
    return pa.Table.from_pylist(rows, schema=_ESTIMATES)


def scores_to_table(rows: Iterable[tuple[Columns, str, Mapping[str, str], NDArray[np.float64]]]) -> pa.Table:
    """One row an image, metric and slice, of (columns of a view, metric id, slice, one value a row of the view)."""
    parts = []
    for columns, metric, where, values in rows:
        kept = np.isfinite(values)
        ids = pa.array(columns["request_id"][kept].tolist(), pa.string())
        same = [pa.array([text] * len(ids), pa.string()) for text in (metric, to_json(dict(where)))]
        parts.append(pa.Table.from_arrays([ids, *same, pa.array(values[kept])], schema=SCORES))
    return pa.concat_tables(parts) if parts else SCORES.empty_table()


def estimates_from(table: pa.Table) -> list[Estimate]:
    """The inverse of estimates_to_table."""
    return [
        Estimate(
            **{
                **row,
                "slice": json.loads(row["slice"]),
                "extra": json.loads(row["extra"]),
                "curve": tuple((level, low, high) for level, low, high in json.loads(row["curve"])),
                "status": Status(row["status"]),
            }
        )
        for row in table.to_pylist()
    ]


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """What verdict.json holds: the word, the findings, and the numbers that each rests on."""
    return {
        "policy": verdict.policy,
        "policy_digest": verdict.policy_digest,
        "decision": str(verdict.decision),
        "findings": [_finding_to_json(finding) for finding in verdict.findings],
    }


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    keep = ("metric", "generator", "slice", "value", "low", "high", "n", "status")
    evidence = [{name: value for name, value in asdict(e).items() if name in keep} for e in finding.evidence]
    return {
        "rule": finding.rule,
        "decision": str(finding.decision),
        "message": finding.message,
        "limit": finding.limit,
        "waiver": finding.waiver,
        "evidence": [{**e, "status": str(e["status"])} for e in evidence],
    }


def verdict_from(raw: Mapping[str, Any], estimates: Sequence[Estimate]) -> Verdict:
    """The inverse of verdict_to_json; evidence is looked up among ``estimates``."""
    by_key = {(e.metric, e.generator, to_json(dict(e.slice))): e for e in estimates}

    def finding(row: Mapping[str, Any]) -> Finding:
        keys = [(e["metric"], e["generator"], to_json(e["slice"])) for e in row["evidence"]]
        evidence = tuple(by_key[key] for key in keys if key in by_key)
        return Finding(row["rule"], Decision(row["decision"]), row["message"], evidence, row["limit"], row["waiver"])

    return Verdict(raw["policy"], raw["policy_digest"], tuple(finding(row) for row in raw["findings"]))
