# SPDX-License-Identifier: Apache-2.0
"""Inference Providers of the Hugging Face Hub, and endpoints of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from audit.errors import ConfigError, GeneratorError
from audit.generators.hosted._base import Ask, HostedGenerator, Picture
from audit.generators.hosted._replies import Again, Declined, Reply, Stopped, TooLate, decode_base64, withheld
from audit.types import GeneratorSpec, Outcome, Request, Scalar, size_of

__all__ = ["HuggingFaceGenerator"]

_SHORT: Final = {"steps": "num_inference_steps", "guidance": "guidance_scale", "negative": "negative_prompt"}
_OURS: Final = frozenset({"inputs", "num_images", "num_images_per_prompt", "prompt", "seed"})


class HuggingFaceGenerator(HostedGenerator):
    """Text to image by a provider of the Hub, one picture a request.

    ``InferenceClient.text_to_image`` decodes the picture and drops the file. Here the library prepares the request
    (address, body and headers of each provider) and we send it, so that the file stays as it came.

    Args:
        name: in the configuration.
        model: hub id, or the address of an endpoint.
        params: ``steps``, ``guidance``, ``negative``, ``size`` (512 or "512x768"), or the provider's own names.
        options: ``provider`` (``auto``: the first of your account); ``base_url``: address of an endpoint, in place of a
            provider; ``bill_to``: organisation that pays; ``key_env`` (HF_TOKEN); ``seed_bits`` 31; and those that all
            hosted generators have.

    Raises:
        ConfigError: no model, an unknown option, a parameter that is the audit's own, or a key in the configuration.
    """

    kind: ClassVar[str] = "huggingface"
    own_options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"bill_to": str, "provider": str}
    defaults: ClassVar[Mapping[str, Any]] = {
        "base_url": "https://router.huggingface.co",
        "key_env": "HF_TOKEN",
        "seed_bits": 31,  # some providers read a signed 32-bit number
    }

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        options = dict(options or {})
        self._endpoint = options.get("base_url")
        if isinstance(model, str) and model.startswith(("http://", "https://")):
            self._endpoint = options["base_url"] = model
        super().__init__(name, model=model, params=params, options=options)
        if not model:
            raise ConfigError("no model given", where=self._where, hint="set `model` to a hub id: owner/name")
        if taken := sorted(_OURS & set(self._params)):
            where, hint = f"{self._where}: params", "take it out: the audit sets it itself"
            raise ConfigError(f"parameter {taken[0]!r} is not free", where=where, hint=hint)
        if self._endpoint and self._options.get("provider"):
            hint = "leave one of the two out"
            raise ConfigError("an endpoint has no provider", where=f"{self._where}: options", hint=hint)

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: model and provider; nobody outside can see which weights answer."""
        provider = "endpoint" if self._endpoint else str(self._options.get("provider") or "auto")
        return GeneratorSpec(
            self.name,
            self.kind,
            str(self._model),
            None,
            capabilities=frozenset({"text", "negative", "seed", "size", "steps", "guidance"}),
            details=self._details(model=self._model, provider=provider),
        )

    def _prepare(self) -> None:
        if not self._endpoint and not self._key:
            raise GeneratorError(f"{self._key.env or 'the key'} is not set", where=self._where, hint=self._hint())

    def _draw(self, ask: Ask) -> Picture:
        parameters = self._parameters(ask.request)
        helper, prepared = self._prepared(ask.request.prompt.text, parameters)
        headers = {str(key).lower(): str(value) for key, value in prepared.headers.items()}
        headers.pop("content-type", None)
        if not self._key:
            headers.pop("authorization", None)  # the library would send a token saved by `hf auth login` anywhere
        headers.setdefault("accept", "image/png")
        reply = ask.send("POST", prepared.url, prepared.json, headers=headers)
        data, told = _picture(reply, ask) or (self._by_helper(helper, reply, prepared), {})
        return Picture(data, {"seed": parameters["seed"], **told}, size_of(ask.request.params))

    def _parameters(self, request: Request) -> dict[str, Any]:
        given = {_SHORT.get(key, key): value for key, value in request.params.items() if value is not None}
        given.pop("size", None)
        if size := size_of(request.params):
            given |= {"width": size[0], "height": size[1]}
        if request.prompt.negative is not None:
            given["negative_prompt"] = request.prompt.negative
        return {**given, "seed": self._seed(request)}

    def _prepared(self, prompt: str, parameters: dict[str, Any]) -> tuple[Any, Any]:
        """The provider's helper and the request it prepared. Raises GeneratorError."""
        model, bill_to = self._endpoint or self._model, self._options.get("bill_to")
        try:
            from huggingface_hub.inference._providers import get_provider_helper

            helper = get_provider_helper(
                None if self._endpoint else self._options.get("provider") or "auto",
                task="text-to-image",
                model=model,
            )
            prepared = helper.prepare_request(
                inputs=prompt,
                parameters=dict(parameters),
                headers={"X-HF-Bill-To": bill_to} if bill_to else {},
                model=model,
                api_key=self._key.value or ("none" if self._endpoint else None),
            )
        except (ImportError, AttributeError, TypeError) as error:
            raise _moved(error, self._where) from None
        except Exception as error:  # noqa: BLE001 - library, transport and provider each have errors of their own
            text = f"{self._model} cannot be asked: {type(error).__name__}: {error}"
            hint = f"{self._hint()}; name another options.provider, or set options.base_url to an endpoint"
            raise GeneratorError(self._key.scrub(text)[:1000], where=self._where, hint=hint) from None
        if urlsplit(str(prepared.url)).scheme not in ("http", "https"):
            raise GeneratorError("the provider's address is neither http nor https", where=self._where)
        return helper, prepared

    def _by_helper(self, helper: Any, reply: Reply, prepared: Any) -> bytes:
        """Providers that draw in the background: the library knows how to wait for each."""
        try:
            data = helper.get_response(reply.content, prepared)
        except AttributeError as error:
            raise _moved(error, self._where) from None
        except (Stopped, TooLate):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            text = f"the provider's answer cannot be read: {type(error).__name__}: {error}"
            raise Again(text, unknown=True, garbage=True) from None
        if not isinstance(data, bytes):
            raise Again("the provider's answer holds no picture", unknown=True, garbage=True)
        return data


