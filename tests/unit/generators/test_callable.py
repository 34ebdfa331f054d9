# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.errors import ConfigError, GeneratorError
from audit.generators import CallableGenerator
from audit.images import pixels_of
from audit.types import Generation, GeneratorSpec, Outcome
from tests import networks
from tests.asking import ask, png


def encoded(form):
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), (10, 20, 30)).save(stream, form)
    return stream.getvalue()


RED = np.zeros((4, 5, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
ANSWERS = {
    "pil": Image.fromarray(RED),
    "palette": Image.fromarray(RED).quantize(4),
    "bytes": RED,
    "floats": RED.astype(np.float32) / 255,
    "grey": np.full((4, 5), 0.5),
    "clear": np.dstack([RED, np.full((4, 5), 51, np.uint8)]),
    "clear_pil": Image.fromarray(np.dstack([RED, np.full((4, 5), 51, np.uint8)])),
    "png": encoded("PNG"),
    "jpeg": encoded("JPEG"),
    "webp": encoded("WEBP"),
    "none": None,
    "gif": encoded("GIF"),
    "cut": encoded("PNG")[:40],
    "nan": np.full((4, 5, 3), np.nan),
    "large": RED.astype(float),
    "ints": RED.astype(np.int64),
    "planes": np.zeros((3, 4, 5)),
    "text": "https://example.org/a.png",
}


def answer(prompt, seed):
    return ANSWERS[prompt]


def failing(prompt, seed, *, negative=None, steps=3):
    if prompt == "worse":
        raise GeneratorError("the service is gone", where="here", hint="start it")
    if prompt == "bad" or negative == "bad":
        raise KeyError("nothing here")
    return np.full((2, 2, 3), steps, np.uint8)


class Own:
    """A generator of its own, with an option."""

    def __init__(self, name, *, model, params, options):
        assert model is None
        self.spec = GeneratorSpec(name, "own", "m", None, details={"shade": options["shade"]})
        self.shade, self.seen, self.closed = options["shade"], [], False

    def generate(self, batch):
        level = np.full((2, 2, 3), self.shade, np.uint8)
        return [Generation(r.id, Outcome.IMAGE, pixels=level) for r in reversed(batch)]

    def recall(self, metas):
        self.seen = list(metas)

    def close(self):
        self.closed = True


def made(name, **more):
    return CallableGenerator("g", model=f"{__name__}:{name}", **more)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[answer.__module__])


def test_what_a_function_may_return():
    names = list(ANSWERS)
    answers = dict(zip(names, made("answer").generate([ask(name, seed=3) for name in names]), strict=True))
    for name in ("pil", "palette", "bytes", "floats"):
        np.testing.assert_array_equal(pixels_of(answers[name]), RED)
    assert np.unique(pixels_of(answers["grey"])).tolist() == [128]
    for name in ("clear", "clear_pil"):
        assert pixels_of(answers[name])[0, 0].tolist() == [255, 204, 204], "a fifth of red on white"
    for name in ("png", "jpeg", "webp"):
        assert (answers[name].image, answers[name].media_type) == (ANSWERS[name], f"image/{name}")
        assert answers[name].meta == {"seed": 3}
    assert answers["none"].outcome is Outcome.REFUSED
    wrong = {
        "gif": "GIF is not PNG",
        "cut": "cannot be decoded",
        "nan": "nan",
        "large": "not in [0, 1]",
        "ints": "int64",
        "planes": "(3, 4, 5)",
        "text": "str is no PIL image",
    }
    for name, message in wrong.items():
        assert answers[name].outcome is Outcome.ERROR
        assert message in answers[name].message


def test_what_a_function_raises_is_one_error_row():
    batch = [ask("fine"), ask("bad"), ask("fine", negative="bad"), ask("fine", params={"steps": 7})]
    answers = made("failing", params={"steps": 5}).generate(batch)
    assert [a.outcome for a in answers] == [Outcome.IMAGE, Outcome.ERROR, Outcome.ERROR, Outcome.IMAGE]
    assert answers[1].message == "KeyError: 'nothing here'"
    assert [pixels_of(answers[k])[0, 0, 0] for k in (0, 3)] == [5, 7]
    with pytest.raises(GeneratorError, match="the service is gone"):
        made("failing").generate([ask("worse")])


def test_batched_functions_get_lists():
    one = CallableGenerator("g", model="tests.networks:draw", params={"size": 12})
    many = CallableGenerator("g", model="tests.networks:draw_many", params={"size": 12})
    batch = [ask("a"), ask("b"), ask(""), ask("c", params={"size": 20})]
    assert [png(a) for a in many.generate(batch)] == [png(a) for a in one.generate(batch)]
    mixed = many.generate([ask("a"), ask("a knife"), ask("b")])
    assert [a.outcome for a in mixed] == [Outcome.IMAGE, Outcome.ERROR, Outcome.IMAGE]
    assert mixed[1].message == "RuntimeError: no knives"
    assert many.spec.details["batched"] is True


def test_a_batched_function_that_answers_too_little(monkeypatch):
    monkeypatch.setattr(networks, "draw_many", lambda prompts, seeds: [RED])
    monkeypatch.setattr(networks.draw_many, "batched", True, raising=False)
    answers = CallableGenerator("g", model="tests.networks:draw_many").generate([ask("a"), ask("b")])
    assert {a.message for a in answers} == {"1 answers for 2 prompts"}


def test_the_spec_of_a_function():
    spec = made("failing").spec
    assert spec.digest == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert spec.capabilities == {"text", "seed", "negative"}
    assert CallableGenerator("g", model="zlib:crc32").spec.digest is None


def test_a_class_answers_by_itself():
    own = made("Own", options={"shade": 9})
    assert own.spec.details == {"shade": 9}
    batch = [ask("a"), ask("b")]
    assert [a.request_id for a in own.generate(batch)] == [r.id for r in reversed(batch)]
    own.recall([{"seed": 1}])
    own.close()
    assert (own._inner.seen, own._inner.closed) == ([{"seed": 1}], True)


def test_modules_of_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_own_model.py").write_text("def draw(prompt, seed):\n    return b''\n")
    (tmp_path / "my_broken_model.py").write_text("import nowhere_at_all\n")
    made_ = CallableGenerator("g", model="my_own_model:draw")
    assert "cannot be decoded" in made_.generate([ask()])[0].message
    with pytest.raises(GeneratorError, match="my_broken_model cannot be imported: ModuleNotFoundError"):
        CallableGenerator("g", model="my_broken_model:draw")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "names nothing in a module"),
        ("tests.networks.draw", "names nothing in a module"),
        ("/tmp/x:draw", "names nothing in a module"),
        ("no_such_module_here:f", "there is no module 'no_such_module_here'"),
        ("tests.networks:drow", "tests.networks has no 'drow'"),
        ("tests.networks:CLASSES", "neither a function nor a generator"),
        ("tests.networks:Conditional", "neither a function nor a generator"),
    ],
)
def test_names_of_nothing(model, message):
    with pytest.raises(ConfigError, match=message) as caught:
        CallableGenerator("g", model=model)
    assert caught.value.where.startswith("generator 'g'")
    assert caught.value.hint


def test_arguments_that_the_function_does_not_take():
    with pytest.raises(ConfigError, match="unexpected keyword argument 'sise'") as caught:
        CallableGenerator("g", model="tests.networks:draw", params={"sise": 3})
    assert "(prompt: " in caught.value.hint
