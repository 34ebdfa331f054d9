# SPDX-License-Identifier: Apache-2.0
"""The run folder: the product of the tool. Everything else is a view of it.

A generation part is written after all of its images are on disk, and the manifest after everything else, so whatever
moment the process dies at, what is there is whole. Parts are fixed chunks of the plan: a resumed run forms the same
batches as an uninterrupted one, so even the last bits of the pixels agree.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from audit.errors import StoreError
from audit.runs import _files, _tables
from audit.types import AnnotatorSpec, Estimate, Request, Verdict

__all__ = ["SCHEMA", "Run"]

SCHEMA = 4
_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/tiff": "tif",
    "image/gif": "gif",
}


class Run:
    """One run folder.

    Args:
        path: the folder; it need not exist yet for ``create``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # -- opening ---------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """An existing run folder, complete or not. Raises StoreError if it is not one, or of another version."""
        run = cls(Path(path))
        _check_is_run(run.path)
        run._check_schema(run.plan)
        return run

    @classmethod
    def create(cls, path: Path, plan: Mapping[str, Any], requests: Iterable[Request]) -> Self:
        """A run folder for ``plan``; one that holds the same plan already is resumed.

        Raises:
            StoreError: the folder holds another plan, something else, or cannot be written.
        """
        run = cls(path)
        if (path / "plan.json").is_file():
            run._check_schema(run.plan)
            run._check_same(plan)
            return run
        with _files.disk_errors(path):
            if path.is_dir() and any(path.iterdir()) and not (path / "requests.parquet").is_file():
                raise StoreError(
                    "is not empty and not a run folder", where=str(path), hint="choose another folder with --out"
                )
            path.mkdir(parents=True, exist_ok=True)
        _files.write_parquet(path / "requests.parquet", _tables.requests_to_table(requests))
        _files.write_json(path / "plan.json", {"schema": SCHEMA, **plan})
        run.log("created")
        return run

    def _check_schema(self, found: Mapping[str, Any]) -> None:
        if found.get("schema") != SCHEMA:
            made_by = found.get("tool", {}).get("version", "unknown")
            raise StoreError(
                f"run was made by version {made_by} (format {found.get('schema')}, this is format {SCHEMA})",
                where=str(self.path),
                hint=f"use genaudit {made_by} for it, or start a new run with --out",
            )

    def _check_same(self, plan: Mapping[str, Any]) -> None:
        ours = json.loads(_files.to_json(plan))
        differing = sorted(key for key in ours if ours[key] != self.plan.get(key))
        if differing:
            raise StoreError(
                f"folder holds a run of another plan (differs in: {', '.join(differing)})",
                where=str(self.path),
                hint="choose another folder with --out, or delete this one with --fresh",
            )

    @classmethod
    def remove(cls, path: Path) -> None:
        """Deletes a run folder, of whatever format, and nothing that is not one."""
        if path.exists():
            _check_is_run(path)
            if (path / "labels").exists():
                hint = f"move {path / 'labels'} elsewhere first, or choose another folder with --out"
                raise StoreError("holds labels by people, which no command can draw again", where=str(path), hint=hint)
            with _files.disk_errors(path):
                shutil.rmtree(path)

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def plan(self) -> dict[str, Any]:
        """What was decided before the first image."""
        return dict(_files.read_json(self.path / "plan.json"))

    @property
    def id(self) -> str:
        """What credentials call this run: a digest of its plan and of the time it was begun."""
        plan = (self.path / "plan.json").read_bytes()
        return hashlib.sha256(plan + str(self.created).encode()).hexdigest()[:32]

    @property
    def manifests(self) -> Path:
        """Where the manifests of images with a watermark are kept, so that a mark leads back to them."""
        return self.path / "manifests.sqlite"

    @property
    def created(self) -> str | None:
        """UTC time of the first line of the log."""
        try:
            with (self.path / "log.jsonl").open(encoding="utf-8") as file:
                return str(json.loads(file.readline())["time"])
        except (OSError, ValueError, KeyError):
            return None

    @property
    def complete(self) -> bool:
        """Whether the manifest is there; it is written last."""
        return (self.path / "manifest.json").is_file()

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest. Raises StoreError while the run is not complete."""
        if not self.complete:
            raise StoreError(
                "run is not complete", where=str(self.path), hint="run the same `genaudit run` command again to go on"
            )
        return dict(_files.read_json(self.path / "manifest.json"))

    def requests(self) -> pa.Table:
        """All planned requests, in plan order."""
        return _files.read_parquet(self.path / "requests.parquet")

    def planned(self) -> list[Request]:
        """All planned requests as records."""
        return _tables.requests_from(self.requests())

    def generations(self) -> pa.Table:
        """All finished generations."""
        return self._parts("generations", _tables.GENERATIONS)

    def annotations(self, name: str) -> pa.Table:
        """All finished annotations of one annotator. Raises StoreError if there are none."""
        folders = sorted((self.path / "annotations").glob(f"{name}@*"))
        current = [folder for folder in folders if folder.name in self._annotator_folders()] or folders
        if not current:
            raise StoreError(f"run holds no annotations by {name!r}", where=str(self.path))
        return self._parts(f"annotations/{current[-1].name}", None)

    def annotators(self) -> list[str]:
        """Names of the annotators that left columns."""
        return sorted({folder.name.partition("@")[0] for folder in (self.path / "annotations").glob("*@*")})

    def _annotator_folders(self) -> set[str]:
        if not self.complete:
            return set()
        return {f"{spec['name']}@{spec['digest'][:12]}" for spec in self.manifest["annotators"]}

    def scores(self) -> pa.Table:
        """What single images do to the numbers; empty where no metric can tell, and in older runs."""
        path = self.path / "scores.parquet"
        return _files.read_parquet(path) if path.is_file() else _tables.SCORES.empty_table()

    def estimates(self) -> list[Estimate]:
        """All numbers of the run."""
        return _tables.estimates_from(_files.read_parquet(self.path / "estimates.parquet"))

    def verdict(self) -> Verdict | None:
        """The last judgement, None if none was made."""
        path = self.path / "verdict.json"
        return _tables.verdict_from(_files.read_json(path), self.estimates()) if path.is_file() else None

    def image_path(self, sha256: str, media_type: str) -> Path:
        """Where the stored image with that digest is."""
        return self.path / "images" / sha256[:2] / f"{sha256}.{_EXTENSIONS.get(media_type, 'bin')}"

    def thumb_path(self, sha256: str) -> Path:
        """Where its thumbnail is."""
        return self.path / "thumbs" / sha256[:2] / f"{sha256}.webp"

    def has_part(self, kind: str, index: str) -> bool:
        """Whether a chunk was finished. ``kind`` is "generations" or "annotations/<annotator>@<digest>"."""
        return (self.path / kind / f"part-{index}.parquet").is_file()

    def read_part(self, kind: str, index: str) -> pa.Table:
        """One finished chunk."""
        return _files.read_parquet(self.path / kind / f"part-{index}.parquet")

    def _parts(self, kind: str, schema: pa.Schema | None) -> pa.Table:
        paths = sorted((self.path / kind).glob("part-*.parquet"))
        if not paths:
            return (schema or pa.schema([("request_id", pa.string())])).empty_table()
        tables = [_files.read_parquet(path) for path in paths]
        # a chunk without any image leaves an annotation part without columns
        return pa.concat_tables([table for table in tables if table.num_rows] or tables[:1])

    # -- writing ---------------------------------------------------------------------------------------------

    def add_image(self, data: bytes, media_type: str, thumb: bytes) -> str:
        """Stores an image and its thumbnail under the digest of the image, which is returned."""
        sha256 = hashlib.sha256(data).hexdigest()
        _files.write_bytes(self.image_path(sha256, media_type), data)
        _files.write_bytes(self.thumb_path(sha256), thumb)
        return sha256

    def add_generations(self, index: str, rows: list[dict[str, Any]]) -> None:
        """Stores a finished chunk of generations; its images are on disk already."""
        _files.write_parquet(
            self.path / "generations" / f"part-{index}.parquet", pa.Table.from_pylist(rows, _tables.GENERATIONS)
        )

    def add_annotations(
        self, spec: AnnotatorSpec, index: str, request_ids: list[str], columns: Mapping[str, Any]
    ) -> None:
        """Stores a finished chunk of annotations."""
        folder = self.path / "annotations" / f"{spec.name}@{spec.digest[:12]}"
        _files.write_parquet(folder / f"part-{index}.parquet", _tables.columns_to_table(request_ids, columns))

    def put_estimates(self, estimates: Iterable[Estimate]) -> None:
        """Stores all numbers, replacing earlier ones."""
        _files.write_parquet(self.path / "estimates.parquet", _tables.estimates_to_table(estimates))

    def put_scores(self, scores: pa.Table) -> None:
        """Stores what single images do to the numbers: columns request_id, metric, slice (JSON), value."""
        _files.write_parquet(self.path / "scores.parquet", scores)

    def put_verdict(self, verdict: Verdict) -> None:
        """Stores the judgement, replacing an earlier one."""
        _files.write_json(self.path / "verdict.json", _tables.verdict_to_json(verdict))

    def put_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Stores the manifest: from now on the run is complete."""
        self._sweep()
        _files.write_json(self.path / "manifest.json", {"schema": SCHEMA, **manifest})

    def put_report(self, name: str, data: bytes) -> Path:
        """Stores a rendered report and returns its path."""
        path = self.path / "reports" / name
        _files.write_bytes(path, data)
        return path

    def begin(self, config: Mapping[str, Any]) -> None:
        """Takes the manifest away where it tells of other measures than those of ``config``, which come now."""
        if self.complete and self.manifest.get("config") != json.loads(_files.to_json(config)):
            (self.path / "manifest.json").unlink()

    def drop_verdict(self) -> None:
        """Forgets an earlier judgement: a run without a policy has none."""
        (self.path / "verdict.json").unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out while this one writes. The lock dies with the process, however that ends.

        Raises:
            StoreError: another process is writing.
        """
        with _files.disk_errors(self.path), (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                hint = "wait for it, or choose another folder with --out"
                raise StoreError("another process is working on this run", where=str(self.path), hint=hint) from None
            yield

    def reopen(self, outcome: str) -> int:
        """Opens every chunk that holds rows with ``outcome``, so that these are asked again. Returns how many rows.

        The other rows of the chunk are kept: nobody draws, or pays for, what is there already.
        """
        reopened = 0
        for path in sorted((self.path / "generations").glob("part-*.parquet")):
            table = _files.read_parquet(path)
            again = pc.equal(table["outcome"], outcome)
            if pc.any(again).as_py():
                (self.path / "manifest.json").unlink(missing_ok=True)
                _files.write_parquet(self._kept_path(path.stem.removeprefix("part-")), table.filter(pc.invert(again)))
                # the generation part goes last: killed in between, its annotations are simply made again
                for stale in [*(self.path / "annotations").glob(f"*/{path.name}"), path]:
                    stale.unlink()
                reopened += pc.sum(again).as_py()
        return reopened

    def kept(self, index: str) -> list[dict[str, Any]]:
        """Rows of a reopened chunk that are not asked again; none for any other chunk."""
        path = self._kept_path(index)
        return (
            _files.read_parquet(path).to_pylist() if path.is_file() and not self.has_part("generations", index) else []
        )

    def _kept_path(self, index: str) -> Path:
        return self.path / "generations" / f"kept-{index}.parquet"

    def log(self, event: str, **details: Any) -> None:
        """Appends one line to log.jsonl."""
        line = _files.to_json({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **details})
        with _files.disk_errors(self.path), (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _sweep(self) -> None:
        """Removes images that a killed process stored without finishing their chunk, and files that did their turn."""
        kept = set(self.generations()["sha256"].to_pylist())
        for folder in ("images", "thumbs"):
            for path in (self.path / folder).glob("*/*"):
                if path.stem not in kept:
                    path.unlink()
        for path in [*self.path.rglob(".tmp-*"), *(self.path / "generations").glob("kept-*.parquet")]:
            path.unlink()


def _check_is_run(path: Path) -> None:
    if not (path / "plan.json").is_file():
        raise StoreError("is not a run folder (no plan.json)", where=str(path), hint="make one with `genaudit run`")