def _moved(error: Exception, where: str) -> GeneratorError:
    from huggingface_hub import __version__

    text = f"huggingface_hub {__version__} does not offer what is needed to keep files as they come: {error}"
    return GeneratorError(text, where=where, hint='pip install "huggingface_hub>=2.4,<3"')


def _picture(reply: Reply, ask: Ask) -> tuple[bytes, dict[str, Scalar]] | None:
    """File and what is told about it, for providers that answer at once; None for those that want to be asked again."""
    if reply.headers.get("content-type", "").startswith("image/"):
        name = reply.headers.get("x-request-id")
        return reply.content, {"request_id": name} if name else {}
    if not reply.content.lstrip().startswith((b"{", b"[")):
        return reply.content, {}  # what it is will be seen
    answer = reply.json()
    rows: Any = None
    told: dict[str, Scalar] = {}
    if isinstance(answer, dict):
        rows = next((answer[key] for key in ("data", "images", "output") if answer.get(key)), None)
        told = {"provider_seed": answer["seed"]} if isinstance(answer.get("seed"), int) else {}
    item = rows[0] if isinstance(rows, list) else rows
    if why := withheld(answer, item):
        raise Declined(Outcome.BLOCKED, why)
    block = item if isinstance(item, dict) else {"url": item}
    if isinstance(block.get("b64_json"), str):
        return decode_base64(block["b64_json"]), told
    url = block.get("url")
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return ask.fetch(url), told
    return None
