# SPDX-License-Identifier: Apache-2.0
"""Means and scatter of feature vectors: mergeable, gathered by blocks, exchanged as published statistics files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from audit.errors import ConfigError

__all__ = ["Features", "Moments", "blocks", "checked"]

Array = NDArray[np.float64]
Features = NDArray[Any]  # of any real dtype: ``checked`` tells
_ROWS = 1024  # at width 2048 a block is 16 MB, and the rank update runs at the speed of a full product


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mergeable sufficient statistics of n feature vectors.

    Attributes:
        n: how many; None for a published statistics file that does not tell.
        mean: shape (D,).
        scatter: sum of (x - mean)(x - mean)', shape (D, D); where n is None, the covariance itself.
    """

    n: int | None
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, features: Features) -> Moments:
        """Moments of features, shape (n, D), n at least 1; no more than a block of rows is copied.

        Raises:
            ValueError: for another shape, no rows, or a value that is not finite.
        """
        x = checked(features, "features")
        mean = _mean(x)
        width = len(mean)
        scatter = np.zeros((width, width), order="F")
        for _, block in blocks(x, mean):
            scatter = blas.dsyrk(1.0, block.T, beta=1.0, c=scatter, lower=1, overwrite_c=1)
        scatter += np.tril(scatter, -1).T
        return cls(len(x), mean, scatter)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub and LeVeque 1979, eq. 1.5).

        Raises:
            ValueError: where one of the two does not know its n, or the widths differ.
        """
        if self.n is None or other.n is None:
            raise ValueError("moments without their n cannot be merged")
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"moments of widths {len(self.mean)} and {len(other.mean)} cannot be merged")
        n, step = self.n + other.n, other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), scatter)

    @property
    def covariance(self) -> Array:
        """Sample covariance, divisor n - 1; shape (D, D)."""
        return self.scatter if self.n is None else self.scatter / (self.n - 1)

    def save(self, path: str | PathLike[str]) -> None:
        """Write ``mu`` and ``sigma`` as pytorch-fid and clean-fid name them, and ``n`` where it is known."""
        arrays: dict[str, Any] = {"mu": self.mean, "sigma": self.covariance}
        if self.n is not None:
            arrays["n"] = self.n
        with Path(path).open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Moments:
        """Moments from a statistics file (``.npz`` with ``mu`` and ``sigma``, and ``n`` where it is known).

        Raises:
            ConfigError: where the file cannot be read or does not hold the mean and covariance of one feature space.
        """
        try:
            with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                mean, covariance = (np.asarray(file[key], dtype=np.float64) for key in ("mu", "sigma"))
                n = int(file["n"]) if "n" in file else None
        except (OSError, BadZipFile, KeyError, TypeError, ValueError, EOFError, AttributeError) as error:
            raise ConfigError(
                "no reference statistics can be read from it",
                where=str(path),
                hint="give a .npz file with the arrays mu, shape (D,), and sigma, shape (D, D)",
            ) from error
        _check_statistics(mean, covariance, n, str(path))
        return cls(n, mean, covariance if n is None else covariance * (n - 1))


def _check_statistics(mean: Array, covariance: Array, n: int | None, where: str) -> None:
    hint = "give the mean and sample covariance of one set of features, as pytorch-fid or clean-fid write them"
    if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
        raise ConfigError(f"mu {mean.shape} and sigma {covariance.shape} do not go together", where=where, hint=hint)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ConfigError("mu or sigma holds values that are not finite", where=where, hint=hint)
    scale = float(np.abs(covariance).max())
    if np.abs(covariance - covariance.T).max() > 1e-6 * scale or np.diag(covariance).min() < -1e-9 * scale:
        raise ConfigError("sigma is not a covariance: not symmetric, or a variance below 0", where=where, hint=hint)
    if n is not None and n < 2:
        raise ConfigError(f"n is {n}, a covariance needs 2", where=where, hint=hint)


def checked(features: Features, name: str, *, least: int = 1) -> Features:
    """The features, once they are known to be ``least`` or more rows of finite numbers.

    Raises:
        ValueError: where they are not.
    """
    x = np.asarray(features)
    if x.ndim != 2 or x.shape[1] < 1 or x.dtype.kind not in "buif":
        raise ValueError(f"{name} must be numbers of shape (n, D), got {x.dtype} {x.shape}")
    if len(x) < least:
        raise ValueError(f"{name}: needs {least} rows, got {len(x)}")
    if x.dtype.kind == "f" and not all(np.isfinite(x[i : i + _ROWS]).all() for i in range(0, len(x), _ROWS)):
        raise ValueError(f"{name} holds values that are not finite (NaN or infinity)")
    return x


def blocks(x: Features, centre: Array) -> Iterator[tuple[slice, Array]]:
    """Rows less ``centre`` in float64, a block at a time, with the rows' places."""
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        yield rows, x[rows] - centre


def _mean(x: Features) -> Array:
    """Mean of the rows; a second pass takes out what rounding left in the first."""
    rough = np.asarray(x.mean(axis=0, dtype=np.float64))
    total = np.zeros_like(rough)
    for _, block in blocks(x, rough):
        total += block.sum(axis=0)
    return rough + total / len(x)
