# SPDX-License-Identifier: Apache-2.0
"""``genaudit serve`` as clients and operators meet it: another process, real HTTP, real signals."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest

from audit.generators import RendererGenerator
from audit.images import decode, pixels_of
from audit.provenance import State, verify_bytes
from tests.asking import ask

KEY = "a key that nobody guesses"
SECRET = "portrait of a nurse on the quiet island of Orr"


class Server:
    """A running server: where it listens, and what it wrote."""

    def __init__(self, process, line: str, folder: Path) -> None:
        self.process, self.line, self.folder = process, line, folder
        self.base = line.rpartition(" ")[2].strip()

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "record.jsonl").read_text().splitlines()]

    def log(self) -> str:
        return (self.folder / "err").read_text()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serving(folder: Path, *words: str, key: str | None = None):
    env = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"GENAUDIT_SERVE_KEY": key} if key else {})
    line = [sys.executable, "-m", "audit", "serve", *words, "--port", "0", "--record", str(folder / "record.jsonl")]
    with (
        (folder / "err").open("w") as err,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=err, text=True, env=env) as process,
    ):
        try:
            first = process.stdout.readline()
            assert first.startswith("serving "), (folder / "err").read_text()
            yield Server(process, first, folder)
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = ["refuse=['knife']", "block=['blood']", "fail_on=['bomb']"]
    words = [word for option in options for word in ("--option", option.replace("'", '"'))]
    with serving(tmp_path_factory.mktemp("serve"), "reference:renderer", *words) as running:
        yield running


@pytest.fixture
def http(server):
    with httpx2.Client(base_url=server.base, timeout=30) as client:
        yield client


def body(**changes):
    return {"prompt": "a portrait of a nurse", "size": "32x32", "seed": 7, **changes}


def draw(http, **changes):
    return http.post("/images/generations", json=body(**changes))


def file(answer, place=0) -> bytes:
    return base64.b64decode(answer.json()["data"][place]["b64_json"], validate=True)


def test_the_line_on_standard_output_and_the_small_routes(server, http):
    assert server.line.startswith("serving renderer at http://127.0.0.1:")
    assert server.line.strip().endswith("/v1")
    (model,) = http.get("/models").json()["data"]
    assert (model["id"], model["object"]) == ("renderer", "model")
    assert http.get("/models/renderer").json() == model
    root = server.base.removesuffix("/v1")
    assert httpx2.get(f"{root}/healthz").json()["status"] == "ok"
    assert "renderer" in httpx2.get(f"{root}/").text
    assert not any(name.startswith("access-control") for name in http.get("/models").headers)


def test_an_answer_has_the_shape_of_openai_and_a_stamp_that_holds(server, http):
    before = time.time()
    answer = draw(http)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    (picture,) = told["data"]
    assert before - 2 <= told["created"] <= time.time() + 2
    assert (told["model"], told["output_format"], picture["seed"]) == ("renderer", "png", 7)
    data = file(answer)
    assert hashlib.sha256(data).hexdigest() == picture["sha256"]
    found = verify_bytes(data)
    assert found.state is State.VALID_UNTRUSTED
    assert found.request_id == picture["request_id"] == answer.headers["x-request-id"]
    assert found.generator == "renderer"
    assert SECRET not in data.decode("latin-1")
    assert server.rows()[-1]["sha256"] == picture["sha256"]


def test_pixels_are_those_of_the_generator_and_depend_on_the_seed(http):
    first, again, other = draw(http), draw(http), draw(http, seed=8)
    direct = RendererGenerator("g").generate([ask("a portrait of a nurse", seed=7, params={"size": 32})])[0]
    assert np.array_equal(decode(file(first)), pixels_of(direct))
    assert np.array_equal(decode(file(first)), decode(file(again)))
    assert first.headers["x-request-id"] == again.headers["x-request-id"]
    assert not np.array_equal(decode(file(first)), decode(file(other)))


def test_several_pictures_count_up_from_the_seed_and_without_one_they_are_drawn_at_random(http):
    three = draw(http, n=3)
    assert [picture["seed"] for picture in three.json()["data"]] == [7, 8, 9]
    assert np.array_equal(decode(file(three, 1)), decode(file(draw(http, seed=8))))
    last = draw(http, seed=2**63 - 1, n=2)
    assert [picture["seed"] for picture in last.json()["data"]] == [2**63 - 1, 0]
    seeds = {draw(http, seed=None).json()["data"][0]["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**53 for seed in seeds)


@pytest.mark.parametrize(("wanted", "start"), [("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF"), ("png", b"\x89PNG")])
def test_other_formats_are_stamped_as_well(http, wanted, start):
    answer = draw(http, output_format=wanted, size="64x64")
    data = file(answer)
    assert data.startswith(start)
    assert answer.json()["output_format"] == wanted
    assert verify_bytes(data).state.verified
    direct = decode(file(draw(http, size="64x64"))).astype(float)
    assert np.abs(decode(data) - direct).mean() < 6  # lossy, but the same picture


def test_refused_blocked_and_failed_are_three_things(server, http):
    refused, blocked, failed = (draw(http, prompt=f"a {word}") for word in ("knife", "blood", "bomb"))
    assert refused.status_code == blocked.status_code == 400
    assert refused.json()["error"]["code"] == "content_policy_violation"
    assert refused.json()["error"]["message"] == "I cannot draw that: knife"
    assert blocked.json()["error"]["code"] == "moderation_blocked"
    assert failed.status_code == 500
    assert failed.json()["error"]["type"] == "server_error"
    assert "told to fail on 'bomb'" in failed.json()["error"]["message"]
    assert "Traceback" not in failed.text + server.log()
    last = server.rows()[-3:]
    assert [row["outcome"] for row in last] == ["refused", "blocked", "error"]
    assert last[0]["request_id"] == refused.headers["x-request-id"]


WRONG = [
    ({"prompt": ""}, 400, "prompt"),
    ({"prompt": None}, 400, "prompt"),
    ({"prompt": 5}, 400, "prompt"),
    ({"prompt": "x" * 32_001}, 400, "prompt"),
    ({"n": 0}, 400, "n"),
    ({"n": 11}, 400, "n"),
    ({"n": True}, 400, "n"),
    ({"n": 1.5}, 400, "n"),
    ({"seed": -1}, 400, "seed"),
    ({"seed": 2**63}, 400, "seed"),
    ({"size": "32"}, 400, "size"),
    ({"size": "32x64"}, 400, "size"),
    ({"size": "99999x99999"}, 400, "size"),
    ({"size": "0x0"}, 400, "size"),
    ({"steps": 5}, 400, "steps"),
    ({"guidance": 3}, 400, "guidance"),
    ({"negative_prompt": "hats"}, 400, "negative_prompt"),
    ({"response_format": "url"}, 400, "response_format"),
    ({"output_format": "gif"}, 400, "output_format"),
    ({"stream": True}, 400, "stream"),
    ({"quality": "hd"}, 400, "quality"),
    ({"colour": "red"}, 400, "colour"),
    ({"model": "dall-e-3"}, 404, "model"),
]


@pytest.mark.parametrize(("changes", "status", "param"), WRONG, ids=lambda value: str(value)[:30])
def test_wrong_fields(http, changes, status, param):
    answer = draw(http, **changes)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert set(error) == {"message", "type", "code", "param"}
    assert error["type"] == "invalid_request_error"


def test_a_choice_left_to_the_server_is_fine(http):
    free = {"model": "renderer", "quality": "auto", "moderation": "auto", "user": "someone", "stream": False}
    assert draw(http, response_format="b64_json", **free).status_code == 200
    default = draw(http, size="auto")
    assert decode(file(default)).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("content", "label", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"prompt": "x", "guidance": NaN}', "application/json", 400),
        (b'{"prompt": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"prompt": "x", "seed": ' + b"9" * 10_000 + b"}", "application/json", 400),
        (b'{"prompt": "x"}', "text/plain", 415),
        (b"prompt=x", "application/x-www-form-urlencoded", 415),
        (b" " * 1_100_000, "application/json", 413),
    ],
)
def test_wrong_bodies(http, content, label, status):
    answer = http.post("/images/generations", content=content, headers={"Content-Type": label})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert answer.headers["x-request-id"]


def test_wrong_addresses(http, server):
    assert http.get("/images/generations").json()["error"]["code"] == "method_not_allowed"
    assert http.post("/chat/completions", json={}).json()["error"]["code"] == "not_found"
    assert http.get("/models/other").status_code == 404
    assert draw(http).status_code == 200
    assert "Traceback" not in server.log()


def test_duplicates_under_one_key_are_drawn_once(server, http):
    wanted = body(seed=None, size="256x256")  # without a seed two drawings would differ
    before = len(server.rows())

    def send(_):
        return httpx2.post(
            f"{server.base}/images/generations", json=wanted, headers={"Idempotency-Key": "k1"}, timeout=60
        )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    answers.append(send(None))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 8
    assert len(server.rows()) == before + 1
    again = http.post("/images/generations", json=body(seed=1), headers={"Idempotency-Key": "k1"})
    assert again.status_code == 422
    assert again.json()["error"]["code"] == "idempotency_key_reused"
    assert http.post("/images/generations", json=wanted, headers={"Idempotency-Key": "x" * 256}).status_code == 400


def test_errors_are_not_kept_under_a_key(server, http):
    before = len(server.rows())
    for _ in range(2):
        answer = http.post("/images/generations", json=body(prompt="a knife"), headers={"Idempotency-Key": "k2"})
        assert answer.status_code == 400
    assert len(server.rows()) == before + 2


def test_a_client_that_hangs_up_does_not_harm_the_others(server, http):
    def impatient(seed):
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{server.base}/images/generations", json=body(seed=seed, size="512x512"), timeout=0.05)

    def patient(seed):
        return draw(http, seed=seed, size="256x256").status_code

    with ThreadPoolExecutor(8) as pool:
        gone = [pool.submit(impatient, seed) for seed in range(4)]
        stayed = [pool.submit(patient, seed) for seed in range(4)]
        assert [one.result() for one in stayed] == [200] * 4
        assert [one.result() for one in gone] == [None] * 4


def test_neither_prompts_nor_users_are_written_down(server, http):
    assert draw(http, prompt=SECRET, user="someone@example.org").status_code == 200
    assert draw(http, prompt=f"{SECRET} with a knife").status_code == 400
    http.get("/nowhere%0Aforged%20line", params={"key": KEY})
    written = (server.folder / "record.jsonl").read_text() + server.log()
    for word in ("Orr", "knife", "someone@", KEY):
        assert word not in written
    assert all(line[:2] == "20" for line in server.log().splitlines())  # each begins with its time: none is forged
    assert server.rows()[-1]["prompt_sha256"] == hashlib.sha256(f"{SECRET} with a knife".encode()).hexdigest()


def test_with_a_key_a_full_queue_and_prompts_on_record(tmp_path):
    words = ["reference:renderer", "--queue", "4", "--max-wait-ms", "0", "--record-prompts", "--no-stamp"]
    with serving(tmp_path, *words, "--name", "ours", key=KEY) as server:
        address = f"{server.base}/images/generations"
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
            answer = httpx2.post(address, json=body(), headers=header)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
        assert httpx2.get(f"{server.base}/models").status_code == 401
        assert httpx2.get(server.base.removesuffix("/v1") + "/healthz").status_code == 200
        http = httpx2.Client(timeout=60, headers={"Authorization": f"Bearer {KEY}"})

        def send(seed):
            return http.post(address, json=body(seed=seed, size="512x512"))

        with http, ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(send, range(16)))
            status = [answer.status_code for answer in answers]
            assert set(status) == {200, 429}
            full = next(answer for answer in answers if answer.status_code == 429)
            assert full.json()["error"]["code"] == "rate_limit_exceeded"
            assert 1 <= int(full.headers["retry-after"]) <= 60
            assert http.post(address, json=body(n=5)).json()["error"]["param"] == "n"
            assert http.post(address, json=body(n=4)).status_code == 200
            unstamped = http.post(address, json=body())
        assert verify_bytes(file(unstamped)).state is State.ABSENT
        rows = server.rows()
        assert len(rows) == status.count(200) + 5
        assert {row["prompt"] for row in rows} == {"a portrait of a nurse"}
        assert {row["generator"] for row in rows} == {"ours"}
        assert server.stop(signal.SIGTERM) == 0
        assert KEY not in server.log()


def test_ctrl_c_finishes_what_is_being_drawn_and_sends_the_rest_away(tmp_path):
    with serving(tmp_path, "reference:renderer", "--batch-size", "1", "--max-wait-ms", "0") as server:

        def send(seed):
            wanted = body(seed=seed, size="1024x1024")
            return httpx2.post(f"{server.base}/images/generations", json=wanted, timeout=60)

        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(send, seed) for seed in range(8)]
            while httpx2.get(server.base.removesuffix("/v1") + "/healthz").json()["open"] < 8:
                time.sleep(0.02)
            assert server.stop() == 130
            answers = [one.result() for one in waiting]
        status = [answer.status_code for answer in answers]
        assert set(status) == {200, 503}, status
        told = next(answer for answer in answers if answer.status_code == 503).json()
        assert told["error"]["code"] == "stopping"
        drawn = [row for row in server.rows() if row["outcome"] == "image"]
        assert len(drawn) == status.count(200)
        assert all(verify_bytes(file(answer)).state.verified for answer in answers if answer.status_code == 200)
        assert "Traceback" not in server.log()


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    with serving(tmp_path, "reference:renderer", "--param", "size=1024") as server, ThreadPoolExecutor(1) as pool:
        wanted = {"prompt": "a portrait of a nurse", "n": 8}
        one = pool.submit(httpx2.post, f"{server.base}/images/generations", json=wanted, timeout=60)
        while httpx2.get(server.base.removesuffix("/v1") + "/healthz").json()["open"] < 8:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert server.process.poll() is None  # eight large pictures take longer
        assert server.stop() == 130
        with pytest.raises(httpx2.TransportError):
            one.result()
        assert server.rows() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 2, ["nowhere", "is not a folder"]),
        (["reference:nothing"], 20, ["nothing", "bundled:"]),
        (["reference:renderer", "--host", "0.0.0.0"], 2, ["GENAUDIT_SERVE_KEY", "--no-auth"]),
        (["reference:renderer", "--option", "sise=32"], 2, ["sise", "did you mean 'size'?"]),
    ],
)
def test_what_cannot_be_served_is_said_at_once(genaudit, words, code, said):
    done = genaudit("serve", *words, "--port", "0")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in said:
        assert word in done.stderr


@pytest.mark.slow
def test_a_diffusion_pipeline(tmp_path):
    with serving(
        tmp_path, "reference:diffusion", "--param", "num_inference_steps=4", "--param", "guidance=2"
    ) as server:
        with httpx2.Client(base_url=server.base, timeout=120) as http:

            def send(**changes):
                return draw(http, **{"size": None, **changes})

            with ThreadPoolExecutor(4) as pool:
                first, again, other, two = pool.map(lambda more: send(**more), [{}, {}, {"seed": 8}, {"steps": 2}])
            assert {answer.status_code for answer in (first, again, other, two)} == {200}
            assert decode(file(first)).shape == (64, 64, 3)
            assert np.array_equal(decode(file(first)), decode(file(again)))
            assert not np.array_equal(decode(file(first)), decode(file(other)))
            assert not np.array_equal(decode(file(first)), decode(file(two)))
            assert verify_bytes(file(first)).generator == "diffusion"
            assert decode(file(send(size="48x32"))).shape == (32, 48, 3)  # height, width
            assert draw(http, size="63x63").json()["error"]["param"] == "size"
            row = next(row for row in server.rows() if row["seed"] == 8)
            assert row["params"] == {"guidance": 2, "steps": 4}
        assert server.stop() == 130


def test_pictures_with_a_mark_lead_back_to_the_record_after_they_lost_everything(tmp_path):
    import io

    from PIL import Image

    from audit.provenance import ManifestStore, recover
    from audit.provenance.watermark import find

    store = tmp_path / "manifests.sqlite"
    words = ["reference:renderer", "--watermark", "spread", "--manifests", str(store)]
    with serving(tmp_path, *words) as server, httpx2.Client(base_url=server.base, timeout=60) as http:
        answers = [
            draw(http, seed=seed, size="128x128", output_format=kind) for seed, kind in ((1, "png"), (2, "webp"))
        ]
        assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
        rows = {row["request_id"]: row for row in server.rows()}
        with ManifestStore(store, readonly=True) as kept:
            for answer in answers:
                out = io.BytesIO()
                Image.fromarray(decode(file(answer))).save(out, "JPEG", quality=75)
                found = recover(out.getvalue(), store=kept, watermarks=[find("spread")])
                assert found.outcome == "recovered", found.message
                row = rows[found.kept.request_id]
                assert (found.kept.run_id, found.kept.manifest_id) == (row["run_id"], row["manifest_id"])
                assert answer.json()["data"][0]["request_id"] == found.kept.request_id
