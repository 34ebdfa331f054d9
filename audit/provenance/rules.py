# SPDX-License-Identifier: Apache-2.0
"""From images to a cross-walk's evidence: verdicts, rubric, XMP and watermark of many files, counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from audit.errors import StoreError, VerificationError
from audit.images import decode
from audit.provenance._sandbox import Sandbox
from audit.provenance._sources import Source
from audit.provenance.rubric import read_crjson
from audit.provenance.rubric._evidence import Share, combine, evidence_of, survival_evidence
from audit.provenance.survive.layers import Layer, Reader
from audit.provenance.trust import TrustList, distinct
from audit.provenance.verify import MAX_BYTES, Verified, read_capped
from audit.provenance.watermark import Watermark

__all__ = ["evidence_in", "survived"]

_AI: Final = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
_SUMMARY: Final = "survival.json"


def evidence_in(
    sources: Iterator[Source],
    *,
    trust: Sequence[TrustList] = (),
    watermark: Watermark | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Share]:
    """Of how many images each finding holds.

    Credentials are read in a child process first, and here only where they hold; pictures are decoded here.

    Args:
        sources: images.
        trust: lists of who may sign, and who may vouch for time.
        watermark: to look for; None: nobody looks.
        progress: told what, how many are done, of how many known so far.
    """
    lists = distinct(trust)
    anchors = "".join(each.pem for each in lists if each.kind != "timestamps") or None
    found = []
    with Sandbox(lists, workers=1) as sandbox:
        for done, source in enumerate(sources, 1):
            found.append(_of(source, sandbox.verify(source), anchors=anchors, watermark=watermark))
            progress("looked at", done, done)
    return combine(found)


def _of(
    source: Source, verified: Verified, *, anchors: str | None, watermark: Watermark | None
) -> dict[str, bool | None]:
    data = _bytes(source)
    crjson = reading = xmp = None
    if verified.state.verified:
        try:
            crjson = read_crjson(data, anchors=anchors)
        except VerificationError:
            crjson = None
        xmp = (Reader(layers=(Layer.XMP,)).marks(data).xmp or "").rpartition("/")[2] in _AI
    if watermark is not None:
        try:
            reading = watermark.read(decode(data))
        except ValueError:
            reading = None
    return evidence_of(verified, crjson, watermark=reading, xmp_source_type=xmp)


def _bytes(source: Source) -> bytes:
    if source.data is not None or source.path is None:
        return source.data or b""
    try:
        return read_capped(source.path, MAX_BYTES)
    except OSError:  # the verdict has said so
        return b""


def survived(folder: Path) -> dict[str, Share]:
    """Evidence on what survives, from a survival folder; empty where nothing was measured.

    Raises:
        StoreError: what is there cannot be read.
    """
    path = folder / _SUMMARY
    if not path.is_file():
        return {}
    try:
        cells = [SimpleNamespace(**cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        return survival_evidence(cells)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "measure again with genaudit survive"
        raise StoreError(f"cannot be read: {type(error).__name__}: {error}", where=str(path), hint=hint) from None
