# SPDX-License-Identifier: Apache-2.0
"""The built-in watermark: what survives, what it costs the picture, and how often nothing is read as something.

Run ``python -m benchmarks.watermark``; parts: (r) read back after edits, (t) time, (f) a million unmarked trials.
A trial is a picture and a key. The key's pilot decides where a reader looks, its signs decide what is read there, and
both are drawn anew; the search is done once for each picture and pilot, the decoding for each trial.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats

from audit.provenance.watermark import _code
from audit.provenance.watermark._layout import layout_of, signs_of
from audit.provenance.watermark.spread import Spread, alignments_of, bound, threshold
from audit.reference.people import sample_people
from audit.reference.render import render
from benchmarks._pictures import bundled, nasty, photographic, photographs, pieces_of_photographs

__all__ = ["main"]

Pixels = NDArray[np.uint8]
Rng = np.random.Generator
_TARGET = 0.95
_SIGNS = 1000  # keys' signs tried with each pilot


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watermark", description=__doc__)
    parser.add_argument("--parts", default="rtf")
    parser.add_argument("--small", type=int, default=100, help="pictures of the bundled models")
    parser.add_argument("--large", type=int, default=20, help="pictures of 512 to 1024 pixels")
    parser.add_argument("--pieces", type=int, default=48, help="pieces of photographs, 64 to 400 pixels")
    parser.add_argument("--trials", type=int, default=1_000_000)
    given = parser.parse_args(arguments)
    held = True
    if "r" in given.parts:
        held &= _read_back("bundled models, 64 px", bundled(given.small), least=36.0)
        held &= _read_back("made up, 512 to 1024 px", list(photographs(given.large)), least=40.0)
        held &= _read_back("pieces of photographs, 64 to 400 px", list(pieces_of_photographs(given.pieces)), least=40.0)
    if "t" in given.parts:
        _times()
    if "f" in given.parts:
        held &= _false_positives(given.trials)
    print("all targets met" if held else "a target is missed")
    return 0 if held else 1


# --- what survives ---


def _jpeg(rgb: Pixels, quality: int) -> Pixels:
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(sink, "JPEG", quality=quality)
    return np.asarray(Image.open(sink))


def _resized(rgb: Pixels, factor: float) -> Pixels:
    height, width = rgb.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, Image.Resampling.BICUBIC))


def _cropped(rgb: Pixels, rng: Rng, *, share: float = 0.1) -> Pixels:
    """A tenth of each dimension cut away, split at random between its two sides."""
    height, width = rgb.shape[:2]
    y, x = int(height * share), int(width * share)
    top, left = rng.integers(0, y + 1), rng.integers(0, x + 1)
    return rgb[top : height - y + top, left : width - x + left]


#: Edit -> what it does, and whether reading after it is promised.
_EDITS: dict[str, tuple[Callable[[Pixels, Rng], Pixels], bool]] = {
    "none": (lambda p, _: p, True),
    "JPEG 75": (lambda p, _: _jpeg(p, 75), True),
    "JPEG 50": (lambda p, _: _jpeg(p, 50), False),
    "resize 0.5": (lambda p, _: _resized(p, 0.5), True),
    "resize 0.5 to 2, at random": (lambda p, rng: _resized(p, float(2 ** rng.uniform(-1, 1))), True),
    "resize 2": (lambda p, _: _resized(p, 2.0), True),
    "crop 10 %, anywhere": (_cropped, True),
    "crop 10 %, one side": (
        lambda p, rng: p[:, p.shape[1] // 10 :] if rng.random() < 0.5 else p[p.shape[0] // 10 :],
        True,
    ),
    "crop 10 %, then JPEG 75": (lambda p, rng: _jpeg(_cropped(p, rng), 75), False),
    "crop 10 %, then resize 0.7": (lambda p, rng: _resized(_cropped(p, rng), 0.7), False),
    "resize 0.7, then JPEG 75": (lambda p, _: _jpeg(_resized(p, 0.7), 75), False),
    "mirrored": (lambda p, _: p[:, ::-1], False),
    "turned by a quarter": (lambda p, _: np.rot90(p), False),
    "brightness 1.2": (lambda p, _: (p * 1.2).clip(0, 255).astype(np.uint8), False),
    "grey": (lambda p, _: np.asarray(Image.fromarray(p).convert("L").convert("RGB")), False),
    "noise, 3 levels": (lambda p, rng: (p + rng.normal(0, 3, p.shape)).round().clip(0, 255).astype(np.uint8), False),
    "blur, 1 pixel": (lambda p, _: ndimage.gaussian_filter(p, (1.0, 1.0, 0)), False),
}


def _read_back(name: str, pictures: list[Pixels], *, least: float) -> bool:
    mark, rng = Spread(), np.random.default_rng(9)
    read = dict.fromkeys(_EDITS, 0)
    psnr, ssim, refused = [], [], 0
    for number, picture in enumerate(pictures):
        print(f"\r{name}: {number + 1} of {len(pictures)}", end="", file=sys.stderr, flush=True)
        payload = rng.bytes(5)
        try:
            marked = mark.embed(picture, payload)
        except ValueError:
            refused += 1  # counts as not read after any edit
            continue
        psnr.append(10 * np.log10(255**2 / np.mean((marked.astype(float) - picture) ** 2)))
        ssim.append(_ssim(picture, marked))
        for edit, (change, _) in _EDITS.items():
            read[edit] += mark.read(change(marked, rng)).payload == payload
    n, met = len(pictures), True
    print(f"\n{name}, n={n}, {refused} refused: read back, 95 % Clopper-Pearson interval; what is promised has a *")
    for edit, count in read.items():
        low, high = stats.binomtest(count, n).proportion_ci(method="exact")
        promised = _EDITS[edit][1]
        met &= not promised or count / n >= _TARGET
        print(
            f"  {'*' if promised else ' '} {edit:<28}{100 * count / n:>6.1f} %  ({100 * low:.1f} to {100 * high:.1f})"
        )
    for what, values, digits in (("PSNR, dB", psnr, 1), ("SSIM", ssim, 4)):
        tenth, middle = np.quantile(values, [0.1, 0.5])
        worst = f"worst tenth below {tenth:.{digits}f}, least {min(values):.{digits}f}"
        print(f"    {what:<28}{middle:>6.{digits}f}    {worst}")
    met &= bool(np.median(psnr) >= least)
    print(f"{'PASS' if met else 'FAIL'}  {_TARGET:.0%} after each promised edit, median PSNR {least:g} dB", flush=True)
    return met


def _ssim(a: Pixels, b: Pixels) -> float:
    """Structural similarity of the luma (Wang et al. 2004, IEEE Trans. Image Processing 13, eq. 13)."""
    x, y = (p.astype(np.float64) @ (0.299, 0.587, 0.114) for p in (a, b))

    def mean(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return ndimage.gaussian_filter(z, 1.5, truncate=3.5)

    mx, my = mean(x), mean(y)
    cov, vx, vy = mean(x * y) - mx * my, mean(x * x) - mx**2, mean(y * y) - my**2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


# --- time ---


def _times() -> None:
    print("time on one core, ms, median of 7 in turn")
    mark, rng = Spread(), np.random.default_rng(3)
    print(f"{'':<12}{'embed':>9}{'read':>9}{'cropped':>9}{'unmarked':>10}{'JPEG 90':>9}")
    for size in (64, 256, 512, 1024):
        picture = photographic(size, size, rng)
        marked = mark.embed(picture, b"12345")
        part = _cropped(marked, rng)
        work: tuple[Callable[[], object], ...] = (
            lambda p=picture: mark.embed(p, b"12345"),
            lambda p=marked: mark.read(p),
            lambda p=part: mark.read(p),
            lambda p=picture: mark.read(p),
            lambda p=picture: _jpeg(p, 90),
        )
        took = [[_timed(each) for each in work] for _ in range(7)]
        cells = [1e3 * median(row[i] for row in took) for i in range(len(work))]
        print(f"{size:>5} px    " + "".join(f"{c:>9.1f}" for c in cells), flush=True)


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


# --- false positives ---


def _unmarked(seed: int) -> Iterator[tuple[str, Pixels]]:
    """Pictures without a mark of the key that they will be read with, for ever."""
    rng = np.random.default_rng([4, seed])
    number = 0
    while True:
        number += 1
        yield "rendered person", render(sample_people(1, rng=rng))[0]
        size = int(rng.choice([64, 96, 128, 200]))
        yield "photographic", photographic(size, int(size * rng.uniform(1, 1.6)), rng)
        yield "JPEG, quality 30", _jpeg(photographic(size, size, rng), 30)
        with contextlib.suppress(ValueError):  # a picture that cannot be marked
            yield "marked with another key", Spread(key=f"{number}").embed(photographic(96, 96, rng), rng.bytes(5))
        yield from nasty(int(rng.choice([64, 100, 128, 256])), rng)


def _false_positives(trials: int) -> bool:
    limit = threshold(Spread().rate)
    print(f"{trials} unmarked trials, threshold {limit:.2f}, bound on the rate {bound(limit):.1e}")
    best: dict[str, list[NDArray[np.float64]]] = {}
    one_word: list[NDArray[np.float64]] = []
    done, decoded, top, started = 0, 0, 0.0, time.perf_counter()
    for number, (kind, picture) in enumerate(_unmarked(0)):
        if done >= trials:
            break
        scores, fixed = _trials(picture, number, min(_SIGNS, trials - done))
        best.setdefault(kind, []).append(scores.max(1))
        one_word.append(fixed)
        done += len(scores)
        decoded += scores.size
        top = max(top, float(scores.max()))
        if number % 50 == 0:
            each = 1e3 * (time.perf_counter() - started) / done
            print(f"\r{done} trials, {each:.1f} ms each, best score {top:.2f}", end="", file=sys.stderr, flush=True)
    whole = {kind: np.concatenate(values) for kind, values in best.items()}
    every = np.concatenate(list(whole.values()))
    hits = int((every > limit).sum())
    upper = stats.binomtest(hits, len(every)).proportion_ci(0.9, method="exact").high  # one-sided 95 %
    print(f"\n{len(every)} trials, {decoded} alignments decoded: {hits} read as marked; 95 % upper limit {upper:.1e}")
    print(f"{'best score of a trial':<28}{'trials':>9}{'median':>8}{'99.9 %':>8}{'largest':>9}")
    for kind, scores in {**whole, "all": every}.items():
        cells = np.quantile(scores, [0.5, 0.999, 1])
        print(f"{kind:<28}{len(scores):>9}" + "".join(f"{c:>{w}.2f}" for c, w in zip(cells, (8, 8, 9), strict=True)))
    flat = np.concatenate(one_word)
    print("score of one fixed code word: share above z, against exp(-z^2 / 2) and against a normal variable")
    for z in (1.0, 2.0, 3.0, 4.0, 5.0):
        print(f"  z={z:g}  {np.mean(flat > z):.2e}  bound {np.exp(-(z**2) / 2):.2e}  normal {stats.norm.sf(z):.2e}")
    return hits == 0


def _trials(picture: Pixels, number: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores (count, alignments) of a picture under as many keys' signs; and those of the word of zeros."""
    layout = layout_of(f"pilot {number}")
    some = [a.waves for batch in alignments_of(picture, layout, reach=Spread().reach) for a in batch]
    chips = layout.chips(np.stack(some))
    signs = np.stack([signs_of(f"signs {number}/{i}") for i in range(count)])
    scores = np.stack([_code.decode(row * signs, alike=True)[1] for row in chips], axis=1)
    norm = np.linalg.norm(chips, axis=1)
    fixed = np.divide(signs @ chips.T, norm, out=np.zeros((count, len(chips))), where=norm > 0)
    return scores, fixed.ravel()


if __name__ == "__main__":
    sys.exit(main())
