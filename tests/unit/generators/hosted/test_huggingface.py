# SPDX-License-Identifier: Apache-2.0
"""Providers of the Hub: requests made by huggingface_hub itself, sent to a loopback server."""

from __future__ import annotations

import json

import pytest
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference import _providers
from huggingface_hub.inference._providers import _common

from audit.errors import ConfigError, GeneratorError
from audit.generators import HuggingFaceGenerator
from audit.types import Outcome
from tests.asking import ask
from tests.servers import draw, serving

KEY = "hf_verysecret0123456789"
FAST = {"backoff": 0.001, "timeout": 5}


@pytest.fixture
def make():
    made = []

    def build(model, *, params=None, **options):
        made.append(HuggingFaceGenerator("g", model=model, params=params or {}, options={**FAST, **options}))
        return made[-1]

    yield build
    for generator in made:
        generator.close()


@pytest.fixture
def saved_token(tmp_path, monkeypatch):
    """A token that `hf auth login` left on this machine."""
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text(KEY)
    from huggingface_hub import get_token

    assert get_token() == KEY


def test_an_endpoint_keeps_the_file_as_it_came(make, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    batch = [ask(repetition=k, params={"steps": 4, "size": "24x16"}, negative="blur") for k in range(5)]
    with serving(["503", "cut", "truncated"], key=KEY) as (url, seen):
        answers = make(f"{url}/endpoint").generate(batch)
    seeds = [r.seed % 2**31 for r in batch]
    assert [a.image for a in answers] == [draw(s, batch[0].prompt.text, 24, 16) for s in seeds]
    assert [a.meta["seed"] for a in answers] == seeds
    told = {"num_inference_steps": 4, "width": 24, "height": 16, "negative_prompt": "blur"}
    assert {**seen.asked[0].body["parameters"], "seed": 0} == {**told, "seed": 0}
    assert len(seen.asked) == 8
    assert {sum(name.lower() == "authorization" for name in one.headers) for one in seen.asked} == {1}
    assert seen.asked[0].headers["Idempotency-Key"] in {r.id for r in batch}


def test_a_saved_token_never_goes_to_an_endpoint(make, saved_token):
    with serving() as (url, seen):
        [answer] = make(url).generate([ask()])
    assert answer.outcome is Outcome.IMAGE
    assert KEY not in repr(seen.asked)


def test_a_saved_token_is_not_used_for_providers(make, saved_token):
    with pytest.raises(GeneratorError, match="HF_TOKEN is not set"):
        make("owner/name", provider="together").generate([ask()])


@pytest.mark.parametrize("provider", ["together", "nscale"])
def test_a_provider_by_name(make, monkeypatch, provider):
    monkeypatch.setenv("MY_KEY", "a-key-of-the-provider")
    mapping = InferenceProviderMapping(
        provider=provider, hf_model_id="owner/name", providerId="their-name", task="text-to-image", status="live"
    )
    monkeypatch.setitem(_common.HARDCODED_MODEL_INFERENCE_MAPPING, provider, {"owner/name": mapping})
    with serving(["429", None, "flagged", "401"]) as (url, seen):
        monkeypatch.setattr(_providers.PROVIDERS[provider]["text-to-image"], "base_url", url)
        generator = make("owner/name", provider=provider, key_env="MY_KEY", params={"size": 16})
        one, two = generator.generate([ask()])[0], generator.generate([ask(repetition=1)])[0]
        with pytest.raises(GeneratorError, match="Incorrect API key") as caught:
            generator.generate([ask()])
    body = seen.asked[1].body
    assert (body["model"], body["prompt"]) == ("their-name", ask().prompt.text)
    assert one.outcome is Outcome.IMAGE
    assert two.outcome is Outcome.BLOCKED
    assert "MY_KEY" in caught.value.hint
    assert generator.spec.details["provider"] == provider


def test_no_such_model_is_an_error_with_a_hint(make, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    with pytest.raises(GeneratorError, match="owner/name cannot be asked") as caught:
        make("owner/name", provider="together").generate([ask()])  # the Hub is out of reach in tests
    assert "options.provider" in caught.value.hint
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_another_library_version_is_named(make, monkeypatch):
    monkeypatch.delattr(_providers, "get_provider_helper")
    with serving() as (url, _), pytest.raises(GeneratorError, match="does not offer") as caught:
        make(url).generate([ask()])
    assert "huggingface_hub" in caught.value.hint


@pytest.mark.parametrize(
    ("model", "options", "params", "words"),
    [
        (None, {}, {}, "no model"),
        ("a/b", {"token": KEY}, {}, "'token'"),
        ("a/b", {}, {"seed": 1}, "not free"),
        ("http://h/x", {"provider": "fal-ai"}, {}, "has no provider"),
        (f"http://x:{KEY}@h/x", {}, {}, "must not hold"),
    ],
)
def test_what_cannot_be_is_said(make, model, options, params, words):
    with pytest.raises(ConfigError) as caught:
        make(model, params=params, **options)
    assert words in caught.value.message
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_the_spec_can_be_stored(make):
    spec = make("owner/name").spec
    assert (spec.kind, spec.model, spec.digest) == ("huggingface", "owner/name", None)
    assert "router.huggingface.co" in json.dumps(dict(spec.details))
