# SPDX-License-Identifier: Apache-2.0
"""Requests and image records for tests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from audit.images import file_of
from audit.types import Generation, ImageRecord, Outcome, Prompt, Request


def ask(
    text: str = "a portrait of a nurse",
    *,
    repetition: int = 0,
    prompt_id: str | None = None,
    seed: int | None = None,
    negative: str | None = None,
    params: Mapping[str, Any] | None = None,
    axes: Mapping[str, str] | None = None,
) -> Request:
    """One request; its id is a function of everything, its seed of prompt and repetition unless given."""
    name = prompt_id or text.replace(" ", "-")
    prompt = Prompt(name, text, "test", axes=dict(axes or {}), negative=negative)
    content = f"{name}|{text}|{repetition}|{negative}|{seed}|{sorted((params or {}).items())}"
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    own = int(hashlib.sha256(f"{name}|{repetition}".encode()).hexdigest()[:15], 16)
    return Request(digest, "g", prompt, repetition, own if seed is None else seed, dict(params or {}))


def png(answer: Generation) -> bytes | None:
    """The picture of an answer as a file; None where there is none."""
    return file_of(answer)[0] if answer.outcome is Outcome.IMAGE else None


def record(rgb: np.ndarray, text: str = "a portrait of a nurse", name: str = "r") -> ImageRecord:
    """An image record as the runner makes it: PNG bytes and pixels."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    data = stream.getvalue()
    return ImageRecord(name, hashlib.sha256(data).hexdigest(), text, data, rgb)
