# SPDX-License-Identifier: Apache-2.0
"""Many files: which goes where, and stamping them side by side. One that fails takes no other with it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from audit.errors import ConfigError, StoreError
from audit.provenance._engine import sniff
from audit.provenance._files import checked_target, read_source, replace_file
from audit.provenance.claim import Claim, Stamped
from audit.provenance.stamp import Stamper

__all__ = ["SUFFIXES", "Done", "Job", "plan", "stamp_files"]

#: Names that count as images in folders, and what each is written as.
SUFFIXES: Final = {
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}
_ENDING: Final = {
    "image/avif": ".avif",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
}


@dataclass(frozen=True, slots=True)
class Job:
    """One file to stamp.

    Attributes:
        source: read.
        target: written.
    """

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job.

    Attributes:
        job: see `Job`.
        stamped: without the file's bytes and pixels; None where it failed.
        error: why, None where it went well.
        hint: what to do about it.
    """

    job: Job
    stamped: Stamped | None = None
    error: str | None = None
    hint: str | None = None


def plan(paths: Sequence[Path], out: Path, *, media_type: str | None = None) -> list[Job]:
    """Which file goes where: names and folders are kept under ``out``.

    Args:
        paths: image files, and folders that are searched for names in `SUFFIXES` (what is under ``out`` left aside).
        out: folder; or the file itself where ``paths`` is one file and ``out`` is named like an image.
        media_type: what all are to be written as; None: as they are.

    Raises:
        ConfigError: a path is missing, there is no image, two files would become one, or a file would be overwritten by
            what is made from it.
    """
    jobs = list(_jobs(paths, out, media_type))
    if not jobs:
        where = ", ".join(map(str, paths))
        raise ConfigError("no images found", where=where, hint=f"files or folders with {', '.join(SUFFIXES)}")
    for target, count in Counter(job.target for job in jobs).items():
        if count > 1:
            hint = "stamp them one after the other into folders of their own"
            raise ConfigError(f"{count} files would be written here", where=str(target), hint=hint)
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise ConfigError("an image to be stamped lies here", where=str(job.target), hint="give another --out")
    return jobs


def stamp_files(
    jobs: Iterable[Job],
    stamper: Stamper,
    claim: Callable[[Path], Claim],
    *,
    media_type: str | None = None,
    quality: int = 95,
    workers: int = 1,
    force: bool = False,
    keep: Callable[[Stamped, Claim], object] | None = None,
) -> Iterator[Done]:
    """What became of each job, in their order. Stopping early leaves whole files only.

    Args:
        jobs: as `plan` made them.
        stamper: see `Stamper`.
        claim: what to say about a source.
        media_type: of the results; None: as the sources.
        quality: of formats that lose something, 1 to 100.
        workers: threads; the library works outside the interpreter lock.
        force: whether files that are there are replaced.
        keep: told about each signed picture before its file appears, e.g. to enter it into a manifest store.

    Raises:
        ConfigError: the chain or the C2PA library cannot be used at all.
    """
    stamper.chain  # noqa: B018 - a chain that cannot be used fails here, once

    def one(job: Job) -> Done:
        try:
            checked_target(job.source, job.target)
            if job.target.exists() and not force:
                return Done(job, error="there is a file already", hint="--force replaces it")
            said = claim(job.source)
            made = stamper.mark(read_source(job.source), said, media_type=media_type, quality=quality)
            if keep is not None:
                keep(made, said)
            job.target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(job.target, made.data)
        except (StoreError, ConfigError) as error:
            return Done(job, error=error.message, hint=error.hint)
        except OSError as error:
            return Done(job, error=f"cannot be written: {error.strerror}", hint="check the folder")
        return Done(job, replace(made, data=b"", rgb=None))

    yield from _side_by_side(one, jobs, workers)


def _side_by_side(one: Callable[[Job], Done], jobs: Iterable[Job], workers: int) -> Iterator[Done]:
    """As map does, but no further ahead than needed: pixels of finished pictures would pile up."""
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Done]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(one, job))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _jobs(paths: Sequence[Path], out: Path, media_type: str | None) -> Iterator[Job]:
    single = len(paths) == 1 and paths[0].is_file() and out.suffix.lower() in SUFFIXES and not out.is_dir()
    if single:
        wanted = media_type or _looks_like(paths[0])
        if wanted in _ENDING and SUFFIXES[out.suffix.lower()] != wanted:
            hint = f"--format {wanted.partition('/')[2]} writes {_ENDING[wanted]}; name the file like that"
            raise ConfigError(f"named {out.suffix}, but it would hold {wanted}", where=str(out), hint=hint)
        yield Job(paths[0], out)
        return
    for path in paths:
        if not path.exists():
            raise ConfigError("does not exist", where=str(path), hint="check the path")
        for source, name in _found(path, out):
            target = out / name
            if media_type is not None and SUFFIXES.get(source.suffix.lower()) != media_type:
                target = target.with_suffix(_ENDING[media_type])
            yield Job(source, target)


def _looks_like(path: Path) -> str | None:
    """Media type by the first bytes."""
    try:
        with path.open("rb") as file:
            return sniff(file.read(16))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path), hint="check the path") from None


def _found(path: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Sources under a path, each with its name under ``out``."""
    if not path.is_dir():
        yield path, Path(path.name)
        return
    made = out.resolve()
    results = made if made != path.resolve() and made.is_relative_to(path.resolve()) else None
    for source in sorted(path.rglob("*")):
        if results is not None and source.resolve().is_relative_to(results):
            continue
        if source.suffix.lower() in SUFFIXES and source.is_file():
            yield source, source.relative_to(path)
