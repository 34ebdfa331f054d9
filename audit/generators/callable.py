# SPDX-License-Identifier: Apache-2.0
"""A Python function, or a generator class, named in the configuration."""

from __future__ import annotations

import hashlib
import inspect
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import check_options
from audit.errors import AuditError, ConfigError
from audit.generators._common import drawn, failed
from audit.generators._named import named
from audit.generators.networks._pixels import levels
from audit.types import Generation, GeneratorSpec, Outcome, Request, Scalar

__all__ = ["CallableGenerator"]

_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


class CallableGenerator:
    """``model: "package.module:name"``: a function under audit, or a class that is a generator itself.

    A function is called as ``f(prompt, seed, **params)`` (``negative=`` too where it takes that) and returns a PIL
    image, an array (height, width[, 1, 3 or 4]) of bytes or of floats in [0, 1], the bytes of a PNG, JPEG or WebP file
    (kept as they are), or None, which counts as a refusal. What it raises becomes the ERROR row of that image. With an
    attribute ``batched = True`` it takes lists of prompts and of seeds and returns a list. A class with ``generate`` is
    made as ``name, model=None, params, options`` and answers by itself. Modules are found where Python finds them, and
    in the current directory.

    Args:
        name: in the configuration.
        model: ``package.module:name``.
        params: arguments of the function by name.
        options: none for a function; of its own for a class.

    Raises:
        ConfigError: no such module or name, arguments that the function does not take, or an unknown option.
        GeneratorError: the module fails when it is imported.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str | None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where, self._model = name, f"generator {name!r}", str(model)
        self._params = dict(params or {})
        self._inner: Any = None
        found = named(model, where=f"{self._where}: model")
        self._digest = _source(found)
        if isinstance(found, type) and hasattr(found, "generate"):
            self._inner = found(name, model=None, params=self._params, options=dict(options or {}))
            return
        check_options(options or {}, {}, where=f"{self._where}: options")
        if isinstance(found, type) or not callable(found):
            hint = "name a function (prompt, seed, **params), or a class with `generate`"
            raise ConfigError(f"{model} is neither a function nor a generator", where=self._where, hint=hint)
        self._function: Callable[..., Any] = found
        self._batched = bool(getattr(found, "batched", False))
        self._negative = _check_call(found, self._params, where=f"{self._where}: params")

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the digest covers the source file that the function is written in, not what it imports or calls."""
        if self._inner is not None:
            inner: GeneratorSpec = self._inner.spec
            return inner
        words = {"text", "seed", *(["negative"] if self._negative else [])}
        details: dict[str, Scalar] = {"function": self._model, "batched": self._batched}
        return GeneratorSpec(
            self.name, "callable", self._model, self._digest, capabilities=frozenset(words), details=details
        )

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given. Raises GeneratorError where the function says so itself."""
        if self._inner is not None:
            return list(self._inner.generate(batch))
        if not self._batched:
            return [self._one(request) for request in batch]
        groups: dict[tuple[Any, ...], list[Request]] = {}
        for request in batch:
            groups.setdefault((*sorted(request.params.items()),), []).append(request)
        answers = {answer.request_id: answer for group in groups.values() for answer in self._many(group)}
        return [answers[request.id] for request in batch]

    def recall(self, metas: Iterable[Mapping[str, Scalar]]) -> None:
        """Handed on to a generator class that has it."""
        if hasattr(self._inner, "recall"):
            self._inner.recall(metas)

    def close(self) -> None:
        """Handed on to a generator class that has it."""
        if hasattr(self._inner, "close"):
            self._inner.close()

    def _one(self, request: Request) -> Generation:
        start = time.perf_counter()
        more: dict[str, Any] = {"negative": request.prompt.negative} if self._negative else {}
        try:
            if self._batched:
                more = {name: [value] for name, value in more.items()}
                answers = list(
                    self._function([request.prompt.text], [request.seed], **self._arguments(request), **more)
                )
                if len(answers) != 1:
                    raise ValueError(f"{len(answers)} answers for 1 prompt")
                found = answers[0]
            else:
                found = self._function(request.prompt.text, request.seed, **self._arguments(request), **more)
        except AuditError:
            raise
        except Exception as error:  # noqa: BLE001 - the function is anybody's
            return failed(request, f"{type(error).__name__}: {error}", seconds=time.perf_counter() - start)
        return _answer(request, found, time.perf_counter() - start)

    def _many(self, group: list[Request]) -> list[Generation]:
        """One call for all; where that fails, one call each, so that one bad prompt costs one image."""
        if len(group) == 1:
            return [self._one(group[0])]
        start = time.perf_counter()
        more = {"negative": [request.prompt.negative for request in group]} if self._negative else {}
        prompts, seeds = [request.prompt.text for request in group], [request.seed for request in group]
        try:
            found = list(self._function(prompts, seeds, **self._arguments(group[0]), **more))
        except AuditError:
            raise
        except Exception:  # noqa: BLE001 - whose fault it was shows one by one
            return [self._one(request) for request in group]
        if len(found) != len(group):
            return [failed(request, f"{len(found)} answers for {len(group)} prompts") for request in group]
        seconds = (time.perf_counter() - start) / len(group)
        return [_answer(request, one, seconds) for request, one in zip(group, found, strict=True)]

    def _arguments(self, request: Request) -> dict[str, Any]:
        return {**self._params, **request.params}


def _check_call(function: Callable[..., Any], params: Mapping[str, Any], *, where: str) -> bool:
    """Whether the function takes ``negative``. Raises ConfigError for arguments that it does not take."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # functions written in C may not say
        return False
    negative = "negative" in signature.parameters and "negative" not in params
    try:
        signature.bind("", 0, **params, **({"negative": None} if negative else {}))
    except TypeError as error:
        hint = f"it is {getattr(function, '__name__', 'the function')}{signature}, called as f(prompt, seed, **params)"
        raise ConfigError(f"the function cannot be called so: {error}", where=where, hint=hint) from None
    return negative


