# SPDX-License-Identifier: Apache-2.0
"""Finished images with a metadata file: an audit of what somebody else generated."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.checkpoints import check_options, digest_folder
from audit.errors import ConfigError, GeneratorError
from audit.generators._common import failed
from audit.types import Generation, GeneratorSpec, Outcome, Request, Scalar

__all__ = ["FolderGenerator"]

_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_NAMES = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True, slots=True)
class _Row:
    file_name: str | None
    text: str | None
    prompt_id: str | None
    outcome: Outcome
    message: str | None
    seed: int | None
    line: int


class FolderGenerator:
    """Images that are already there; files are handed on byte by byte, so credentials in them stay.

    The folder has ``metadata.jsonl`` or ``metadata.csv`` with ``file_name`` (relative to the folder) and ``text`` (the
    prompt), and where known ``prompt_id``, ``seed``, ``outcome`` (image, refused, blocked, error) and ``message``.
    The k-th row of a prompt answers its k-th repetition; rows are found by prompt id, else by the exact prompt text.

    Args:
        name: in the configuration.
        model: the folder.
        params: anything; they say how the images were made and become part of the requests.
        options: ``metadata``: name of the metadata file.

    Raises:
        ConfigError: no such folder, no metadata file, or an unknown option.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str | None,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002 - they belong to the requests, not to the files
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where = name, f"generator {name!r}"
        check_options(options or {}, {"metadata": str}, where=f"{self._where}: options")
        self._model, self._folder = str(model), Path(str(model or "")).expanduser()
        if not model or not self._folder.is_dir():
            raise ConfigError(
                f"{model!r} is not a folder", where=self._where, hint="set `model` to the folder of images"
            )
        names = [str((options or {})["metadata"])] if (options or {}).get("metadata") else list(_NAMES)
        found = next((self._folder / n for n in names if (self._folder / n).is_file()), None)
        if found is None:
            hint = 'one line an image: {"file_name": "0001.png", "text": "a portrait of a nurse"}'
            raise ConfigError(f"{self._folder} has no {' or '.join(names)}", where=self._where, hint=hint)
        self._metadata = found
        self._rows: dict[tuple[str, str], list[_Row]] | None = None
        self._spec: GeneratorSpec | None = None

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the digest covers the metadata and every image."""
        if self._spec is None:
            count = sum(len(rows) for (by, _), rows in self._table().items() if by == "text")
            digest = digest_folder(self._folder, every=True)
            self._spec = GeneratorSpec(
                self.name, "folder", self._model, digest, capabilities=frozenset({"text"}), details={"rows": count}
            )
        return self._spec

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request from the folder; what is missing or damaged becomes an ERROR row that names the file."""
        return [self._answer(request) for request in batch]

    def _answer(self, request: Request) -> Generation:
        table = self._table()
        rows = table.get(("id", request.prompt.id)) or table.get(("text", request.prompt.text)) or []
        if request.repetition >= len(rows):
            have = f"{len(rows)} of that prompt are there" if rows else "that prompt is not in the metadata"
            message = f"no image for {request.prompt.id!r}, repetition {request.repetition}: {have}"
            return failed(request, message)
        row = rows[request.repetition]
        if row.outcome is not Outcome.IMAGE:
            return failed(request, row.message or f"{row.outcome} (line {row.line})", outcome=row.outcome)
        meta: dict[str, Scalar] = {"file_name": row.file_name}
        if row.seed is not None:
            meta["seed"] = row.seed
        try:
            data, media = _read_image(self._folder, str(row.file_name))
        except (OSError, ValueError, SyntaxError) as error:
            return failed(request, f"{row.file_name}: {error}")
        return Generation(request.id, Outcome.IMAGE, data, media, meta=meta)

    def _table(self) -> dict[tuple[str, str], list[_Row]]:
        if self._rows is None:
            rows: dict[tuple[str, str], list[_Row]] = {}
            for row in _read_rows(self._metadata):
                if row.prompt_id:
                    rows.setdefault(("id", row.prompt_id), []).append(row)
                rows.setdefault(("text", row.text or ""), []).append(row)
            self._rows = rows
        return self._rows


def _read_rows(path: Path) -> list[_Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GeneratorError(f"metadata cannot be read: {error}", where=str(path)) from None
    if path.suffix == ".csv":
        return [_row(raw, path, line) for line, raw in enumerate(csv.DictReader(io.StringIO(text)), start=2)]
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(_row(json.loads(line), path, number))
            except json.JSONDecodeError as error:
                raise GeneratorError(f"not a JSON object: {error.msg}", where=f"{path}:{number}") from None
    return rows


def _row(raw: Any, path: Path, line: int) -> _Row:
    where = f"{path}:{line}"
    if not isinstance(raw, dict):
        raise GeneratorError("not a JSON object", where=where)
    value = {key: None if raw.get(key) in (None, "") else str(raw[key]) for key in _Row.__slots__ if key != "line"}
    try:
        outcome = Outcome((value["outcome"] or "image").lower())
        seed = None if value["seed"] is None else int(value["seed"])
    except ValueError as error:
        raise GeneratorError(str(error), where=where, hint="outcome: image, refused, blocked or error") from None
    if not (value["text"] or value["prompt_id"]):
        raise GeneratorError("the row has neither text nor prompt_id", where=where)
    if outcome is Outcome.IMAGE and not value["file_name"]:
        raise GeneratorError("the row has no file_name", where=where)
    return _Row(value["file_name"], value["text"], value["prompt_id"], outcome, value["message"], seed, line)


def _read_image(folder: Path, name: str) -> tuple[bytes, str]:
    """Bytes and media type of an image inside ``folder``. Raises OSError or ValueError with the reason."""
    from PIL import Image, UnidentifiedImageError

    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError("the path leads out of the folder")
    if not path.is_file():
        raise ValueError("no such file")
    data = path.read_bytes()
    if not data:
        raise ValueError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=tuple(_MEDIA)) as image:
            image.load()
            return data, _MEDIA[str(image.format)]
    except UnidentifiedImageError:
        raise ValueError("not a PNG, JPEG or WebP image") from None
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
