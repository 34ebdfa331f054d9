# SPDX-License-Identifier: Apache-2.0
"""Content Credentials as an instrument: what a verifier says about each stored file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["CredentialsAnnotator"]

_VERSION: Final = "1"
_COLUMNS: Final = {
    "state": "trusted, valid_untrusted, bad_ingredient, invalid, unreadable or absent",
    "issuer": "organisation in the signer's certificate, None where the credentials do not hold",
    "ai": "1: declared as output of a trained model, 0: not declared; NaN where the credentials do not hold",
    "request_match": "1: the credentials name this request, 0: another; NaN where they name none or do not hold",
}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    anchors: Path | None = Field(None, description="PEM file of trusted roots; default: none, so nothing is trusted")
    workers: int = Field(1, ge=1, le=256)
    max_bytes: int = Field(512 * 2**20, ge=1)


class CredentialsAnnotator:
    """Verifies every image; columns ``state``, ``issuer``, ``ai``, ``request_match``.

    Args:
        **options: ``anchors`` (PEM file of roots to trust), ``workers`` (threads), ``max_bytes`` (larger files are
            unreadable).

    Raises:
        ConfigError: an unknown or wrong option, or anchors that cannot be read.
    """

    def __init__(self, **options: Any) -> None:
        try:
            self._options = _Options.model_validate(options)
        except ValidationError as error:
            raise explain_options(error, where="instruments.options.credentials", model=_Options) from None
        self._anchors = _read_anchors(self._options.anchors)

    @property
    def spec(self) -> AnnotatorSpec:
        """Identity; the digest covers this annotator, the C2PA library and the trusted roots."""
        parts = [_VERSION, _library_version(), self._anchors, self._options.max_bytes]
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
        verdict = verify_bytes(image.data, anchors=self._anchors, max_bytes=self._options.max_bytes)
        if verdict.state is State.UNDETERMINED:
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


def _read_anchors(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        text = path.expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        where = "instruments.options.credentials.anchors"
        raise ConfigError(f"trusted roots cannot be read: {error}", where=where, hint="name a PEM file") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError(
            "no PEM certificate in this file", where=str(path), hint="name a PEM file of root certificates"
        )
    return text


def _library_version() -> str:
    try:
        return version("c2pa-python")
    except PackageNotFoundError:
        return "none"
