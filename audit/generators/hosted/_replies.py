# SPDX-License-Identifier: Apache-2.0
"""What a server answered: a picture, a refusal, something to try again, or the end of it."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from audit.errors import GeneratorError
from audit.types import Outcome

__all__ = ["Again", "Declined", "Reply", "Stopped", "TooLate", "check", "decode_base64", "file_facts", "withheld"]

_AGAIN = frozenset({408, 409, 425, 429})
_GATEWAY = frozenset({502, 504})  # what stands behind the gateway may have drawn it
_NO_ENTRY = frozenset({401, 402, 403})
_CLOSED = frozenset(
    {
        *("account_deactivated", "billing_hard_limit_reached", "billing_not_active", "deploymentnotfound"),
        *("insufficient_quota", "invalid_api_key", "model_not_found"),
    }
)
_REFUSALS = frozenset(
    {
        *("content_filter", "content_moderated", "content_policy_violation", "contentfilter", "moderation_blocked"),
        *("prompt_blocked", "request_moderated", "responsibleaipolicyviolation", "safety_violation"),
    }
)
_SAFETY = re.compile(
    r"safety[ _](system|check|filter|violation|setting)|content[ _-]?(polic|filter|moderat|management|violat)"
    r"|moderation|responsible ai|usage (polic|guideline)|nsfw|violat\w* .{0,40}polic|prohibited content",
    re.IGNORECASE,
)
_WITHHELD = re.compile(
    r"withheld|(generated|resulting|output) (image|picture)s?\b"
    r"|(image|picture)s? (was|were|has been|have been) (filter|block|moderat|remov|withh)",
    re.IGNORECASE,
)
_FLAGS = ("has_nsfw_concepts", "nsfw_content_detected")  # the picture that comes with these is a black one
_LONGEST = 1000


class Again(Exception):  # noqa: N818 - not an error yet: the request is tried again
    """This try failed in a way that passes.

    Args:
        text: what happened.
        unknown: it may have been drawn and billed all the same.
        after: seconds that the server asks to wait.
        reached: whether a server was there at all.
        garbage: an answer came, but no picture could be read from it.
    """

    def __init__(
        self,
        text: str,
        *,
        unknown: bool = False,
        after: float | None = None,
        reached: bool = True,
        garbage: bool = False,
    ) -> None:
        super().__init__(text)
        self.text, self.unknown, self.after, self.reached, self.garbage = text, unknown, after, reached, garbage


class Declined(Exception):  # noqa: N818 - an answer
    """There is no picture, and asking again would not bring one."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome, self.text = outcome, text


class TooLate(Exception):  # noqa: N818
    """The deadline of the image has passed, or is sure to."""


class Stopped(Exception):  # noqa: N818
    """Nobody wants the answer any more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The content as JSON. Raises Again: the body is damaged, and may have been paid for."""
        try:
            return json.loads(self.content)
        except ValueError:
            start = self.content[:80].decode("utf-8", "replace")
            raise Again(f"the answer is not JSON: {start!r}", unknown=True, garbage=True) from None

    def pause(self) -> float | None:
        """Seconds that the server asks to wait: Retry-After, or the reset of a rate limit that is used up."""
        return _retry_after(self.headers) or self.used_up()

    def used_up(self) -> float | None:
        """Seconds until a rate limit that is used up starts anew, None where it is not, or not told."""
        return _reset(self.headers)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return None if value is None else seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _reset(headers: Mapping[str, str]) -> float | None:
    """OpenAI: x-ratelimit-remaining-requests and -reset-requests ("6m0s"); others: the same without "-requests"."""
    for prefix, suffix in (("x-ratelimit-", "-requests"), ("x-ratelimit-", ""), ("ratelimit-", "")):
        if _number(headers.get(f"{prefix}remaining{suffix}")) == 0:
            return _duration(headers.get(f"{prefix}reset{suffix}", ""))
    return None


def _duration(text: str) -> float | None:
    """Seconds of "1.5", "120ms", "6m0s", "1h2m" or a Unix time.

    >>> _duration("6m0s"), _duration("120ms"), _duration("2"), _duration("soon")
    (360.0, 0.12, 2.0, None)
    """
    if (number := _number(text)) is not None:
        return max(0.0, number - time.time()) if number > 1e9 else number
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    scale = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    whole = "".join(f"{number}{unit}" for number, unit in parts) == text.strip()
    return sum(float(number) * scale[unit] for number, unit in parts) if parts and whole else None


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def check(reply: Reply, *, where: str, hint: str | None) -> None:
    """Pass a success; anything else is raised.

    Args:
        reply: what the server answered.
        where: place for the message.
        hint: what to do where the server lets nobody in.

    Raises:
        Again: busy, failed, or a gateway gave up.
        Declined: refused, withheld, or a request that the server cannot take.
        GeneratorError: the server lets us in no more: wrong key, no money, no such model.
    """
    if 200 <= reply.status < 300:
        return
    if 300 <= reply.status < 400:  # not followed: another host must not see the key
        target = urlsplit(reply.headers.get("location", "")).netloc or "another path"
        raise Declined(Outcome.ERROR, f"HTTP {reply.status}: the server redirects to {target}; set base_url to it")
    text, codes = _problem(reply)
    line = f"HTTP {reply.status}: {text}"
    if codes & _CLOSED:
        raise GeneratorError(line, where=where, hint=hint)
    if reply.status in (400, 403, 422, 451) and (codes & _REFUSALS or _SAFETY.search(text)):
        raise Declined(Outcome.BLOCKED if "outcome=blocked" in codes else declined_as(text), text)
    if reply.status in _NO_ENTRY:
        raise GeneratorError(line, where=where, hint=hint)
    if reply.status in _AGAIN or reply.status >= 500:
        raise Again(line, unknown=reply.status in _GATEWAY, after=reply.pause())
    raise Declined(Outcome.ERROR, line)


