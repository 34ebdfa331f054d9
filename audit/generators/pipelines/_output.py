# SPDX-License-Identifier: Apache-2.0
"""From what a pipeline returns to one answer a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.generators._common import drawn, failed
from audit.types import Generation, Outcome, Request

__all__ = ["answers_of"]

_PICTURES = ("images", "image", "rgb", "sample")
_FLAGS = ("nsfw_content_detected", "nsfw_detected")


def answers_of(wanted: Sequence[Request], out: Any, *, seconds: float, lanes: int) -> list[Generation]:
    """One answer a request, in order.

    Args:
        wanted: the requests; images that came for none of them are left out.
        out: what the pipeline returned: an output object, a mapping, a tuple that begins with the images, or images.
        seconds: wall time of one image.
        lanes: how many images were drawn at once.
    """
    pictures, flags = _pictures(out), _flags(out)
    finite, levels = _levels(pictures[: len(wanted)])
    answers = []
    for place, request in enumerate(wanted):
        if place >= len(pictures):
            message = f"the pipeline returned {len(pictures)} images for {lanes} requests"
            answers.append(failed(request, message, seconds=seconds))
        elif place < len(flags) and flags[place]:
            message = "withheld by the safety filter of the checkpoint"
            answers.append(failed(request, message, outcome=Outcome.BLOCKED, seconds=seconds))
        elif (rgb := levels[place]) is None:
            message = f"the pipeline returned an array of shape {np.shape(pictures[place])}, which is no picture"
            answers.append(failed(request, message, seconds=seconds))
        elif not finite[place]:
            answers.append(failed(request, "the pipeline returned pixels that are not numbers", seconds=seconds))
        else:
            answers.append(drawn(request, rgb, seconds=seconds, meta={"seed": request.seed, "lanes": lanes}))
    return answers


def _pictures(out: Any) -> Any:
    """The images as one array (n, h, w[, c]) or a list of arrays (h, w[, c])."""
    found = next((getattr(out, name) for name in _PICTURES if getattr(out, name, None) is not None), None)
    if found is None and isinstance(out, Mapping):
        found = next((out[name] for name in _PICTURES if name in out), ())
    if found is None:
        found = out[0] if isinstance(out, tuple) and len(out) else out
    if isinstance(found, list | tuple):
        return [_array(one[0] if isinstance(one, list | tuple) and len(one) == 1 else one) for one in found]
    whole = _array(found)
    # One picture as a video of one frame.
    return whole[:, 0] if whole.ndim == 5 and whole.shape[1] == 1 else whole


def _array(value: Any) -> NDArray[Any]:
    """Pixels of a numpy array, a torch tensor with channels before rows, or a Pillow image."""
    if hasattr(value, "detach"):
        pixels: NDArray[Any] = value.detach().float().cpu().numpy()
        return np.moveaxis(pixels, -3, -1) if pixels.ndim >= 3 and pixels.shape[-3] in (1, 3, 4) else pixels
    return np.asarray(value.convert("RGB") if hasattr(value, "convert") else value)


def _flags(out: Any) -> list[Any]:
    """What the safety filter says of each image; empty where it says nothing."""
    said = next((getattr(out, name) for name in _FLAGS if getattr(out, name, None) is not None), None)
    if said is None and isinstance(out, tuple) and len(out) > 1 and isinstance(out[1], list):
        said = out[1]
    return list(said) if isinstance(said, list | tuple | np.ndarray) else []


def _levels(pictures: Any) -> tuple[list[bool], Sequence[NDArray[np.uint8] | None]]:
    """Which pictures are numbers throughout, and their RGB levels (h, w, 3); None for what is no picture."""
    if isinstance(pictures, np.ndarray):
        count, fits = len(pictures), pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] in (1, 3, 4))
        if not fits or not pictures.size:
            return [False] * count, [None] * count
        finite = np.isfinite(pictures.reshape(count, -1))
        return np.logical_and.reduce(finite, axis=1).tolist(), list(_rgb(pictures))
    each = [_levels(one[None]) for one in pictures]
    return [finite[0] for finite, _ in each], [levels[0] for _, levels in each]


def _rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, h, w[, 1, 3 or 4]) floats in [0, 1] or bytes, to RGB levels; transparency is dropped."""
    if pixels.dtype != np.uint8:
        scaled = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0) * 255.0
        pixels = np.rint(scaled.clip(0.0, 255.0)).astype(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    return np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else np.ascontiguousarray(pixels[..., :3])
