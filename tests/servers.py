# SPDX-License-Identifier: Apache-2.0
"""Loopback servers that speak the protocols of hosted generators, draw small pictures by seed, and fail as planned.

``serving(plan=["500", None, "cut"])`` fails the first request that asks for a picture, answers the second, cuts the
third off in mid-body, and answers all that follow (``always`` names a fault for those). `FAULTS` tells each fault.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

FAULTS: Mapping[str, str] = {
    "400": "a request the server cannot take",
    "401": "wrong key",
    "429": "too many requests",
    "429-ratelimit": "too many requests, with x-ratelimit-reset-requests: 300ms",
    "429-retry-after": "too many requests, with retry-after-ms: 300",
    "500": "server error",
    "503": "busy",
    "blocked": "the picture was drawn and filtered",
    "cut": "connection cut in mid-body, after drawing",
    "echo-key": "an error text that repeats the key",
    "flagged": "status 200 without a picture, with content filter results",
    "hang": "no answer at all, after drawing",
    "moderation": "status 403 by moderation",
    "no-money": "429 insufficient_quota",
    "not-base64": "a picture that is not base64",
    "not-image": "a picture that is none",
    "not-json": "an answer that is not JSON",
    "redirect": "redirect to another host",
    "refused": "prompt refused by the safety system",
    "reset": "connection cut before any answer, nothing drawn",
    "slow-wait": "too many requests, with Retry-After: 3600",
    "truncated": "half a picture",
    "wrong-size": "a picture of another size",
}
CHECKPOINT = hashlib.sha256(b"weights").hexdigest()
_SYSTEM = "Your request was rejected as a result of our safety system."
_ERRORS: Mapping[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "400": (400, {"message": "size is not supported", "code": "invalid_value"}, {}),
    "401": (401, {"message": "Incorrect API key provided", "code": "invalid_api_key"}, {}),
    "429": (429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}, {}),
    "429-ratelimit": (
        429,
        {"message": "Rate limit reached"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"},
    ),
    "429-retry-after": (429, {"message": "Rate limit reached"}, {"retry-after-ms": "300"}),
    "500": (500, {"message": "The server had an error"}, {}),
    "503": (503, {"message": "The engine is overloaded"}, {}),
    "blocked": (
        400,
        {"message": "Generated image was filtered as a result of our safety system.", "code": "contentFilter"},
        {},
    ),
    "moderation": (403, {"message": "Content violates usage guidelines"}, {}),
    "no-money": (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, {}),
    "refused": (400, {"message": _SYSTEM, "code": "content_policy_violation"}, {}),
    "slow-wait": (429, {"message": "Rate limit reached"}, {"Retry-After": "3600"}),
}


@dataclass(frozen=True)
class Asked:
    """One HTTP request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    when: float
    fault: str | None = None


def draw(seed: int, text: str, width: int = 16, height: int = 16) -> bytes:
    """A PNG of noise that depends on everything given; its text chunk stands for credentials in a file."""
    from PIL import Image, PngImagePlugin

    digest = hashlib.sha256(f"{seed}|{text}|{width}x{height}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Made", digest.hex())
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(stream, "PNG", pnginfo=notes)
    return stream.getvalue()


