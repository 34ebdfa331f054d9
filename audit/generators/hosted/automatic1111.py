# SPDX-License-Identifier: Apache-2.0
"""The web UI of AUTOMATIC1111 and its forks (Forge, SD.Next), started with ``--api``."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from audit.errors import ConfigError, GeneratorError
from audit.generators.hosted._base import Ask, HostedGenerator, Picture
from audit.generators.hosted._replies import Again, Declined, Reply, Stopped, TooLate, check, decode_base64, withheld
from audit.types import GeneratorSpec, Outcome, Request, Scalar, size_of

__all__ = ["Automatic1111Generator"]

_SHORT: Final = {"guidance": "cfg_scale", "negative": "negative_prompt", "sampler": "sampler_name"}
_OURS: Final = frozenset({"batch_size", "n_iter", "prompt", "save_images", "seed", "send_images", "subseed"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Automatic1111Generator(HostedGenerator):
    """``POST {base_url}/sdapi/v1/txt2img``, one picture a request.

    Args:
        name: in the configuration.
        model: title or name of the checkpoint to draw with; None for the one that is loaded.
        params: ``steps``, ``guidance`` (cfg_scale), ``sampler`` (sampler_name), ``negative`` (negative_prompt),
            ``size`` (512 or "512x768"), or any other field of the body under its own name.
        options: ``base_url`` (http://127.0.0.1:7860); ``key_env``: environment variable that holds ``user:password``
            (``--api-auth``); ``concurrency`` is 1 by default, as the server draws one picture at a time;
            ``seed_bits`` 32; and those that all hosted generators have.

    Raises:
        ConfigError: an unknown option, a parameter that is the audit's own, or a key in the configuration.
    """

    kind: ClassVar[str] = "automatic1111"
    basic: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = {
        "base_url": "http://127.0.0.1:7860",
        "concurrency": 1,
        "seed_bits": 32,  # what the UI takes; extensions seed numpy with it
    }

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, model=model, params=params, options=options)
        if taken := sorted(_OURS & set(self._params)):
            where, hint = f"{self._where}: params", "take it out: the audit sets it itself"
            raise ConfigError(f"parameter {taken[0]!r} is not free", where=where, hint=hint)
        self._checkpoint: tuple[str, str | None] | None = None

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the digest is the sha256 of the checkpoint, where the server tells it.

        Raises:
            GeneratorError: the server is not there, lets nobody in, or has no such checkpoint.
        """
        title, digest = self._loaded()
        return GeneratorSpec(
            self.name,
            self.kind,
            self._model or title,
            digest,
            capabilities=frozenset({"text", "negative", "seed", "size", "steps", "guidance"}),
            details=self._details(model=title),
        )

    def _loaded(self) -> tuple[str, str | None]:
        """Title and sha256 of the checkpoint, asked once."""
        if self._checkpoint is None:
            options = self._ask_server("options")
            title, digest = str(options.get("sd_model_checkpoint") or "unknown"), options.get("sd_checkpoint_hash")
            if self._model:
                title, digest = self._named(self._ask_server("sd-models"))
            known = str(digest or "").lower()
            self._checkpoint = self._key.scrub(title), known if _SHA256.fullmatch(known) else None
        return self._checkpoint

    def _named(self, models: Any) -> tuple[str, Any]:
        rows = [row for row in models if isinstance(row, dict)] if isinstance(models, list) else []
        for row in rows:
            if self._model in (row.get("title"), row.get("model_name")):
                return str(row.get("title")), row.get("sha256")
        hint = f"it has: {', '.join(str(row.get('model_name')) for row in rows[:20]) or 'none'}"
        raise GeneratorError(f"the server has no checkpoint {self._model!r}", where=self._where, hint=hint)

    def _ask_server(self, route: str) -> Any:
        url = f"{self._settings.base_url}/sdapi/v1/{route}"
        try:
            reply = self._open().call("GET", url, deadline=time.monotonic() + self._settings.timeout)
            check(reply, where=self._where, hint=self._hint())
            answer = reply.json()
        except (Again, Declined, Stopped, TooLate) as error:
            hint = f"start the web UI with --api, or set options.base_url; asked: {self._settings.base_url}"
            text = self._key.scrub(f"the server does not say what it has loaded: {error}")
            raise GeneratorError(text, where=self._where, hint=hint) from None
        self._reached = True
        return answer if isinstance(answer, dict | list) else {}

    def _prepare(self) -> None:
        self._loaded()

    def _draw(self, ask: Ask) -> Picture:
        body = self._body(ask.request)
        reply = ask.send("POST", f"{self._settings.base_url}/sdapi/v1/txt2img", body)
        answer = reply.json()
        if not isinstance(answer, dict):
            raise Again("the answer is no JSON object", unknown=True, garbage=True)
        info = _info(answer)
        if why := withheld(answer, info):
            raise Declined(Outcome.BLOCKED, why)
        images = answer.get("images")
        if not isinstance(images, list) or not images:
            raise Again("the answer holds no picture", unknown=True, garbage=True)
        self._same_weights(info)
        return Picture(decode_base64(images[0]), _known(body, info, reply), size_of(ask.request.params))

    def _body(self, request: Request) -> dict[str, Any]:
        given: dict[str, Any] = {_SHORT.get(k, k): value for k, value in request.params.items() if value is not None}
        given.pop("size", None)
        if size := size_of(request.params):
            given |= {"width": size[0], "height": size[1]}
        if request.prompt.negative is not None:
            given["negative_prompt"] = request.prompt.negative
        if self._model:
            given["override_settings"] = {"sd_model_checkpoint": self._loaded()[0]}
        fixed = {"batch_size": 1, "n_iter": 1, "save_images": False, "send_images": True}
        return {**given, **fixed, "prompt": request.prompt.text, "seed": self._seed(request)}

    def _same_weights(self, info: Mapping[str, Any]) -> None:
        """Somebody may pick another checkpoint in the web UI while an audit runs."""
        short, digest = info.get("sd_model_hash"), self._checkpoint[1] if self._checkpoint else None
        if isinstance(short, str) and short and digest and not digest.startswith(short.lower()):
            raise Declined(Outcome.ERROR, f"the server drew with another checkpoint, {short}, not {digest[:10]}")


def _info(answer: Mapping[str, Any]) -> dict[str, Any]:
    """``info`` is JSON within JSON."""
    try:
        info = json.loads(answer.get("info") or "{}")
    except (TypeError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def _known(body: Mapping[str, Any], info: Mapping[str, Any], reply: Reply) -> dict[str, Scalar]:
    seed = info.get("seed")
    told = {
        "model": info.get("sd_model_name"),
        "model_hash": info.get("sd_model_hash"),
        "request_id": reply.headers.get("x-request-id"),
        "sampler": info.get("sampler_name"),
    }
    used = seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else body["seed"]
    return {"seed": used, **{key: value for key, value in told.items() if isinstance(value, str) and value}}
