# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality.inception_score import METRIC as INCEPTION
from audit.metrics.quality.vendi import METRIC as VENDI
from audit.types import Status

N = 80


def test_inception_score_of_sure_and_even_answers_is_the_number_of_classes(make_view):
    logits = 40 * np.eye(8, dtype=np.float32)[np.arange(N) % 8]
    jobs = ["nurse"] * 40 + ["pilot"] * 40
    found = INCEPTION(make_view(N, inception__logits=logits, axis__job=jobs, by=("job",)))
    assert [e.slice for e in found] == [{}, {"job": "nurse"}, {"job": "pilot"}]
    assert found[0].extra["raw"] == pytest.approx(8)
    assert found[0].extra["splits_mean"] <= 8 + 1e-9
    assert "splits_mean" not in found[1].extra
    same = INCEPTION(make_view(N, inception__logits=np.tile(logits[:1], (N, 1))))[0]
    assert same.value == pytest.approx(1)


def test_inception_score_without_numbers(make_view):
    assert INCEPTION(make_view(N))[0].status is Status.UNAVAILABLE
    assert INCEPTION(make_view(9, inception__logits=np.zeros((9, 4))))[0].status is Status.INSUFFICIENT
    lost = INCEPTION(make_view(N, inception__logits=np.full((N, 4), np.nan)))[0]
    assert (lost.status, lost.missing) == (Status.INSUFFICIENT, N)


def test_vendi_counts_kinds_and_sets_the_reference_beside(make_view):
    kinds = np.eye(4, 6, dtype=np.float32)[np.arange(N) % 4] * np.linspace(1, 3, N, dtype=np.float32)[:, None]
    reference = np.eye(6, dtype=np.float32)[np.arange(240) % 6]
    (found,) = VENDI(make_view(N, clip__features=kinds, references={"features.clip": reference}))
    assert found.value == pytest.approx(4)
    assert found.extra["reference"] == pytest.approx(6, abs=0.01)  # 80 images do not divide by six
    assert (found.n, found.slice) == (N, {"features": "clip"})
    (alone,) = VENDI(make_view(N, clip__features=kinds))
    assert "reference" not in alone.extra


def test_vendi_without_numbers(make_view):
    assert VENDI(make_view(N))[0].status is Status.UNAVAILABLE
    assert VENDI(make_view(10, clip__features=np.ones((10, 3))))[0].status is Status.INSUFFICIENT
    assert VENDI(make_view(N, clip__features=np.zeros((N, 3))))[0].status is Status.UNAVAILABLE
