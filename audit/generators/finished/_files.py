# SPDX-License-Identifier: Apache-2.0
"""Images as files of their own, and the tables, folders and names that say which prompt each answers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from audit.errors import GeneratorError
from audit.generators.finished._rows import Names, Row, Unreadable, row_of
from audit.probes.importers.tables import Table, read_table
from audit.types import Outcome

__all__ = ["FileLayout", "compbench", "geneval", "heim", "is_image", "metadata", "natural"]

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_COUNTED = re.compile(r"(?P<text>.+)_(?P<number>\d{6,})", re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class FileLayout:
    """Images in files.

    Args:
        name: of the layout.
        base: folder that names are relative to.
        rows: what makes the rows; called when they are wanted.
        names: limits.
        allow_outside: whether files may lie elsewhere than under ``base``.
    """

    def __init__(
        self, name: str, base: Path, rows: Callable[[], Iterable[Row]], *, names: Names, allow_outside: bool
    ) -> None:
        self.name, self._base, self._rows = name, base, rows
        self._root, self._names, self._allow = base.resolve(), names, allow_outside

    def rows(self) -> Iterator[Row]:
        """All answers in order."""
        return iter(self._rows())

    def read(self, row: Row) -> bytes:
        """The file, byte by byte. Raises Unreadable or OSError."""
        name = str(row.at)
        if _URL.match(name):
            raise Unreadable("an address; nothing is fetched: save the images beside the list")
        try:
            path = (self._base / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a loop of links, or a zero byte
            raise Unreadable(f"no path: {error}") from None
        if not self._allow and not path.is_relative_to(self._root):
            raise Unreadable("the path leads out of the folder; option allow_outside: true lets it")
        if not path.is_file():
            raise Unreadable("no such file")
        size = path.stat().st_size
        if size > self._names.max_bytes:
            raise Unreadable(f"{size} bytes, more than {self._names.max_bytes} (option max_bytes)")
        return path.read_bytes()

    def files(self, rows: Iterable[Row]) -> list[Path]:
        """Files that rows name, where they are there and may be read."""
        paths = sorted({Path(os.path.normpath(self._base / str(row.at))) for row in rows if row.at is not None})
        return [path for path in paths if path.is_file() and (self._allow or path.resolve().is_relative_to(self._root))]

    def close(self) -> None:
        """Nothing is open."""


def is_image(name: str) -> bool:
    """Whether a file is called like an image."""
    path = PurePosixPath(name)
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def natural(name: str) -> list[tuple[int, str]]:
    """Key that sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def metadata(tables: Iterable[Path], base: Path, names: Names) -> Iterator[Row]:
    """Rows of one or more tables; file names are relative to the folder of their table.

    ``image_path`` and ``file_name`` may hold any path; whether it is followed is decided when it is read.
    """
    for path in tables:
        inside = path.parent.relative_to(base)
        for place, values in _records(read_table(path, error=GeneratorError)):
            row = row_of(values, place=place, names=names)
            at = row.at if row.at is None or _URL.match(row.at) else str(inside / row.at)
            yield replace(row, place=place.removeprefix(f"{base}{os.sep}"), name=at, at=at)


