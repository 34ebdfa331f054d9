# SPDX-License-Identifier: Apache-2.0
"""Clean: every image whole, RGB, upright, single and unlike all others - and a reason for each that is not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit.datasets._near import BITS, LEVELS, Signature, groups, hamming, signature
from audit.datasets._pixels import Header, header, pixels, sift
from audit.datasets._records import Dropped, Progress, Reason, Record, Refused
from audit.datasets._store import Summary, building, finish, open_set, put, summary
from audit.errors import ConfigError
from audit.images import encode_png

__all__ = ["MODES", "CleanRules", "clean"]

#: Kinds of channels that are converted to RGB, or dropped where the user says so.
MODES = ("alpha", "cmyk", "deep", "grey", "other", "palette")
_KINDS = {"CMYK": "cmyk", "P": "palette", "PA": "palette", "L": "grey", "LA": "grey", "1": "grey"}
_FLAT = 2  # levels between the darkest and the lightest pixel of a frame that shows nothing


@dataclass(frozen=True, slots=True)
class CleanRules:
    """What may stay.

    Attributes:
        min_side, max_side: pixels of the shorter and the longer side.
        max_aspect: longer by shorter side.
        drop_modes: of `MODES`; all others are converted to RGB.
        animated: keep the first frame, or drop.
        keep: of duplicates, the one with most pixels or the first.
        near: whether near duplicates are looked for.
        near_bits: Hamming distance of their hashes, at most.
        near_levels: root mean square colour difference of their 16x16 pictures, at most.
    """

    min_side: int = 16
    max_side: int = 16384
    max_aspect: float = 4.0
    drop_modes: tuple[str, ...] = ()
    animated: Literal["first", "drop"] = "first"
    keep: Literal["largest", "first"] = "largest"
    near: bool = True
    near_bits: int = BITS
    near_levels: float = LEVELS

    def __post_init__(self) -> None:
        unknown = sorted(set(self.drop_modes) - set(MODES))
        if unknown:
            raise ConfigError(f"unknown mode {unknown[0]!r}", where="drop_modes", hint=f"known: {', '.join(MODES)}")
        if not 1 <= self.min_side <= self.max_side or self.max_aspect < 1:
            raise ConfigError("no image could pass", where="min_side, max_side, max_aspect", hint="widen the limits")
        if self.animated not in {"first", "drop"} or self.keep not in {"largest", "first"}:
            raise ConfigError("animated is first or drop; keep is largest or first", where="animated, keep")


@dataclass(frozen=True, slots=True, eq=False)
class _Good:
    given: Record
    made: Record
    digest: bytes  # of the pixels
    signature: Signature


def clean(
    source: Path,
    out: Path,
    *,
    rules: CleanRules | None = None,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> Summary:
    """Make a set of what can be used of another.

    Args:
        source: folder of the set.
        out: folder of the new set.
        rules: what may stay.
        force: replace a set at ``out``.
        progress: told what, how many are done, of how many.

    Raises:
        ConfigError: ``out`` is taken.
        StoreError: ``source`` is no set or damaged, or the disk says no.
    """
    rules, before = rules or CleanRules(), open_set(source)
    with building(out, force=force, inputs=[source]) as folder:
        good, dropped = sift(
            before, lambda record, data: _judge(record, data, rules, folder), step="clean", progress=progress
        )
        kept, doubled = _unique([one for _, one in good], rules)
        line = finish(
            folder,
            step="clean",
            options=asdict(rules),
            given=[record.key for record in before.records],
            origins=[record.key for record in kept],
            records=kept,
            dropped=_in_order([*dropped, *doubled], before.records),
            before=before,
        )
    return summary(line, out)


def _judge(record: Record, data: bytes, rules: CleanRules, folder: Path) -> _Good:
    """Cheap questions first: nothing is decoded that its header rules out. What passes is stored."""
    found = header(data)
    _check_shape(found, rules)
    kinds = _kinds(found)
    unwanted = sorted(kinds & set(rules.drop_modes))
    if unwanted:
        raise Refused(Reason.MODE, f"{unwanted[0]} (mode {found.mode}) is to be dropped")
    if found.frames > 1 and rules.animated == "drop":
        raise Refused(Reason.ANIMATED, f"{found.frames} frames")
    rgb = pixels(data, found)
    if int(np.ptp(rgb, axis=(0, 1)).max()) <= _FLAT:
        raise Refused(Reason.CONSTANT, f"nothing but the colour {tuple(int(v) for v in rgb[0, 0])}")
    digest = hashlib.sha256(f"{rgb.shape}".encode() + rgb.tobytes()).digest()
    made = record
    if kinds or found.frames > 1 or found.turned:
        data = encode_png(rgb)
        made = _remade(record, rgb, data)
    put(folder, data, made)
    return _Good(record, made, digest, signature(rgb))


def _check_shape(found: Header, rules: CleanRules) -> None:
    short, long = sorted((found.width, found.height))
    size = f"{found.width}x{found.height}"
    if short < rules.min_side:
        raise Refused(Reason.TOO_SMALL, f"{size}, the shorter side is below {rules.min_side}")
    if long > rules.max_side:
        raise Refused(Reason.TOO_LARGE, f"{size}, the longer side is above {rules.max_side}")
    if long > rules.max_aspect * short:
        raise Refused(Reason.ASPECT, f"{size}, longer than {rules.max_aspect:g} times its shorter side")


def _kinds(found: Header) -> set[str]:
    """What about its channels is not RGB in 8 bits; empty where nothing is."""
    kinds = {name for name, is_so in (("deep", found.deep), ("alpha", found.transparent)) if is_so}
    if found.mode in _KINDS:
        kinds.add(_KINDS[found.mode])
    elif found.mode not in {"RGB", "RGBA", "RGBX"} and not found.deep:
        kinds.add("other")
    return kinds


def _remade(record: Record, rgb: NDArray[np.uint8], data: bytes) -> Record:
    return replace(
        record,
        sha256=hashlib.sha256(data).hexdigest(),
        width=rgb.shape[1],
        height=rgb.shape[0],
        mode="RGB",
        media_type="image/png",
        parent=record.sha256,
    )


def _unique(good: Sequence[_Good], rules: CleanRules) -> tuple[list[Record], list[Dropped]]:
    """One image of each group of equal pixels, then one of each group of near duplicates."""
    dropped: list[Dropped] = []
    first: dict[bytes, int] = {}
    exact = [first.setdefault(one.digest, index) for index, one in enumerate(good)]
    for index, chosen in enumerate(exact):
        if chosen != index:
            words = f"same pixels as {_shown(good[chosen].given)}"
            dropped.append(Dropped.of(good[index].given, Refused(Reason.EXACT_DUPLICATE, words), step="clean"))
    rest = [good[index] for index in sorted(set(exact))]
    if not rules.near:
        return [one.made for one in rest], dropped
    kept, near = _sift(rest, rules)
    return kept, [*dropped, *near]


def _sift(rest: Sequence[_Good], rules: CleanRules) -> tuple[list[Record], list[Dropped]]:
    labels = groups([one.signature for one in rest], bits=rules.near_bits, levels=rules.near_levels)
    best: dict[int, int] = {}
    for index, label in enumerate(labels.tolist()):
        now = best.setdefault(label, index)
        if rules.keep == "largest" and _size(rest[index].made) > _size(rest[now].made):
            best[label] = index
    dropped = []
    for index, label in enumerate(labels.tolist()):
        if (chosen := best[label]) != index:
            apart = hamming(rest[index].signature, rest[chosen].signature)
            words = f"near duplicate of {_shown(rest[chosen].given)}, {apart} of 64 bits apart"
            dropped.append(Dropped.of(rest[index].given, Refused(Reason.NEAR_DUPLICATE, words), step="clean"))
    return [rest[index].made for index in sorted(best.values())], dropped


def _in_order(dropped: Sequence[Dropped], records: Sequence[Record]) -> list[Dropped]:
    place = {record.key: index for index, record in enumerate(records)}
    return sorted(dropped, key=lambda row: place[row.key])


def _size(record: Record) -> int:
    return (record.width or 0) * (record.height or 0)


def _shown(record: Record) -> str:
    return f"{record.name} ({record.source})"
