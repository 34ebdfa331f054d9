# SPDX-License-Identifier: Apache-2.0
"""From what a network answers to RGB levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import GeneratorError
from audit.generators.networks._declared import Output

__all__ = ["levels", "pick", "pictures"]

_MOST_OUTSIDE = 0.25


def pick(answer: Any, output: Output, *, where: str) -> Any:
    """The tensor with the pictures: by name, by index, or the only one. Raises GeneratorError naming what there is."""
    if hasattr(answer, "shape"):
        parts: dict[str, Any] = {"0": answer}
    elif isinstance(answer, Mapping):
        parts = dict(answer)
    elif isinstance(answer, list | tuple):
        parts = {str(index): part for index, part in enumerate(answer)}
        parts |= {name: getattr(answer, name) for name in getattr(answer, "_fields", ())}
    elif hasattr(answer, "__dict__"):
        parts = vars(answer)
    else:
        raise GeneratorError(f"the network answered {type(answer).__name__}, not a tensor", where=where)
    parts = {name: part for name, part in parts.items() if hasattr(part, "shape")}
    have = ", ".join(f"{name!r} {tuple(part.shape)}" for name, part in parts.items()) or "none"
    if output.name is not None and output.name in parts:
        return parts[output.name]
    if output.index is not None and output.index < len(parts):
        return list(parts.values())[output.index]
    if output.name is None and output.index is None and len(parts) == 1:
        return next(iter(parts.values()))
    asked = output.name if output.name is not None else output.index
    message = "which output holds the pictures is not clear" if asked is None else f"there is no output {asked!r}"
    raise GeneratorError(f"{message}; outputs: {have}", where=where, hint="say output.name or output.index in io")


def pictures(batch: NDArray[Any], output: Output) -> NDArray[Any]:
    """The batch as (N, height, width, channels), values untouched. Raises ValueError for another shape."""
    shape = tuple(batch.shape)
    if len(shape) != 4:
        raise ValueError(f"the output has the shape {shape}, not (N, C, H, W) or (N, H, W, C)")
    allowed = {output.channels} if output.channels else {1, 3, 4}
    fits = [name for name, axis in (("NCHW", 1), ("NHWC", 3)) if shape[axis] in allowed]
    layout = output.layout or (fits[0] if len(fits) == 1 else None)
    if layout is None or layout not in fits:
        wanted = f"{layout or 'a layout'} with {' or '.join(map(str, sorted(allowed)))} channels"
        raise ValueError(f"the output has the shape {shape}, which is not clearly {wanted}: say so in io.output")
    return batch.transpose(0, 2, 3, 1) if layout == "NCHW" else batch


def levels(picture: NDArray[Any], span: tuple[float, float]) -> NDArray[np.uint8]:
    """One picture (height, width, 1, 3 or 4) with values in ``span`` as RGB levels; transparency on white.

    Raises:
        ValueError: values that are not numbers, or plainly of another range.
    """
    if picture.dtype == np.uint8:
        unit = picture.astype(np.float64) / 255.0
    else:
        unit = (_checked(picture.astype(np.float64), span) - span[0]) / (span[1] - span[0])
    unit = np.clip(unit, 0.0, 1.0)
    if unit.shape[2] == 4:
        unit = unit[..., :3] * unit[..., 3:] + (1.0 - unit[..., 3:])
    rgb = np.repeat(unit, 3, axis=2) if unit.shape[2] == 1 else unit
    return np.ascontiguousarray(np.rint(rgb * 255.0).astype(np.uint8))


def _checked(values: NDArray[np.float64], span: tuple[float, float]) -> NDArray[np.float64]:
    """The values, unless they cannot be of that range: a wrong range is a wrong picture, not a worse generator."""
    if not np.isfinite(values).all():
        raise ValueError("the network answered pixels that are not numbers")
    low, high = span
    margin = 0.1 * (high - low)
    outside = float(np.mean((values < low - margin) | (values > high + margin)))
    tiny = high == 255.0 and float(np.abs(values).max()) <= 1.5 and float(np.ptp(values)) > 0
    if outside > _MOST_OUTSIDE or tiny:
        seen = f"{values.min():.3g} to {values.max():.3g}"
        raise ValueError(f"the pixels run from {seen}, the declared range is {low:g} to {high:g}: mend output.range")
    return values
