# SPDX-License-Identifier: Apache-2.0
"""Networks in ONNX, run by onnxruntime (extra ``onnx``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audit.errors import ConfigError, GeneratorError
from audit.generators._memory import out_of_memory
from audit.generators.networks._base import Network
from audit.generators.networks._plan import Slot
from audit.types import Scalar

__all__ = ["OnnxGenerator"]

_DTYPES = {"float": "float32", "double": "float64", "bool": "bool"}


class OnnxGenerator(Network):
    """An ONNX file under audit.

    Its inputs and outputs, with types and shapes, are read from the file. It runs on the CPU unless the option
    ``providers`` names execution providers of onnxruntime (``CUDAExecutionProvider`` ...); one that is named and cannot
    be had is an error, never a silent fall back. A graph that draws random numbers of its own cannot be audited: its
    pictures would not repeat.
    """

    kind, suffixes = "onnx", (".onnx",)
    more: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"providers": (list, str)}
    _session: Any = None
    _repeats = False

    def _providers(self) -> list[str]:
        wish = self._options.get("providers") or ["CPUExecutionProvider"]
        return [str(name) for name in ([wish] if isinstance(wish, str) else wish)]

    def _open(self, path: Path) -> None:
        runtime = _runtime(self._where)
        wish, there = self._providers(), runtime.get_available_providers()
        if missing := [name for name in wish if name not in there]:
            where, hint = f"{self._where}: options.providers", f"this onnxruntime has {', '.join(there)}"
            raise ConfigError(f"there is no provider {missing[0]!r}", where=where, hint=hint)
        settings = runtime.SessionOptions()
        settings.log_severity_level, settings.use_deterministic_compute = 4, True
        self._session = runtime.InferenceSession(path, settings, providers=wish)
        self._opset = _opset_of(path)
        if missing := [name for name in wish if name not in self._session.get_providers()]:
            message = f"{missing[0]} does not start"
            raise GeneratorError(message, where=self._where, hint="install its libraries, or leave `providers` out")
        output = self._declared.output.name
        have = [each.name for each in self._session.get_outputs()]
        if output is not None and output not in have:
            message = f"there is no output {output!r}; outputs: {', '.join(map(repr, have))}"
            raise GeneratorError(message, where=self._where, hint="correct output.name in io")

    def _slots(self) -> Sequence[Slot]:
        return [Slot(each.name, _dtype(each.type), _sizes(each.shape)) for each in self._session.get_inputs()]

    def _call(self, feeds: dict[str, Any], seed: int) -> tuple[Any, bool]:  # noqa: ARG002 - nothing here is random
        answer = self._once(feeds)
        if not self._repeats:
            again = self._once(feeds)
            same = [np.allclose(answer[n], again[n], rtol=1e-3, atol=1e-3, equal_nan=True) for n in answer]
            if not all(same):
                message = "the network draws random numbers of its own, so its pictures would not repeat"
                raise GeneratorError(message, where=self._where, hint="export it with all its noise as inputs")
            self._repeats = True
        return answer, False

    def _once(self, feeds: dict[str, Any]) -> dict[str, NDArray[Any]]:
        names = [each.name for each in self._session.get_outputs()]
        try:
            return dict(zip(names, self._session.run(names, feeds), strict=True))
        except Exception as error:
            # onnxruntime's errors are classes of their own; what they say about memory reads as elsewhere.
            if "allocate memory" in str(error).lower() or out_of_memory(RuntimeError(str(error))):
                raise MemoryError(str(error)) from error
            raise

    def _array(self, tensor: Any) -> NDArray[Any]:
        return np.asarray(tensor)

    def _details(self) -> dict[str, Scalar]:
        shapes = [_sizes(each.shape) for each in self._session.get_outputs()]
        shown = next((str(shape).replace("None", "N") for shape in shapes if len(shape) == 4), None)
        return {"providers": ", ".join(self._session.get_providers()), "opset": self._opset, "output": shown}

    def _shut(self) -> None:
        self._session, self._repeats = None, False


def _runtime(where: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        hint = 'pip install "genaudit[onnx]"'
        raise ConfigError("kind: onnx needs onnxruntime, which is not installed", where=where, hint=hint) from None
    return onnxruntime


def _dtype(kind: str) -> str:
    """``tensor(float)`` as numpy names it."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(inner, inner)


def _sizes(shape: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


def _opset_of(path: Path) -> int | None:
    """Version of the standard operators that a file asks for; None where it does not say.

    Reads the top level of the protobuf message only: ``opset_import`` is field 8 of ModelProto, with ``domain`` (1) and
    ``version`` (2); see onnx.proto.
    """
    with path.open("rb") as stream:
        size = path.stat().st_size
        while stream.tell() < size:
            key = _varint(stream)
            if key & 7 == 0:
                _varint(stream)
            elif key & 7 == 2:
                length = _varint(stream)
                if key >> 3 == 8:
                    if (version := _standard(stream.read(length))) is not None:
                        return version
                else:
                    stream.seek(length, 1)
            else:
                return None
    return None


def _standard(message: bytes) -> int | None:
    import io

    stream, version, domain = io.BytesIO(message), None, b""
    while stream.tell() < len(message):
        key = _varint(stream)
        if key & 7 == 0:
            value = _varint(stream)
            version = value if key >> 3 == 2 else version
        else:
            domain = stream.read(_varint(stream))
    return version if domain in (b"", b"ai.onnx") else None


def _varint(stream: Any) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            break
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            break
    return value
