# SPDX-License-Identifier: Apache-2.0
"""From a request to the class that a class-conditional network is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from audit.types import Request

__all__ = ["Classes", "label_of"]

Classes = tuple[Mapping[str, int], int]
"""Index by lower-case name, and how many classes the network has."""


def label_of(classes: Classes, request: Request) -> int | None:
    """The class index that a request asks for: axis ``class``, else the prompt text; a name or a number."""
    names, count = classes
    wanted = request.prompt.axes.get("class", request.prompt.text).strip().lower()
    found = int(wanted) if wanted.isdecimal() else names.get(wanted)
    return found if found is not None and found < count else None
