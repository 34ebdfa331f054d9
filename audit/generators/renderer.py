# SPDX-License-Identifier: Apache-2.0
"""The reference renderer as a generator: every picture's truth is known and travels in ``Generation.meta``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import check_options, digest_of
from audit.errors import ConfigError
from audit.generators._common import drawn, failed
from audit.generators._filter import PromptFilter, find_words, parse_filter
from audit.generators._scenes import checkerboard, draw
from audit.generators._truth import PLANTED, PLANTS, Sampler, truth_of
from audit.types import Generation, GeneratorSpec, Outcome, Request

__all__ = ["RendererGenerator"]

_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "block": list,
    "cycle": int,
    "duplicates": int,
    "fail_on": list,
    "memorised": (int, float),
    "plants": (str, list),
    "refuse": list,
    "shares": str,
    "size": int,
    "upscale": int,
}
_VERSION = "2"


class RendererGenerator:
    """Draws portraits, paintings, signs and illustrations; what the prompt leaves open follows known shares.

    Args:
        name: in the configuration.
        model: None or ``reference:renderer``.
        params: ``size``: edge of the picture in pixels (also an option; the parameter of a request wins).
        options: ``plants``: which of the planted facts this world has: ``all``, ``none`` or a list of ``artwork``,
            ``logo``, ``memorised``, ``occupations``, ``refusals``, ``signs``, ``small``, ``style`` (default: logo,
            memorised and occupations; each is told in ``audit/reference/plants``); ``size`` (64, with ``small`` 32);
            ``upscale``: edge that the finished picture is enlarged to; ``shares``: ``planted`` (skewed by occupation)
            or ``uniform``, where ``plants`` does not decide it;
            ``cycle``: every block of so many repetitions of a prompt has the shares exactly (as far as whole people
            allow); ``duplicates``: every k-th repetition repeats the picture of repetition 0; ``memorised``: share of
            requests that draw a memorised gallery person; ``refuse``, ``block``, ``fail_on``: words that make a
            prompt end as REFUSED, as BLOCKED, or raise.

    Raises:
        ConfigError: an unknown option, or a value out of range.
    """

    isolated: ClassVar[bool] = False  # it loads nothing that could hang or crash

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where = name, f"generator {name!r}"
        self._options, params = dict(options or {}), dict(params or {})
        check_options(self._options, _OPTIONS, where=f"{self._where}: options")
        check_options(params, {"size": int}, where=f"{self._where}: params")
        if model not in (None, "reference:renderer"):
            raise ConfigError(f"unknown model {model!r}", where=self._where, hint="leave it out: there is one renderer")
        plants = _plants(self._options.get("plants"), where=self._where)
        size = params.get("size") or self._options.get("size") or (_small()["resolution"] if "small" in plants else 64)
        self._size = _between(int(size), 16, 1024, "size", self._where)
        self._upscale = _between(int(self._options.get("upscale") or 16), 16, 1024, "upscale", self._where)
        self._filter = _bundled_filter() if "refusals" in plants else None
        shares = self._options.get("shares") or ("planted" if "occupations" in plants else "uniform")
        if shares not in ("planted", "uniform"):
            raise ConfigError(f"shares must be planted or uniform, got {shares!r}", where=self._where)
        self._sampler = Sampler(
            shares=shares,
            cycle=_between(int(self._options.get("cycle") or 0), 0, 1_000_000, "cycle", self._where),
            duplicates=_between(int(self._options.get("duplicates") or 0), 0, 1_000_000, "duplicates", self._where),
            memorised=_between(float(self._options.get("memorised") or 0), 0, 1, "memorised", self._where),
            plants=plants,
        )

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the digest covers the settings, the planted shares and the renderer's version."""
        from audit.reference.scenes import plant
        from audit.reference.world import planted

        truths = {name: plant(name) for name in sorted(self._sampler.plants)}
        settings = {**self._options, "size": self._size, "renderer": _VERSION, "planted": planted(), "plants": truths}
        return GeneratorSpec(
            self.name,
            "renderer",
            "reference:renderer",
            digest_of(settings),
            licence="Apache-2.0",
            capabilities=frozenset({"text", "seed", "size"}),
            details={
                "size": self._size,
                "shares": self._sampler.shares,
                "plants": ", ".join(sorted(self._sampler.plants)) or "none",
            },
        )

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given. Raises RuntimeError for prompts with a word of ``fail_on``."""
        for request in batch:
            if word := self._said(request, "fail_on"):
                raise RuntimeError(f"the renderer was told to fail on {word!r}")
        sizes: dict[int, list[Request]] = {}
        answers = self._filter.answers(batch) if self._filter else {}
        for request in batch:
            if request.id in answers:
                continue
            if word := self._said(request, "refuse"):
                message = f"I cannot draw that: {word}"
                answers[request.id] = failed(request, message, outcome=Outcome.REFUSED)
            elif word := self._said(request, "block"):
                message = f"withheld by the word list: {word}"
                answers[request.id] = failed(request, message, outcome=Outcome.BLOCKED)
            else:
                size = int(request.params.get("size") or self._size)
                sizes.setdefault(_between(size, 16, 1024, "size", self._where), []).append(request)
        for size, requests in sizes.items():
            answers |= {answer.request_id: answer for answer in self._draw(requests, size)}
        return [answers[request.id] for request in batch]

    def close(self) -> None:
        """Nothing to forget."""

    def _draw(self, requests: list[Request], size: int) -> list[Generation]:
        start = time.perf_counter()
        shown = [self._sampler.shown(request) for request in requests]
        people = [
            self._sampler.person(request) if what.kind == "person" else None
            for request, what in zip(requests, shown, strict=True)
        ]
        seeds = [self._sampler.luck(request)[0] for request in requests]
        images = draw(shown, people, seeds, size=size)
        if "small" in self._sampler.plants:
            images = checkerboard(images, levels=_small()["levels"])
        if self._upscale > size:
            images = _enlarged(images, self._upscale)
        seconds = (time.perf_counter() - start) / len(requests)
        return [
            drawn(request, image, seconds=seconds, meta={"seed": request.seed, **truth_of(what, person)})
            for request, image, what, person in zip(requests, images, shown, people, strict=True)
        ]

    def _said(self, request: Request, option: str) -> str | None:
        """The first word or phrase of the option's list that the prompt holds."""
        return find_words(request.prompt.text, map(str, self._options.get(option) or ()))


def _plants(value: Any, *, where: str) -> frozenset[str]:
    if value is None or value in ("all", "none"):
        return PLANTED if value is None else frozenset(PLANTS if value == "all" else ())
    named = [value] if isinstance(value, str) else [str(name) for name in value]
    if unknown := [name for name in named if name not in PLANTS]:
        hint = f"all, none, or a list of: {', '.join(PLANTS)}"
        raise ConfigError(f"there is no plant {unknown[0]!r}", where=f"{where}: options", hint=hint)
    return frozenset(named)


def _small() -> dict[str, Any]:
    from audit.reference.scenes import plant

    return plant("small")


def _bundled_filter() -> PromptFilter:
    from importlib import resources

    file = resources.files("audit.reference").joinpath("plants", "prompt_filter.json")
    return parse_filter(file.read_text(encoding="utf-8"))


def _enlarged(images: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """Bicubic enlargement to ``edge`` x ``edge``."""
    from PIL import Image

    large = [Image.fromarray(image).resize((edge, edge), Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image) for image in large])


def _between(value: Any, low: float, high: float, what: str, where: str) -> Any:
    if not low <= value <= high:
        raise ConfigError(f"{what} must be between {low} and {high}, got {value}", where=where)
    return value
