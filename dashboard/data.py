# SPDX-License-Identifier: Apache-2.0
"""Everything the dashboard reads from disk. Nothing here measures: rows are selected and counted, never estimated.

A run folder is identified by a digest of what it holds, so that caches follow the content and not the path. Tables are
queried by DuckDB with bound parameters; file names never become part of a query, since pyarrow opens the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import streamlit as st

from audit.errors import StoreError
from audit.runs.store import Run
from audit.types import Estimate, Verdict

__all__ = [
    "Filter",
    "RunFolder",
    "count",
    "distinct",
    "estimates",
    "find",
    "generators_of",
    "labels",
    "open_run",
    "pictures",
    "run_paths",
    "scores",
    "tally",
    "verdict",
]

GENERATION_COLUMNS = (
    "outcome",
    "sha256",
    "media_type",
    "width",
    "height",
    "seconds",
    "message",
    "meta",
    "manifest_id",
    "payload",
)
REQUEST_COLUMNS = (
    "generator",
    "probe",
    "prompt_id",
    "text",
    "negative",
    "repetition",
    "seed",
    "axes",
    "tags",
    "params",
)

Database = tuple[duckdb.DuckDBPyConnection, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A finished run: where it is, what its content hashes to, and its manifest."""

    path: Path
    digest: str
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name given in the audit file."""
        return str(self.manifest.get("name") or self.path.name)

    @property
    def generators(self) -> tuple[str, ...]:
        """Names in the order of the audit file; colours follow this order on every page."""
        return tuple(str(item["name"]) for item in self.manifest.get("generators", []))

    def thumb(self, sha256: str) -> Path:
        """Where the small preview of a stored image lies."""
        return Run(self.path).thumb_path(sha256)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests to show; an empty field lets everything through.

    Attributes:
        generators, probes, outcomes: accepted values.
        words: every word has to occur in the prompt, upper and lower case alike.
        labels: accepted answers by annotation column ("attributes.presentation").
        searched: only pictures with a face that was compared with the enrolled references.
        above: only pictures that matched one of them.
        order: annotation column to sort by, largest first; None keeps the order of the requests.
    """

    generators: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    words: str = ""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    searched: bool = False
    above: bool = False
    order: str | None = None


# -- opening ---------------------------------------------------------------------------------------------------


