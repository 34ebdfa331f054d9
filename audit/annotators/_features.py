# SPDX-License-Identifier: Apache-2.0
"""What all instruments that turn a picture into a vector share: their store, and what outputs are compared with."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.annotators._references import Reference
from audit.errors import ConfigError
from audit.features import KERNELS, Extractor, FeatureStore, embed_pictures
from audit.features.store import DEFAULT_GB
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["FEATURE_OPTIONS", "Compared", "FeatureAnnotator", "device_kind", "device_of", "kernel_of", "store_of"]

#: Options that all of them have.
FEATURE_OPTIONS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "batch": int,
    "device": str,
    "kernel": str,
    "local_files_only": bool,
    "reference": dict,
    "store_gb": (int, float),
    "training": dict,
}


class Compared:
    """The pictures that an instrument's features are compared with, by option.

    Args:
        name: of the instrument.
        options: of it; ``reference`` (None: nothing) and ``training`` are read.
        where: place for messages.

    Raises:
        ConfigError: a folder that is not there, or training images that are statistics.
    """

    def __init__(self, name: str, options: Mapping[str, Any], *, where: str) -> None:
        reference, training = options.get("reference", {}), options.get("training")
        self._sets: dict[str, Reference] = {}
        if reference is not None:
            self._sets[f"features.{name}"] = Reference.parse(reference, where=f"{where}: reference")
        if training is not None:
            found = Reference.parse(training, where=f"{where}: training")
            if found.is_statistics:
                hint = "name the folder of the training images"
                raise ConfigError("statistics say nothing about single images", where=f"{where}: training", hint=hint)
            self._sets[f"training_features.{name}"] = found

    def features(self, extractor: Extractor, store: FeatureStore, *, width: int) -> dict[str, Any]:
        """By name of the reference data: features (m, width), or statistics in their place.

        Statistics of another width are those of another instrument and are left out.

        Raises:
            AnnotatorError: too few images, or one that cannot be decoded.
        """
        found: dict[str, Any] = {}
        for name, reference in self._sets.items():
            if reference.is_statistics:
                moments = reference.statistics()
                if len(moments.mean) == width:
                    found[name] = moments
            else:
                found[name] = reference.features(extractor, store)[:, :width]
        return found

    def fingerprint(self) -> str | None:
        """sha256 over all the images and how many there are; None where there are none."""
        return "+".join(reference.digest() for reference in self._sets.values()) or None


class FeatureAnnotator:
    """Base of the instruments that give features.

    A subclass says its name, its `spec` and its `_extractor`; one whose rows hold more than features says `_width` and
    `_columns` too.

    Args:
        options: of the instrument, already checked.
        where: place for messages.
    """

    name: str
    version = "1"

    def __init__(self, options: Mapping[str, Any], *, where: str) -> None:
        self._options = options
        self._batch = max(1, int(options.get("batch") or 32))
        self._compared = Compared(self.name, options, where=where)

    @property
    def spec(self) -> AnnotatorSpec:
        """Identity; loads no weights."""
        raise NotImplementedError

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        if not images:
            return self._columns(np.empty((0, self._extractor.width), np.float32))
        return self._columns(embed_pictures(self._extractor, [image.rgb for image in images], self._store))

    def references(self) -> dict[str, Any]:
        """Features (m, D) of the reference images, or statistics in their place, and of the training images."""
        return self._references

    def reference_fingerprint(self) -> str | None:
        """sha256 over the images that outputs are compared with and how many there are, None without any."""
        return self._compared.fingerprint()

    @functools.cached_property
    def _references(self) -> dict[str, Any]:
        return self._compared.features(self._extractor, self._store, width=self._width)

    @functools.cached_property
    def _store(self) -> FeatureStore:
        return store_of(self._extractor, self._options)

    @functools.cached_property
    def _extractor(self) -> Extractor:
        raise NotImplementedError

    @property
    def _width(self) -> int:
        """How much of a row are features."""
        return self._extractor.width

    def _columns(self, rows: NDArray[np.float32]) -> Columns:
        return {"features": rows}

    @functools.cached_property
    def _device(self) -> str:
        return device_of(self._options.get("device"))


def store_of(extractor: Extractor, options: Mapping[str, Any]) -> FeatureStore:
    """The store of an extractor, no larger than the option ``store_gb`` allows."""
    limit = options.get("store_gb")
    return FeatureStore(extractor.identity, limit_gb=DEFAULT_GB if limit is None else float(limit))


def device_of(asked: str | None) -> str:
    """What "auto" or nothing stands for on this machine."""
    if asked and asked != "auto":
        return asked
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def kernel_of(options: Mapping[str, Any], default: str, *, where: str, more: Sequence[str] = ()) -> str:
    """The option ``kernel``. Raises ConfigError for one that is not known."""
    kernel = str(options.get("kernel") or default)
    if kernel not in (*KERNELS, *more):
        known = ", ".join(sorted([*KERNELS, *more]))
        raise ConfigError(f"kernel {kernel!r} is unknown", where=where, hint=f"one of {known}")
    return kernel


def device_kind(device: str) -> str:
    """Kind of a device, e.g. "cuda" of "cuda:1"."""
    return device.partition(":")[0]
