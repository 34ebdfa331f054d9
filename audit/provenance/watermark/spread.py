# SPDX-License-Identifier: Apache-2.0
"""The built-in mark: a keyed spread-spectrum pattern in the luma, 40 bits, read without the original.

The picture is covered with tiles, a power of two of them over the short side, so that a picture which was only made
smaller or larger is read without a search. A tile is a sum of 338 waves: 255 carry an error-correcting code, 83 a
known pilot by which shift and scale are found after a crop. The embedder sees the picture it will have to be read
from, so it works against that picture's own detail (informed embedding: Cox, Miller, McKellips 1999, Proc. IEEE 87(7);
Malvar & Florencio 2003, IEEE Trans. Signal Processing 51(4)), through the reader itself, after JPEG and crops, with no
more strength than that needs.

How often is an unmarked picture taken for a marked one? Take any picture and any alignment of the tiles. The reader
gets 255 numbers s_i, and multiplies each with a sign that the key decides. Were the signs fair coins, then for one code
word c, by Hoeffding's inequality (1963, J. Amer. Stat. Assoc. 58, theorem 2),

    P( sum_i c_i s_i / sqrt(sum_i s_i^2) > z ) <= exp(-z^2 / 2).

There are 2^40 code words, and a reader decodes at most A alignments, chosen by the pilot, whose phases the key decides
apart from the signs; so the chance that anything is found is at most A 2^40 exp(-z^2 / 2), whatever the picture. z
is set so that this is the wanted rate. The chance is over keys. It says nothing of somebody who knows the key: the
default key is public, so anybody can mark a picture with it, copy a mark, or take one off. A secret key hinders
reading, forging and subtracting; it does not hinder blurring a picture until no mark is left.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit.provenance.watermark import _code, _embed, _frame, _search
from audit.provenance.watermark._layout import Layout, layout_of, signs_of
from audit.provenance.watermark._types import Reading, WatermarkSpec

__all__ = ["ALGORITHM", "PUBLIC_KEY", "Spread", "alignments_of", "bound", "threshold"]

ALGORITHM = "org.genaudit.spread.1"
PUBLIC_KEY = "genaudit"
_MIN_SIDE = 64
_STRICTEST = 1e-15
# Scores above the threshold that are aimed at after simulated JPEG and crops, one after the other until the reader
# reads: decoding is not exhaustive, and misses a few words in a hundred that score just enough.
_MARGINS, _MARGINS_SMALL = (1.8, 2.6), (0.9, 1.8, 2.6)
_MAX_SIDES = 4  # numbers of tiles that a reader guesses at, at most
#: Alignments decoded at most.
TRIED = _MAX_SIDES + _search.CUT + _search.UPRIGHT + _search.TURNED


def bound(score: float) -> float:
    """Bound on the chance, over keys, that anything in an unmarked picture scores so high.

    Args:
        score: ``sum(c s) / sqrt(sum(s^2))`` of the best code word at the best alignment.

    >>> bound(9.5) < 1e-6 < bound(9.4)
    True
    """
    return min(1.0, math.exp(math.log(TRIED) + _code.BITS * math.log(2) - score**2 / 2))


def threshold(rate: float) -> float:
    """The score at which ``bound`` is ``rate``."""
    return math.sqrt(2 * (math.log(TRIED) + _code.BITS * math.log(2) - math.log(rate)))


@dataclass(frozen=True, slots=True)
class Spread:
    """The built-in mark.

    Args:
        key: who has it can read, write and erase the mark. The default is public.
        rate: bound on the chance that an unmarked picture is read as marked.
        reach: by which factor the short side may have been longer before a crop; a larger one takes longer.

    Example:
        >>> import numpy as np
        >>> grey = np.random.default_rng(0).normal(128, 8, (64, 64, 1)).repeat(3, 2).clip(0, 255).astype(np.uint8)
        >>> Spread().read(Spread().embed(grey, b"hello")).payload
        b'hello'
        >>> Spread(key="another").read(Spread().embed(grey, b"hello")).payload is None
        True
    """

    key: str = field(default=PUBLIC_KEY, repr=False)
    rate: float = 1e-6
    reach: float = 1.13

    def __post_init__(self) -> None:
        if not _STRICTEST <= self.rate < 1:  # beyond it no picture could be marked
            raise ValueError(f"rate is {self.rate}, not between {_STRICTEST} and 1")
        if not 1 <= self.reach <= 2:
            raise ValueError(f"reach is {self.reach}, not between 1 and 2")

    @property
    def spec(self) -> WatermarkSpec:
        """Identity."""
        layout = layout_of(self.key)
        whole = hashlib.sha256(f"{ALGORITHM}/{self.rate}/{self.reach}".encode())
        for part in (_code.generator(), layout.pilot, layout.tone.round(9), layout.place, signs_of(self.key)):
            whole.update(np.ascontiguousarray(part).tobytes())
        return WatermarkSpec(
            name="spread",
            algorithm=ALGORITHM,
            digest=whole.hexdigest(),
            licence="Apache-2.0",
            bits=_code.BITS,
            min_side=_MIN_SIDE,
            false_positive_rate=self.rate,
            rate_source="computed: Hoeffding's inequality over the key's signs and the union over what is tried",
        )

    def embed(self, rgb: NDArray[np.uint8], payload: bytes, /) -> NDArray[np.uint8]:
        """The marked picture, same shape; the same picture and payload give the same pixels.

        Args:
            rgb: (h, w, 3) levels, at least 64 over the short side.
            payload: 5 bytes.

        Raises:
            ValueError: another shape or length, or the mark cannot be read back from this picture.
        """
        _check(rgb)
        if len(payload) * 8 != _code.BITS:
            raise ValueError(f"payload has {len(payload)} bytes, not {_code.BITS // 8}")
        if min(rgb.shape[:2]) < _MIN_SIDE:
            raise ValueError(
                f"picture is {rgb.shape[1]}x{rgb.shape[0]}: a mark needs {_MIN_SIDE} pixels over the short side"
            )
        bits = np.unpackbits(np.frombuffer(payload, np.uint8))
        chips = (1.0 - 2.0 * _code.encode(bits)) * signs_of(self.key)
        for margin in _MARGINS_SMALL if min(rgb.shape[:2]) <= _frame.SMALL else _MARGINS:
            marked = _embed.embed(rgb, layout_of(self.key), chips, wanted=threshold(self.rate) + margin)
            if self.read(marked).payload == payload:
                return marked
        raise ValueError("the mark cannot be read back from this picture")

    def read(self, rgb: NDArray[np.uint8], /) -> Reading:
        """What can be read; ``p_value`` is 1 where nothing is found that speaks for a mark."""
        _check(rgb)
        best = 0.0
        layout = layout_of(self.key)
        for some in filter(None, alignments_of(rgb, layout, reach=self.reach)):
            soft = layout.chips(np.stack([a.waves for a in some])) * signs_of(self.key)
            words, scores = _code.decode(soft)
            top = int(scores.argmax())
            best = max(best, float(scores[top]))
            if best > threshold(self.rate):
                payload = np.packbits(words[top, : _code.BITS]).tobytes()
                return Reading(payload, bound(best), f"{some[top].detail}; score {best:.2f}")
        return Reading(None, bound(best), f"best score {best:.2f}, threshold {threshold(self.rate):.2f}")


def alignments_of(rgb: NDArray[np.uint8], layout: Layout, *, reach: float) -> Iterator[list[_search.Alignment]]:
    """What a reader decodes, likeliest first: batches, each worked out when asked for, ``TRIED`` in all at most."""
    found: dict[int, _frame.Plane] = {}
    for count, plane in _search.planes(_frame.working(rgb)) if rgb.size else ():
        found[count] = plane
        yield [_search.guess(plane, count, layout)]
    if found:
        yield _search.crops(found, layout, reach=reach)
        for turned in (False, True):
            yield _search.alignments(found, layout, reach=reach, turned=turned)


def _check(rgb: NDArray[np.uint8]) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"picture is {rgb.dtype} {rgb.shape}, not uint8 (height, width, 3)")
