# SPDX-License-Identifier: Apache-2.0
"""Products by the BLAS that scipy's LAPACK uses.

NumPy and SciPy each bring a BLAS with threads of its own, and the threads of one spin for a while after a call: large
products by the one between factorisations by the other run at half speed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

__all__ = ["gram", "times"]

Array = NDArray[np.float64]


def times(a: Array, b: Array) -> Array:
    """A @ b of matrices, in Fortran order; neither is copied where it is contiguous either way."""
    (left, turned), (right, turned_too) = _laid(a), _laid(b)
    return np.asarray(blas.dgemm(1.0, left, right, trans_a=turned, trans_b=turned_too))


def gram(a: Array) -> Array:
    """Lower triangle of a a', zeros above: half the work."""
    left, turned = _laid(a)
    return np.asarray(blas.dsyrk(1.0, left, trans=turned, lower=1))


def _laid(a: Array) -> tuple[Array, int]:
    """The matrix or its transpose, whichever is in Fortran order, and whether it is the transpose."""
    return (a, 0) if a.flags.f_contiguous else (a.T, 1)
