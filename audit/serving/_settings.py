# SPDX-License-Identifier: Apache-2.0
"""What to serve and how, and the generator that this names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audit.errors import ConfigError
from audit.generators.address import guess_kind, name_of
from audit.probes.canonical import canonical_json
from audit.registry import GENERATORS
from audit.types import Generator, Scalar

__all__ = ["KEY", "Settings", "called", "default_params", "key_of", "make_generator", "need_extra"]

#: Environment variable with the key that clients must send. Never an option: command lines are seen by others.
KEY = "GENAUDIT_SERVE_KEY"
_EXTRA = 'pip install "genaudit[serve]"'
# The long names of diffusers; clients ask under the short ones, and one thing must not be set twice.
_SHORT = {"num_inference_steps": "steps", "guidance_scale": "guidance", "negative_prompt": "negative"}
_RANGES = {
    "batch_size": (1, 4096),
    "max_wait_ms": (0, 60_000),
    "queue": (1, 1_000_000),
    "cache_bytes": (0, 2**40),
    "max_pixels": (256, 100_000_000),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What to serve, and how.

    Attributes:
        model: folder, hub id, or ``reference:<name>``.
        kind: kind of generator; None: told from the folder.
        name: what clients call the model; None: from ``model``.
        params: parameters of every picture; a request may override size, steps and guidance.
        options: how to load it: device, dtype ...
        batch_size: pictures drawn at once, at most.
        max_wait_ms: how long a picture waits for others to be drawn with, in milliseconds.
        queue: pictures asked for and not yet answered, at most; beyond that clients are told to come back.
        keys: what signs: folder, command:<program> or callable:<module>:<attribute>; None: the development chain.
        watermark: put into every picture, e.g. "spread"; None: no pixel changes.
        watermark_key: file with its secret key; None: the public key.
        manifests: file in which manifests are kept, so that a watermark leads back to them; None: nowhere.
        time_stamps: address of an RFC 3161 authority; None: the time is the signer's word.
        stamp: whether pictures get Content Credentials.
        record: file that gets one JSON line a picture; None: none.
        record_prompts: whether those lines hold the text of the prompts, and of refusals.
        key: what clients must send as ``Authorization: Bearer``; None: what the environment variable
            ``GENAUDIT_SERVE_KEY`` says, and no key where it is not set.
        cache_bytes: of answers kept for repeated ``Idempotency-Key`` headers.
        max_pixels: width times height that a client may ask for.

    Raises:
        ConfigError: a number out of range.
    """

    model: str
    kind: str | None = None
    name: str | None = None
    params: Mapping[str, Scalar] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 8
    max_wait_ms: float = 10
    queue: int = 256
    keys: str | None = None
    watermark: str | None = None
    watermark_key: Path | None = None
    manifests: Path | None = None
    time_stamps: str | None = None
    stamp: bool = True
    record: Path | None = None
    record_prompts: bool = False
    key: str | None = field(default=None, repr=False)
    cache_bytes: int = 256 * 2**20
    max_pixels: int = 2048 * 2048

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"must be between {low} and {high}, got {getattr(self, name)}", where=name)
        if self.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.name):
            hint = "letters, digits, dot, dash and underscore, at most 64"
            raise ConfigError(f"{self.name!r:.80} is no name", where="name", hint=hint)


def need_extra() -> None:
    """Raises ConfigError where the web server is not installed."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"serving needs {' and '.join(missing)}", hint=_EXTRA)


def key_of(settings: Settings) -> str | None:
    """What clients must send, None: nothing. Raises ConfigError for an empty key."""
    key = os.environ.get(KEY) if settings.key is None else settings.key
    if key is not None and not key.strip():
        raise ConfigError("the key is empty", where=KEY, hint=f"unset {KEY}, or give it a value")
    return key


def called(settings: Settings) -> str:
    """What clients call the model."""
    return settings.name or name_of(settings.model)


def make_generator(settings: Settings) -> Generator:
    """The generator that the settings name, loaded. Raises ConfigError or GeneratorError."""
    kind = settings.kind or guess_kind(settings.model)
    params = default_params(settings.params, kind)
    factory = GENERATORS.get(kind)
    generator: Generator = factory(called(settings), model=settings.model, params=params, options=settings.options)
    _ = generator.spec  # wrong parameters are known before anybody asks
    load = getattr(generator, "load", None)
    if load is not None:
        load()
    return generator


def default_params(given: Mapping[str, Scalar], kind: str) -> dict[str, Scalar]:
    """The parameters of every picture under the names that a client's wishes have, so that a wish replaces them.

    Raises:
        ConfigError: one that is set twice, or no plain value.

    >>> default_params({"num_inference_steps": 20, "width": 512, "height": 768}, "diffusers")
    {'steps': 20, 'size': '512x768'}
    """
    params: dict[str, Scalar] = {}
    short_names = _SHORT if kind == "diffusers" else {}
    for key, value in given.items():
        short = short_names.get(key, key)
        if short in params:
            raise ConfigError(f"{short!r} is set twice", where="params", hint=f"leave out {short!r} or {key!r}")
        if not isinstance(value, Scalar):
            raise ConfigError(f"{key!r} must be one number or text, got {value!r:.60}", where="params")
        params[short] = value
    try:
        canonical_json(params)
    except ValueError as error:
        raise ConfigError(f"a parameter is not a finite number: {error}", where="params") from None
    if kind == "diffusers" and {"width", "height"} <= set(params) and "size" not in params:
        params["size"] = f"{params.pop('width')}x{params.pop('height')}"
    return params
