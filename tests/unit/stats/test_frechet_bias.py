# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import integrate

from audit.stats._frechet_bias import spread, terms
from audit.stats._frechet_spectrum import Side, spectrum
from audit.stats.frechet import Moments, frechet, frechet_from_moments
from benchmarks.frechet_bias import Cell, World, simulate


@pytest.mark.parametrize("degrees", [40, 100, 1000])
def test_one_known_side_against_the_roots_of_a_quadratic(degrees):
    """All true eigenvalues 1, one sample: the sample's eigenvalues follow the Marchenko-Pastur law."""
    d, ratio = 32, 32 / degrees
    edges = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    angle = (np.arange(4000) + 0.5) / 4000 * np.pi
    v = edges[0] + (edges[1] - edges[0]) * np.sin(angle / 2) ** 2
    mass = np.sqrt((edges[1] - v) * (v - edges[0])) / (2 * np.pi * ratio * v) * (edges[1] - edges[0]) / 2
    mass = np.cumsum(mass * np.sin(angle)) * np.pi / 4000
    values = np.interp((np.arange(d) + 0.5) / d, mass / mass[-1], v)
    gain, _ = spread(values, [degrees])
    assert np.sqrt(values).sum() + gain == pytest.approx(d, rel=0.005)
    assert np.sqrt(values).sum() < d * (1 - 0.1 * ratio)


def test_two_equal_samples_against_the_closed_form():
    """Tiomoko and Couillet 2019, n1 = n2: 2 n (sum of roots of v - sum of roots of eig(diag v - sqrt(v v') / n))."""
    v, n = np.random.default_rng(0).gamma(2, 1, 20), 30
    lower = np.linalg.eigvalsh(np.diag(v) - np.sqrt(np.outer(v, v)) / n)
    gain, _ = spread(v, [n, n])
    assert np.sqrt(v).sum() + gain == pytest.approx(2 * n * (np.sqrt(v).sum() - np.sqrt(lower).sum()), rel=1e-11)


@pytest.mark.parametrize("degrees", [[30], [30, 47], [900, 30]])
def test_the_integral_and_its_gradient(degrees):
    v = np.random.default_rng(1).gamma(2, 1, 6) ** 3

    def integrand(u):
        t = np.exp(u)
        s, q = (v / (t + v)).sum(), (v / (t + v) ** 2).sum()
        return 2 / np.pi * t**1.5 * q * (np.prod([1 - s / k for k in degrees]) ** -0.5 - 1)

    exact = integrate.quad(integrand, -60, 60, epsabs=1e-13, epsrel=1e-12, limit=500)[0]
    gain, slope = spread(v, degrees)
    assert gain == pytest.approx(exact, rel=1e-10)
    for i, h in enumerate(1e-5 * v):
        e = h * (np.arange(len(v)) == i)
        difference = (spread(v + e, degrees)[0] - spread(v - e, degrees)[0]) / (2 * h)
        assert slope[i] == pytest.approx(difference, rel=1e-6)


def test_the_first_order_term_is_the_variance_of_the_second_derivative():
    """Against central second differences of the trace of the root along the samples' own vectors."""
    rng = np.random.default_rng(2)
    x, y = rng.exponential(size=(4000, 4)) @ rng.normal(size=(4, 4)), rng.normal(size=(500, 4)) * [1, 2, 3, 4]
    first, fixed = Side.of(x, "x"), Side(Moments.of(y))
    found = terms(first, fixed, spectrum(first, fixed))
    mean, covariance, n = x.mean(axis=0), np.cov(x.T), len(x)

    def root_trace(c):
        return np.sqrt(np.linalg.eigvals(c @ fixed.moments.covariance).real).sum()

    def second(e, h=1e-3):
        return (root_trace(covariance + h * e) + root_trace(covariance - h * e) - 2 * root_trace(covariance)) / h**2

    steps = [np.outer(v, v) - covariance for v in x - mean]
    sizes = [np.abs(e).max() for e in steps]
    exact = -np.mean([second(e / s) * s**2 for e, s in zip(steps, sizes, strict=True)]) / (2 * n)
    assert found.ratio > 1.5  # exponential features, few dimensions: far from the Gaussian term
    assert found.correction == pytest.approx(exact, rel=0.02)


def test_the_standard_error_is_that_of_leaving_rows_out():
    """The delete-one jackknife of the corrected value needs n + m more distances; the influences tell the same."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(120, 6)) * np.arange(1, 7), rng.normal(0.3, 2, (90, 6))
    jackknife = 0.0
    for side in (0, 1):
        sides = x, y
        n = len(sides[side])
        left = [frechet(*(np.delete(z, i, 0) if s == side else z for s, z in enumerate(sides))).value for i in range(n)]
        jackknife += (n - 1) / n * float(((np.array(left) - np.mean(left)) ** 2).sum())
    assert frechet(x, y).standard_error == pytest.approx(jackknife**0.5, rel=0.05)


@pytest.mark.parametrize(("spectrum", "m"), [*product(("flat", "steep", "relu", "heavy"), (0, 128)), ("relu", 1000)])
def test_less_than_a_tenth_of_the_bias_is_left_and_intervals_hold(spectrum, m):
    row = simulate(Cell(spectrum, 64, 128, m, 0.3, 100))
    assert abs(row.left) < 0.1
    assert row.coverage >= 0.93
    assert row.ratio > 0.9  # the standard error is not smaller than the spread it stands for


def test_intervals_hold_with_hardly_more_vectors_than_dimensions():
    rows = [simulate(Cell(s, 64, 80, m, 0.3, 60)) for s in ("flat", "steep", "relu", "heavy") for m in (0, 80)]
    assert all(abs(row.left) < 0.15 for row in rows)
    assert np.mean([row.coverage for row in rows]) >= 0.93


def test_the_worlds_have_the_moments_that_they_tell():
    for kind in ("steep", "relu", "heavy"):
        world = World(kind, 8, 0.5)
        told, drawn = world.moments(0), Moments.of(world.draw(0, 400_000, np.random.default_rng(4)))
        assert drawn.mean == pytest.approx(told.mean, abs=0.01)
        assert drawn.covariance == pytest.approx(told.covariance, abs=0.03)
        assert frechet_from_moments(drawn, told) < 2e-3
