# SPDX-License-Identifier: Apache-2.0
"""The options that all hosted generators have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from audit.errors import ConfigError
from audit.types import size_of

__all__ = ["COMMON", "Prices", "Settings", "read_settings"]

_NUMBER = (int, float)
COMMON: Final[Mapping[str, type | tuple[type, ...]]] = {
    "backoff": _NUMBER,
    "base_url": str,
    "bill_refusals": bool,
    "concurrency": int,
    "deadline": _NUMBER,
    "idempotent": bool,
    "key_env": str,
    "key_header": str,
    "max_spend": _NUMBER,
    "price": (int, float, dict),
    "requests_per_minute": _NUMBER,
    "retries": int,
    "seed_bits": int,
    "timeout": _NUMBER,
}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "backoff": 1.0,
    "bill_refusals": False,
    "concurrency": 4,
    "deadline": 900.0,
    "idempotent": False,
    "key_header": "Authorization",
    "retries": 6,
    "seed_bits": 63,
    "timeout": 120.0,
}
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "backoff": (0, 600),
    "concurrency": (1, 256),
    "deadline": (0.01, 86_400),
    "max_spend": (0, 1e9),
    "requests_per_minute": (0.001, 1e6),
    "retries": (0, 100),
    "seed_bits": (8, 63),
    "timeout": (0.01, 86_400),
}


@dataclass(frozen=True, slots=True)
class Prices:
    """What a picture costs: one amount, or amounts by ``"size/quality"``, size, quality or ``"default"``."""

    amounts: Mapping[str, Decimal]

    def of(self, params: Mapping[str, Any]) -> Decimal | None:
        """The price of a request with these parameters, None where no entry fits."""
        size, quality = size_of(params), params.get("quality")
        shape = f"{size[0]}x{size[1]}" if size else str(params.get("size"))
        keys = (f"{shape}/{quality}", shape, str(quality), "default")
        return next((self.amounts[key] for key in keys if key in self.amounts), None)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is asked.

    Attributes:
        base_url: without a slash at its end.
        concurrency: requests at once.
        retries: further tries of one request.
        backoff: seconds; before try k + 1 a random wait of at most ``backoff * 2**(k - 1)``.
        timeout: seconds one HTTP request may take.
        deadline: seconds one image may take, all tries and waits together.
        requests_per_minute: asked at most, None for no limit of ours.
        prices: of a picture, None where it costs nothing.
        max_spend: never pay more, None for no cap.
        bill_refusals: whether a refusal costs as much as a picture.
        idempotent: whether the server honours ``Idempotency-Key``, so that a repeated request is paid once.
        seed_bits: low bits of a request's seed that are sent.
        key_header: header that carries the key.
    """

    base_url: str
    concurrency: int
    retries: int
    backoff: float
    timeout: float
    deadline: float
    requests_per_minute: float | None
    prices: Prices | None
    max_spend: Decimal | None
    bill_refusals: bool
    idempotent: bool
    seed_bits: int
    key_header: str

    @property
    def host(self) -> str:
        """Host and port of ``base_url``."""
        return urlsplit(self.base_url).netloc


def read_settings(options: Mapping[str, Any], defaults: Mapping[str, Any], *, where: str) -> Settings:
    """Settings from options whose types have been checked.

    Args:
        options: what the user wrote.
        defaults: of the kind of generator, before those that all share.
        where: place for the message.

    Raises:
        ConfigError: a value out of range, a URL that is none, a cap without a price.
    """
    given = {key: value for key, value in options.items() if value is not None}
    value = {**_DEFAULTS, **defaults, **given}
    for key, (low, high) in _RANGES.items():
        if key in given and not low <= given[key] <= high:
            raise ConfigError(f"{key} must be between {low:g} and {high:g}, got {given[key]!r}", where=where)
    prices = _prices(value.get("price"), where=where)
    cap = None if value.get("max_spend") is None else Decimal(str(value["max_spend"]))
    if cap is not None and prices is None:
        hint = "set `price` to what one image costs"
        raise ConfigError("max_spend needs to know what an image costs", where=where, hint=hint)
    return Settings(
        base_url=_checked_url(str(value["base_url"]), where=where),
        concurrency=value["concurrency"],
        retries=value["retries"],
        backoff=float(value["backoff"]),
        timeout=float(value["timeout"]),
        deadline=float(value["deadline"]),
        requests_per_minute=value.get("requests_per_minute"),
        prices=prices,
        max_spend=cap,
        bill_refusals=value["bill_refusals"],
        idempotent=value["idempotent"],
        seed_bits=value["seed_bits"],
        key_header=value["key_header"],
    )


def _checked_url(url: str, *, where: str) -> str:
    """A base URL that may be shown: no user, no password, no query. Raises ConfigError, which does not repeat it."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits, parts = False, urlsplit("")
    if not fits:
        raise ConfigError("base_url is no http or https address", where=where, hint="e.g. http://127.0.0.1:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        hint = "write scheme, host and path only; keys go into the environment variable that key_env names"
        raise ConfigError("base_url must not hold a user, a password or a query", where=where, hint=hint)
    return url.rstrip("/")


def _prices(price: Any, *, where: str) -> Prices | None:
    if price is None:
        return None
    amounts = price if isinstance(price, dict) else {"default": price}
    for key, amount in amounts.items():
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not number or not math.isfinite(amount) or amount < 0:
            hint = 'price: 0.04, or price: {"1024x1024/high": 0.17, default: 0.04}'
            raise ConfigError(f"the price of {key!r} must be a number of at least 0", where=where, hint=hint)
    return Prices({str(key): Decimal(str(amount)) for key, amount in amounts.items()})