def _source(found: Any) -> str | None:
    """sha256 (hex) of the file that something is written in; None where there is none."""
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(found)) or "")
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (TypeError, OSError):
        return None


def _answer(request: Request, found: Any, seconds: float) -> Generation:
    meta: dict[str, Scalar] = {"seed": request.seed}
    if found is None:
        return failed(request, "the function returned no picture", outcome=Outcome.REFUSED, seconds=seconds)
    try:
        if isinstance(found, bytes | bytearray | memoryview):
            data = bytes(found)
            media = _media(data)
            return Generation(request.id, Outcome.IMAGE, data, media, seconds=seconds, meta=meta)
        return drawn(request, _pixels(found), seconds=seconds, meta=meta)
    except ValueError as error:
        return failed(request, f"the function returned no picture that can be used: {error}", seconds=seconds)


def _media(data: bytes) -> str:
    """The media type of a whole image file. Raises ValueError."""
    from PIL import Image

    from audit.images import decode

    decode(data)
    with Image.open(io.BytesIO(data)) as image:
        media = _MEDIA.get(str(image.format))
    if media is None:
        raise ValueError(f"{image.format} is not PNG, JPEG or WebP")
    return media


def _pixels(found: Any) -> NDArray[np.uint8]:
    """RGB levels of a PIL image or an array; transparency on white. Raises ValueError."""
    from PIL import Image

    if isinstance(found, Image.Image):
        if found.mode in ("RGB", "L"):
            return np.asarray(found.convert("RGB"))
        rgba = found.convert("RGBA")
        return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
    if not hasattr(found, "__array__"):
        raise ValueError(f"{type(found).__name__} is no PIL image, array or bytes")
    array = np.asarray(found.detach().cpu() if hasattr(found, "detach") else found)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape} is not (height, width[, 1, 3 or 4])")
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"an array of {array.dtype} is neither uint8 nor float")
    if array.dtype != np.uint8 and not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):  # NaN fails both
        raise ValueError(f"floats from {array.min():.3g} to {array.max():.3g} are not in [0, 1]")
    return levels(array, (0.0, 1.0))
