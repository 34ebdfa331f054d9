# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from audit.metrics import estimate, insufficient, metric, slices
from audit.stats.intervals import wilson
from audit.types import Metric, MetricSpec, Status

SPEC = MetricSpec("x.odd", "1", "Odd", "share", "none", (0.0, 1.0), frozenset(), (), 1, None, "none")


@metric(SPEC)
def odd(view, spec):
    for where, part in slices(view):
        if len(part) == 0:
            yield insufficient(part, spec, where, why="nothing")
        else:
            yield estimate(part, spec, where, wilson(int((part.columns["repetition"] % 2).sum()), len(part)))


def test_a_metric_of_a_few_lines(make_view):
    assert isinstance(odd, Metric)
    (found,) = odd(make_view(5))
    assert (found.value, found.n, found.metric) == (0.4, 5, "x.odd")
    assert odd(make_view(0))[0].status is Status.INSUFFICIENT


def test_slices_leave_out_rows_without_the_axis(make_view):
    view = make_view(5, axis__a=["x", None, "y", np.nan, "x"], by=("a", "absent"))
    assert [(where, len(part)) for where, part in slices(view)] == [({}, 5), ({"a": "x"}, 2), ({"a": "y"}, 1)]
