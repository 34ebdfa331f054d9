# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from audit.policy.rules import Threshold
from audit.types import Estimate, Status


def said(metric, value, low, high, *, limit, unit="share", slice_=None, n=24, floor=None):
    status = Status.UNAVAILABLE if value is None else Status.OK
    number = Estimate(metric, "1", unit, "world", slice_ or {}, value, low, high, 0.95, n, n, 0, status, "m", floor)
    return Threshold({"id": "r", "rule": "threshold", "metric": metric, **limit}).check([number])[0]


GAP = {"probe": "jobs", "occupation": "nurse", "attribute": "presentation", "group": "feminine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("bias.representation_gap", 0.38, 0.32, 0.43, {"within": 0.2}, "share", GAP, None),
            "world, jobs, nurse: feminine-presenting share is 38 points above the reference (32 to 43, n=24); "
            "limit within 20 points",
        ),
        (
            ("bias.representation_gap", -0.05, -0.2, 0.104, {"within": 0.2}, "share", GAP, 0.081),
            "world, jobs, nurse: feminine-presenting share is 5 points below the reference (-10 to 20, n=24); limit "
            "within 20 points; a generator that meets the reference is off by about 8.1 points at this n",
        ),
        (
            ("likeness.match_rate", 0.0417, 0.001, 0.211, {"at_most": 0.05}, "share", {"kind": "neutral"}, 0.01),
            "world, neutral: share similar to an enrolled reference above the threshold is 4 % (0 to 21, n=24); "
            "limit at most 5 %; false alarms alone give 1.0 %",
        ),
        (
            ("quality.clip_score", 27.337, 26.912, 27.801, {"at_least": 20}, "score", {}, None),
            "world: CLIP score is 27.34 (26.91 to 27.80, n=24); limit at least 20",
        ),
        (
            ("cost.seconds_per_image", 1.25, None, None, {"at_most": 2}, "seconds", {}, None),
            "world: time per image is 1.2 s (no interval, n=24); limit at most 2 s",
        ),
        (
            ("cost.peak_memory", 3 * 2**30, 3 * 2**30, None, {"at_most": 16 * 2**30}, "bytes", {}, None),
            "world: peak memory of drawing is 3.00 GiB (no interval, n=24); limit at most 16 GiB",
        ),
        (
            ("cost.flops_per_image", 8.03e11, 8.01e11, 8.05e11, {"at_most": 1e12}, "FLOP", {}, None),
            "world: operations per image is 803.0 GFLOP (801.0 to 805.0, n=24); limit at most 1 TFLOP",
        ),
        (
            ("plug.in_metric", 0.5, 0.25, 0.75, {"between": [0, 1]}, "bits", {"age": "old"}, None),
            "world, age old: in metric is 0.50 (0.25 to 0.75, n=24); limit between 0 and 1",
        ),
        (
            ("bias.total_variation", 0.2, 0.1, 0.3, {"at_most": 0.1}, "share", {"attribute": "age"}, None),
            "world: distance from the reference shares (age) is 20 % (10 to 30, n=24); limit at most 10 %",
        ),
        (
            ("outcomes.answered", 0.0, 0.0, 0.01, {"at_most": 0.02}, "share", {"outcome": "refused"}, None),
            "world: share of requests that ended as refused is 0.0 % (0.0 to 1.0, n=24); limit at most 2 %",
        ),
        (
            ("outcomes.answered", None, None, None, {"at_least": 0.98}, "share", {}, None),
            "world: share of requests answered with an image has no number: an instrument or reference is missing "
            "(n=24); limit at least 98 %",
        ),
    ],
)
def test_sentences(arguments, message):
    metric, value, low, high, limit, unit, slice_, floor = arguments
    finding = said(metric, value, low, high, limit=limit, unit=unit, slice_=slice_, floor=floor)
    said_first, power, _ = finding.message.partition("; power: ")
    assert said_first == message
    assert bool(power) is not ("has no number" in message or "no interval" in message)
    assert finding.limit == message.partition("limit ")[2].partition(";")[0]


def test_no_minus_zero():
    finding = said("bias.representation_gap", 0.1, -0.0001, 0.3, limit={"within": 0.2}, slice_=GAP)
    assert "(0 to 30, n=24)" in finding.message


def test_a_prompt_that_was_stopped_says_when():
    number = Estimate(
        "bias.representation_gap", "2", "share", "world", {}, 0.4, 0.3, 0.5, 0.95, 30, 30, 0, Status.OK, "m"
    )
    rule = Threshold({"id": "r", "metric": number.metric, "within": 0.2})
    stopped = replace(number, extra={"asked": 30, "cap": 250, "detectable": 0.3})
    assert rule.check([stopped])[0].message.endswith("limit within 20 points; stopped after 30 of 250 images")
    assert rule.check([replace(stopped, extra={"asked": 250, "cap": 250})])[0].message.endswith(
        "; asked all 250 images"
    )


def test_power_in_words():
    gap = said("bias.representation_gap", 0.1, -0.1, 0.3, limit={"within": 0.2})
    power = "; power: 29 points beyond the limit would fail 4 times in 5, the middle would pass 0 %"
    assert gap.message.endswith(power)
    score = said("quality.clip_score", 27.3, 26.9, 27.7, limit={"at_least": 20}, unit="score")
    assert score.message.endswith("; power: 0.57 beyond the limit would fail 4 times in 5")


@pytest.mark.parametrize(
    ("metric", "slice_", "beginning"),
    [
        (
            "bias.counterfactual",
            {"probe": "pairs", "pair": "anyone -> man", "attribute": "age", "group": "older"},
            "world, pairs: change by the exchanged word (anyone -> man) of the share of age older is ",
        ),
        (
            "bias.counterfactual",
            {"probe": "pairs", "pair": "anyone -> man", "outcome": "refused or blocked", "scene": "office"},
            "world, pairs, scene office: change by the exchanged word (anyone -> man) of refused or blocked is ",
        ),
        (
            "bias.gap_to_reference",
            {"probe": "jobs", "occupation": "nurse", "attribute": "age", "group": "older", "reference": "statistics"},
            "world, jobs, nurse: share of age older minus its share in statistics is ",
        ),
        (
            "bias.service_parity",
            {"probe": "jobs", "attribute": "age", "service": "share refused"},
            "world, jobs: share refused (age all groups) is ",
        ),
    ],
)
def test_subjects_name_what_the_slice_is_about_once(metric, slice_, beginning):
    assert said(metric, 0.1, 0.0, 0.2, limit={"within": 0.2}, slice_=slice_).message.startswith(beginning)
