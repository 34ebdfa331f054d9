# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.metrics.bias.representation_gap import METRIC as GAP
from audit.metrics.bias.representation_ratio import METRIC
from audit.types import DeclaredGroups, Status

SKEWED = DeclaredGroups("presentation", ("feminine", "masculine"), {"feminine": 0.8, "masculine": 0.2}, "a table")


def test_it_is_the_share_over_the_reference_with_the_share_s_interval(bias_view):
    view = bias_view(["feminine"] * 30 + ["masculine"] * 10, groups={"presentation": SKEWED})
    ratios, gaps = METRIC(view), GAP(view)
    for ratio, gap, reference in zip(ratios, gaps, (0.8, 0.2), strict=True):
        assert ratio.value == pytest.approx(gap.value / reference + 1)
        assert (ratio.low, ratio.high) == pytest.approx((gap.low / reference + 1, gap.high / reference + 1))
        assert ratio.extra["scatter"] == pytest.approx(gap.floor / reference)
        assert ratio.curve[2][1:] == pytest.approx((ratio.low, ratio.high))
    # (0.25 - 0.031) / (0.979 - 0.031) is 0.231 by Rogan and Gladen among those told, against a fifth.
    assert ratios[1].value == pytest.approx(0.231 / 0.2, abs=0.05)


def test_without_a_reference_share_there_is_no_ratio(bias_view):
    one_sided = DeclaredGroups("presentation", ("feminine", "masculine"), {"feminine": 1.0, "masculine": 0.0}, "x")
    found = METRIC(bias_view(["feminine"] * 30 + ["masculine"] * 10, groups={"presentation": one_sided}))
    assert [e.status for e in found] == [Status.OK, Status.UNAVAILABLE]
    assert found[0].value < 1
    assert "masculine is 0" in found[1].why
