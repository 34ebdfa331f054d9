# SPDX-License-Identifier: Apache-2.0
"""Workflows filled in, queued and waited for, against a loopback server that speaks ComfyUI's API."""

from __future__ import annotations

import json

import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import ComfyUIGenerator
from audit.types import Outcome
from tests.asking import ask
from tests.servers import draw, serving

FAST = {"backoff": 0.001, "timeout": 5, "poll": 0.01}
INPUTS = {
    "prompt": "6.inputs.text",
    "negative": "7.inputs.text",
    "seed": "3.inputs.seed",
    "width": "5.inputs.width",
    "height": "5.inputs.height",
}


def workflow():
    link = ["4", 0]
    return {
        "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "model": link, "positive": ["6", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "small.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 16, "height": 16, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "ugly", "clip": ["4", 1]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "out", "images": ["8", 0]}},
    }


@pytest.fixture
def make(tmp_path):
    made = []

    def build(url="http://127.0.0.1:9", *, graph=None, params=None, **options):
        path = tmp_path / "portrait.json"
        path.write_text(json.dumps(graph or workflow()))
        told = {**FAST, "base_url": url, "workflow": str(path), **({} if graph else {"inputs": INPUTS}), **options}
        made.append(ComfyUIGenerator("g", model=None, params=params or {}, options=told))
        return made[-1]

    yield build
    for generator in made:
        generator.close()


def test_every_request_fills_its_places(make):
    batch = [ask(repetition=k, params={"size": "24x16"}, negative="blur" if k else None) for k in range(4)]
    with serving(polls=3) as (url, seen):
        answers = make(url).generate(batch)
    assert [a.image for a in answers] == [draw(r.seed, r.prompt.text, 24, 16) for r in batch]
    assert [a.meta["seed"] for a in answers] == [r.seed for r in batch]
    graphs = {one.body["prompt"]["3"]["inputs"]["seed"]: one.body["prompt"] for one in seen.calls("/prompt")}
    assert graphs[batch[0].seed]["7"]["inputs"]["text"] == "ugly"  # no negative asked: the workflow's own stays
    assert graphs[batch[1].seed]["7"]["inputs"]["text"] == "blur"
    assert graphs[batch[0].seed]["9"] == workflow()["9"]


def test_placeholders_in_the_file(make):
    graph = workflow()
    graph["6"]["inputs"]["text"] = "%prompt%, studio light"
    graph["7"]["inputs"]["text"] = "%negative%"
    graph["3"]["inputs"]["seed"] = "%seed%"
    graph["5"]["inputs"] |= {"width": "%width%", "height": "%height%"}
    with serving() as (url, seen):
        generator = make(url, graph=graph, params={"size": 24})
        [answer] = generator.generate([ask("a nurse", params={"size": 24})])
    assert answer.image == draw(ask("a nurse").seed, "a nurse, studio light", 24, 24)
    assert seen.calls("/prompt")[0].body["prompt"]["7"]["inputs"]["text"] == ""
    assert {"seed", "negative", "size"} <= generator.spec.capabilities


def test_a_failed_node_is_named(make):
    with serving() as (url, _):
        one, two = make(url).generate([ask("please explode"), ask("a nurse")])
    assert (one.outcome, one.message) == (Outcome.ERROR, "node 3 (KSampler): OOM: out of memory")
    assert two.outcome is Outcome.IMAGE


def test_a_graph_that_is_not_executed_again_still_brings_its_picture(make):
    with serving(cached_empty=True) as (url, seen):
        generator = make(url)
        [first], [again] = generator.generate([ask()]), generator.generate([ask()])
    assert first.image == again.image == draw(ask().seed, ask().prompt.text)
    assert [one.body["prompt"]["9"]["inputs"]["filename_prefix"] for one in seen.calls("/prompt")] == [
        "out",
        "out",
        f"out_{ask().id[:12]}",
    ]


def test_a_cut_connection_does_not_queue_twice(make):
    with serving(["cut", "500"], polls=2) as (url, seen):
        [answer] = make(url).generate([ask()])
    assert answer.outcome is Outcome.IMAGE
    assert len(seen.calls("/prompt")) == 1
    assert answer.meta["attempts"] == 2


def test_a_workflow_that_takes_too_long_is_given_up(make):
    with serving(polls=10**9) as (url, seen):
        [answer] = make(url, deadline=0.3).generate([ask()])
    assert answer.outcome is Outcome.ERROR
    assert "did not finish before the deadline" in answer.message
    assert list(seen.calls("/queue")[-1].body) == ["delete"]


def test_a_workflow_the_server_refuses(make):
    with serving(["400"]) as (url, _):
        [answer] = make(url).generate([ask()])
    assert (answer.outcome, answer.message) == (Outcome.ERROR, "HTTP 400: size is not supported")


def test_the_spec_tells_the_workflow(make):
    spec = make().spec
    assert (spec.kind, spec.model, spec.digest) == ("comfyui", "portrait", None)
    assert len(spec.details["workflow_sha256"]) == 64


def test_a_key_for_a_proxy_in_front(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-of-the-proxy")
    with serving(key="secret-of-the-proxy") as (url, seen):
        [answer] = make(url, key_env="MY_KEY").generate([ask()])
    assert answer.outcome is Outcome.IMAGE
    assert {one.headers["Authorization"] for one in seen.asked} == {"Bearer secret-of-the-proxy"}
    with serving(key="another") as (url, seen), pytest.raises(GeneratorError, match="Incorrect"):
        make(url, key_env="MY_KEY").generate([ask()])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workflow": None}, "no workflow"),
        ({"workflow": "/nowhere.json"}, "cannot be read"),
        ({"inputs": {"seed": "3.inputs.seed"}}, "no place for the prompt"),
        ({"inputs": {"prompt": "6.inputs.text"}}, "every repetition would be the same picture"),
        ({"inputs": {**INPUTS, "steps": "33.inputs.steps"}}, "'33.inputs.steps' is no place"),
        ({"inputs": {**INPUTS, "steps": "3.inputs.model"}}, "is no value"),
        ({"inputs": {**INPUTS, "steps": "3.inputs.cfg"}}, "is no value"),
        ({"output": "77"}, "no node '77'"),
        ({"params": {"guidance": 7}}, "no place for 'guidance'"),
        ({"graph": {"nodes": [], "links": []}}, "no workflow in API format"),
        (
            {"graph": {**workflow(), "5": {"class_type": "E", "inputs": {"width": "%width%"}}}, "inputs": INPUTS},
            "no value",
        ),
    ],
)
def test_what_cannot_be_is_said(make, change, words):
    with pytest.raises(ConfigError) as caught:
        make(**change)
    assert words in caught.value.message
    assert "'g'" in caught.value.where
    assert caught.value.hint or "node" in words
