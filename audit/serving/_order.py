# SPDX-License-Identifier: Apache-2.0
"""From the body of a call to requests. What is not understood or not offered is an error, never ignored."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from audit.probes.canonical import sha256_of
from audit.serving._errors import HttpError, invalid
from audit.types import GeneratorSpec, Prompt, Request, Scalar

__all__ = ["MEDIA", "Order", "Served", "parse_body", "read_order"]

MEDIA: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_MOST = 10
_LONGEST = 32_000  # characters
_SEEDS = 2**63
# Readers of JSON that hold numbers as doubles keep integers whole below this.
_DRAWN_SEEDS = 2**53
_NAMED = "a seed, a size, steps, guidance and a negative_prompt can be asked for"
# Fields of OpenAI's call for which a local generator has no choices: leaving the choice to us is fine.
_OURS: Final = {
    "background": ("auto", "opaque"),
    "moderation": ("auto",),
    "output_compression": (),
    "partial_images": (0,),
    "quality": ("auto", "standard"),
    "stream": (False,),
    "style": (),
}
_KNOWN: Final = frozenset(
    {"prompt", "n", "size", "seed", "negative_prompt", "response_format", "output_format", "model", "user"}
    | {"steps", "guidance"}
)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served.

    Attributes:
        name: what clients call it.
        spec: of the generator.
        params: parameters of every picture.
        most: pictures a call, at most.
        max_pixels: width times height, at most.
    """

    name: str
    spec: GeneratorSpec
    params: Mapping[str, Scalar]
    most: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Order:
    """One call, understood.

    Attributes:
        requests: one a picture; the k-th has the seed of the first plus k.
        media_type: what was asked for; None: as the generator gives it, PNG where it gives pixels.
        digest: sha256 of the body's content: two calls that say the same have the same.
    """

    requests: tuple[Request, ...]
    media_type: str | None
    digest: str

    @property
    def id(self) -> str:
        """The request's id, or a digest of the ids where there are several."""
        ids = [request.id for request in self.requests]
        return ids[0] if len(ids) == 1 else sha256_of(ids)[:32]


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object of a call. Raises HttpError (400)."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise invalid(f"the body is not JSON: {reason}", None, code="invalid_json") from None
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object", None, code="invalid_json")
    return body


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def read_order(body: Mapping[str, Any], served: Served) -> Order:
    """What a call asks for. Raises HttpError: 400, or 404 for a model that is not served."""
    _check_names(body)
    model = _text(body, "model", longest=256)
    if model not in (None, served.name):
        message = f"the model {model!r} is not served here; {served.name!r} is"
        raise HttpError(404, message, code="model_not_found", param="model")
    _text(body, "user", longest=512)
    _offered(body)
    text = _text(body, "prompt", longest=_LONGEST)
    if text is None:
        raise invalid("prompt is missing", "prompt", code="missing_required_parameter")
    count = _whole(body, "n", 1, served.most) or 1
    params = {**served.params, **_size(body, served), **_numbers(body, served)}
    negative = _text(body, "negative_prompt", longest=_LONGEST, least=0)
    if negative is not None:
        _must_take(served, "negative", "negative_prompt")
    seed = _seed(body, served)
    requests = (_request(served, text, negative, seed=(seed + place) % _SEEDS, params=params) for place in range(count))
    return Order(tuple(requests), _media_type(body), sha256_of(body))


def _check_names(body: Mapping[str, Any]) -> None:
    for name in body:
        if name not in _KNOWN and name not in _OURS:
            raise invalid(f"unknown parameter {name!r:.60}; {_NAMED}", name[:60], code="unknown_parameter")
    for name, fine in _OURS.items():
        value = body.get(name)
        if value is not None and not any(type(value) is type(one) and value == one for one in fine):
            raise invalid(f"{name} is not offered here: leave it out", name, code="unsupported_parameter")


def _offered(body: Mapping[str, Any]) -> None:
    answer = body.get("response_format")
    if answer not in (None, "b64_json"):
        message = f"response_format must be b64_json, got {answer!r:.40}; addresses (url) are not offered here"
        raise invalid(message, "response_format")


def _media_type(body: Mapping[str, Any]) -> str | None:
    wanted = body.get("output_format")
    if wanted is None:
        return None
    if not isinstance(wanted, str) or wanted not in MEDIA:
        raise invalid(f"output_format must be {', '.join(MEDIA)}, got {wanted!r:.40}", "output_format")
    return MEDIA[wanted]