def _records(table: Table) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of a table; a JSON file may also map file names to prompts or to rows."""
    if isinstance(table.document, dict):
        for name, given in table.document.items():
            values = given if isinstance(given, dict) else {"text": given}
            yield f"{table.path}, {name!r}", {"file_name": name, **values}
    for record in table.records:
        yield record.place, record.values


def geneval(base: Path) -> Iterator[Row]:
    """GenEval: ``00000/metadata.jsonl`` with the prompt, ``00000/samples/0000.png`` and so on."""
    for folder in sorted((path for path in base.iterdir() if path.is_dir()), key=lambda path: natural(path.name)):
        if not (folder / "metadata.jsonl").is_file():
            continue
        records = read_table(folder / "metadata.jsonl", error=GeneratorError).records
        text = records[0].values.get("prompt") if len(records) == 1 else None
        if not isinstance(text, str) or not text.strip():
            place, hint = str(folder / "metadata.jsonl"), '{"tag": "counting", "prompt": "three red benches"}'
            raise GeneratorError("not one JSON object with a prompt", where=place, hint=hint)
        names = _images(folder / "samples")
        for name in names:
            at = f"{folder.name}/samples/{name}"
            yield Row(at, text.strip(), row_id=folder.name, name=at, at=at)
        if not names:
            place = f"{folder.name}/samples"
            yield Row(place, text.strip(), row_id=folder.name, outcome=Outcome.ERROR, message=f"{place}: no image")


def compbench(base: Path) -> Iterator[Row]:
    """T2I-CompBench: ``samples/a green bench_000000.png``; the numbers run through all prompts."""
    folder = base / "samples" if (base / "samples").is_dir() else base
    for name in _images(folder):
        match = _COUNTED.fullmatch(PurePosixPath(name).stem)
        at = (folder / name).relative_to(base).as_posix()
        if match is None:
            hint = "a green bench_000000.png: the prompt, an underscore, six digits; move other files elsewhere"
            raise GeneratorError("the name does not end in _ and six digits", where=str(base / at), hint=hint)
        yield Row(at, match["text"].strip(), name=at, at=at)


def _images(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted((entry.name for entry in os.scandir(folder) if is_image(entry.name)), key=_by_number)


def _by_number(name: str) -> tuple[int, list[tuple[int, str]]]:
    match = _COUNTED.fullmatch(PurePosixPath(name).stem)
    return (int(match["number"]) if match else -1, natural(name))


def heim(state: Path) -> Iterator[Row]:
    """HELM and HEIM: completions of ``scenario_state.json``; what names a file elsewhere is looked for beside it."""
    document = read_table(state, error=GeneratorError).document
    states = document.get("request_states") if isinstance(document, dict) else None
    if not isinstance(states, list):
        raise GeneratorError("there is no list request_states", where=str(state), hint="give the file as HELM wrote it")
    for number, given in enumerate(states, start=1):
        yield from _completions(given, state.parent, f"{state.name}, request state {number}")


def _completions(state: Any, base: Path, place: str) -> Iterator[Row]:
    request, result, instance = (_part(state, name) for name in ("request", "result", "instance"))
    text = request.get("prompt") or _part(instance, "input").get("text")
    if not isinstance(text, str) or not text.strip():
        raise GeneratorError("there is no prompt", where=place, hint="give the file as HELM wrote it")
    text, row_id = text.strip(), instance.get("id")
    found = result.get("completions") or []
    if not result.get("success", False) or not found:
        yield Row(
            place, text, row_id=row_id, outcome=Outcome.ERROR, message=f"{place}: {result.get('error') or 'no answer'}"
        )
        return
    for number, completion in enumerate(found, start=1):
        location = _location(completion)
        at = f"{place}, completion {number}"
        if location is None:
            reason = str(_part(completion, "finish_reason").get("reason") or "no image")
            outcome = Outcome.REFUSED if "polic" in reason.lower() else Outcome.ERROR
            yield Row(at, text, row_id=row_id, outcome=outcome, message=f"{reason} ({at})")
        else:
            yield Row(at, text, row_id=row_id, name=location, at=_near(base, location))


def _location(completion: Any) -> str | None:
    media = _part(completion, "multimodal_content").get("media_objects") or []
    places = [_part({"m": item}, "m").get("location") for item in media]
    return next((place for place in places if isinstance(place, str)), None)


def _near(base: Path, location: str) -> str:
    """HELM writes paths from where it ran; a copy of a run has the images under their names in its own folder."""
    name = PurePosixPath(location).name
    if not (base / location).is_file() or Path(location).is_absolute():
        return next((near for near in (name, f"images/{name}") if (base / near).is_file()), location)
    return location


def _part(value: Any, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}
