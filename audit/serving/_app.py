# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: routes, who may ask, and what is told and logged."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit import __version__
from audit.config import ProvenanceConfig, TimeStampConfig
from audit.provenance import Stamper
from audit.provenance.store import ManifestStore
from audit.runs._signing import stamper_for
from audit.serving._desk import Desk
from audit.serving._errors import HttpError, stopping
from audit.serving._finish import Finisher, Picture, Record
from audit.serving._once import Once, Reply
from audit.serving._order import Order, Served, parse_body, read_order
from audit.serving._settings import Settings, called, default_params, key_of, make_generator
from audit.types import Generator

__all__ = ["Application", "build"]

LOG: Final = logging.getLogger("audit.serving")
_MAX_BODY = 2**20
_BODY_SECONDS = 30
_MOST = 10
_LONGEST_KEY = 255


def build(settings: Settings, generator: Generator | None = None) -> Application:
    """What `audit.serving.build_app` does once the web framework is known to be there."""
    key = key_of(settings)
    # A chain that cannot sign is known before the model is loaded.
    stamper, manifests = _stamper(settings) if settings.stamp else (None, None)
    record = Record(settings.record, prompts=settings.record_prompts) if settings.record else None
    generator = make_generator(settings) if generator is None else generator
    spec = generator.spec
    finish = Finisher(spec, stamper, record, manifests)
    wait = settings.max_wait_ms / 1000
    desk = Desk(generator, finish, batch_size=settings.batch_size, max_wait=wait, limit=settings.queue)
    served = Served(called(settings), spec, default_params(settings.params, spec.kind), _MOST, settings.max_pixels)
    return Application(served, desk, key=key, cache_bytes=settings.cache_bytes)


def _stamper(settings: Settings) -> tuple[Stamper, ManifestStore | None]:
    block = ProvenanceConfig(
        keys=settings.keys,
        watermark=settings.watermark,
        watermark_key=str(settings.watermark_key) if settings.watermark_key else None,
        time_stamps=TimeStampConfig(url=settings.time_stamps) if settings.time_stamps else None,
    )
    return stamper_for(block), ManifestStore(settings.manifests) if settings.manifests else None


