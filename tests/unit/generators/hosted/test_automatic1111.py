# SPDX-License-Identifier: Apache-2.0
"""The web UI's API against a loopback server that speaks it."""

from __future__ import annotations

import base64

import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import Automatic1111Generator
from audit.types import Outcome
from tests.asking import ask
from tests.servers import CHECKPOINT, draw, serving

FAST = {"backoff": 0.001, "timeout": 5}
SECRET = "user:secretpassword"


@pytest.fixture
def make():
    made = []

    def build(url, *, model=None, params=None, **options):
        made.append(
            Automatic1111Generator("g", model=model, params=params or {}, options={**FAST, "base_url": url, **options})
        )
        return made[-1]

    yield build
    for generator in made:
        generator.close()


def test_pictures_by_seed_with_our_short_names(make):
    params = {"steps": 20, "guidance": 7.5, "sampler": "Euler", "size": "24x16", "clip_skip": 2}
    batch = [ask(repetition=k, params=params, negative="blur") for k in range(4)]
    with serving(["500", "cut"]) as (url, seen):
        answers = make(url, concurrency=2).generate(batch)
    seeds = [r.seed % 2**32 for r in batch]
    assert [a.image for a in answers] == [draw(s, batch[0].prompt.text, 24, 16) for s in seeds]
    assert [a.meta["seed"] for a in answers] == seeds
    assert {(a.meta["model_hash"], a.meta["sampler"]) for a in answers} == {(CHECKPOINT[:10], "Euler")}
    body = seen.calls("txt2img")[0].body
    told = {
        "steps": 20,
        "cfg_scale": 7.5,
        "sampler_name": "Euler",
        "width": 24,
        "height": 16,
        "negative_prompt": "blur",
    }
    assert told.items() <= body.items()
    assert (body["batch_size"], body["n_iter"], body["clip_skip"]) == (1, 1, 2)
    assert not {"size", "guidance", "sampler", "override_settings"} & set(body)


def test_the_digest_is_what_the_server_tells(make):
    with serving() as (url, seen):
        loaded = make(url)
        assert loaded.spec.digest == CHECKPOINT
        assert loaded.spec == loaded.spec
        assert len(seen.asked) == 1
        other = make(url, model="other")
        assert other.spec.digest not in (None, CHECKPOINT)
        other.generate([ask()])
        assert seen.calls("txt2img")[0].body["override_settings"]["sd_model_checkpoint"].startswith("other")
        with pytest.raises(GeneratorError, match="no checkpoint 'third'") as caught:
            make(url, model="third").generate([ask()])
    assert "small, other" in caught.value.hint


def test_another_checkpoint_is_not_audited_by_mistake(make):
    with serving() as (url, seen):
        seen.kept["hash"] = "0123456789"
        [answer] = make(url).generate([ask()])
    assert answer.outcome is Outcome.ERROR
    assert "another checkpoint, 0123456789" in answer.message


def test_a_filter_that_blackened_the_picture_is_a_block(make):
    with serving(["flagged"]) as (url, _):
        [answer] = make(url).generate([ask()])
    assert answer.outcome is Outcome.BLOCKED


def test_user_and_password_come_from_the_environment(make, monkeypatch):
    monkeypatch.setenv("WEBUI_LOGIN", SECRET)
    token = base64.b64encode(SECRET.encode()).decode()
    with serving(["echo-key"], key=f"Basic {token}") as (url, seen):
        generator = make(url, key_env="WEBUI_LOGIN")
        one, two = generator.generate([ask(), ask(repetition=1)])
    assert (one.outcome, two.outcome) == (Outcome.ERROR, Outcome.IMAGE)
    assert {one.headers["Authorization"] for one in seen.asked} == {f"Basic {token}"}
    shown = repr([one.message, dict(one.meta), dict(two.meta), generator.spec, vars(generator)])
    assert [part for part in (token, SECRET, "secretpassword") if part in shown] == []


def test_a_server_that_is_not_there_is_named(make):
    with serving() as (url, _):
        pass
    with pytest.raises(GeneratorError, match="does not say what it has loaded") as caught:
        _ = make(url).spec
    assert "--api" in caught.value.hint


def test_what_cannot_be_is_said(make):
    with pytest.raises(ConfigError, match="'batch_size' is not free"):
        make("http://127.0.0.1:7860", params={"batch_size": 4})
    with pytest.raises(ConfigError, match="'password'"):
        make("http://127.0.0.1:7860", password="x")
