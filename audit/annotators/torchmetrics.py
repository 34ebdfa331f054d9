# SPDX-License-Identifier: Apache-2.0
"""Image metrics of torchmetrics by name: one number a picture, alone or against its target."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._nets import objects
from audit.annotators._targets import Targets, read_target, targets
from audit.checkpoints import check_options, digest_of
from audit.errors import ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

if TYPE_CHECKING:
    import torch
    from torchmetrics import Metric

    from audit.borrowed import Borrowed

__all__ = ["TorchmetricsAnnotator"]

_WHERE = "annotator 'torchmetrics'"
_SIDE = 192  # of the picture that options are tried on; the multi-scale measure needs more than 160
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]


class TorchmetricsAnnotator:
    """Numbers of another library, each picture by itself, as it would compute them when called directly.

    Pictures are given as float32 levels in [0, 1], those of VisualInformationFidelity in [0, 255], which is what its
    noise is for; ``data_range`` follows from that. A picture that the metric cannot take (too small, without a target
    of its size) has no number, and ``<metric>_why`` says why.

    Args:
        **options: ``metrics`` (list of classes, or ``{class: {option: value}}``; classes that the audit names as
            ``torchmetrics:<class>`` are added), ``against`` (where targets come from: a folder with
            ``<prompt id>_<repetition>.png`` or ``<prompt id>.png``, ``/`` written ``__``; or ``{run: runs/before,
            generator: name}``), ``resize`` (True: a target of another size is resized, bicubic; default: no number).

    Raises:
        ConfigError: an unknown option, no metric, no targets for a metric that needs them, or options that the class
            does not take.
        PluginError: a class that torchmetrics does not have, or that cannot be used.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        known: dict[str, type | tuple[type, ...]] = {"metrics": (dict, list), "against": (str, dict), "resize": bool}
        check_options(options, known, where=_WHERE)
        self._given = _given(options.get("metrics"))
        self._resize = bool(options.get("resize"))
        self._metrics = {name: _opened(name, given) for name, given in self._given.items()}
        paired = [name for name, (borrowed, _) in self._metrics.items() if borrowed.paired]
        if paired and options.get("against") is None:
            hint = "instruments.options: {torchmetrics: {against: targets/}}, or {against: {run: ..., generator: ...}}"
            raise ConfigError(f"{paired[0]} needs a target for every picture", where=_WHERE, hint=hint)
        against = options.get("against") if paired else None
        self._targets: Targets | None = targets(against, where=f"{_WHERE}: against") if against is not None else None

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity: digest over classes, their options, the library's version and every target."""
        import torchmetrics

        content = {
            "version": self.version,
            "torchmetrics": torchmetrics.__version__,
            "metrics": self._given,
            "targets": self._targets.digest() if self._targets else None,
            "resize": self._resize,
        }
        columns: dict[str, str] = {}
        for name, (borrowed, _) in self._metrics.items():
            held = "of the picture against its target" if borrowed.paired else "of the picture"
            columns[name] = f"torchmetrics {torchmetrics.__version__} {name} {held}; NaN: none"
            columns[f"{name}_why"] = "why there is no number; None where there is one"
        return AnnotatorSpec("torchmetrics", self.version, digest_of(content), columns, licence="Apache-2.0")

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        found = [self._scores(image) for image in images]
        out: dict[str, NDArray[Any]] = {}
        for name in self._metrics:
            out[name] = np.array([scores[name][0] for scores in found], dtype=np.float64)
            out[f"{name}_why"] = objects([scores[name][1] for scores in found])
        return out

    def _scores(self, image: ImageRecord) -> dict[str, tuple[float, str | None]]:
        """Number and reason by metric; exactly one of the two is there."""
        target, why = self._target(image)
        scores: dict[str, tuple[float, str | None]] = {}
        for name, (borrowed, metric) in self._metrics.items():
            if borrowed.paired and why:
                scores[name] = np.nan, why
            else:
                scores[name] = _score(borrowed, metric, (image.rgb, target if borrowed.paired else None))
        return scores

    def _target(self, image: ImageRecord) -> tuple[NDArray[np.uint8] | None, str | None]:
        if self._targets is None:
            return None, None
        path = self._targets.find(image)
        if path is None:
            return None, "no target"
        target = read_target(path)
        if target.shape == image.rgb.shape:
            return target, None
        if self._resize:
            return _resized(target, image.rgb.shape), None
        sizes = [f"{rgb.shape[1]}x{rgb.shape[0]}" for rgb in (image.rgb, target)]
        return None, f"the picture has {sizes[0]} pixels, its target {sizes[1]}: set resize: true"


def _given(raw: Any) -> dict[str, dict[str, Any]]:
    """Options by class. Raises ConfigError."""
    given = raw if isinstance(raw, Mapping) else dict.fromkeys(raw or (), None)
    if not given:
        hint = "metrics: [torchmetrics:StructuralSimilarityIndexMeasure]"
        raise ConfigError("no metric of torchmetrics is named", where=_WHERE, hint=hint)
    for name, options in given.items():
        if options is not None and not isinstance(options, Mapping):
            hint = f"metrics: {{{name}: {{option: value}}}}"
            raise ConfigError(f"options of {name} are {options!r:.40}, not names with values", where=_WHERE, hint=hint)
        if "data_range" in (options or {}):
            hint = "leave it out: it follows from the levels that pictures are given in"
            raise ConfigError("data_range cannot be set", where=f"{_WHERE}: {name}", hint=hint)
    return {str(name): dict(options or {}) for name, options in sorted(given.items())}


def _opened(name: str, options: Mapping[str, Any]) -> tuple[Borrowed, Metric]:
    """The class and the metric with its options, tried on two pictures of noise. Raises ConfigError."""
    import torch

    from audit.borrowed import borrow

    borrowed = borrow(name)
    rng = np.random.default_rng(0)
    noise = [torch.from_numpy(rng.integers(0, 256, (3, _SIDE, _SIDE), dtype=np.uint8)) for _ in range(2)]
    where, hint = f"{_WHERE}: {name}", "see the documentation of torchmetrics for the options of the class"
    try:
        metric = borrowed.make(options)
        value = borrowed.score(metric, *noise[: 1 + borrowed.paired])
    except Exception as error:
        raise ConfigError(f"options {dict(options)} do not work: {error}", where=where, hint=hint) from error
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ConfigError("options make it return more than one number", where=where, hint="leave out `reduction`")
    return borrowed, metric


def _score(borrowed: Borrowed, metric: Metric, pair: Pair) -> tuple[float, str | None]:
    given = [_tensor(rgb) for rgb in pair if rgb is not None]
    try:
        value = float(borrowed.score(metric, *given))
    except (ValueError, RuntimeError) as error:  # how torchmetrics and torch refuse a picture, mostly a small one
        return np.nan, f"torchmetrics: {' '.join(str(error).split())[:200]}"
    if np.isfinite(value):
        return value, None
    same = len(given) == 2 and np.array_equal(given[0], given[1])
    return np.nan, "picture and target are equal: not a finite number" if same else f"the number is {value}"


def _tensor(rgb: NDArray[np.uint8]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(rgb.transpose(2, 0, 1), order="C"))  # pictures may be read-only


def _resized(rgb: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """To another (height, width, 3), bicubic with Pillow, which does not alias."""
    from PIL import Image

    return np.asarray(Image.fromarray(rgb).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
