# SPDX-License-Identifier: Apache-2.0
"""From what the generator gave to what the client gets: encoded, stamped, recorded."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from audit.errors import AuditError, ConfigError
from audit.images import file_of, pixels_of
from audit.provenance import Stamper
from audit.provenance.store import ManifestStore
from audit.runs._generate import claim_for
from audit.serving._errors import HttpError, invalid
from audit.types import Generation, GeneratorSpec, Outcome, Request

__all__ = ["Finisher", "Picture", "Record"]

_PILLOW: Final = {"image/jpeg": "JPEG", "image/webp": "WEBP"}
_QUALITY = 95
_REFUSED: Final = "content_policy_violation"
_BLOCKED: Final = "moderation_blocked"


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture, ready for JSON.

    Attributes:
        request: which it answers.
        b64: the file, in base64.
        media_type: of the file.
        sha256: of the file.
    """

    request: Request
    b64: str
    media_type: str
    sha256: str


class Record:
    """A file that gets one JSON line a picture; lines of several threads or processes do not mix.

    Args:
        path: the file; appended to, and made with mode 0600 where it is missing.
        prompts: whether lines hold the text of prompts and messages.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: Path, *, prompts: bool) -> None:
        self._prompts = prompts
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            hint = "name a file in a folder that is there and can be written"
            raise ConfigError(f"cannot be written: {error.strerror}", where=str(path), hint=hint) from None

    def __call__(self, request: Request, outcome: Outcome, message: str | None, **more: Any) -> None:
        """Append one line. Raises OSError (full disk)."""
        row = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": request.id,
            "generator": request.generator,
            "outcome": str(outcome),
            "seed": request.seed,
            "params": dict(request.params),
            "prompt_sha256": hashlib.sha256(request.prompt.text.encode()).hexdigest(),
            **more,
        }
        if self._prompts:
            # What a generator says may repeat the prompt, so it is written only where prompts may be.
            row |= {"prompt": request.prompt.text, "negative_prompt": request.prompt.negative, "message": message}
        os.write(self._file, json.dumps(row).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Finisher:
    """Makes the picture that goes out, or the problem that is told instead.

    Attributes:
        spec: of the generator, named in the credentials.
        stamper: signs; None: pictures go out without credentials.
        record: told about every outcome; None: nobody is.
        manifests: where manifests are kept; None: nowhere.
        service: what credentials call this server: fresh at every start.
    """

    spec: GeneratorSpec
    stamper: Stamper | None
    record: Record | None
    manifests: ManifestStore | None = None
    service: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, request: Request, found: Generation | AuditError, media_type: str | None) -> Picture:
        """Encode, stamp, record.

        Raises:
            HttpError: there is no picture, or it cannot be made into what was asked for.
        """
        if isinstance(found, AuditError):
            self._note(request, Outcome.ERROR, str(found))
            raise _failure(found, request)
        if found.outcome is not Outcome.IMAGE:
            self._note(request, found.outcome, found.message)
            raise _declined(found, request)
        try:
            data, kind, manifest_id = self._made(request, found, media_type)
        except (AuditError, ValueError, OSError) as error:
            # A picture without the credentials that this server promises does not go out.
            self._note(request, Outcome.ERROR, str(error))
            raise _server_error(f"the picture cannot be finished: {error}", request) from None
        sha256 = hashlib.sha256(data).hexdigest()
        more = {"run_id": self.service, "manifest_id": manifest_id} if manifest_id else {}
        self._note(request, Outcome.IMAGE, None, sha256=sha256, media_type=kind, seconds=found.seconds, **more)
        return Picture(request, base64.b64encode(data).decode("ascii"), kind, sha256)

    def _made(self, request: Request, found: Generation, media_type: str | None) -> tuple[bytes, str, str | None]:
        """File, media type and manifest id."""
        if self.stamper is None:
            return *_encoded(found, media_type), None
        claim = claim_for(request, self.spec, run_id=self.service)
        if self.stamper.watermark is None:
            whole = found.image is None  # a file that came from elsewhere is decoded first: the library signs anything
            stamped = self.stamper.stamp(_encoded(found, media_type)[0], claim, checked=whole)
        else:
            picture = pixels_of(found) if found.image is None else found.image
            stamped = self.stamper.mark(picture, claim, media_type=media_type or found.media_type)
        if self.manifests is not None:
            self.manifests.add(stamped, request_id=request.id, run_id=self.service)
        return stamped.data, stamped.media_type, stamped.manifest_id

    def _note(self, request: Request, outcome: Outcome, message: str | None, **more: Any) -> None:
        if self.record is None:
            return
        try:
            self.record(request, outcome, message, **more)
        except OSError as error:
            raise _server_error(f"the record cannot be written: {error.strerror}", request) from None


def _encoded(found: Generation, media_type: str | None) -> tuple[bytes, str]:
    """The file as it came where that is what was asked for, else encoded anew."""
    if media_type is None or (found.media_type or "image/png") == media_type:
        return file_of(found)
    if media_type not in _PILLOW:
        return file_of(Generation(found.request_id, Outcome.IMAGE, pixels=pixels_of(found)))
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(pixels_of(found)).save(sink, _PILLOW[media_type], quality=_QUALITY)
    return sink.getvalue(), media_type


def _declined(found: Generation, request: Request) -> HttpError:
    if found.outcome is Outcome.ERROR:
        return _server_error(found.message or "the generator failed and did not say how", request)
    kinds: Mapping[Outcome, tuple[str, str]] = {
        Outcome.REFUSED: (_REFUSED, "invalid_request_error"),
        Outcome.BLOCKED: (_BLOCKED, "image_generation_user_error"),
    }
    code, kind = kinds[found.outcome]
    message = found.message or f"the request was {found.outcome}"
    outcome = str(found.outcome)
    return HttpError(400, message, kind=kind, code=code, param="prompt", request_id=request.id, outcome=outcome)


def _failure(error: AuditError, request: Request) -> HttpError:
    """A wrong parameter is the client's; anything else is ours. Places on this machine are not told."""
    if isinstance(error, ConfigError):
        problem = invalid(f"{error.message}; {error.hint}" if error.hint else error.message, None)
        problem.request_id = request.id
        return problem
    return _server_error(error.message, request)


def _server_error(message: str, request: Request) -> HttpError:
    return HttpError(500, message[:2000], kind="server_error", code="generation_failed", request_id=request.id)
