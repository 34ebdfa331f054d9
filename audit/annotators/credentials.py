# SPDX-License-Identifier: Apache-2.0
"""Content Credentials as an instrument: what a verifier says about each stored file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.documents import explain_options
from audit.errors import AnnotatorError, ConfigError
from audit.provenance import State, Verified, verify_bytes
from audit.provenance._limits import Limits
from audit.provenance._sandbox import Sandbox
from audit.provenance._sources import Source
from audit.provenance.trust import TrustKind, TrustList
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["CredentialsAnnotator"]

_VERSION: Final = "2"
_COLUMNS: Final = {
    "state": "trusted, no_timestamp, valid_untrusted, bad_ingredient, invalid, unreadable, remote_only or absent; "
    "undetermined where checking took too long or too much memory",
    "issuer": "organisation in the signer's certificate, None where the credentials do not hold",
    "ai": "1: declared as output of a trained model, 0: not declared; NaN where the credentials do not hold",
    "request_match": "1: the credentials name this request, 0: another; NaN where they name none or do not hold",
}

# One file that costs too much is a row; a library that does not load is no verdict on any file.
_COSTLY: Final = frozenset({"genaudit.verifier.time", "genaudit.verifier.memory"})


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    anchors: Path | None = Field(None, description="PEM file of roots that vouch for signers and time; default: none")
    trust: tuple[Path, ...] = Field((), description="lists of who may sign: PEM bundles or C2PA trust lists (JSON)")
    trust_timestamps: tuple[Path, ...] = Field((), description="lists of who may vouch for time")
    workers: int = Field(1, ge=1, le=256)
    max_bytes: int = Field(512 * 2**20, ge=1)
    isolated: bool = Field(False, description="read files in child processes with limits on time and memory")


class CredentialsAnnotator:
    """Verifies every image; columns ``state``, ``issuer``, ``ai``, ``request_match``.

    By default files are read in this process: a run has decoded them here already, most were signed here a moment ago,
    and a child process would take half a second to start for each worker. Set ``isolated`` for other people's files.

    Args:
        **options: ``trust`` and ``trust_timestamps`` (lists of files: who may sign, who may vouch for time),
            ``anchors`` (PEM file of roots for both), ``workers`` (threads), ``max_bytes`` (larger files are
            unreadable), ``isolated`` (see above).

    Raises:
        ConfigError: an unknown or wrong option, or a trust list that cannot be read.
    """

    def __init__(self, **options: Any) -> None:
        try:
            self._options = _Options.model_validate(options)
        except ValidationError as error:
            raise explain_options(error, where="instruments.options.credentials", model=_Options) from None
        self._lists = tuple(_lists(self._options))
        limits = Limits(bytes=self._options.max_bytes)
        self._sandbox = (
            Sandbox(self._lists, workers=self._options.workers, limits=limits) if self._options.isolated else None
        )

    @property
    def spec(self) -> AnnotatorSpec:
        """Identity; the digest covers this annotator, the C2PA library and the trust lists."""
        lists = [(one.kind, one.sha256) for one in self._lists]
        parts = [_VERSION, _library_version(), lists, self._options.max_bytes]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return AnnotatorSpec("credentials", _VERSION, digest, _COLUMNS, licence="Apache-2.0")

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """Verify each file as stored.

        Raises:
            AnnotatorError: the C2PA library does not load: no verdict is not the same as no credentials.
        """
        if self._options.workers == 1:
            found = [self._verify(image) for image in images]
        else:
            with ThreadPoolExecutor(self._options.workers) as pool:
                found = list(pool.map(self._verify, images))
        return {
            "state": _objects([verdict.state.value for verdict in found]),
            "issuer": _objects([verdict.issuer if _holds(verdict) else None for verdict in found]),
            "ai": np.array([float(verdict.ai) if _holds(verdict) else np.nan for verdict in found], np.float64),
            "request_match": np.array(
                [_match(v, i.request_id) for v, i in zip(found, images, strict=True)], np.float64
            ),
        }

    def _verify(self, image: ImageRecord) -> Verified:
        if self._sandbox is not None:
            verdict = self._sandbox.verify(Source(image.request_id, data=image.data))
        else:
            verdict = verify_bytes(image.data, trust=self._lists, max_bytes=self._options.max_bytes)
        if verdict.state is State.UNDETERMINED and not set(verdict.codes) & _COSTLY:
            hint = "leave credentials out of instruments.annotators on this machine"
            raise AnnotatorError(verdict.message, where="annotator credentials", hint=hint)
        return verdict


def _holds(verdict: Verified) -> bool:
    # A bad ingredient does not touch what the last signer says.
    return verdict.state.verified or verdict.state is State.BAD_INGREDIENT


def _match(verdict: Verified, request_id: str) -> float:
    if not _holds(verdict) or verdict.request_id is None:
        return float("nan")
    return float(verdict.request_id == request_id)


def _objects(values: Sequence[str | None]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _lists(options: _Options) -> Iterator[TrustList]:
    given: tuple[tuple[str, Sequence[Path], TrustKind], ...] = (
        ("anchors", [options.anchors] if options.anchors else [], "any"),
        ("trust", options.trust, "signers"),
        ("trust_timestamps", options.trust_timestamps, "timestamps"),
    )
    for name, paths, kind in given:
        for path in paths:
            try:
                yield TrustList.load(path, kind)
            except ConfigError as error:
                where = f"instruments.options.credentials.{name}"
                raise ConfigError(f"{error.where}: {error.message}", where=where, hint=error.hint) from None


def _library_version() -> str:
    try:
        return version("c2pa-python")
    except PackageNotFoundError:
        return "none"