def run_paths(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Run folders named on the command line, then those in ``GENAUDIT_RUNS``; a folder of runs stands for its runs."""
    named = [*argv, *environ.get("GENAUDIT_RUNS", "").split(os.pathsep)]
    found = [path for item in named if item for path in _expand(Path(item))]
    return tuple(dict.fromkeys(path.absolute() for path in found))


def _expand(path: Path) -> Iterable[Path]:
    if not path.is_dir() or (path / "plan.json").exists():
        return [path]
    return sorted(child.parent for child in path.glob("*/plan.json")) or [path]


def open_run(path: Path) -> RunFolder:
    """The finished run at ``path``. Raises StoreError where it is missing, unfinished or unreadable."""
    if not path.is_dir():
        raise StoreError("this folder does not exist", where=str(path), hint="check the path given to the dashboard")
    manifest = Run.open(path).manifest
    absent = [key for key in ("name", "generators", "annotators", "probes", "metrics") if key not in manifest]
    if absent:
        raise StoreError(
            f"lacks {', '.join(absent)}", where=str(path / "manifest.json"), hint="restore the file or repeat the run"
        )
    return RunFolder(path, _digest(path), manifest)


def _digest(path: Path) -> str:
    """Sha256 over the small files' bytes and the tables' names, sizes and times."""
    state = hashlib.sha256()
    for name in ("manifest.json", "verdict.json"):
        if (path / name).is_file():
            state.update((path / name).read_bytes())
    for table in sorted(path.glob("*.parquet")) + sorted(path.glob("*/**/*.parquet")):
        facts = table.stat()
        state.update(f"{table.relative_to(path)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return state.hexdigest()


# -- estimates and verdict -------------------------------------------------------------------------------------


def estimates(run: RunFolder) -> tuple[Estimate, ...]:
    """All estimates of the run; empty where nothing was estimated."""
    return _judged(run.digest, run)[0]


def verdict(run: RunFolder) -> Verdict | None:
    """What the policy found; None where the run was not judged."""
    return _judged(run.digest, run)[1]


@st.cache_data(max_entries=16, show_spinner=False)
def _judged(digest: str, _run: RunFolder) -> tuple[tuple[Estimate, ...], Verdict | None]:  # noqa: ARG001 - cache key
    stored = Run.open(_run.path)
    if not (_run.path / "estimates.parquet").is_file():
        return (), None
    try:
        return tuple(stored.estimates()), stored.verdict()
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(_run.path, error) from None


def _damaged(file: Path, error: Exception) -> StoreError:
    first = str(error).partition("\n")[0]
    return StoreError(f"cannot be read: {first}", where=str(file), hint="restore the file or repeat the run")


# -- pictures --------------------------------------------------------------------------------------------------


def find(run: RunFolder, wanted: Filter, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Requests with their outcome and annotations, one dict a row, at most ``limit`` from ``offset``."""
    where, values = _where(run, wanted)
    first = f"{_quoted(wanted.order)} DESC NULLS LAST," if wanted.order in labels(run) else ""
    sql = f"SELECT * FROM pictures {where} ORDER BY {first} position LIMIT ? OFFSET ?"  # noqa: S608 - identifiers quoted
    found: list[dict[str, Any]] = _query(run.digest, sql, (*values, limit, offset), run).to_pylist()
    return found


def pictures(run: RunFolder, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The requests called ``ids`` as `find` gives them, in this order; those the run does not hold are left out."""
    sql = "SELECT * FROM pictures WHERE list_contains(?, request_id)"
    by_id = {row["request_id"]: row for row in _query(run.digest, sql, (list(ids),), run).to_pylist()}
    return [by_id[name] for name in ids if name in by_id]


def generators_of(run: RunFolder) -> dict[str, str]:
    """Generator by request id, of requests with an image."""
    sql = "SELECT request_id, generator FROM pictures WHERE outcome = 'image'"
    table = _query(run.digest, sql, (), run)
    return dict(zip(table["request_id"].to_pylist(), table["generator"].to_pylist(), strict=True))


def scores(run: RunFolder) -> pa.Table:
    """What single images do to the numbers: columns request_id, metric, slice (JSON), value."""
    return _scores(run.digest, run)


@st.cache_data(max_entries=16, show_spinner=False)
def _scores(digest: str, _run: RunFolder) -> pa.Table:  # noqa: ARG001 - cache key
    return Run.open(_run.path).scores()


def count(run: RunFolder, wanted: Filter) -> int:
    """How many requests pass the filter."""
    where, values = _where(run, wanted)
    sql = f"SELECT count(*) AS n FROM pictures {where}"  # noqa: S608 - identifiers quoted, values bound
    return int(_query(run.digest, sql, tuple(values), run).column("n")[0].as_py())


def distinct(run: RunFolder, column: str) -> list[str]:
    """The different values of one column of the picture table, sorted; empty where the run lacks it."""
    if column not in (*REQUEST_COLUMNS, *GENERATION_COLUMNS, *labels(run)):
        return []
    name = _quoted(column)
    sql = f"SELECT DISTINCT CAST({name} AS VARCHAR) AS value FROM pictures WHERE {name} IS NOT NULL ORDER BY 1"  # noqa: S608
    return [str(value) for value in _query(run.digest, sql, (), run).column("value").to_pylist()]


def tally(run: RunFolder, *columns: str) -> list[dict[str, Any]]:
    """Rows of the picture table counted by ``columns``; images only."""
    known = set(labels(run)) | {"generator", "probe"}
    if not set(columns) <= known:
        return []
    names = ", ".join(_quoted(column) for column in columns)
    sql = f"SELECT {names}, count(*) AS n FROM pictures WHERE outcome = 'image' GROUP BY ALL ORDER BY ALL"  # noqa: S608
    found: list[dict[str, Any]] = _query(run.digest, sql, (), run).to_pylist()
    return found


def labels(run: RunFolder) -> tuple[str, ...]:
    """Scalar annotation columns of the run, as ``<annotator>.<column>``."""
    return tuple(name for name in _connection(run.digest, run)[1] if "." in name)


def _where(run: RunFolder, wanted: Filter) -> tuple[str, list[Any]]:
    lists: dict[str, tuple[str, ...]] = {
        "generator": wanted.generators,
        "probe": wanted.probes,
        "outcome": wanted.outcomes,
    }
    lists |= {name: accepted for name, accepted in wanted.labels.items() if name in labels(run)}
    terms, values = [], list[Any]()
    for name, accepted in lists.items():
        if accepted:
            terms.append(f"list_contains(?, {_quoted(name)})")
            values.append(list(accepted))
    for word in wanted.words.split():
        terms.append("contains(lower(text), lower(?))")
        values.append(word)
    if wanted.searched or wanted.above:
        answer = '"likeness.above" = 1' if wanted.above else '"likeness.above" IN (0, 1)'  # NaN: no face
        terms.append(answer if "likeness.above" in labels(run) else "false")
    return ("WHERE " + " AND ".join(terms) if terms else ""), values


def _quoted(name: str | None) -> str:
    return '"' + str(name).replace('"', '""') + '"'


@st.cache_data(max_entries=512, show_spinner=False)
def _query(digest: str, sql: str, values: tuple[Any, ...], _run: RunFolder) -> pa.Table:
    cursor = _connection(digest, _run)[0].cursor()  # one cursor a thread
    try:
        return cursor.sql(sql, params=list(values)).to_arrow_table()
    except duckdb.Error as error:
        raise StoreError(f"the tables do not fit each other: {error}", where=str(_run.path)) from None


@st.cache_resource(max_entries=8, show_spinner="Reading the run …")
def _connection(digest: str, _run: RunFolder) -> Database:  # noqa: ARG001 - cache key
    """A database in memory with one table, ``pictures``: a row a request, and the names of its columns."""
    con = duckdb.connect(config={"preserve_insertion_order": "true"})
    joins, columns = [], ["r.*", *(f"g.{name}" for name in GENERATION_COLUMNS)]
    con.register("requests", _table(_run.path / "requests.parquet", REQUEST_COLUMNS))
    con.register("generations", _table(_run.path / "generations", GENERATION_COLUMNS))
    for index, spec in enumerate(_run.manifest.get("annotators", [])):
        folder = _run.path / "annotations" / f"{spec['name']}@{str(spec['digest'])[:12]}"
        if folder.is_dir():
            table = _table(folder, None)
            con.register(f"annotation{index}", table)
            joins.append(f"LEFT JOIN annotation{index} a{index} USING (request_id)")
            own = [name for name in table.column_names if name != "request_id"]
            columns += [f"a{index}.{_quoted(name)} AS {_quoted(spec['name'] + '.' + name)}" for name in own]
    sql = f"""CREATE TABLE pictures AS SELECT {", ".join(columns)} FROM requests r
        LEFT JOIN generations g USING (request_id) {" ".join(joins)}"""  # noqa: S608 - names are quoted
    try:
        con.execute(sql)
        names = [row[0] for row in con.execute("SELECT column_name FROM (DESCRIBE pictures)").fetchall()]
    except duckdb.Error as error:
        raise StoreError(f"the tables do not fit each other: {error}", where=str(_run.path)) from None
    con.execute("SET enable_external_access = false")
    return con, tuple(names)


def _table(place: Path, columns: Sequence[str] | None) -> pa.Table:
    """The Parquet file at ``place``, or all parts in it; vectors (embeddings) are left on disk."""
    try:
        parts = sorted(place.glob("part-*.parquet")) if place.is_dir() else [place]
        # a part without images does not know the types of its columns
        files = [file for file in parts if pq.read_metadata(file).num_rows]
        schemas = [pq.read_schema(file) for file in files]
        nothing = pa.schema([(name, pa.string()) for name in ("request_id", *(columns or ()))])
        schema = pa.unify_schemas(schemas, promote_options="permissive") if schemas else nothing
        scalar = [item.name for item in schema if not pa.types.is_nested(item.type)]
        wanted = ["request_id", *columns] if columns else scalar
        table = ds.dataset([str(file) for file in files], format="parquet", schema=schema).to_table(columns=wanted)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(place, error) from None
    if place.name == "requests.parquet":
        table = table.append_column("position", pa.array(range(len(table)), pa.int64()))
    return table
