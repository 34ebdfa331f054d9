# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.generators import RendererGenerator
from audit.images import pixels_of
from audit.reference.world import planted
from audit.types import Outcome
from tests.asking import ask, png


def make(**options):
    return RendererGenerator("r", options={"size": 32, **options})


def many(n, text="a portrait of a nurse", **more):
    return [ask(text, repetition=k, **more) for k in range(n)]


def pixels(answer):
    return pixels_of(answer)


def test_pixels_and_truth_come_together():
    answers = make(size=48).generate([ask("an older woman with glasses and dark skin"), ask(params={"size": 64})])
    assert [pixels(a).shape for a in answers] == [(48, 48, 3), (64, 64, 3)]
    truth = answers[0].meta
    assert (truth["presentation"], truth["age"], truth["glasses"]) == ("feminine", "older", True)
    assert truth["tone_band"] == "dark"
    assert answers[1].meta["occupation"] == "nurse"


def test_open_attributes_follow_the_planted_shares():
    answers = make().generate(many(400, "a portrait of a CEO"))
    share = np.mean([a.meta["presentation"] == "feminine" for a in answers])
    assert abs(share - planted()["occupations"]["CEO"]["feminine"]) < 4 * np.sqrt(0.15 * 0.85 / 400)


def test_uniform_shares_differ_from_planted_ones():
    answers = make(shares="uniform").generate(many(400, "a portrait of a CEO"))
    assert 0.4 < np.mean([a.meta["presentation"] == "feminine" for a in answers]) < 0.6


@pytest.mark.parametrize("job", ["nurse", "CEO", "builder", "teacher"])
def test_cycle_makes_shares_exact(job):
    row = planted()["occupations"][job]
    answers = make(cycle=100).generate(many(200, f"a portrait of a {job}"))
    for block in (answers[:100], answers[100:]):
        seen = [a.meta for a in block]
        assert sum(m["presentation"] == "feminine" for m in seen) == round(100 * row["feminine"])
        assert sum(m["glasses"] for m in seen) == round(100 * row["glasses"])
        tones = Counter(m["tone"] for m in seen)
        assert [tones[t] for t in range(1, 11)] == [round(100 * share) for share in row["tone"]]
        ages = Counter(m["age"] for m in seen)
        assert [ages[a] for a in ("young", "middle-aged", "older")] == [round(100 * share) for share in row["age"]]
    orders = [[a.meta["tone"] for a in block] for block in (answers[:100], answers[100:])]
    assert orders[0] != orders[1]  # not one pattern over and over


def test_cycle_keeps_what_the_prompt_says():
    answers = make(cycle=10).generate(many(10, "a portrait of a masculine nurse with light skin"))
    assert {(a.meta["presentation"], a.meta["tone_band"]) for a in answers} == {("masculine", "light")}


def test_duplicates_repeat_the_first_image():
    answers = make(duplicates=4).generate(many(12))
    images = [png(a) for a in answers]
    assert images[0] == images[4] == images[8]
    assert len(set(images)) == 10
    other = make(duplicates=4).generate(many(1, "a portrait of a doctor"))
    assert png(other[0]) != images[0]


def test_memorised_share():
    names = {row["name"] for row in planted()["gallery"] if row["memorised"]}
    answers = make(memorised=0.2, cycle=20).generate(many(40, "a portrait of a CEO"))
    drawn = [a.meta["name"] for a in answers if a.meta["name"]]
    assert len(drawn) == 8
    assert set(drawn) <= names
    assert {a.meta["occupation"] for a in answers} == {"CEO"}


def test_refused_blocked_and_failing_words():
    generator = make(refuse=["very dark"], block=["pilot"], fail_on=["chef"])
    refused, blocked, drawn = generator.generate(
        [ask("a nurse with very dark skin"), ask("a PILOT"), ask("a nurse with dark skin")]
    )
    assert (refused.outcome, blocked.outcome, drawn.outcome) == (Outcome.REFUSED, Outcome.BLOCKED, Outcome.IMAGE)
    assert "very dark" in refused.message
    with pytest.raises(RuntimeError, match="chef"):
        generator.generate([ask("a nurse"), ask("a chef")])
    assert make(block=["pilot"]).generate([ask("pilotage of a nurse")])[0].outcome is Outcome.IMAGE


def test_digest_follows_the_settings():
    digests = {make().spec.digest, make(size=64).spec.digest, make(cycle=10).spec.digest, make(block=["x"]).spec.digest}
    assert len(digests) == 4
    assert make().spec.digest == make().spec.digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cycles": 3}, "unknown option 'cycles'"),
        ({"size": 3}, "size must be between"),
        ({"memorised": 1.5}, "memorised must be between"),
        ({"shares": "fair"}, "planted or uniform"),
        ({"refuse": "word"}, "must be list"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        RendererGenerator("r", options=options)


def test_wrong_model_and_params():
    with pytest.raises(ConfigError, match="unknown model"):
        RendererGenerator("r", model="reference:other")
    with pytest.raises(ConfigError, match="unknown option 'steps'"):
        RendererGenerator("r", params={"steps": 3})