@dataclass
class State:
    """What a server was told to do and what it has seen."""

    plan: list[str | None] = field(default_factory=list)
    always: str | None = None
    key: str | None = None
    links: str | None = None  # where pictures are fetched: "" for this server, or another origin
    idempotent: bool = False
    cached_empty: bool = False  # ComfyUI that reports no output for a graph it has executed before
    polls: int = 0  # questions before a workflow is done
    asked: list[Asked] = field(default_factory=list)
    drawn: Counter[str] = field(default_factory=Counter)
    files: dict[str, bytes] = field(default_factory=dict)
    file_plan: list[str | None] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> str | None:
        with self.lock:
            return self.plan.pop(0) if self.plan else self.always

    def calls(self, end: str) -> list[Asked]:
        return [one for one in self.asked if urlsplit(one.path).path.endswith(end)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, state: State) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    @property
    def state(self) -> State:
        return self.server.state

    # -- plumbing ---------------------------------------------------------------------------------------------

    def do_GET(self) -> None:
        self._note(None)
        path = urlsplit(self.path).path
        if path.startswith("/files/") or path == "/view":
            self._file(path)
        elif path.startswith("/history/"):
            self._history(path.rpartition("/")[2])
        else:
            known = {"/queue": self._queue, "/sdapi/v1/options": self._options, "/sdapi/v1/sd-models": self._models}
            self._json(known[path]()) if path in known else self._error(404, {"message": "not found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
        path = urlsplit(self.path).path
        if path == "/queue":
            self._note(body)
            self._json({})
            return
        fault = self.state.fault()
        self._note(body, fault)
        if self.state.key and self.state.key not in self.headers.get("Authorization", ""):
            fault = "401"
        if self._failed(fault):
            return
        answer = {"images/generations": self._openai, "txt2img": self._automatic, "/prompt": self._comfy}
        method = next((m for end, m in answer.items() if path.endswith(end)), self._huggingface)
        content, kind = method(body, fault)
        if fault == "hang":
            self.state.release.wait(30)
            self.close_connection = True
        elif fault == "cut":
            self._send(200, content, kind, cut=True)
        else:
            self._send(200, b"<html>oops" if fault == "not-json" else content, kind)

    def _note(self, body: Any, fault: str | None = None) -> None:
        one = Asked(self.command, self.path, dict(self.headers.items()), body, time.monotonic(), fault)
        with self.state.lock:
            self.state.asked.append(one)

    def _failed(self, fault: str | None) -> bool:
        if fault == "reset":
            self._hang_up()
        elif fault == "redirect":
            self._send(307, b"", "text/plain", headers={"Location": "http://localhost:9/elsewhere"})
        elif fault == "echo-key":
            sent = self.headers.get("Authorization", "")
            self._error(400, {"message": f"bad header {sent}", "code": sent}, {"x-request-id": sent})
        elif fault in _ERRORS:
            self._error(*_ERRORS[fault])
        return fault in _ERRORS or fault in ("reset", "redirect", "echo-key")

    def _error(self, status: int, error: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps({"error": error}).encode(), "application/json", headers=headers)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), "application/json")

    def _send(
        self, status: int, content: bytes, kind: str, *, headers: Mapping[str, str] | None = None, cut: bool = False
    ) -> None:
        self.send_response(status)
        told = hashlib.sha256(content).hexdigest()[:12]  # a function of the answer, so that answers can be compared
        for name, value in {"Content-Type": kind, "x-request-id": told, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    # -- pictures ---------------------------------------------------------------------------------------------

    def _picture(self, seed: int, text: str, size: tuple[int, int], fault: str | None) -> bytes:
        name = self.headers.get("Idempotency-Key") or "?"
        with self.state.lock:
            if not (self.state.idempotent and name in self.state.kept):
                self.state.drawn[name] += 1
            self.state.kept[name] = True
        data = draw(seed, text, *((size[0] + 8, size[1]) if fault == "wrong-size" else size))
        changed = {"not-image": b"<svg>not a picture</svg>", "truncated": data[: len(data) // 2]}
        return changed.get(fault or "", data)

    def _base64(self, data: bytes, fault: str | None) -> str:
        return "@@@not base64@@@" if fault == "not-base64" else base64.b64encode(data).decode()

    def _openai(self, body: Any, fault: str | None) -> tuple[bytes, str]:
        size = tuple(int(edge) for edge in str(body.get("size") or "16x16").split("x"))
        data = self._picture(body.get("seed", 0), body["prompt"], size, fault)
        item: dict[str, Any] = {"b64_json": self._base64(data, fault), "revised_prompt": f"{body['prompt']}, revised"}
        if fault == "flagged":
            results = {"hate": {"filtered": False}, "violence": {"filtered": True, "severity": "high"}}
            item = {"b64_json": None, "content_filter_results": results}
        elif self.state.links is not None:
            name = hashlib.sha256(data).hexdigest()[:16]
            self.state.files[f"/files/{name}.png"] = data
            item = {"url": f"{self.state.links or self._own()}/files/{name}.png"}
        return json.dumps({"created": 1, "data": [item]}).encode(), "application/json"

    def _own(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _file(self, path: str) -> None:
        if path == "/view":
            path = f"/files/{parse_qs(urlsplit(self.path).query)['filename'][0]}"
        fault = self.state.file_plan.pop(0) if self.state.file_plan else None
        data = self.state.files.get(path)
        if fault == "redirect":
            self._send(302, b"", "text/plain", headers={"Location": self.path.replace("127.0.0.1", "localhost")})
        elif fault and fault.startswith("http"):
            self._send(302, b"", "text/plain", headers={"Location": fault + path})
        elif fault or data is None:
            self._send(500 if fault else 404, b"", "text/plain")
        else:
            self._send(200, data, "image/png")

    def _huggingface(self, body: Any, fault: str | None) -> tuple[bytes, str]:
        told = body["parameters"]
        size = (told.get("width", 16), told.get("height", 16))
        return self._picture(told["seed"], body["inputs"], size, fault), "image/png"

    def _automatic(self, body: Any, fault: str | None) -> tuple[bytes, str]:
        data = self._picture(body["seed"], body["prompt"], (body.get("width", 16), body.get("height", 16)), fault)
        info = {
            "seed": body["seed"],
            "sampler_name": body.get("sampler_name", "Euler a"),
            "sd_model_hash": self.state.kept.get("hash", CHECKPOINT[:10]),
            "sd_model_name": "small",
        }
        if fault == "flagged":
            info["nsfw_content_detected"] = [True]
        answer = {"images": [self._base64(data, fault)], "parameters": {}, "info": json.dumps(info)}
        return json.dumps(answer).encode(), "application/json"

    def _options(self) -> Any:
        return {"sd_model_checkpoint": f"small.safetensors [{CHECKPOINT[:10]}]", "sd_checkpoint_hash": CHECKPOINT}

    def _models(self) -> Any:
        other = hashlib.sha256(b"other").hexdigest()
        return [
            {"title": f"small.safetensors [{CHECKPOINT[:10]}]", "model_name": "small", "sha256": CHECKPOINT},
            {"title": f"other.safetensors [{other[:10]}]", "model_name": "other", "sha256": other},
        ]

    # -- ComfyUI ----------------------------------------------------------------------------------------------

    def _comfy(self, body: Any, fault: str | None) -> tuple[bytes, str]:
        graph, name = body["prompt"], body["prompt_id"]
        digest = hashlib.sha256(json.dumps(graph, sort_keys=True).encode()).hexdigest()
        seen = digest in self.state.kept
        self.state.kept[digest] = True
        told: dict[str, Any] = {"status_str": "success", "completed": True, "messages": []}
        outputs: dict[str, Any] = {}
        if "explode" in graph["6"]["inputs"]["text"]:
            error = {"node_id": "3", "node_type": "KSampler", "exception_message": "out of memory\n"}
            told = {"status_str": "error", "completed": False}
            told["messages"] = [["execution_start", {}], ["execution_error", {**error, "exception_type": "OOM"}]]
        elif not (seen and self.state.cached_empty):
            latent = graph["5"]["inputs"]
            size = (latent["width"], latent["height"])
            data = self._picture(graph["3"]["inputs"]["seed"], graph["6"]["inputs"]["text"], size, fault)
            self.state.files[f"/files/{name}.png"] = data
            images = [{"filename": f"{name}.png", "subfolder": "", "type": "output"}]
            outputs = {
                "8": {"images": [{"filename": "x.png", "subfolder": "", "type": "temp"}]},
                "9": {"images": images},
            }
        self.state.kept[f"history {name}"] = {"outputs": outputs, "status": told}
        self.state.kept[f"polls {name}"] = self.state.polls
        return json.dumps({"prompt_id": name, "number": 1, "node_errors": {}}).encode(), "application/json"

    def _history(self, name: str) -> None:
        left = self.state.kept.get(f"polls {name}", 0)
        self.state.kept[f"polls {name}"] = left - 1
        entry = self.state.kept.get(f"history {name}")
        self._json({name: entry} if entry and left <= 0 else {})

    def _queue(self) -> Any:
        waiting = [key[6:] for key, left in self.state.kept.items() if key.startswith("polls ") and left > 0]
        return {"queue_running": [], "queue_pending": [[0, name, {}, {}, []] for name in waiting]}


@contextmanager
def serving(plan: Sequence[str | None] = (), **told: Any) -> Iterator[tuple[str, State]]:
    """A server on this machine: its address, and what it sees. Stopped at the end, whatever still hangs."""
    state = State(plan=list(plan), **told)
    server = _Server(state)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", state
    finally:
        state.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


_RUNNING = ExitStack()
atexit.register(_RUNNING.close)


def keep_serving(**told: Any) -> tuple[str, State]:
    """As `serving`, until the process ends."""
    return _RUNNING.enter_context(serving(**told))
