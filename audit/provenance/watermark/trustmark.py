# SPDX-License-Identifier: Apache-2.0
"""TrustMark (Bui, Agarwal, Collomosse 2023, arXiv:2311.18297) behind our interface, by the package ``trustmark``.

Two networks of Adobe's, MIT licence, that put 100 bits into a picture and read them. Of these 40 are payload, in the
package's mode BCH_SUPER, where 56 more correct eight wrong ones and 4 name the mode.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from audit.errors import AnnotatorError, ConfigError
from audit.provenance.watermark._types import Reading, WatermarkSpec

__all__ = ["TrustMark", "Variant"]

Variant = Literal["P", "Q", "B", "C"]

_VARIANTS: Final = ("P", "Q", "B", "C")
_BITS, _PARITY, _CORRECTED = 40, 56, 8
_SUPER = 0  # number of the mode BCH_SUPER, from version 0.9 of the package on
_INSTALL = 'pip install "genaudit[trustmark]"'
_WHERE = "watermark trustmark"


@dataclass(frozen=True, slots=True)
class TrustMark:
    """TrustMark. The package and its weights must be there: nothing is downloaded without being asked for.

    Args:
        variant: P keeps pictures closest to the original, Q is the published one, B withstands more, C is small.
        strength: factor on the mark.
        device: of torch.

    Raises:
        ConfigError: no such variant. Using it raises this where the package or its weights are missing.
    """

    variant: Variant = "P"
    strength: float = 1.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.variant not in _VARIANTS:
            known = ", ".join(_VARIANTS)
            raise ConfigError(f"there is no variant {self.variant!r}", where=_WHERE, hint=f"variants: {known}")
        if not self.strength > 0:
            raise ConfigError(f"strength is {self.strength}, not above 0", where=_WHERE, hint="1 is usual")

    @property
    def spec(self) -> WatermarkSpec:
        """Identity; loads no weights."""
        version, digest = _identity(self.variant)
        return WatermarkSpec(
            name="trustmark",
            algorithm=f"com.adobe.trustmark.{self.variant}",
            digest=hashlib.sha256(f"{version}/{digest}/{self.strength}".encode()).hexdigest(),
            licence="MIT",
            bits=_BITS,
            min_side=256,
            false_positive_rate=_chance(),
            rate_source="computed for 100 fair and independent bits; the network was not measured",
        )

    def embed(self, rgb: NDArray[np.uint8], payload: bytes, /) -> NDArray[np.uint8]:
        """The marked picture, same shape.

        Args:
            rgb: (h, w, 3) levels.
            payload: 5 bytes.

        Raises:
            ValueError: another length, or the mark cannot be read back.
            ConfigError: the package or its weights are missing.
            AnnotatorError: the package fails.
        """
        from PIL import Image

        if len(payload) * 8 != _BITS:
            raise ValueError(f"payload has {len(payload)} bytes, not {_BITS // 8}")
        if min(rgb.shape[:2]) < self.spec.min_side:
            raise ValueError(f"picture is {rgb.shape[1]}x{rgb.shape[0]}: TrustMark needs {self.spec.min_side} pixels")
        model = _load(self.variant, self.device)
        with _guarded("embed"):
            made = model.encode(
                Image.fromarray(np.ascontiguousarray(rgb)), to_bits(payload), MODE="binary", WM_STRENGTH=self.strength
            )
            marked: NDArray[np.uint8] = np.array(made.convert("RGB"), dtype=np.uint8)
        if self.read(marked).payload != payload:
            raise ValueError("the mark cannot be read back from this picture")
        return marked

    def read(self, rgb: NDArray[np.uint8], /) -> Reading:
        """What can be read; the network gives no p-value.

        Raises:
            ConfigError: the package or its weights are missing.
            AnnotatorError: the package fails.
        """
        from PIL import Image

        if 0 in rgb.shape:
            return Reading(None, None, "empty picture")
        model = _load(self.variant, self.device)
        with _guarded("read"):
            bits, found, mode = model.decode(Image.fromarray(np.ascontiguousarray(rgb)), MODE="binary")
        # Other modes have less parity: of random words named as the weakest, one in eleven decodes.
        if not found or mode != _SUPER:
            return Reading(None, None, "no word of the code BCH_SUPER")
        return Reading(from_bits(bits), None, "corrected by the code BCH_SUPER")


def to_bits(payload: bytes) -> str:
    """The bits of a payload as the package takes them.

    >>> to_bits(bytes([1, 255]))
    '0000000111111111'
    """
    return "".join(f"{octet:08b}" for octet in payload)


def from_bits(bits: str) -> bytes:
    """The payload of bits as the package returns them; the opposite of ``to_bits``."""
    return bytes(int(bits[i : i + 8], 2) for i in range(0, _BITS, 8))


def _chance() -> float:
    """Chance that 100 fair bits are a word of BCH_SUPER with at most eight errors, and named so.

    The spheres of radius 8 around the 2^40 words of length 96 do not meet: 2^40 sum C(96, i) of 2^96 words; two of the
    bits that name the mode are looked at.
    """
    length = _BITS + _PARITY
    return sum(math.comb(length, i) for i in range(_CORRECTED + 1)) / 2.0**_PARITY / 4


def _folder() -> Path:
    """Where the package lies; it keeps its weights beside its code."""
    found = importlib.util.find_spec("trustmark")
    if found is None or found.origin is None:
        raise ConfigError("the package trustmark is not installed", where=_WHERE, hint=_INSTALL)
    return Path(found.origin).parent


def _identity(variant: Variant) -> tuple[str, str]:
    """Version of the package, and sha256 over the weights that are used."""
    folder = _folder() / "models"
    files = (f"trustmark_{variant}.yaml", f"encoder_{variant}.ckpt", f"decoder_{variant}.ckpt")
    paths = [folder / name for name in files]
    if lacking := [path.name for path in paths if not path.is_file() or not path.stat().st_size]:
        hint = f"python -c \"from trustmark import TrustMark; TrustMark(model_type='{variant}', loadRemover=False)\""
        message = f"weights are missing: {', '.join(lacking)}"
        raise ConfigError(message, where=_WHERE, hint=f"with a network, download them once: {hint}")
    stats = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    try:
        version = importlib.metadata.version("trustmark")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return version, _digest(stats)


@functools.lru_cache(maxsize=8)
def _digest(stats: tuple[tuple[str, int, int], ...]) -> str:
    whole = hashlib.sha256()
    for name, _, _ in stats:
        with Path(name).open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()


@functools.lru_cache(maxsize=2)
def _load(variant: Variant, device: str) -> Any:
    """The package's model. Its networks for removing and finding marks stay out."""
    _identity(variant)
    with _guarded("load"):
        package = importlib.import_module("trustmark")
        modes = package.TrustMark.Encoding
        if getattr(modes, "BCH_SUPER", None) != _SUPER:
            raise ConfigError("this version of trustmark has no mode BCH_SUPER", where=_WHERE, hint=_INSTALL)
        model = package.TrustMark(
            use_ECC=True,
            verbose=False,
            device=device,
            model_type=variant,
            encoding_type=modes.BCH_SUPER,
            loadRemover=False,
        )
    # The package prints a failed download and goes on without a network.
    if model.encoder is None or model.decoder is None:
        raise ConfigError(
            "trustmark cannot load its weights", where=_WHERE, hint=f"remove {_folder() / 'models'}/*.ckpt"
        )
    return model


@contextlib.contextmanager
def _guarded(doing: str) -> Any:
    """Errors of several libraries as one of ours; what the package prints is dropped."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ConfigError:
        raise
    except Exception as error:
        message = f"trustmark cannot {doing}: {type(error).__name__}: {str(error)[:300]}"
        raise AnnotatorError(message, where=_WHERE, hint=_INSTALL) from error
