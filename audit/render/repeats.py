# SPDX-License-Identifier: Apache-2.0
"""Pictures that come back under another seed: said in every report, whatever the policy asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audit.render.format import clean, count, slice_words
from audit.types import Estimate

__all__ = ["repeats"]

_METRIC = "outcomes.distinct"


def repeats(estimates: Iterable[Estimate]) -> list[str]:
    """One sentence for each generator that gave a picture again under another seed of the same prompt.

    It names the slice that is worth least for its number of images; a sum over whole probe sets comes first.
    """
    found = [e for e in estimates if e.metric == _METRIC and e.extra.get("pictures")]
    names = dict.fromkeys(e.generator for e in found)
    return [said for name in names if (said := _sentence(name, [e for e in found if e.generator == name]))]


def _sentence(generator: str, found: Sequence[Estimate]) -> str:
    whole = [e for e in found if set(e.slice) <= {"probe"}]
    again, pictures = (sum(_whole(e, key) for e in whole) for key in ("duplicates", "pictures"))
    if not again:
        return ""
    fewer = [e for e in found if _whole(e, "duplicates")]
    worst = min(fewer, key=lambda e: (_effective(e) / _whole(e, "pictures"), -len(e.slice)))
    others = len([e for e in fewer if not set(e.slice) <= {"probe"} and e is not worst])
    more = f" (and below n in {count(others)} more {'slice' if others == 1 else 'slices'})" if others else ""
    verb = "repeats" if again == 1 else "repeat"
    several = len({e.slice.get("probe") for e in whole}) > 1 or set(worst.slice) <= {"probe"}
    place = slice_words(worst.slice, probe=several and "prompt" not in worst.slice)  # a prompt's id names its set
    return (
        f"{clean(generator)}: {count(again)} of {count(pictures)} pictures {verb} an earlier one of the same prompt "
        f"under another seed; effective n of {place} is {_effective(worst):.1f} of {count(_whole(worst, 'pictures'))}"
        f"{more}: intervals are too narrow there"
    )


def _whole(estimate: Estimate, key: str) -> int:
    return int(estimate.extra.get(key) or 0)


def _effective(estimate: Estimate) -> float:
    return float(estimate.extra.get("effective_n") or 0.0)
