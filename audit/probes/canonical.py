# SPDX-License-Identifier: Apache-2.0
"""One way to write a value down, so that equal content has equal digests whatever file it was read from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["canonical_json", "sha256_of"]


def canonical_json(value: Any) -> bytes:
    """``value`` as JSON with sorted keys and no white space, UTF-8.

    Whole floats are written as integers (RFC 8785, section 3.2.2.3), so that ``2`` and ``2.0`` are the same parameter.

    Raises:
        ValueError: for NaN and infinities, which JSON cannot hold.
        TypeError: for anything else that JSON cannot hold.

    >>> canonical_json({"b": 2.0, "a": "é"}).decode()
    '{"a":"é","b":2}'
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def sha256_of(value: Any) -> str:
    """Hex sha256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_plain(part) for part in value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