def _text(body: Mapping[str, Any], name: str, *, longest: int, least: int = 1) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(f"{name} must be a text, got {_kind(value)}", name, code="invalid_type")
    if not least <= len(value) <= longest:
        raise invalid(f"{name} must have {least} to {longest} characters, got {len(value)}", name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(f"{name} holds half a character (a lone surrogate)", name) from None
    return value


def _whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise invalid(f"{name} must be a whole number, got {_kind(value)}", name, code="invalid_type")
    if not low <= value <= high:
        raise invalid(f"{name} must be between {low} and {high}, got {str(value)[:40]}", name)
    return value


def _kind(value: Any) -> str:
    words: dict[type, str] = {bool: "true or false", dict: "an object", list: "a list", str: "a text"}
    return words.get(type(value), "a number")


def _numbers(body: Mapping[str, Any], served: Served) -> dict[str, Scalar]:
    """Steps and guidance, for generators that take them."""
    found: dict[str, Scalar] = {}
    steps = _whole(body, "steps", 1, 1000)
    if steps is not None:
        _must_take(served, "steps", "steps")
        found["steps"] = steps
    guidance = body.get("guidance")
    if guidance is not None:
        _must_take(served, "guidance", "guidance")
        if type(guidance) not in (int, float) or not math.isfinite(guidance) or not 0 <= guidance <= 100:
            raise invalid("guidance must be a number between 0 and 100", "guidance")
        found["guidance"] = float(guidance)
    return found


def _must_take(served: Served, capability: str, name: str) -> None:
    if capability not in served.spec.capabilities:
        raise invalid(f"{served.name} takes no {name}", name, code="unsupported_parameter")


def _seed(body: Mapping[str, Any], served: Served) -> int:
    seed = _whole(body, "seed", 0, _SEEDS - 1)
    if seed is None:
        return secrets.randbelow(_DRAWN_SEEDS)
    _must_take(served, "seed", "seed")
    return seed


def _size(body: Mapping[str, Any], served: Served) -> dict[str, Scalar]:
    """``"WxH"`` as the parameters that the generator knows; nothing where the choice is left to it."""
    size = body.get("size")
    if size is None or size == "auto":
        return {}
    found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", size) if isinstance(size, str) else None
    if found is None:
        raise invalid(f"size must read WIDTHxHEIGHT or auto, got {size!r:.40}", "size")
    width, height = int(found[1]), int(found[2])
    if width * height > served.max_pixels:
        raise invalid(f"size {size} is more than {served.max_pixels} pixels", "size")
    if "size" not in served.spec.capabilities:
        native = served.spec.details.get("resolution")
        if (width, height) != (native, native):
            only = f"{native}x{native}" if native else "one size"
            raise invalid(f"{served.name} draws {only} only; leave size out", "size")
        return {}
    return _SIZES.get(served.spec.kind, _both)(width, height)


def _square(width: int, height: int) -> dict[str, Scalar]:
    if width != height or not 16 <= width <= 1024:
        raise invalid("the renderer draws squares of 16 to 1024 pixels", "size")
    return {"size": width}


def _eights(width: int, height: int) -> dict[str, Scalar]:
    if width % 8 or height % 8:
        raise invalid("width and height must be multiples of 8", "size")
    return _both(width, height)


def _both(width: int, height: int) -> dict[str, Scalar]:
    return {"size": f"{width}x{height}"}


_SIZES: Final[Mapping[str, Callable[[int, int], dict[str, Scalar]]]] = {"renderer": _square, "diffusers": _eights}


def _request(served: Served, text: str, negative: str | None, *, seed: int, params: Mapping[str, Scalar]) -> Request:
    """A request whose id is a digest of its content, formed as `audit.probes.requests` forms it."""
    prompt = Prompt(f"served/{hashlib.sha256(text.encode()).hexdigest()[:16]}", text, "served", negative=negative)
    content = {
        "generator": served.name,
        "prompt": {"id": prompt.id, "probe": prompt.probe, "text": text, "negative": negative, "axes": {}},
        "params": params,
        "repetition": 0,
        "seed": seed,
    }
    return Request(sha256_of(content)[:32], served.name, prompt, 0, seed, dict(params))