class Application:
    """An ASGI application; made by `audit.serving.build_app`.

    Args:
        served: what is served.
        desk: where pictures are drawn.
        key: what clients must send as a bearer token; None: nothing.
        cache_bytes: of answers kept for repeated idempotency keys.
    """

    def __init__(self, served: Served, desk: Desk, *, key: str | None, cache_bytes: int) -> None:
        self.served, self._desk = served, desk
        self._digest = None if key is None else hashlib.sha256(key.encode()).digest()
        self._once, self._started = Once(cache_bytes), int(time.time())
        self._app: ASGIApp = Starlette(
            routes=[
                Route("/", self._root),
                Route("/healthz", self._health),
                Route("/v1/models", self._models),
                Route("/v1/models/{name}", self._model),
                Route("/v1/images/generations", self._generations, methods=["POST"]),
            ],
            exception_handlers={HttpError: _told, HTTPException: _http, Exception: _bug},
            lifespan=self._lifespan,
        )

    def stop(self) -> None:
        """Take nothing more; what waits is answered 503, what is being drawn is finished."""
        self._desk.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry: every answer gets ``X-Request-Id``, every request one line in the log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.monotonic(), 0
        note = scope.setdefault("state", {})["note"] = {"request_id": uuid.uuid4().hex, "pictures": 0}

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                header = (b"x-request-id", str(note["request_id"]).encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # the client was told; the framework raises it once more
            shown = bool(os.environ.get("GENAUDIT_DEBUG"))
            LOG.exception("this is a bug in genaudit: %s", type(error).__name__, exc_info=shown)
        finally:
            _log(scope, status, time.monotonic() - start, note)

    # -- routes ------------------------------------------------------------------------------------------------

    async def _root(self, _request: Request) -> Response:
        text = f"genaudit {__version__} serves {self.served.name}: POST /v1/images/generations, GET /v1/models\n"
        return PlainTextResponse(text)

    async def _health(self, _request: Request) -> Response:
        state = "stopping" if self._desk.stopping else "ok"
        content = {"status": state, "model": self.served.name, "open": self._desk.open}
        return _json(json.dumps(content).encode(), status=503 if self._desk.stopping else 200)

    async def _models(self, request: Request) -> Response:
        self._authorise(request)
        return _json(json.dumps({"object": "list", "data": [self._card()]}).encode())

    async def _model(self, request: Request) -> Response:
        self._authorise(request)
        name = request.path_params["name"]
        if name != self.served.name:
            raise HttpError(404, f"the model {name[:80]!r} is not served here", code="model_not_found", param="model")
        return _json(json.dumps(self._card()).encode())

    def _card(self) -> dict[str, Any]:
        spec = self.served.spec
        own = {"id": self.served.name, "object": "model", "created": self._started, "owned_by": "genaudit"}
        return {**own, "kind": spec.kind, "digest": spec.digest, "capabilities": sorted(spec.capabilities)}

    async def _generations(self, request: Request) -> Response:
        self._authorise(request)
        if self._desk.stopping:
            raise stopping()
        key = _idempotency_key(request)
        order = read_order(parse_body(await _body(request)), self.served)
        note = request.state.note
        note |= {"request_id": order.id, "pictures": len(order.requests)}
        if key is None:
            return _json((await self._draw(order)).body)
        reply, repeated = await self._once.get(key, order.digest, lambda: self._draw(order))
        note["request_id"] = reply.request_id
        return _json(reply.body, headers={"Idempotent-Replayed": "true"} if repeated else None)

    async def _draw(self, order: Order) -> Reply:
        self._desk.start()
        waiting = [asyncio.wrap_future(future) for future in self._desk.submit(order.requests, order.media_type)]
        # All are waited for: who asked for three pictures is told once none of them is on its way any more.
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        if failed := next((one for one in answers if isinstance(one, BaseException)), None):
            raise failed
        pictures = [one for one in answers if isinstance(one, Picture)]
        # Megabytes of base64 are put together off the event loop.
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._desk.pool, _composed, pictures, self.served)
        return Reply(body, order.id)

    def _authorise(self, request: Request) -> None:
        if self._digest is None:
            return
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        # Digests of one length, compared in constant time: nothing about the key is learnt by trying.
        digest = hashlib.sha256(sent.strip().encode("latin-1")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(digest, self._digest):
            headers = {"WWW-Authenticate": "Bearer"}
            raise HttpError(401, "a key is needed: Authorization: Bearer ...", code="invalid_api_key", headers=headers)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._desk.start()
        yield
        self.stop()
        await asyncio.to_thread(self._desk.join)


def _composed(pictures: Sequence[Picture], served: Served) -> bytes:
    seeded = "seed" in served.spec.capabilities
    data = [
        {
            "b64_json": picture.b64,
            "seed": picture.request.seed if seeded else None,
            "request_id": picture.request.id,
            "sha256": picture.sha256,
        }
        for picture in pictures
    ]
    kind = pictures[0].media_type.partition("/")[2]
    return json.dumps({"created": int(time.time()), "model": served.name, "output_format": kind, "data": data}).encode()


async def _body(request: Request) -> bytes:
    """The whole body, if it is JSON by its label and not too large. Raises HttpError: 408, 413, 415."""
    label = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if label != "application/json":
        raise HttpError(415, "Content-Type must be application/json", code="unsupported_media_type")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > _MAX_BODY:
                    raise HttpError(413, f"the body is larger than {_MAX_BODY} bytes", code="body_too_large")
    except TimeoutError:
        raise HttpError(408, "the body did not arrive in time", code="timeout") from None
    except ClientDisconnect:
        raise HttpError(400, "the client hung up", code="disconnected") from None
    return bytes(body)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        message = f"Idempotency-Key must have 1 to {_LONGEST_KEY} characters"
        raise HttpError(400, message, code="invalid_idempotency_key")
    return key


def _json(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


async def _told(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HttpError)
    if problem.request_id is not None:
        request.state.note["request_id"] = problem.request_id
    return _json(problem.body(), status=problem.status, headers=problem.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing at this address", 405: "this address does not take that method"}
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    problem = HttpError(error.status_code, words.get(error.status_code, error.detail), code=code, headers=error.headers)
    return await _told(request, problem)


async def _bug(request: Request, error: Exception) -> Response:
    message = f"this is a bug in genaudit: {type(error).__name__}"
    return await _told(request, HttpError(500, message, kind="server_error", code="internal_error"))


def _log(scope: Scope, status: int, seconds: float, note: Mapping[str, Any]) -> None:
    """One line; never the query, the prompt, the answer or a header. A path may hold anything, so it is escaped."""
    path = quote(scope["path"][:200])
    more = f" pictures={note['pictures']}" if note["pictures"] else ""
    LOG.info("%s %s %s %.3fs id=%s%s", scope["method"], path, status or "-", seconds, note["request_id"], more)
