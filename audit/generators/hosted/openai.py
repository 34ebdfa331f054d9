# SPDX-License-Identifier: Apache-2.0
"""Anything that speaks the OpenAI Images API: OpenAI, Azure, gateways, local servers, and ``genaudit serve``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

from audit.errors import ConfigError, GeneratorError
from audit.generators.hosted._base import Ask, HostedGenerator, Picture
from audit.generators.hosted._replies import Again, Declined, Reply, check, decode_base64, withheld
from audit.types import GeneratorSpec, Outcome, Request, Scalar, size_of

__all__ = ["OpenAIGenerator"]

_OURS: Final = frozenset({"model", "n", "prompt", "response_format", "seed", "stream"})
_FORMATS: Final = ("auto", "b64_json", "none", "url")
# These refuse fields that they do not know: no seed, no negative prompt.
_STRICT: Final = ("api.openai.com", ".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


class OpenAIGenerator(HostedGenerator):
    """``POST {base_url}/images/generations``, one picture a request.

    Args:
        name: in the configuration.
        model: as the server calls it.
        params: further fields of the body: ``size`` (512 or "1024x1536"), ``quality``, ``style``, ``background``,
            ``output_format``, ``moderation``, ``steps`` ...
        options: ``base_url`` (https://api.openai.com/v1); ``key_env`` (OPENAI_API_KEY); ``seed``: whether the body has
            a ``seed`` (``auto``: not at OpenAI and Azure, which know none); ``response_format``: ``auto``,
            ``b64_json``, ``url`` or ``none``; ``api_version``: of Azure; and those that all hosted generators have.

    Raises:
        ConfigError: no model, an unknown option, a parameter that is the audit's own, or a key in the configuration.
    """

    kind: ClassVar[str] = "openai"
    own_options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "api_version": str,
        "response_format": str,
        "seed": (bool, str),
    }
    defaults: ClassVar[Mapping[str, Any]] = {"base_url": "https://api.openai.com/v1", "key_env": "OPENAI_API_KEY"}

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, model=model, params=params, options=options)
        if not model:
            raise ConfigError("no model given", where=self._where, hint="set `model` to the server's name for it")
        if taken := sorted(_OURS & set(self._params)):
            where, hint = f"{self._where}: params", "take it out: the audit sets it itself"
            raise ConfigError(f"parameter {taken[0]!r} is not free", where=where, hint=hint)
        host = (urlsplit(self._settings.base_url).hostname or "").lower()
        self._strict = host.endswith(_STRICT)
        self._official = host == _STRICT[0]
        seed = self._options.get("seed", "auto")
        if seed not in (True, False, "auto", None):
            raise ConfigError("seed must be auto, true or false", where=f"{self._where}: options")
        self._sends_seed = seed is True or (seed in ("auto", None) and not self._strict)
        self._format = str(self._options.get("response_format") or "auto")
        if self._format not in _FORMATS:
            hint = f"one of {', '.join(_FORMATS)}"
            raise ConfigError("unknown response_format", where=f"{self._where}: options", hint=hint)

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: host and model; nobody outside can see which weights answer."""
        can = {"text", "size"} | ({"seed"} if self._sends_seed else set()) | (set() if self._strict else {"negative"})
        details = self._details(model=self._model)
        return GeneratorSpec(self.name, self.kind, str(self._model), None, capabilities=frozenset(can), details=details)

    def _prepare(self) -> None:
        if self._strict and not self._key:
            raise GeneratorError(f"{self._key.env or 'the key'} is not set", where=self._where, hint=self._hint())

    def _draw(self, ask: Ask) -> Picture:
        body = self._body(ask.request)
        version = self._options.get("api_version")
        url = f"{self._settings.base_url}/images/generations" + (f"?api-version={quote(version)}" if version else "")
        # A file that could not be fetched is fetched again, not drawn and paid again.
        reply = ask.notes.get("answer") or ask.send("POST", url, body)
        answer = reply.json()
        item = _item(answer, reply, ask)
        ask.notes["answer"] = reply if _is_link(item) else None
        data = _bytes_of(item, ask)
        return Picture(data, self._known(answer, item, reply, body), size_of(ask.request.params))

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model, "prompt": request.prompt.text, "n": 1}
        body |= {key: value for key, value in request.params.items() if value is not None}
        if size := size_of(request.params):
            body["size"] = f"{size[0]}x{size[1]}"
            body.pop("width", None), body.pop("height", None)
        if "negative" in body:
            body["negative_prompt"] = body.pop("negative")
        if request.prompt.negative is not None and not self._strict:
            body["negative_prompt"] = request.prompt.negative
        if self._sends_seed:
            body["seed"] = self._seed(request)
        # gpt-image models refuse the field and always send base64.
        if self._format != "auto":
            body |= {} if self._format == "none" else {"response_format": self._format}
        elif "gpt-image" not in str(self._model) and (not self._official or str(self._model).startswith("dall-e")):
            body["response_format"] = "b64_json"
        return body

    def _known(self, answer: Any, item: Any, reply: Reply, body: Mapping[str, Any]) -> dict[str, Scalar]:
        texts = {
            "model": answer.get("model"),
            "request_id": reply.headers.get("x-request-id") or reply.headers.get("apim-request-id"),
            "revised_prompt": item.get("revised_prompt"),
        }
        seed = {"seed": int(body["seed"])} if self._sends_seed else {}
        return {**seed, **{key: value for key, value in texts.items() if isinstance(value, str) and value}}


def _item(answer: Any, reply: Reply, ask: Ask) -> dict[str, Any]:
    """The one entry of ``data``. Raises Declined where it was withheld, Again where there is none."""
    if not isinstance(answer, dict):
        raise Again("the answer is no JSON object", unknown=True, garbage=True)
    data = answer.get("data")
    item = data[0] if isinstance(data, list) and data else None
    if why := withheld(answer, item):
        raise Declined(Outcome.BLOCKED, why)
    if isinstance(item, dict):
        return item
    if answer.get("error"):  # some gateways send an error with status 200
        check(Reply(400, reply.headers, reply.content), where=ask.where, hint=ask.hint)
    raise Again("the answer holds no picture", unknown=True, garbage=True)


def _is_link(item: Mapping[str, Any]) -> bool:
    return not item.get("b64_json") and str(item.get("url")).startswith(("http://", "https://"))


def _bytes_of(item: Mapping[str, Any], ask: Ask) -> bytes:
    if isinstance(item.get("b64_json"), str) and item["b64_json"]:
        return decode_base64(item["b64_json"])
    url = item.get("url")
    if not isinstance(url, str) or not url:
        raise Again("the answer holds no picture", unknown=True, garbage=True)
    return decode_base64(url) if url.startswith("data:") else ask.fetch(url)
