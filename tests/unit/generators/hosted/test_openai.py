# SPDX-License-Identifier: Apache-2.0
"""The OpenAI-compatible client against a real server that fails as told."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time

import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import OpenAIGenerator
from audit.types import Outcome
from tests.asking import ask
from tests.servers import draw, serving

KEY = "sk-very-secret-0123456789"
FAST = {"backoff": 0.001, "timeout": 5, "key_env": None}


def asked(count, **more):
    return [ask(repetition=k, **more) for k in range(count)]


@pytest.fixture
def make():
    made = []

    def build(url, *, params=None, model="small", **options):
        made.append(
            OpenAIGenerator("g", model=model, params=params or {}, options={**FAST, "base_url": f"{url}/v1", **options})
        )
        return made[-1]

    yield build
    for generator in made:
        generator.close()


def test_files_stay_as_they_come_in_the_order_of_the_batch(make):
    batch = asked(12, params={"size": "24x16", "quality": "high"}, negative="blur")
    with serving() as (url, seen):
        answers = make(url).generate(batch)
    assert [a.request_id for a in answers] == [r.id for r in batch]
    assert [a.image for a in answers] == [draw(r.seed, r.prompt.text, 24, 16) for r in batch]
    assert {a.media_type for a in answers} == {"image/png"}
    assert [a.meta["seed"] for a in answers] == [r.seed for r in batch]
    assert all(a.meta["attempts"] == 1 and a.meta["revised_prompt"].endswith("revised") for a in answers)
    assert all(a.meta["request_id"] and a.seconds > 0 for a in answers)
    body = seen.asked[0].body
    assert (body["n"], body["size"], body["quality"], body["negative_prompt"]) == (1, "24x16", "high", "blur")
    assert {one.headers["Idempotency-Key"] for one in seen.asked} == {r.id for r in batch}


def test_pictures_behind_links_are_fetched_and_paid_once(make):
    batch = asked(4)
    with serving(links="", file_plan=["500", "redirect"]) as (url, seen):
        answers = make(url, price=0.1, max_spend=0.4, concurrency=1).generate(batch)
    assert [a.image for a in answers] == [draw(r.seed, r.prompt.text) for r in batch]
    assert seen.drawn == {r.id: 1 for r in batch}
    assert sum(a.meta["cost"] for a in answers) == pytest.approx(0.4)


# fault, how often, options -> outcome, words of the message, tries
FAULTS = [
    (["429"], {}, "image", None, 2),
    (["429-retry-after"], {}, "image", None, 2),
    (["429-ratelimit"], {}, "image", None, 2),
    (["500", "503", "500"], {}, "image", None, 4),
    (["500"] * 9, {"retries": 3}, "error", "HTTP 500: The server had an error (after 4 tries)", 4),
    (["hang"], {"timeout": 0.7}, "image", None, 2),
    (["hang"] * 9, {"timeout": 0.3, "retries": 1}, "error", "no answer within 0.3 s (after 2 tries)", 2),
    (["cut", "reset"], {}, "image", None, 3),
    (["not-json"] * 9, {"retries": 2}, "error", "not JSON: '<html>oops' (after 3 tries)", 3),
    (["not-base64"], {}, "image", None, 2),
    (["not-image"] * 9, {"retries": 1}, "error", "no picture", 2),
    (["truncated"], {}, "image", None, 2),
    (["truncated"] * 9, {"price": 1}, "error", "cannot be decoded", 2),
    (["refused"], {}, "refused", "rejected as a result of our safety system", 1),
    (["moderation"], {}, "refused", "violates usage guidelines", 1),
    (["blocked"], {}, "blocked", "Generated image was filtered", 1),
    (["flagged"], {}, "blocked", "filtered by the provider: violence", 1),
    (["400"], {}, "error", "HTTP 400: size is not supported", 1),
    (["redirect"], {}, "error", "HTTP 307: the server redirects to localhost:9; set base_url to it", 1),
    (["slow-wait"], {"deadline": 5}, "error", "asks to wait 3600 s", 1),
]


@pytest.mark.parametrize(("plan", "options", "outcome", "words", "tries"), FAULTS, ids=lambda v: str(v)[:40])
def test_every_fault_ends_in_one_row(make, plan, options, outcome, words, tries):
    with serving(plan) as (url, seen):
        [answer] = make(url, **options).generate([ask()])
        posts = len(seen.calls("/generations"))
    assert answer.outcome == outcome
    assert answer.image == (draw(ask().seed, ask().prompt.text) if outcome == "image" else None)
    assert words is None or words in answer.message
    assert answer.meta["attempts"] == posts == tries


def test_the_server_is_not_asked_before_the_time_it_names(make):
    with serving(["429-retry-after"]) as (url, seen):
        answers = make(url, concurrency=1).generate(asked(2))
    times = [one.when for one in seen.asked]
    assert {a.outcome for a in answers} == {Outcome.IMAGE}
    assert times[1] - times[0] >= 0.3


def test_another_size_is_a_picture_with_a_note(make):
    with serving(["wrong-size"]) as (url, _):
        one, two = make(url, concurrency=1).generate(asked(2, params={"size": 16}))
    assert (one.outcome, one.meta["size_asked"]) == (Outcome.IMAGE, "16x16")
    assert "size_asked" not in two.meta


@pytest.mark.parametrize("fault", ["401", "no-money"])
def test_who_is_not_let_in_ends_at_once(make, fault, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(always=fault) as (url, seen), pytest.raises(GeneratorError) as caught:
        make(url, key_env="MY_KEY", concurrency=2).generate(asked(40))
    assert len(seen.asked) <= 4
    assert caught.value.where == "generator 'g'"
    assert "MY_KEY" in caught.value.hint


def test_a_server_that_is_not_there_ends_at_once(make):
    with serving() as (url, _):
        pass
    start = time.monotonic()
    with pytest.raises(GeneratorError, match="no connection") as caught:
        make(url).generate(asked(40))
    assert url in caught.value.hint
    assert time.monotonic() - start < 5


def test_a_key_that_is_not_set_is_an_error_with_its_name(make, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(GeneratorError, match="OPENAI_API_KEY is not set"):
        OpenAIGenerator("g", model="gpt-image-1").generate([ask()])
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(GeneratorError, match="MY_KEY is not set"):
        make("http://127.0.0.1:9", key_env="MY_KEY").generate([ask()])


def everything(generator, answers):
    rows = [(a.request_id, a.outcome, a.message, dict(a.meta), a.image or b"") for a in answers]
    return repr([rows, generator.spec, vars(generator), generator._settings])


@pytest.mark.parametrize("key", [KEY, "user:pass word/1"])
def test_the_key_goes_into_one_header_and_nowhere_else(make, monkeypatch, caplog, key):
    monkeypatch.setenv("MY_KEY", key)
    caplog.set_level(logging.DEBUG)
    with serving(["echo-key", "echo-key", "not-json", "cut"], key=key) as (url, seen):
        generator = make(url, key_env="MY_KEY", concurrency=1)
        answers = generator.generate(asked(4))
    assert [a.outcome.value for a in answers] == ["error", "error", "image", "image"]
    assert "[key]" in answers[0].message
    assert {one.headers["Authorization"] for one in seen.asked} == {f"Bearer {key}"}
    shown = everything(generator, answers) + caplog.text
    assert "HTTP Request" in caplog.text
    assert [part for part in {key, *key.split(":")} - {"user"} if part in shown] == []


def test_a_key_in_a_file_or_in_an_error_is_taken_out(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", "a portrait of a nurse")  # the prompt: the server repeats it in revised_prompt
    with serving() as (url, _):
        [answer] = make(url, key_env="MY_KEY").generate([ask()])
    assert answer.meta["revised_prompt"] == "[key], revised"
    data = draw(ask().seed, ask().prompt.text)
    monkeypatch.setenv("MY_KEY", data[data.index(b"Made") + 5 :][:64].decode())
    with serving() as (url, _):
        [answer] = make(url, key_env="MY_KEY").generate([ask()])
    assert (answer.outcome, answer.image) == (Outcome.ERROR, None)


def test_another_host_never_sees_the_key(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving() as (other, elsewhere), serving(links="") as (url, seen):
        data = draw(ask().seed, ask().prompt.text)
        seen.file_plan = [other]
        elsewhere.files = seen.files
        [answer] = make(url, key_env="MY_KEY").generate([ask()])
    assert answer.image == data
    assert seen.calls(".png")[0].headers["Authorization"] == f"Bearer {KEY}"  # our own server gets it
    assert len(elsewhere.asked) == 1
    assert KEY not in repr(elsewhere.asked)


def test_a_server_outside_cannot_send_us_inside(make, monkeypatch):
    from audit.generators.hosted import _wire

    monkeypatch.setattr(_wire, "is_private", lambda host: host == "127.0.0.1")  # localhost plays a host outside
    with serving() as (url, seen):
        seen.links = url
        [answer] = make(url.replace("127.0.0.1", "localhost"), price=0.1).generate([ask()])
        seen.links, seen.file_plan = url.replace("127.0.0.1", "localhost"), [url]
        [behind] = make(url.replace("127.0.0.1", "localhost")).generate([ask()])
        asked = [one.headers["Host"].partition(":")[0] for one in seen.calls(".png")]
    assert {answer.message, behind.message} == {"the picture's address leads into our own network (127.0.0.1)"}
    assert asked == ["localhost"]  # the redirect was asked for, where it leads was not
    assert answer.meta["cost"] == 0.1  # it was drawn all the same


def test_a_file_without_end_is_not_taken_in(make, monkeypatch):
    from audit.generators.hosted import _wire

    monkeypatch.setattr(_wire, "_FILE_LIMIT", 500)
    with serving(links="") as (url, _):
        [answer] = make(url).generate([ask()])
    assert (answer.outcome, answer.message) == (Outcome.ERROR, "the answer is larger than 0 MiB")


def test_azure_wants_a_version_and_another_header(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serving() as (url, seen):
        make(url, key_env="MY_KEY", key_header="api-key", api_version="2024-10-21").generate([ask()])
    assert seen.asked[0].path == "/v1/images/generations?api-version=2024-10-21"
    assert seen.asked[0].headers["api-key"] == KEY
    assert "Authorization" not in seen.asked[0].headers


def test_a_spending_cap_holds_over_threads_retries_and_runs(make):
    with serving(["500", "429"]) as (url, seen):
        generator = make(url, price=0.1, max_spend=1.0, concurrency=8)
        generator.recall([{"cost": 0.1, "seed": 1}, {"seed": 2}, {"cost": 0.1}])
        answers = generator.generate(asked(20))
    images = [a for a in answers if a.outcome is Outcome.IMAGE]
    assert len(images) == 8
    assert sum(seen.drawn.values()) == 8
    assert {a.meta["cost"] for a in images} == {0.1}
    rest = {a.message for a in answers if a.outcome is Outcome.ERROR}
    assert rest == {"spending cap of 1.00 reached after 10 images"}
    assert all("cost" not in a.meta for a in answers if a.outcome is Outcome.ERROR)


@pytest.mark.parametrize(("idempotent", "cost", "second"), [(False, 0.2, "error"), (True, 0.1, "image")])
def test_an_unknown_outcome_counts_as_spent_unless_the_server_is_idempotent(make, idempotent, cost, second):
    with serving(["cut"], idempotent=idempotent) as (url, seen):
        generator = make(url, price=0.1, max_spend=0.2, idempotent=idempotent, concurrency=1)
        one, two = generator.generate(asked(2))
    assert (one.outcome, one.meta["cost"]) == (Outcome.IMAGE, pytest.approx(cost))
    assert two.outcome == second
    assert sum(seen.drawn.values()) == 2


@pytest.mark.parametrize("bill", [False, True])
def test_refusals_cost_what_the_option_says(make, bill):
    with serving(always="refused") as (url, _):
        answers = make(url, price=0.1, max_spend=0.3, bill_refusals=bill, concurrency=1).generate(asked(5))
    assert [a.outcome.value for a in answers] == ["refused"] * 3 + (["error"] * 2 if bill else ["refused"] * 2)


def test_prices_by_size_and_quality(make):
    price = {"16x16/high": 0.5, "16x16": 0.25, "default": 0.01}
    with serving() as (url, _):
        costs = [
            make(url, price=price).generate([ask(params=params)])[0].meta["cost"]
            for params in ({"size": 16, "quality": "high"}, {"size": "16x16"}, {"quality": "low"})
        ]
    assert costs == [0.5, 0.25, 0.01]
    with pytest.raises(ConfigError, match="no price fits"):
        make(url, params={"size": 99}, price={"16x16": 1})


def test_the_rate_is_shared_by_the_threads(make):
    with serving() as (url, seen):
        make(url, requests_per_minute=1200, concurrency=8).generate(asked(9))
    times = sorted(one.when for one in seen.asked)
    assert times[-1] - times[0] >= 8 * 0.05 - 0.02


def test_the_pool_is_as_wide_as_told(make):
    batch = asked(6)
    with serving(always="hang") as (url, seen):
        generator = make(url, timeout=30, retries=0, concurrency=3)
        worker = threading.Thread(target=generator.generate, args=(batch,))
        worker.start()
        while len(seen.asked) < 3:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(seen.asked) == 3
        seen.release.set()
        worker.join()
    assert len(seen.asked) == 6


def test_after_ctrl_c_no_thread_is_left(make):
    def press():
        while len(seen.asked) < 3:
            time.sleep(0.01)
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with serving(["hang"] * 3) as (url, seen):
        generator = make(url, timeout=60, concurrency=3)
        keyboard = threading.Thread(target=press)
        keyboard.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            generator.generate(asked(50))
        keyboard.join()
        assert time.monotonic() - start < 5
        assert len(seen.asked) == 3
        assert [t.name for t in threading.enumerate() if t.name.startswith("g_")] == []
        assert generator.generate([ask()])[0].outcome is Outcome.IMAGE  # and it can be asked again


def test_closing_from_another_thread_ends_what_is_asked(make):
    def end():
        while len(seen.asked) < 2:
            time.sleep(0.01)
        generator.close()

    with serving(always="hang") as (url, seen):
        generator = make(url, timeout=60, concurrency=2)
        closing = threading.Thread(target=end)
        closing.start()
        start = time.monotonic()
        with pytest.raises(GeneratorError, match="closed while"):
            generator.generate(asked(50))
        closing.join()
        assert time.monotonic() - start < 5
        with pytest.raises(GeneratorError, match="it was closed"):
            generator.generate([ask()])
    assert len(seen.asked) == 2


@pytest.mark.parametrize(
    ("base", "model", "sent"),
    [
        ("https://api.openai.com/v1", "gpt-image-1", set()),
        ("https://api.openai.com/v1", "dall-e-3", {"response_format"}),
        ("https://x.openai.azure.com/openai/v1", "gpt-image-1", set()),
        ("http://127.0.0.1:1/v1", "gpt-image-1", {"seed", "negative_prompt"}),
        ("http://127.0.0.1:1/v1", "flux", {"seed", "negative_prompt", "response_format"}),
    ],
)
def test_only_what_a_server_takes_is_sent(base, model, sent):
    generator = OpenAIGenerator("g", model=model, options={"base_url": base, "key_env": None})
    body = generator._body(ask(negative="blur", params={"quality": "low"}))
    assert set(body) - {"model", "n", "prompt", "quality"} == sent
    assert ("seed" in generator.spec.capabilities) == ("seed" in sent)
    assert ("negative" in generator.spec.capabilities) == ("negative_prompt" in sent)


def test_the_spec_names_host_and_model_only():
    spec = OpenAIGenerator("g", model="flux", options={"base_url": "https://images.example.org:444/v1/"}).spec
    assert spec.digest is None
    assert spec.details == {"api": "openai", "host": "images.example.org:444", "model": "flux"}


@pytest.mark.parametrize(
    ("options", "params", "words"),
    [
        ({"api_key": KEY}, {}, "'api_key': keys do not belong in an audit file"),
        ({"token": KEY}, {}, "'token'"),
        ({}, {"Authorization": KEY}, "'Authorization'"),
        ({"key_env": KEY}, {}, "key_env is no name"),
        ({"key_env": "MY_KEY", "base_url": f"http://h/{KEY}"}, {}, "holds the API key"),
        ({"base_url": f"http://user:{KEY}@h/v1"}, {}, "must not hold a user"),
        ({"base_url": f"http://h/v1?key={KEY}"}, {}, "must not hold"),
        ({"base_url": "ftp://h"}, {}, "no http"),
        ({"max_spend": 5}, {}, "what an image costs"),
        ({"price": -1}, {}, "must be a number"),
        ({"concurrency": 0}, {}, "between 1 and 256"),
        ({"response_format": "png"}, {}, "response_format"),
        ({"seed": "never"}, {}, "seed must be"),
        ({}, {"seed": 3}, "'seed' is not free"),
        ({}, {"n": 3}, "'n' is not free"),
    ],
)
def test_what_cannot_be_is_said_with_place_and_hint(monkeypatch, options, params, words):
    monkeypatch.setenv("MY_KEY", KEY)
    with pytest.raises(ConfigError) as caught:
        OpenAIGenerator("g", model="m", params=params, options=options)
    error = caught.value
    assert words in error.message
    assert "'g'" in error.where
    assert KEY not in f"{error} {error.hint}"


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tenacity", None)
    with pytest.raises(ConfigError, match="tenacity is not installed") as caught:
        OpenAIGenerator("g", model="m")
    assert caught.value.hint == 'pip install "genaudit[api]"'


def test_rows_can_be_stored(make):
    with serving(["refused", "400"]) as (url, _):
        answers = make(url, concurrency=1, price=0.1).generate(asked(3))
    json.dumps([dict(a.meta) for a in answers])
