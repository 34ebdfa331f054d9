# SPDX-License-Identifier: Apache-2.0
"""Rules of hosted generators that need no server."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from audit.errors import GeneratorError
from audit.generators.hosted._key import Key
from audit.generators.hosted._limits import Bill, Pace, Purse
from audit.generators.hosted._replies import Again, Declined, Reply, Stopped, TooLate, check, withheld
from audit.generators.hosted._wire import refused_target


@pytest.mark.parametrize(
    ("url", "inside", "words"),
    [
        ("http://127.0.0.1/x.png", False, "our own network"),
        ("http://[::1]/x.png", False, "our own network"),
        ("http://[::ffff:10.0.0.1]/x.png", False, "our own network"),
        ("http://localhost:8000/x.png", False, "our own network"),
        ("http://10.1.2.3/x.png", False, "our own network"),
        ("http://169.254.169.254/latest/meta-data", False, "our own network"),
        ("http://0x7f.1/x.png", False, "our own network"),
        ("http://10.1.2.3/x.png", True, None),
        ("https://8.8.8.8/x.png", False, None),
        ("file:///etc/passwd", True, "not http"),
        ("ftp://8.8.8.8/x", False, "not http"),
        ("//8.8.8.8/x", False, "not http"),
        ("http://8.8.8.8:port/x", False, "none"),
    ],
)
def test_a_picture_may_not_lead_inside(url, inside, words):
    why = refused_target(url, inside=inside)
    assert why is None if words is None else words in why


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, 30),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "7"}, 7),
        ({}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, seconds):
    assert Reply(429, headers, b"").pause() == seconds


def test_a_server_may_name_a_time_of_day():
    date = {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=50))}
    unix = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(time.time() + 50)}
    assert [Reply(429, headers, b"").pause() for headers in (date, unix)] == pytest.approx([50, 50], abs=3)


@pytest.mark.parametrize(
    ("status", "body", "raised", "outcome"),
    [
        (400, {"error": {"code": "moderation_blocked", "message": "rejected"}}, Declined, "refused"),
        (400, {"error": {"code": None, "message": "rejected as a result of our safety system. "}}, Declined, "refused"),
        (400, {"error": {"inner_error": {"code": "ResponsibleAIPolicyViolation"}}}, Declined, "refused"),
        (400, {"error": {"code": "contentFilter", "message": "Generated image was filtered"}}, Declined, "blocked"),
        (400, {"error": {"code": "moderation_blocked", "message": "x", "outcome": "blocked"}}, Declined, "blocked"),
        (403, {"error": "Content violates usage guidelines."}, Declined, "refused"),
        (422, {"detail": [{"loc": ["body", "steps"], "msg": "not an integer"}]}, Declined, "error"),
        (404, {"detail": "Not Found"}, Declined, "error"),
        (404, {"error": {"code": "model_not_found", "message": "no such model"}}, GeneratorError, None),
        (402, {"error": "credits"}, GeneratorError, None),
        (403, {"error": {"message": "no access"}}, GeneratorError, None),
        (409, {"error": {"message": "in progress"}}, Again, None),
        (500, {"error": "OutOfMemoryError", "detail": "", "errors": "CUDA"}, Again, None),
    ],
)
def test_what_a_status_means(status, body, raised, outcome):
    with pytest.raises(raised) as caught:
        check(Reply(status, {}, json.dumps(body).encode()), where="generator 'g'", hint="h")
    assert getattr(caught.value, "outcome", None) == outcome


@pytest.mark.parametrize(
    ("blocks", "blocked"),
    [
        (({"has_nsfw_concepts": [True], "images": [{"url": "http://x"}]}, {"url": "http://x"}), True),
        (({}, {"b64_json": None, "content_filter_results": {"sexual": {"filtered": True}}}), True),
        (({}, {"b64_json": "aGk=", "content_filter_results": {"sexual": {"filtered": False}}}), False),
        (({}, {"finish_reason": "CONTENT_FILTERED"}), True),
        (({}, {"raiFilteredReason": "58061214"}), True),
        (({}, {"b64_json": "aGk=", "nsfw": True}), False),
        (({"nsfw": True}, {}), True),
        (({}, None), False),
    ],
)
def test_what_counts_as_withheld(blocks, blocked):
    assert (withheld(*blocks) is not None) is blocked


def test_a_pace_stops_and_gives_up():
    stop = threading.Event()
    pace = Pace(60)
    pace.take(deadline=time.monotonic() + 10, stop=stop)
    with pytest.raises(TooLate):
        pace.take(deadline=time.monotonic() + 0.5, stop=stop)
    stop.set()
    with pytest.raises(Stopped):
        pace.take(deadline=time.monotonic() + 10, stop=stop)


def test_a_purse_waits_for_what_may_come_back():
    purse, stop = Purse(Decimal("0.2")), threading.Event()
    bills = [Bill(purse, Decimal("0.1"), idempotent=False, stop=stop) for _ in range(3)]
    bills[0].hold(), bills[1].hold()
    waiting = threading.Thread(target=bills[2].hold)
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    bills[0].close(charge=False)  # a request that failed for free makes room
    waiting.join(2)
    assert not waiting.is_alive()
    bills[1].close(charge=True), bills[2].close(charge=True)
    assert purse.spent == Decimal("0.2")
    with pytest.raises(Declined, match=r"spending cap of 0.20 reached after 2 images"):
        bills[0].hold()


def test_a_key_hides(monkeypatch):
    monkeypatch.setenv("MY_KEY", "user:pa ss/word")
    key = Key("MY_KEY", where="here")
    text = "pa ss/word pa%20ss%2Fword pa+ss%2Fword dXNlcjpwYSBzcy93b3Jk user:pa ss/word"
    assert key.scrub(text) == "[key] [key] [key] [key] [key]"
    assert "ss" not in repr(key)
    assert key.headers(basic=True) == {"Authorization": "Basic dXNlcjpwYSBzcy93b3Jk"}
    assert key.headers("api-key") == {"api-key": "user:pa ss/word"}
    assert Key(None, where="here").headers() == {}
