# SPDX-License-Identifier: Apache-2.0
"""Watermarks by name. Listing them imports none."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any, Final

from audit.errors import ConfigError
from audit.provenance.watermark._types import Watermark

__all__ = ["find", "names"]

_BUILTIN: Final = {
    "spread": "audit.provenance.watermark.spread:Spread",
    "trustmark": "audit.provenance.watermark.trustmark:TrustMark",
}


def names() -> list[str]:
    """Names that ``find`` knows, sorted."""
    return sorted(_BUILTIN)


def find(name: str, **options: Any) -> Watermark:
    """The watermark of a name.

    Args:
        name: one of ``names()``.
        options: of that watermark, e.g. ``key="..."`` of "spread" or ``variant="Q"`` of "trustmark".

    Raises:
        ConfigError: no such name, no such option, or a value it does not take.

    >>> find("spread").spec.algorithm
    'org.genaudit.spread.1'
    """
    if name not in _BUILTIN:
        near = difflib.get_close_matches(name, _BUILTIN, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
        raise ConfigError(f"there is no watermark {name!r}", where="watermark", hint=hint)
    module, _, attribute = _BUILTIN[name].partition(":")
    kind: Any = getattr(import_module(module), attribute)
    known = kind.__dataclass_fields__
    for option in options:
        if option not in known:
            hint = f"known: {', '.join(known)}"
            raise ConfigError(f"watermark {name!r} has no option {option!r}", where="watermark", hint=hint)
    try:
        made: Watermark = kind(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"watermark {name!r}: {error}", where="watermark", hint="correct the value") from None
    return made
