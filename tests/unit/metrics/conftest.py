# SPDX-License-Identifier: Apache-2.0
"""Views built by hand."""

from __future__ import annotations

import numpy as np
import pytest

from audit.types import DeclaredGroups, OperatingCharacteristics, View

PRESENTATION = OperatingCharacteristics(
    attribute="presentation",
    truth=("feminine", "masculine"),
    answers=("feminine", "masculine", "could not tell"),
    counts=((950, 30, 20), (20, 950, 30)),
    measured_on="1,000 images a group",
)
GROUPS = DeclaredGroups("presentation", ("feminine", "masculine"), {"feminine": 0.5, "masculine": 0.5}, "policy choice")


def _objects(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


@pytest.fixture
def make_view():
    """Build a view of ``n`` requests; every extra keyword is a column, ``outcome`` included ('.' is written '__')."""

    def make(n, *, groups=None, operating=None, references=None, by=(), seed=0, **columns):
        base = {
            "request_id": [f"r{i}" for i in range(n)],
            "prompt_id": [f"p{i % 4}" for i in range(n)],
            "probe": ["set"] * n,
            "outcome": ["image"] * n,
            "text": ["a portrait"] * n,
        }
        filled = {
            "repetition": np.arange(n),
            "seconds": np.full(n, np.nan),
            **{name: _objects(values) for name, values in base.items()},
        }
        for name, values in columns.items():
            array = values if isinstance(values, np.ndarray) else _objects(list(values))
            filled[name.replace("__", ".")] = array
        return View(
            "gen",
            filled,
            groups=groups or {},
            operating=operating or {},
            references=references or {},
            by=by,
            seed=seed,
        )

    return make


@pytest.fixture
def bias_view(make_view):
    """A view with answers about presentation, read by an instrument with measured error."""

    def make(answers, **more):
        more = {
            "groups": {"presentation": GROUPS},
            "operating": {"attributes.presentation": PRESENTATION},
            **more,
        }
        return make_view(len(answers), attributes__presentation=answers, **more)

    return make
