# SPDX-License-Identifier: Apache-2.0
"""What a client is told when there is no picture: the status and the words of OpenAI's error shape."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["HttpError", "invalid", "stopping"]

_INVALID = "invalid_request_error"


class HttpError(Exception):
    """An answer that is no picture.

    Args:
        status: HTTP status.
        message: for people; never a traceback, never a key.
        kind: ``type`` in OpenAI's shape.
        code: for programs.
        param: the field of the request that is wrong.
        headers: more response headers, such as ``Retry-After``.
        request_id: of the picture that was asked, where the request got that far.
        outcome: what became of it, where it was asked: our own field, since codes do not tell a refusal from a block.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = _INVALID,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
        outcome: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param
        self.headers, self.request_id, self.outcome = dict(headers or {}), request_id, outcome

    def body(self) -> bytes:
        """The JSON that goes out."""
        error = {"message": self.message, "type": self.kind, "code": self.code, "param": self.param}
        return json.dumps({"error": error | ({"outcome": self.outcome} if self.outcome else {})}).encode()


def invalid(message: str, param: str | None, *, code: str = "invalid_value") -> HttpError:
    """400: the request itself is wrong."""
    return HttpError(400, message, code=code, param=param)


def stopping() -> HttpError:
    """503: the server is on its way out."""
    message = "the server is stopping and draws nothing more"
    return HttpError(503, message, kind="server_error", code="stopping", headers={"Retry-After": "5"})
