# SPDX-License-Identifier: Apache-2.0
"""Pictures for benchmarks: drawn by the bundled models, with the statistics of photographs, and nasty ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from audit.reference.people import OCCUPATIONS, sample_people
from audit.reference.render import render
from audit.reference.scenes import painting_ids, render_paintings
from audit.registry import GENERATORS
from audit.types import Prompt, Request

__all__ = ["bundled", "nasty", "noise_field", "photographic", "photographs", "pieces_of_photographs"]

Pixels = NDArray[np.uint8]
_MODELS = (
    ("gan", "reference:gan", {}),
    ("vae", "reference:vae", {}),
    ("recurrent", "reference:recurrent", {}),
    ("diffusers", "reference:diffusion", {"steps": 20, "guidance": 1.5}),
)
_SIZES = ((512, 512), (512, 768), (768, 512), (1024, 1024), (640, 960))


def bundled(count: int, *, seed: int = 0) -> list[Pixels]:
    """Pictures of 64 pixels, a fifth each by the bundled GAN, autoencoder, recurrent model, diffusion and renderer."""
    each = count // (len(_MODELS) + 1)
    found: list[Pixels] = []
    for kind, model, params in _MODELS:
        generator = GENERATORS.get(kind)("g", model=model, params=params, options={})
        prompts = [f"a photo of a {OCCUPATIONS[i % len(OCCUPATIONS)]}" for i in range(each)]
        asked = [
            Request(f"{i:032d}", "g", Prompt(f"p/{i}", text, "p"), 0, seed + i, params)
            for i, text in enumerate(prompts)
        ]
        found += [np.asarray(drawn.pixels) for drawn in generator.generate(asked)]
    rng = np.random.default_rng(seed)
    return [*found, *render(sample_people(count - len(found), rng=rng))]


def noise_field(shape: tuple[int, int], rng: np.random.Generator, *, slope: float) -> NDArray[np.float64]:
    """Noise whose amplitude falls with frequency as f^-slope; mean 0, variance 1. Photographs: about 1."""
    f = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None])
    f[0, 0] = 1
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) / f**slope).real
    return (field - field.mean()) / field.std()


def photographic(height: int, width: int, rng: np.random.Generator) -> Pixels:
    """Dead leaves: textured things in front of each other, with sharp and soft edges, on a ground of 1/f noise."""
    shape = height, width
    picture = rng.uniform(90, 160, 3) + sum(
        35 * noise_field(shape, rng, slope=1.2)[..., None] * rng.uniform(-1, 1, 3) for _ in range(2)
    )
    y, x = np.mgrid[:height, :width]
    short = min(shape)
    for _ in range(rng.integers(3, 9)):
        centre, radii = rng.uniform(0, shape), rng.uniform(0.05, 0.35, 2) * short
        turn = rng.uniform(0, np.pi)
        a = ((y - centre[0]) * np.cos(turn) + (x - centre[1]) * np.sin(turn)) / radii[0]
        b = ((x - centre[1]) * np.cos(turn) - (y - centre[0]) * np.sin(turn)) / radii[1]
        inside = np.hypot(a, b) - 1 if rng.random() < 0.5 else np.maximum(np.abs(a), np.abs(b)) - 1
        cover = 1 / (1 + np.exp((inside * short / rng.uniform(1, 12)).clip(-50, 50)))[..., None]
        texture = rng.uniform(0, 30) * noise_field(shape, rng, slope=rng.uniform(0.6, 1.6))[..., None]
        picture = picture * (1 - cover) + (rng.uniform(0, 255, 3) + texture) * cover
    light = (x / width * rng.uniform(-40, 40) + y / height * rng.uniform(-40, 40))[..., None]
    return (picture + light).clip(0, 255).round().astype(np.uint8)


def photographs(count: int, *, seed: int = 0) -> Iterator[Pixels]:
    """Pictures of 512 to 1024 pixels: three of four as ``photographic``, the others rendered people and paintings."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        height, width = _SIZES[i % len(_SIZES)]
        if i % 8 == 3:
            yield render(sample_people(1, rng=rng), size=min(height, width))[0]
        elif i % 8 == 7:
            yield render_paintings(painting_ids(1, pool="heldout", rng=rng), size=min(height, width))[0]
        else:
            yield photographic(height, width, rng)


def pieces_of_photographs(count: int, *, seed: int = 0) -> Iterator[Pixels]:
    """Square pieces of 64 to 400 pixels, of the two photographs that scikit-learn brings along (427 by 640)."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng([seed, 1])
    whole = [np.asarray(image) for image in load_sample_images().images]
    for i in range(count):
        photograph, side = whole[i % len(whole)], (64, 96, 128, 200, 256, 400)[i // len(whole) % 6]
        top, left = (int(rng.integers(0, length - side + 1)) for length in photograph.shape[:2])
        yield photograph[top : top + side, left : left + side]


def nasty(size: int, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Pictures that a reader of periodic patterns may fall for, unmarked, each with its name."""
    y, x = np.mgrid[:size, :size]
    period = float(rng.uniform(2, size / 2))
    tile = int(size / rng.choice([1, 2, 4, 8]))
    yield "flat", _grey(np.full((size, size), rng.uniform(0, 255)))
    yield "black", _grey(np.zeros((size, size)))
    yield "gradient", _grey(255 * (x * rng.random() + y * rng.random()) / (2 * size))
    yield "checkerboard", _grey(255.0 * ((x // (period / 2) + y // (period / 2)) % 2))
    yield "stripes", _grey(127 + 120 * np.sin(2 * np.pi * (x * np.cos(period) + y * np.sin(period)) / period))
    yield "zone plate", _grey(127 + 120 * np.cos(np.pi * (x**2 + y**2) / size))
    yield "white noise", _grey(rng.normal(128, rng.uniform(1, 60), (size, size)))
    yield "salt and pepper", _grey(255.0 * (rng.random((size, size)) < rng.uniform(0.01, 0.5)))
    yield "tiled noise", _grey(np.tile(rng.normal(128, 40, (tile, tile)), (size // tile + 1,) * 2)[:size, :size])
    soft = noise_field((tile, tile), rng, slope=0.7)
    yield "tiled texture", _grey(128 + 40 * np.tile(soft, (size // tile + 1,) * 2)[:size, :size])
    cycles = rng.integers(1, 15, 2) * size / tile
    yield "wave of the tile", _grey(127 + 90 * np.sin(2 * np.pi * (cycles[0] * x + cycles[1] * y) / size))
    yield (
        "halftone",
        _grey(255.0 * (127 + 100 * noise_field((size, size), rng, slope=1.5) > 255 * ((x * 5 + y * 3) % 8) / 8)),
    )
    yield "text", _text(size, rng)
    yield "1/f noise", _grey(128 + 50 * noise_field((size, size), rng, slope=float(rng.uniform(0.3, 1.6))))


def _grey(levels: NDArray[np.floating]) -> Pixels:
    return levels.clip(0, 255).round().astype(np.uint8)[..., None].repeat(3, 2)


def _text(size: int, rng: np.random.Generator) -> Pixels:
    page = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(page)
    letters: Sequence[str] = "abcdefghijklmnopqrstuvwxyz      "
    for top in range(2, size, 12):
        draw.text((2, top), "".join(rng.choice(list(letters), size // 6)), fill="black")
    return np.asarray(page)
