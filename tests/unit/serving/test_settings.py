# SPDX-License-Identifier: Apache-2.0
"""What is served, and what calls to it mean."""

from __future__ import annotations

import asyncio
import base64
import json
import socket

import httpx2
import numpy as np
import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators.address import guess_kind, parse_pairs
from audit.images import encode_png
from audit.provenance import Stamper
from audit.serving import Settings, build_app
from audit.serving import _settings as settings_module
from audit.serving._errors import HttpError
from audit.serving._finish import Finisher
from audit.serving._order import Served, read_order
from audit.serving._settings import called, default_params, key_of
from audit.serving.command import serve
from audit.types import Generation, GeneratorSpec, Outcome
from tests.asking import ask


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("reference:renderer", "renderer"),
        ("reference:diffusion", "diffusers"),
        ("reference:gan", "gan"),
        ("reference:vae", "vae"),
        ("reference:recurrent", "recurrent"),
        ("reference:small", "vae"),
        ("somebody/some-pipeline", "diffusers"),
    ],
)
def test_the_kind_is_told_from_the_folder(model, kind):
    assert guess_kind(model) == kind


def test_other_artefacts_tell_their_kind_by_their_files(tmp_path):
    (tmp_path / "net.onnx").touch()
    assert guess_kind(str(tmp_path)) == guess_kind(str(tmp_path / "net.onnx")) == "onnx"
    (tmp_path / "net.pt2").touch()
    with pytest.raises(ConfigError, match="cannot tell") as told:
        guess_kind(str(tmp_path))
    assert "--kind" in str(told.value.hint)


def test_what_no_kind_reads(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(ConfigError, match="cannot tell"):
        guess_kind(str(tmp_path))
    with pytest.raises(ConfigError, match="not a folder"):
        guess_kind("no such place/at all")
    with pytest.raises(GeneratorError):
        guess_kind("reference:nothing")


def test_names_and_defaults():
    assert called(Settings("some/where/My Model v2")) == "My-Model-v2"
    assert called(Settings("x", name="ours")) == "ours"
    assert default_params({"size": 64}, "renderer") == {"size": 64}
    assert default_params({"width": 64, "height": 32}, "callable") == {"width": 64, "height": 32}
    with pytest.raises(ConfigError, match="twice"):
        default_params({"steps": 1, "num_inference_steps": 2}, "diffusers")
    with pytest.raises(ConfigError, match="one number or text"):
        default_params({"size": [1]}, "renderer")
    with pytest.raises(ConfigError, match="finite"):
        default_params({"guidance": float("nan")}, "diffusers")


@pytest.mark.parametrize("words", [["steps"], ["=5"], ["a=1", "a=2"]])
def test_pairs_that_are_none(words):
    with pytest.raises(ConfigError):
        parse_pairs(words, where="--param")


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"queue": 0}, {"max_wait_ms": -1}, {"max_wait_ms": float("nan")}, {"name": "a b"}],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(ConfigError):
        Settings("reference:renderer", **wrong)


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch):
    monkeypatch.setenv("GENAUDIT_SERVE_KEY", "hidden")
    assert key_of(Settings("m")) == "hidden"
    assert "hidden" not in repr(Settings("m", key="hidden"))
    monkeypatch.setenv("GENAUDIT_SERVE_KEY", " ")
    with pytest.raises(ConfigError, match="empty"):
        key_of(Settings("m"))


def test_without_the_web_framework_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(settings_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as told:
        build_app(Settings("reference:renderer"))
    assert told.value.hint == 'pip install "genaudit[serve]"'


def test_addresses_that_cannot_be_listened_on():
    for host, port in (("203.0.113.1", 0), ("two..dots", 0)):
        with pytest.raises(ConfigError, match="cannot listen"):
            serve(Settings("reference:renderer"), host=host, port=port, no_auth=True, tell=print)


def test_a_taken_port_is_said_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="cannot listen") as told:
        serve(Settings("nowhere"), host="127.0.0.1", port=taken.getsockname()[1], no_auth=False, tell=print)
    assert "--port 0" in str(told.value.hint)


