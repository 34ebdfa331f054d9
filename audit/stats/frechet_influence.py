# SPDX-License-Identifier: Apache-2.0
"""Which images make a Frechet distance large: the influence of every single one."""

from __future__ import annotations

import numpy as np

from audit.stats._blas import times
from audit.stats._frechet_bias import exponentials, left_out
from audit.stats._frechet_spectrum import Side, spectrum
from audit.stats._frechet_values import Array
from audit.stats.moments import Features, Moments, blocks

__all__ = ["influence"]


def influence(x: Features, y: Features | Moments) -> Array:
    """By how much FD(x, y) would fall if an image of x were left out, shape (n,).

    Positive: the image makes the distance larger. Leaving any image out also raises the plug-in distance's bias, on
    average by the same for all; that is taken off, so the sum is 0. Exact for the mean and the traces; to second order,
    with the image's leverage, for the root: where n is 2 D and more, and where it is far less than D, within a few
    hundredths of really leaving out. One eigenproblem, of the smaller of n, m and D, and one product with the rows.

    Args:
        x: features, shape (n, D), n at least 3.
        y: features to compare with, shape (m, D), m at least 2, or fixed moments.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or values that are not finite.
    """
    first = Side.of(x, "x", least=3)
    second = Side(y) if isinstance(y, Moments) else Side.of(y, "y")
    if first.moments.mean.shape != second.moments.mean.shape:
        widths = len(first.moments.mean), len(second.moments.mean)
        raise ValueError(f"features of widths {widths[0]} and {widths[1]} do not compare")
    assert first.rows is not None
    n, found, mean = len(first.rows), spectrum(first, second), first.moments.mean
    roots, step, factors = found.roots, mean - second.moments.mean, exponentials(found.roots)
    # Without a row v the covariance is (n - 1) / (n - 2) (S - part v v'), part = n / (n - 1)^2.
    part, grown = n / (n - 1) ** 2, (n - 1) / (n - 2)
    out: Array = np.empty(n)
    for rows, v in blocks(first.rows, mean):
        squares, lengths = times(v, found.maps[0].T) ** 2, np.einsum("ij,ij->i", v, v)
        bent = part**2 * (times(squares, factors) ** 2).sum(axis=1) * left_out(part * (squares @ roots**-2))
        by_mean = 2 * (v @ step) / (n - 1) - lengths / (n - 1) ** 2
        by_root = grown**0.5 * (part / 2 * (squares @ (1 / roots)) + bent)
        out[rows] = by_mean + grown * part * lengths - 2 * by_root
    centred: Array = out - out.mean()
    return centred
