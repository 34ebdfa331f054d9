# SPDX-License-Identifier: Apache-2.0
"""Which RFC 3161 authority vouches for the time of signing, and how long it is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from audit.errors import ConfigError

__all__ = ["TimeStamps"]


@dataclass(frozen=True, slots=True)
class TimeStamps:
    """An RFC 3161 time stamp authority.

    Attributes:
        url: of the authority, http or https. Proxies of the environment are used.
        timeout: seconds until an answer counts as missing, all tries together.
        required: whether an image without a time stamp is an error; else it is signed without, and that is told.
        tries: how often it is asked where asking again can help (connection lost, HTTP 429 or 5xx).
        pause: seconds for which it is not asked again after it failed, so that a dead authority costs one time-out and
            not one an image.

    Raises:
        ConfigError: not such a URL, or a number out of range.
    """

    url: str
    timeout: float = 10.0
    required: bool = False
    tries: int = 2
    pause: float = 60.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            hint = "write it as http://HOST/PATH or https://HOST/PATH"
            raise ConfigError("this is no address of a time stamp authority", where=self.url or "url", hint=hint)
        if self.timeout <= 0 or self.tries < 1 or self.pause < 0:
            hint = "timeout above 0, tries 1 or more, pause 0 or more"
            raise ConfigError("a number for time stamps is out of range", where=self.url, hint=hint)