def test_a_record_that_cannot_be_written_is_known_before_anything_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        build_app(Settings("nowhere", kind="renderer", stamp=False, record=tmp_path / "no" / "folder.jsonl"))


def served(kind="diffusers", capabilities=("negative", "size", "steps", "guidance", "seed"), **details):
    spec = GeneratorSpec("m", kind, "m", None, capabilities=frozenset(capabilities), details=details)
    return Served("m", spec, {"steps": 20, "size": "512x512"}, 10, 1024 * 1024)


def test_wishes_replace_defaults():
    body = {"prompt": "a cat", "size": "640x512", "steps": 5, "guidance": 3, "negative_prompt": "dogs", "seed": 1}
    (request,) = read_order(body, served()).requests
    assert request.params == {"steps": 5, "size": "640x512", "guidance": 3.0}
    assert (request.prompt.text, request.prompt.negative, request.seed) == ("a cat", "dogs", 1)


def test_ids_are_digests_of_the_content():
    def id_of(**changes):
        return read_order({"prompt": "a cat", "seed": 1, **changes}, served()).requests[0].id

    assert id_of() == id_of(user="someone", output_format="webp", model="m")
    others = {id_of(**more) for more in ({"seed": 2}, {"prompt": "cats"}, {"steps": 4}, {"negative_prompt": "x"}, {})}
    assert len(others) == 5
    assert all(len(one) == 32 for one in others)


@pytest.mark.parametrize("size", ["100x100", "2048x2048", "512 x 512", "-8x8", 512, "512x512x3"])
def test_sizes_that_a_pipeline_does_not_draw(size):
    with pytest.raises(HttpError) as told:
        read_order({"prompt": "a cat", "size": size}, served())
    assert told.value.param == "size"


def test_a_network_of_one_resolution_takes_that_one_only():
    gan = served("gan", ("text", "seed"), resolution=64)
    assert (
        "size"
        not in read_order({"prompt": "a", "size": "64x64"}, Served("m", gan.spec, {}, 10, 4096)).requests[0].params
    )
    with pytest.raises(HttpError, match="64x64 only"):
        read_order({"prompt": "a", "size": "32x32"}, gan)


def test_a_generator_without_seeds_takes_none():
    with pytest.raises(HttpError, match="takes no seed"):
        read_order({"prompt": "a", "seed": 3}, served("folder", ("text",)))


def test_a_file_stays_as_it_came_unless_another_format_is_asked_for():
    data = encode_png(np.full((8, 8, 3), 99, np.uint8))
    found = Generation("r", Outcome.IMAGE, data, "image/png")
    finish = Finisher(served().spec, None, None)
    assert base64.b64decode(finish(ask(), found, None).b64) == data
    assert base64.b64decode(finish(ask(), found, "image/png").b64) == data
    assert base64.b64decode(finish(ask(), found, "image/webp").b64)[8:12] == b"WEBP"


def test_a_picture_that_cannot_be_stamped_does_not_go_out():
    finish = Finisher(served().spec, Stamper(None, tool_version="0"), None)
    broken = Generation("r", Outcome.IMAGE, b"BM not a png", "image/png")
    with pytest.raises(HttpError) as told:
        finish(ask(), broken, None)
    assert told.value.status == 500


def test_the_application_runs_under_another_server_too():
    """Without a lifespan the first request starts the drawing."""
    app = build_app(Settings("reference:renderer", stamp=False, params={"size": 16}))

    async def ask_once():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as http:
            answer = await http.post("/v1/images/generations", json={"prompt": "a portrait of a nurse"})
        app.stop()
        return answer

    answer = asyncio.run(ask_once())
    assert answer.status_code == 200
    assert answer.json()["output_format"] == "png"
