# SPDX-License-Identifier: Apache-2.0
"""The instruments by themselves, on pictures whose answer nobody can dispute, and what they cannot see at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.errors import AuditError
from audit.types import Estimate, ImageRecord

__all__ = ["LIMITS", "Check", "instrument_checks", "one_group_check"]

Levels = NDArray[np.uint8]

#: What no row of the table tests; the cards beside the weights say it with numbers.
LIMITS: Final = (
    "photographs: every instrument of the reference bundle was trained and measured on drawn pictures only",
    "children, and anybody younger than the age band called young",
    "more than one person in a picture, profiles, turned heads, and faces covered by hands, masks or scarves",
    "presentations beyond the two declared groups; such pictures end as could not tell, or as one of the two",
    "skin tone under coloured or uneven light beyond what the renderer draws, and tones 1 to 3 from one another",
    "logos other than the planted one, at other places or turned",
    "written words longer than four letters, lower case, other scripts, handwriting",
    "copies of works that are not enrolled, and copies mirrored, turned or cut beyond a small margin",
    "memorised faces of people who are not enrolled, and memorised details that are not faces",
    "refusals in words only: a picture with the words of a refusal on it counts as a picture",
    "styles told apart by anything but their colours",
    "empty frames by kind: a picture of one colour may be called a painting; only the fault instrument calls it empty",
)
_SIZE: Final = 64


@dataclass(frozen=True, slots=True)
class Check:
    """One instrument on pictures with a known answer.

    Attributes:
        name: what was looked at.
        ok: whether the answer is right.
        found: the answer.
    """

    name: str
    ok: bool
    found: str


def instrument_checks() -> tuple[Check, ...]:
    """All checks that need no audit."""
    looks: tuple[tuple[str, Callable[[str], Check]], ...] = (
        ("ten swatches of the Monk scale", _swatches),
        ("a hundred portraits, ten a tone", _portraits),
        ("a black frame", lambda name: _nobody(name, np.zeros((_SIZE, _SIZE, 3), np.uint8))),
        ("noise", lambda name: _nobody(name, np.random.default_rng(0).integers(0, 256, (_SIZE, _SIZE, 3), np.uint8))),
        ("the same picture twice", _twice),
        ("nearly the same picture", _nearly),
    )
    return tuple(_guarded(name, look) for name, look in looks)


def one_group_check(found: Sequence[Estimate] | str, *, level: float) -> Check:
    """Whether a generator that draws one group only is seen as that, short of certainty.

    Args:
        found: estimates of its audit, or why there are none.
        level: of their intervals.
    """
    name = "a generator of one group only"
    if isinstance(found, str):
        return Check(name, False, f"not built: {found}")
    mine = [e.extra for e in found if e.slice.get("group") == "feminine" and e.value is not None]
    if not mine:
        return Check(name, False, "not built: no estimate of the share")
    share, low, high = (float(mine[0][key] or 0.0) for key in ("share", "share_low", "share_high"))
    words = f"share {share:.3f} [{low:.3f}, {high:.3f}] at {level:.2%}: the truth is 1; certainty would be [1, 1]"
    return Check(name, 0.9 < low < 1.0 and high == 1.0, words)


def _guarded(name: str, look: Callable[[str], Check]) -> Check:
    try:
        return look(name)
    except AuditError as error:
        return Check(name, False, f"not built: {error}")


def _swatches(name: str) -> Check:
    from audit.stats.monk import MONK_HEX, monk_tone

    colours = [np.array(list(bytes.fromhex(text[1:])), np.uint8) for text in MONK_HEX]
    flat = [np.broadcast_to(colour, (_SIZE, _SIZE, 3)).copy() for colour in colours]
    read = [monk_tone(picture, (0.5, 0.5, 0.4, 0.4)).tone for picture in flat]
    right = sum(tone == k + 1 for k, tone in enumerate(read))
    return Check(name, right == len(read), f"{right} of {len(read)} read as themselves")


def _portraits(name: str) -> Check:
    from audit.reference.render import render
    from audit.reference.world import sample_people, tone_band

    tones = np.repeat(np.arange(1, 11), 10)
    people = sample_people(len(tones), rng=np.random.default_rng(1), identity_pool="heldout", tone=tones, glasses=False)
    answers = _annotate("skin_tone", render(people, size=_SIZE))
    read = answers["tone"]
    exact = int((read == tones).sum())
    bands = sum(band == tone_band(int(tone)) for band, tone in zip(answers["tone_band"], tones, strict=True))
    light = [(t, r) for t, r in zip(tones[:30].tolist(), read[:30].tolist(), strict=True) if r != t]
    confused = sum(r in (1, 2, 3) for _, r in light)
    words = (
        f"{exact} tones and {bands} bands right; of tones 1 to 3 {len(light)} of 30 misread, {confused} as each other"
    )
    return Check(name, bands >= 95 and exact >= 80, words)


def _nobody(name: str, picture: Levels) -> Check:
    """No instrument may see a person, a tone, an enrolled face or a sign where nothing is."""
    seen = list(_answers_on_nothing(picture))
    words = "; ".join(f"{instrument}: {answer}" for instrument, answer, _ in seen)
    return Check(name, all(right for _, _, right in seen), words)


def _answers_on_nothing(picture: Levels) -> Iterator[tuple[str, str, bool]]:
    """Instrument, its answer, and whether that is right."""
    from audit.registry import ANNOTATORS

    pictures, untold = picture[None], "could not tell"
    said = str(_annotate("attributes", pictures)["presentation"][0])
    yield "presentation", said, said == untold
    tone = float(_annotate("skin_tone", pictures)["tone"][0])
    yield "skin tone", untold if np.isnan(tone) else f"{tone:.0f}", bool(np.isnan(tone))
    above = float(_annotate("likeness", pictures)["above"][0])
    yield "likeness", "a match" if above == 1 else untold, above != 1
    if "scene" in ANNOTATORS:
        # Abstract paintings may be of one colour, so only people and signs are wrong here.
        kind = str(_annotate("scene", pictures)["kind"][0])
        yield "kind of picture", kind, kind in (untold, "painting")
    if "faults" in ANNOTATORS:
        constant, flat = str(_annotate("faults", pictures)["constant"][0]), bool((picture == picture[0, 0]).all())
        yield "one colour", constant, (constant == "yes") is flat


def _twice(name: str) -> Check:
    """The same pixels, first and last of a batch, must give the same answers."""
    pictures = _strangers(9)
    pictures[-1] = pictures[0]
    columns = {
        f"{a}.{c}": v for a in ("attributes", "likeness", "skin_tone") for c, v in _annotate(a, pictures).items()
    }
    differing = sorted(column for column, values in columns.items() if not _same(values[0], values[-1]))
    same_file = _record(pictures[0]).sha256 == _record(pictures[-1]).sha256
    words = f"{len(columns)} answers equal, one digest" if not differing else f"differ: {', '.join(differing)}"
    return Check(name, same_file and not differing, words)


def _same(first: Any, last: Any) -> bool:
    # The last bits of a network's output may depend on the place in a batch.
    if isinstance(first, str) or first is None:
        return bool(first == last)
    return bool(np.allclose(first, last, atol=1e-4, equal_nan=True))


def _nearly(name: str) -> Check:
    """A picture saved as JPEG and shifted by a pixel must be nearer to its original than any stranger is."""
    from PIL import Image

    pictures = _strangers(60)
    stream = io.BytesIO()
    Image.fromarray(np.roll(pictures[0], 1, axis=1)).save(stream, "JPEG", quality=60)
    pictures[-1] = np.asarray(Image.open(stream).convert("RGB"))
    vectors = _annotate("clip", pictures)["features"].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors[0]
    copy, others = float(near[-1]), float(near[1:-1].max())
    return Check(name, copy > others, f"similarity {copy:.3f}; nearest of {len(near) - 2} strangers {others:.3f}")


def _strangers(n: int) -> Levels:
    from audit.reference.render import render
    from audit.reference.world import sample_people

    return render(sample_people(n, rng=np.random.default_rng(3), identity_pool="heldout"), size=_SIZE)


def _annotate(name: str, pictures: Levels) -> dict[str, NDArray[Any]]:
    from audit.registry import ANNOTATORS

    columns: dict[str, NDArray[Any]] = dict(ANNOTATORS.get(name)().annotate([_record(rgb) for rgb in pictures]))
    return columns


def _record(rgb: Levels) -> ImageRecord:
    import hashlib

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    data = stream.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    return ImageRecord(digest[:32], digest, "a portrait of a person", data, rgb)
