# SPDX-License-Identifier: Apache-2.0
"""Finished images: an audit of what somebody else generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from audit.errors import GeneratorError
from audit.generators._common import failed
from audit.generators.finished import Row, Table, Unreadable, digest_model, make_table, open_layout
from audit.types import Generation, GeneratorSpec, Outcome, Request, Scalar

__all__ = ["FolderGenerator"]

_MEDIA = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


class FolderGenerator:
    """Images that are already there; files are handed on byte by byte, so credentials in them stay.

    Layouts, found by themselves: ``metadata`` (``metadata.jsonl`` or ``.csv`` with ``file_name`` and ``text``, also in
    folders below), ``list`` (a table with ``prompt`` and ``image_path``), ``parquet``, ``webdataset``, ``geneval``,
    ``t2i-compbench`` and ``heim``. A table may also hold ``prompt_id``, ``seed``, ``seconds``, ``outcome`` (image,
    refused, blocked, error) and ``message``. The k-th row of a prompt answers its k-th repetition; rows are found by
    prompt id, else by the exact prompt text. No image is decoded here: the engine's decoder finds what is damaged.

    Args:
        name: in the configuration.
        model: folder or file.
        params: anything; they say how the images were made and become part of the requests.
        options: ``layout`` where it must be said; ``metadata``: name of the metadata file; ``text_column`` and
            ``image_column``; ``allow_outside`` (false): follow paths that lead out of the folder; ``max_bytes``
            (64 MiB) of one image.

    Raises:
        ConfigError: nothing is there, nothing that is known, several things, or an unknown option.
    """

    isolated: ClassVar[bool] = False  # it loads nothing that could hang or crash
    timed: ClassVar[bool] = False  # reading a file says nothing about how long drawing took

    def __init__(
        self,
        name: str,
        *,
        model: str | None,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002 - they belong to the requests, not to the files
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where, self._model = name, f"generator {name!r}", str(model)
        self._layout = open_layout(model, options or {}, where=self._where)
        self._found: Table | None = None
        self._spec: GeneratorSpec | None = None

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the digest covers tables and images."""
        if self._spec is None:
            table = self._table()
            digest = digest_model(Path(self._model).expanduser(), self._layout.files(table.rows))
            details: dict[str, Scalar] = {"layout": self._layout.name, **table.counts()}
            self._spec = GeneratorSpec(
                self.name, "folder", self._model, digest, capabilities=frozenset({"text"}), details=details
            )
        return self._spec

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request; what is missing or damaged becomes an ERROR row that names file and place."""
        table = self._table()
        found = [table.find(request.prompt) for request in batch]
        # Images are read in the order in which they lie: going back in a Parquet file is slow.
        numbers = [
            rows[r.repetition][0] if r.repetition < len(rows) else -1 for r, rows in zip(batch, found, strict=True)
        ]
        answers: dict[int, Generation] = {}
        for index in sorted(range(len(batch)), key=numbers.__getitem__):
            request, rows = batch[index], found[index]
            if request.repetition < len(rows):
                answers[index] = self._answer(request, rows[request.repetition][1])
            else:
                answers[index] = failed(request, _absent(request, len(rows)))
        return [answers[index] for index in range(len(batch))]

    def close(self) -> None:
        """Close open files; the next request opens them again."""
        self._layout.close()

    def _answer(self, request: Request, row: Row) -> Generation:
        meta: dict[str, Scalar] = {} if row.name is None else {"file_name": row.name}
        if row.seed is not None:
            meta["seed"] = row.seed
        if row.outcome is not Outcome.IMAGE:
            message = row.message or f"{row.outcome} ({row.place})"
            return Generation(request.id, row.outcome, seconds=row.seconds, message=message, meta=meta)
        try:
            data = self._layout.read(row)
            media = _media_type(data)
        except (OSError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            message = f"{row.name}: {reason or error} ({row.place})"
            return Generation(request.id, Outcome.ERROR, seconds=row.seconds, message=message, meta=meta)
        return Generation(request.id, Outcome.IMAGE, data, media, seconds=row.seconds, meta=meta)

    def _table(self) -> Table:
        if self._found is None:
            try:
                self._found = make_table(self._layout)
            except GeneratorError as error:
                self.close()
                where = f"{self._where}: {error.where}" if error.where else self._where
                raise type(error)(error.message, where=where, hint=error.hint) from None
        return self._found


def _absent(request: Request, there: int) -> str:
    have = f"{there} of that prompt are there" if there else "that prompt is not among the finished images"
    return f"no image for {request.prompt.id!r}, repetition {request.repetition}: {have}"


def _media_type(data: bytes) -> str:
    """By the first bytes; the whole file is looked at where images are decoded. Raises Unreadable."""
    if not data:
        raise Unreadable("the file is empty")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    found = next((media for magic, media in _MEDIA if data.startswith(magic)), None)
    if found is None:
        raise Unreadable("not a PNG, JPEG or WebP image")
    return found
