# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from audit.errors import ConfigError, StoreError
from audit.provenance.keys import CallbackKeys, Chain, SigningContext, TimeStamps, development_chain
from audit.provenance.keys import _der as der
from audit.provenance.keys._authority import answer
from audit.provenance.keys._loopback import Post
from audit.provenance.keys._relay import NoStamp, Relay
from audit.provenance.keys.authority import DevelopmentAuthority, development_authority
from tests.unit.provenance.keys.pki import PLAIN, signed

Listen = Callable[[Callable[[bytes], Post]], str]
REPLY = "application/timestamp-reply"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return development_chain(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentAuthority:
    return development_authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_an_authority_that_never_answers_costs_one_timeout(chain, silent) -> None:  # type: ignore[no-untyped-def]
    context = SigningContext(PLAIN, chain, TimeStamps(silent, timeout=0.5))
    start = time.monotonic()
    first = signed(context)
    waited = time.monotonic() - start
    assert first.note == "no time stamp: the authority did not answer within 0.5 s"
    assert not first.timestamped
    assert first.result.startswith(b"\x89PNG")
    assert 0.5 <= waited < 10  # the library alone takes 30 s
    start = time.monotonic()
    second = signed(context)
    assert time.monotonic() - start < 0.5
    assert "did not answer within 0.5 s; not asked again for 60 s" in str(second.note)


def test_where_it_is_required_its_absence_is_an_error(chain, silent) -> None:  # type: ignore[no-untyped-def]
    context = SigningContext(PLAIN, chain, TimeStamps(silent, timeout=0.3, required=True))
    for words in ("within 0.3 s$", "not asked again"):
        with pytest.raises(StoreError, match=rf"^image 1: no time stamp: .*{words}") as caught:
            signed(context)
        assert caught.value.hint


def test_it_is_asked_again_after_the_pause(chain, found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    asked: list[int] = []

    def flaky(request: bytes) -> Post:
        asked.append(1)
        return Post(404, "text/plain", b"") if len(asked) == 1 else Post(200, REPLY, answer(request, found.authority))

    context = SigningContext(PLAIN, chain, TimeStamps(listen(flaky), pause=0.2))
    assert signed(context).note == "no time stamp: the authority answered with HTTP 404"
    assert "not asked again" in str(signed(context).note)
    assert len(asked) == 1
    time.sleep(0.25)
    assert signed(context).timestamped
    assert len(asked) == 2


def test_a_passing_failure_is_tried_again_at_once(chain, found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    asked: list[int] = []

    def flaky(request: bytes) -> Post:
        asked.append(1)
        return Post(503, "text/plain", b"") if len(asked) == 1 else Post(200, REPLY, answer(request, found.authority))

    url = listen(flaky)
    assert signed(SigningContext(PLAIN, chain, TimeStamps(url))).timestamped
    assert len(asked) == 2
    asked.clear()
    assert signed(SigningContext(PLAIN, chain, TimeStamps(url, tries=1))).note
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("post", "words"),
    [
        (Post(200, "text/html", b"<html>sign in</html>"), "answered with text/html, not with a time stamp"),
        (Post(200, REPLY, b""), "0 bytes are no time stamp response"),
        (Post(200, REPLY, b"junk"), "4 bytes are no time stamp response"),
        (Post(200, REPLY, der.sequence(der.sequence(der.integer(0)))), "refused with status 0"),
        (
            Post(200, REPLY, der.sequence(der.sequence(der.integer(2), der.sequence(der.tlv(0x0C, b"no quota left"))))),
            "refused with status 2: no quota left",
        ),
        (Post(500, "text/plain", b""), "HTTP 500"),
        (Post(200, REPLY, der.sequence(der.sequence(der.integer(0)), der.sequence(b""))), "did not take"),
    ],
)
def test_every_wrong_answer_has_words(chain, listen: Listen, post: Post, words: str) -> None:  # type: ignore[no-untyped-def]
    outcome = signed(SigningContext(PLAIN, chain, TimeStamps(listen(lambda _: post))))
    assert not outcome.timestamped
    assert words in str(outcome.note)


def test_a_stamp_for_something_else_is_not_taken(chain, found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    def replayed(request: bytes) -> Post:
        return Post(200, REPLY, answer(request.replace(request[-40:-30], b"\0" * 10), found.authority))

    outcome = signed(SigningContext(PLAIN, chain, TimeStamps(listen(replayed))))
    assert not outcome.timestamped
    assert "no time stamp" in str(outcome.note)


def test_nobody_listens(chain) -> None:  # type: ignore[no-untyped-def]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = signed(SigningContext(PLAIN, chain, TimeStamps(f"http://127.0.0.1:{port}/")))
    assert "cannot be reached: Connection refused" in str(outcome.note)


def test_the_signers_own_failure_is_not_blamed_on_the_time(chain, found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    def broken(_: bytes) -> bytes:
        raise PermissionError("no access to key 7")

    foreign = CallbackKeys(broken, chain.certificates).load()
    url = listen(lambda request: Post(200, REPLY, answer(request, found.authority)))
    with pytest.raises(StoreError, match="PermissionError: no access to key 7"):
        signed(SigningContext(PLAIN, foreign, TimeStamps(url)))


def test_threads_share_a_context(chain, found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    url = listen(lambda request: Post(200, REPLY, answer(request, found.authority)))
    context = SigningContext(PLAIN, chain, TimeStamps(url))
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: signed(context), range(12)))
    assert [o.timestamped for o in outcomes] == [True] * 12
    assert len({o.result for o in outcomes}) == 12


def test_the_signers_own_authority_is_the_default(chain, found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    url = listen(lambda request: Post(200, REPLY, answer(request, found.authority)))
    named = replace(chain, tsa_url=url)
    assert signed(SigningContext(PLAIN, named)).timestamped
    assert not signed(SigningContext(PLAIN, named, use_tsa=False)).timestamped


def test_the_relay_answers_only_those_who_know_its_name(found, listen: Listen) -> None:  # type: ignore[no-untyped-def]
    asked: list[bytes] = []

    def count(request: bytes) -> Post:
        asked.append(request)
        return Post(200, REPLY, answer(request, found.authority))

    relay = Relay(TimeStamps(listen(count)))
    base = relay.url.rpartition("/")[0]
    assert len(relay.url) - len(base) > 16
    with socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2]))) as line:
        line.sendall(b"POST /guess HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
        assert b" 404 " in line.recv(100)
    assert not asked


PROXIED = """
import sys
from pathlib import Path
from audit.provenance.keys import SigningContext, TimeStamps, development_chain
from tests.unit.provenance.keys.pki import PLAIN, signed
outcome = signed(SigningContext(PLAIN, development_chain(Path(sys.argv[1])), TimeStamps(sys.argv[2])))
print(outcome.timestamped, outcome.note)
"""


@pytest.mark.parametrize("no_proxy", [{}, {"NO_PROXY": "example.org"}, {"no_proxy": "localhost, 127.0.0.1"}])
def test_a_proxy_in_the_environment_does_not_come_between(  # type: ignore[no-untyped-def]
    chain, found, listen: Listen, no_proxy: dict[str, str]
) -> None:
    url = listen(lambda request: Post(200, REPLY, answer(request, found.authority)))
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    env = {**clean, "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", **no_proxy}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[4]), env.get("PYTHONPATH", "")])
    line = [sys.executable, "-c", PROXIED, str(chain.folder), url]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.returncode) == ("True None", 0), done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://example.org/"},
        {"url": "example.org"},
        {"url": ""},
        {"url": "http://"},
        {"url": "http://a/", "timeout": 0},
        {"url": "http://a/", "tries": 0},
        {"url": "http://a/", "pause": -1},
    ],
)
def test_nonsense_is_refused_at_once(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError) as caught:
        TimeStamps(**wrong)
    assert caught.value.hint


def test_no_thread_is_left_waiting_for_the_interpreter(silent) -> None:  # type: ignore[no-untyped-def]
    relay = Relay(TimeStamps(silent, timeout=0.1))
    with pytest.raises(NoStamp, match="did not answer"):
        relay.ask(b"x")
    assert all(t.daemon for t in threading.enumerate() if t.name in {"time stamp", "loopback"})
