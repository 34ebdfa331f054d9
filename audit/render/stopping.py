# SPDX-License-Identifier: Apache-2.0
"""What stopping prompts early saved, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.render.format import count

__all__ = ["ANYTIME", "stopping_words"]

ANYTIME = "The intervals of representation gaps hold whenever one stops; other measures of bias give no number then."


def stopping_words(manifest: Mapping[str, Any]) -> str:
    """How many images the prompts took that could stop early, of the fixed design's; empty for a fixed design.

    >>> stopping_words({"stopping": {"asked": 640, "fixed_design": 1600}})
    'each prompt as soon as it was decided: 640 of 1\u202f600 images of the fixed design (40 %)'
    """
    stopping = manifest.get("stopping")
    if not stopping or not stopping.get("fixed_design"):
        return ""
    asked, fixed = int(stopping["asked"]), int(stopping["fixed_design"])
    share = f"{100 * asked / fixed:.0f} %"
    return (
        f"each prompt as soon as it was decided: {count(asked)} of {count(fixed)} images of the fixed design ({share})"
    )