def declined_as(text: str) -> Outcome:
    """BLOCKED where the text says that a picture was withheld, else REFUSED.

    >>> declined_as("Generated image was filtered as a result of our safety system.").value
    'blocked'
    """
    return Outcome.BLOCKED if _WITHHELD.search(text) else Outcome.REFUSED


def _problem(reply: Reply) -> tuple[str, frozenset[str]]:
    """Text and codes of an error, in the shapes of OpenAI, Azure, FastAPI, Hugging Face and ComfyUI."""
    try:
        body = json.loads(reply.content)
    except ValueError:
        plain = re.sub(r"<[^>]*>", " ", reply.content[: 4 * _LONGEST].decode("utf-8", "replace"))
        return " ".join(plain.split())[:_LONGEST] or "no text", frozenset()
    codes = frozenset(str(value).lower() for key, value in _pairs(body) if key in ("code", "type") and value)
    codes |= {f"outcome={value}" for key, value in _pairs(body) if key == "outcome"}  # `genaudit serve` says which
    said = [str(v) for k, v in _pairs(body) if k in ("message", "detail", "error", "errors", "msg", "details") and v]
    return "; ".join(dict.fromkeys(said))[:_LONGEST] or "no text", codes


def _pairs(body: Any) -> Iterator[tuple[str, Any]]:
    """Keys and plain values of nested JSON, outermost first."""
    if isinstance(body, dict):
        yield from ((k, v) for k, v in body.items() if not isinstance(v, dict | list))
        for key, value in body.items():
            yield from ((key, v) for v in (value if isinstance(value, list) else ()) if isinstance(v, str))
            yield from _pairs(value)
    elif isinstance(body, list):
        for value in body:
            yield from _pairs(value)


def withheld(*blocks: Any) -> str | None:
    """Why a provider withheld a picture that it was paid for, None where it did not.

    Args:
        blocks: JSON objects, outermost first: the answer, and the item that holds the picture or should.
    """
    found = [block for block in blocks if isinstance(block, dict)]
    picture = any(isinstance(block.get(key), str) and block[key] for block in found for key in ("b64_json", "url"))
    for block in found:
        for flag in _FLAGS:
            if _any(block.get(flag)):
                return f"the provider set {flag}"
        if picture:
            continue
        filtered = [k for k, v in _filters(block) if isinstance(v, dict) and v.get("filtered") is True]
        if filtered:
            return f"filtered by the provider: {', '.join(filtered)}"
        reason = str(block.get("finish_reason") or block.get("raiFilteredReason") or block.get("status") or "")
        if _SAFETY.search(reason) or reason.lower() == "safety" or block.get("raiFilteredReason"):
            return f"withheld by the provider: {reason}"[:_LONGEST]
        if any(_any(block.get(flag)) for flag in ("nsfw", "flagged")) or block.get("respect_moderation") is False:
            return "withheld by the provider's moderation"
    return None


def _filters(block: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    results = block.get("content_filter_results")
    return list(results.items()) if isinstance(results, dict) else []


def _any(flag: Any) -> bool:
    return flag is True or (isinstance(flag, list) and any(one is True for one in flag))


def decode_base64(text: Any) -> bytes:
    """The bytes of base64, with or without ``data:image/png;base64,`` before it. Raises Again."""
    try:
        plain = str(text).partition("base64,")[2] if str(text).startswith("data:") else str(text)
        return base64.b64decode("".join(plain.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Again("the picture is not valid base64", unknown=True, garbage=True) from None


def file_facts(data: bytes) -> tuple[str, int, int]:
    """Media type, width and height of a whole picture. Raises Again: not a picture, or a damaged one."""
    from audit.images import decode
    from audit.provenance._engine import sniff

    media_type = sniff(data)
    if media_type is None:
        raise Again(f"what came is no picture: {data[:40]!r}", unknown=True, garbage=True)
    try:
        height, width, _ = decode(data).shape
    except ValueError as error:
        raise Again(str(error), unknown=True, garbage=True) from None
    return media_type, width, height
