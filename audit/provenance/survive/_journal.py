# SPDX-License-Identifier: Apache-2.0
"""Finished images on disk, one line each, so that an interrupted measurement goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import StoreError
from audit.provenance.survive.layers import Layer, Outcome
from audit.provenance.survive.matrix import Finding, Row

__all__ = ["Journal", "disk_errors"]


@dataclass(frozen=True, slots=True)
class Journal:
    """A file of finished images.

    Attributes:
        path: of the file; it need not exist yet.
        fingerprint: of all that decides what is found. Findings of another one are not mixed with these.
    """

    path: Path
    fingerprint: str

    def read(self, digests: Mapping[str, str]) -> dict[str, Finding]:
        """Findings on the images whose name and digest are the same; a line cut short by a crash is passed over.

        Raises:
            StoreError: the findings were made in another way.
        """
        lines = list(self._lines())
        if lines and lines[0].get("fingerprint") != self.fingerprint:
            hint = "choose another folder with --out, or start afresh with --force"
            raise StoreError("holds findings with other edits or instruments", where=str(self.path), hint=hint)
        kept = (line for line in lines[1:] if digests.get(line["image"]) == line["digest"])
        return {line["image"]: _finding(line) for line in kept}

    def add(self, finding: Finding, digest: str) -> None:
        """Append one image and flush it to disk."""
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                head = self.path.with_name(f".{self.path.name}.tmp")
                head.write_bytes(_line({"fingerprint": self.fingerprint}))
                head.replace(self.path)
            with self.path.open("ab") as file:
                file.write(_line(_document(finding, digest)))
                file.flush()
                os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget everything."""
        with disk_errors(self.path):
            self.path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(self.path)) from None
        for line in raw.split(b"\n"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            yield found


def _line(value: Mapping[str, Any]) -> bytes:
    # A line break first: after a crash the last line may lack its own.
    return b"\n" + json.dumps(value).encode()


def _document(finding: Finding, digest: str) -> dict[str, Any]:
    outcomes: dict[str, dict[str, str]] = {}
    for row in finding.rows:
        outcomes.setdefault(row.edit, {})[row.layer] = row.outcome
    return {
        "image": finding.image,
        "digest": digest,
        "fresh": finding.fresh,
        "layers": list(finding.layers),
        "outcomes": outcomes,
        "psnr": None if finding.psnr is None else str(finding.psnr),  # may be infinite, which JSON does not know
        "ssim": finding.ssim,
        "note": finding.note,
    }


def _finding(line: Mapping[str, Any]) -> Finding:
    rows = (
        Row(line["image"], edit, Layer(layer), Outcome(outcome))
        for edit, layers in line["outcomes"].items()
        for layer, outcome in layers.items()
    )
    return Finding(
        line["image"],
        fresh=line["fresh"],
        layers=tuple(map(Layer, line["layers"])),
        rows=tuple(rows),
        psnr=None if line["psnr"] is None else float(line["psnr"]),
        ssim=line["ssim"],
        note=line["note"],
    )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns OSError into StoreError with the place and what to do."""
    try:
        yield
    except OSError as error:
        hint = "free some space, or choose a folder you may write to with --out, then run the same command again"
        raise StoreError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint) from None
