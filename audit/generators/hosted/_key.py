# SPDX-License-Identifier: Apache-2.0
"""API keys: read from the environment, sent in a header, and taken out of everything else."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from audit.errors import ConfigError

__all__ = ["Key", "refuse_keys"]

_ENV = re.compile(r"[A-Z_][A-Z0-9_]*")  # capitals only: a key pasted in the place of a name does not pass for one
_SECRETS = frozenset(
    {
        *("accesstoken", "apikey", "apitoken", "auth", "authorization", "bearer", "hftoken", "key", "openaiapikey"),
        *("password", "secret", "token"),
    }
)
_SHORTEST = 4  # a shorter password would blank out words of the messages


class Key:
    """The value of an environment variable that nobody gets to see.

    Args:
        env: name of the variable, None for servers that ask for no key.
        where: place for the message.

    Raises:
        ConfigError: ``env`` is no name of a variable, or its value cannot be sent in a header.
    """

    __slots__ = ("_forms", "_value", "env")

    def __init__(self, env: str | None, *, where: str) -> None:
        if env is not None and not _ENV.fullmatch(env):
            hint = "write the name of the variable there (capitals, digits, _), and set the variable to the key"
            raise ConfigError("key_env is no name of an environment variable", where=f"{where}: options", hint=hint)
        self.env, self._value = env, os.environ.get(env, "").strip() if env else ""
        if not (self._value.isascii() and self._value.isprintable()):
            raise ConfigError(f"the value of {env} holds characters that no key has", where=where, hint=f"set {env}")
        self._forms = _forms(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Key({self.env!r})"

    @property
    def value(self) -> str:
        """The key itself, for a library that sends it."""
        return self._value

    def headers(self, name: str = "Authorization", *, basic: bool = False) -> dict[str, str]:
        """What goes with a request: bearer token, ``user:password``, or the bare key under another name."""
        if not self._value:
            return {}
        if basic:
            return {"Authorization": f"Basic {base64.b64encode(self._value.encode()).decode()}"}
        return {name: f"Bearer {self._value}" if name.lower() == "authorization" else self._value}

    def scrub(self, text: str) -> str:
        """``text`` without the key, as it is, percent-encoded or in base64."""
        for form in self._forms:
            text = text.replace(form, "[key]")
        return text

    def is_in(self, data: bytes) -> bool:
        """Whether the bytes hold the key."""
        return any(form.encode() in data for form in self._forms)


def _forms(value: str) -> list[str]:
    """What the key may look like where a server echoes it, longest first."""
    parts = [value, *value.split(":", 1)[1:]]  # user:password: the password alone is one as well
    found = {form for part in parts for form in (part, quote(part, safe=""), quote_plus(part))}
    found |= {base64.b64encode(part.encode()).decode() for part in parts}
    return sorted((form for form in found if len(form) >= _SHORTEST), key=len, reverse=True)


def refuse_keys(block: Mapping[str, Any], *, env: str | None, where: str) -> None:
    """Raises ConfigError where an audit file holds something called a key; its value is not repeated."""
    for name in block:
        if re.sub(r"[^a-z]", "", str(name).lower()) in _SECRETS:
            hint = f"remove it and set the environment variable {env or 'that key_env names'}"
            raise ConfigError(f"{name!r}: keys do not belong in an audit file", where=where, hint=hint)
