# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
import scipy.stats
import torch

from audit.errors import ConfigError, GeneratorError
from audit.generators import ModuleGenerator, OnnxGenerator, ProgramGenerator
from audit.generators.networks._declared import Noise, Truncation
from audit.generators.networks._latents import latent
from audit.images import pixels_of
from audit.types import Outcome
from tests import networks
from tests.asking import ask, png

MODULE = {"class": "tests.networks:Unconditional"}
CONDITIONAL = {"labels": list(networks.CLASSES), "output": {"range": [0, 1]}}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of every kind; exports take a second each."""
    root = tmp_path_factory.mktemp("networks")
    networks.save_module(root / "module")
    networks.save_program(root / "z.pt2")
    networks.save_program(root / "y.pt2", networks.Conditional)
    networks.save_program(root / "three.pt2", frozen=3)
    networks.save_onnx(root / "z.onnx", networks.Unconditional)
    networks.save_onnx(root / "y.onnx", networks.Conditional)
    networks.save_onnx(root / "c.onnx", networks.OneHot)
    networks.save_onnx(root / "r.onnx", networks.Restless)
    return root


def module(folder, kind="Unconditional", **options):
    return ModuleGenerator("g", model=str(folder), options={"class": f"tests.networks:{kind}", **options})


def by_hand(kind, *inputs):
    """Levels of the network applied to the given rows, the plain way."""
    with torch.inference_mode():
        found = networks.seeded(kind)(*(torch.as_tensor(rows) for rows in inputs))
    return found.numpy()


def shown(signed):
    return np.rint((signed.transpose(0, 2, 3, 1) + 1) / 2 * 255).astype(int)


def test_the_three_kinds_draw_what_the_network_draws_of_the_stated_noise(files):
    batch = [ask("anything", repetition=k) for k in range(5)] + [ask("x", seed=0), ask("x", seed=2**63 - 1)]
    rows = np.stack([np.random.default_rng(r.seed).standard_normal(8).astype(np.float32) for r in batch])
    want = shown(by_hand(networks.Unconditional, rows))
    span = {"io": {"output": {"range": [-1, 1]}}}
    for made in (
        module(files / "module"),
        ProgramGenerator("g", model=str(files / "z.pt2")),
        OnnxGenerator("g", model=str(files / "z.onnx"), options=span),
    ):
        answers = made.generate(batch)
        assert [a.request_id for a in answers] == [r.id for r in batch]
        got = np.stack([pixels_of(a).astype(int) for a in answers])
        assert np.abs(got - want).max() <= 1
        assert answers[0].meta == {"seed": batch[0].seed, "lanes": 8}
        made.close()
        assert png(made.generate(batch[:1])[0]) == png(answers[0])


def test_what_the_spec_says(files):
    program = ProgramGenerator("g", model=str(files / "z.pt2"), options={"device": "cpu"}).spec
    assert program.capabilities == {"seed"}
    assert program.details["inputs"] == "z: normal noise [8]"
    assert program.details["output"] == "(N, 3, 16, 16)"
    assert program.details["range"] == "-1 to 1", "read from the graph, which ends in tanh"
    onnx = OnnxGenerator("g", model=str(files / "y.onnx"), options={"io": CONDITIONAL}).spec
    assert onnx.capabilities == {"seed", "class"}
    assert onnx.details["providers"] == "CPUExecutionProvider"
    import onnx as library

    assert onnx.details["opset"] == library.load(files / "y.onnx").opset_import[0].version
    assert module(files / "module", device="cpu").spec.details["architecture"] == "tests.networks:Unconditional"


def test_the_digest_covers_weights_beside_a_file_and_the_declaration(files, tmp_path):
    path = networks.save_onnx(tmp_path / "g.onnx", networks.Unconditional)
    io = {"io": {"output": {"range": [-1, 1]}}}
    before = OnnxGenerator("g", model=str(path), options=io).spec.digest
    (tmp_path / "unrelated.txt").write_text("x")
    assert OnnxGenerator("g", model=str(path), options=io).spec.digest == before
    (tmp_path / "generator.json").write_text('{"output": {"range": [-1, 1]}}')
    second = OnnxGenerator("g", model=str(path)).spec.digest
    weights = tmp_path / "g.onnx.data"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert len({before, second, OnnxGenerator("g", model=str(path)).spec.digest}) == 3


def test_truncation_by_threshold_is_a_truncated_normal():
    noise = Noise()
    free = latent(noise, (20_000,), seed=3, index=0, psi=None)
    cut = latent(noise, (20_000,), seed=3, index=0, psi=Truncation(value=0.8))
    inside = np.abs(free) <= 0.8
    np.testing.assert_array_equal(cut[inside], free[inside])
    assert np.abs(cut).max() <= 0.8
    assert scipy.stats.kstest(cut, scipy.stats.truncnorm(-0.8, 0.8).cdf).pvalue > 0.01
    assert scipy.stats.kstest(free, "norm").pvalue > 0.01


def test_truncation_by_scale_moves_towards_the_mean():
    free = latent(Noise(), (3, 2, 2), seed=3, index=0, psi=None)
    psi = Truncation(kind="scale", value=0.5, mean=[1.0, 0.0, -1.0])
    mean = np.array([1.0, 0.0, -1.0])[:, None, None]
    np.testing.assert_allclose(latent(Noise(), (3, 2, 2), seed=3, index=0, psi=psi), (free + mean) / 2, atol=1e-6)
    half = Truncation(kind="scale", value=0.5)
    uniform = Noise(distribution="uniform")
    np.testing.assert_allclose(
        latent(uniform, (5,), seed=3, index=1, psi=half) * 2, latent(uniform, (5,), seed=3, index=1, psi=None)
    )
    assert not np.array_equal(
        latent(Noise(), (5,), seed=3, index=1, psi=None), latent(Noise(), (5,), seed=3, index=0, psi=None)
    )


def test_truncation_of_a_request_wins_and_mixes_in_a_batch(files):
    path = str(files / "z.pt2")
    made = ProgramGenerator("g", model=path, params={"truncation": 0.5}, options={"truncation": 2})
    batch = [ask("a", seed=1), ask("a", seed=1, params={"truncation": 0.05}), ask("b", seed=1)]
    half, small, other = (png(a) for a in made.generate(batch))
    assert half == other != small
    assert half == png(ProgramGenerator("g", model=path, options={"truncation": 0.5}).generate(batch[:1])[0])
    scaled = ProgramGenerator("g", model=path, options={"truncation": {"kind": "scale", "value": 0.5}})
    row = np.random.default_rng(1).standard_normal(8).astype(np.float32)[None] * 0.5
    got = pixels_of(scaled.generate(batch[:1])[0]).astype(int)
    assert np.abs(got - shown(by_hand(networks.Unconditional, row))[0]).max() <= 1


@pytest.mark.parametrize("wish", [0, -1, 11, "much", True, {"kind": "scale", "value": 2}, {"value": 1, "means": 0}])
def test_truncation_that_makes_no_sense(files, wish):
    with pytest.raises(ConfigError) as caught:
        ProgramGenerator("g", model=str(files / "z.pt2"), options={"truncation": wish})
    assert "'g'" in caught.value.where


@pytest.mark.parametrize("kind", [ProgramGenerator, OnnxGenerator])
def test_classes_by_text_name_number_and_axis(files, kind):
    path = files / ("y.pt2" if kind is ProgramGenerator else "y.onnx")
    made = kind("g", model=str(path), options={"io": CONDITIONAL})
    batch = [ask(t, seed=5) for t in ("nurse", "ceo", "2", "a chef", "4", "-1")]
    batch.append(ask("a picture", seed=5, axes={"class": "chef"}))
    answers = made.generate(batch)
    assert [a.outcome for a in answers] == [Outcome.IMAGE] * 3 + [Outcome.ERROR] * 3 + [Outcome.IMAGE]
    assert "'a chef'" in answers[3].message
    assert "among its 4" in answers[4].message
    z = np.random.default_rng(5).standard_normal(8).astype(np.float32)
    want = by_hand(networks.Conditional, np.stack([z] * 4), np.array([0, 1, 2, 3]))
    got = np.stack([pixels_of(a).astype(int) for a in answers if a.outcome is Outcome.IMAGE])
    assert np.abs(got - np.rint(want * 255)).max() <= 1


@pytest.mark.parametrize("form", ["mapping", "json", "csv"])
def test_a_map_from_prompts_to_classes(files, tmp_path, form):
    rules = {"CEO": "ceo", "*portrait of a nurse*": 0, "chef": "3", "???": 2}
    path = tmp_path / f"classes.{form}"
    if form == "csv":
        path.write_text("prompt,class\n" + "\n".join(f"{k},{v}" for k, v in rules.items()))
    else:
        path.write_text(json.dumps(rules))
    option = rules if form == "mapping" else str(path)
    made = OnnxGenerator("g", model=str(files / "y.onnx"), options={"io": CONDITIONAL, "classes": option})
    plain = OnnxGenerator("g", model=str(files / "y.onnx"), options={"io": CONDITIONAL})
    asked = ("a portrait of a nurse, smiling", "the Chef!", "sheriffchef", "abc", "a CEO", "nurse")
    batch = [ask(text, seed=1) for text in asked] + [ask("boss", seed=1, axes={"occupation": "ceo"})]
    answers = made.generate(batch)
    want = {t: png(plain.generate([ask(t, seed=1)])[0]) for t in ("0", "1", "2", "3")}
    assert [png(a) for a in answers] == [want["0"], want["3"], None, want["2"], want["1"], None, want["1"]]
    assert "'sheriffchef'" in answers[2].message


@pytest.mark.parametrize("rules", [{}, {"a": "pilot"}, {"a": 4}, {"a": 1.5}, {"a": True}, "nowhere.csv"])
def test_a_map_that_is_none(files, rules):
    with pytest.raises(ConfigError) as caught:
        OnnxGenerator("g", model=str(files / "y.onnx"), options={"io": CONDITIONAL, "classes": rules}).load()
    assert caught.value.where == "generator 'g': options.classes"
    assert caught.value.hint


def one_hot(**more):
    inputs = {"label": {"encoding": "one_hot", "name": "c"}, "constants": {"gain": 1.0}}
    return {"inputs": inputs, "labels": list(networks.CLASSES), "output": {"index": 1, "range": [-1, 1]}, **more}


def test_one_hot_labels_constants_and_several_outputs(files):
    made = OnnxGenerator("g", model=str(files / "c.onnx"), options={"io": one_hot()})
    batch = [ask("chef", seed=2), ask("chef", seed=2, params={"gain": 0.0})]
    answers = made.generate(batch)
    z = np.random.default_rng(2).standard_normal((8, 1, 1)).astype(np.float32)
    row = np.eye(4, dtype=np.float32)[[3]]
    for answer, gain in zip(answers, (1.0, 0.0), strict=True):
        with torch.inference_mode():
            want = networks.seeded(networks.OneHot)(torch.as_tensor(z[None]), torch.as_tensor(row), torch.tensor(gain))
        grey = shown(want["picture"].numpy())[0]
        assert np.abs(pixels_of(answer).astype(int) - np.repeat(grey, 3, axis=2)).max() <= 1
    unclear = OnnxGenerator("g", model=str(files / "c.onnx"), options={"io": one_hot(output={"range": [-1, 1]})})
    with pytest.raises(GeneratorError, match=r"which output holds the pictures is not clear; outputs: .*16, 16"):
        unclear.generate(batch)
    wrong = OnnxGenerator("g", model=str(files / "c.onnx"), options={"io": one_hot(output={"name": "image"})})
    with pytest.raises(GeneratorError, match="no output 'image'; outputs: "):
        wrong.load()


def test_text_goes_in_as_tokens_and_transparency_comes_out_on_white(tmp_path):
    made = module(networks.save_text(tmp_path), "TextHub")
    assert made.spec.capabilities == {"seed", "text"}
    assert made.spec.licence == "mit"
    request = ask("a portrait of a nurse", seed=4)
    from transformers import AutoTokenizer

    coded = AutoTokenizer.from_pretrained(tmp_path / "words")(
        request.prompt.text, padding="max_length", max_length=12, return_tensors="np"
    )
    z = np.random.default_rng(4).uniform(-1, 1, 8).astype(np.float32)[None]
    rgba = by_hand(networks.TextHub, coded["input_ids"], coded["attention_mask"], z)[0].transpose(1, 2, 0)
    want = np.rint((rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]) * 255)
    got = pixels_of(made.generate([request])[0])
    assert np.abs(got - want).max() <= 1
    assert png(made.generate([ask("a builder", seed=4)])[0]) != png(made.generate([request])[0])


def test_memory_that_runs_out_halves_the_rows_and_is_remembered(tmp_path):
    folder = networks.save_module(tmp_path, networks.Hungry)
    made, batch = module(folder, "Hungry"), [ask("a", repetition=k) for k in range(5)]
    answers = made.generate(batch)
    assert {a.meta["lanes"] for a in answers} == {2}
    fresh = module(folder, "Hungry", lanes=3)
    fresh.recall([{}, {"lanes": 2}, {"lanes": 8, "seed": 1}, {"lanes": True}])
    again = fresh.generate(batch)
    assert [png(a) for a in again] == [png(a) for a in answers]
    assert {a.meta["lanes"] for a in again} == {2}


def test_memory_that_is_too_small_for_one_image(tmp_path, monkeypatch):
    monkeypatch.setattr(networks.Hungry, "most", 0)
    made = module(networks.save_module(tmp_path, networks.Hungry), "Hungry")
    with pytest.raises(GeneratorError, match="1 images at once do not fit into memory"):
        made.generate([ask()])


def test_a_network_with_random_numbers_of_its_own_repeats_itself(tmp_path):
    made = module(networks.save_module(tmp_path, networks.Restless), "Restless")
    batch = [ask("a", repetition=k) for k in range(4)]
    torch.manual_seed(1)
    together = [png(a) for a in made.generate(batch)]
    torch.manual_seed(2)
    assert [png(made.generate([r])[0]) for r in batch] == together
    assert len(set(together)) == 4
    assert made.generate(batch[:1])[0].meta["lanes"] == 1
    assert module(tmp_path, "Restless").spec == made.spec


def test_an_onnx_graph_with_random_numbers_of_its_own_is_refused(files):
    made = OnnxGenerator("g", model=str(files / "r.onnx"), options={"io": {"output": {"range": [-1, 1]}}})
    with pytest.raises(GeneratorError, match="random numbers of its own"):
        made.generate([ask()])


def test_a_frozen_batch_sets_the_rows(files):
    made = ProgramGenerator("g", model=str(files / "three.pt2"), options={"lanes": 8})
    answers = made.generate([ask("a", repetition=k) for k in range(4)])
    assert {a.meta["lanes"] for a in answers} == {3}
    assert made.spec.details["lanes"] == 3
    free = ProgramGenerator("g", model=str(files / "z.pt2")).generate([ask("a", repetition=0)])[0]
    assert np.abs(pixels_of(answers[0]).astype(int) - pixels_of(free)).max() <= 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [("few", "7 pictures for 8 rows"), ("flat", r"shape \(8, 768\)"), ("unit", "declared range is -1 to 1")],
)
def test_answers_of_another_shape_or_range_are_error_rows(tmp_path, monkeypatch, fault, message):
    monkeypatch.setattr(networks.Faulty, "fault", fault)
    made = module(networks.save_module(tmp_path, networks.Faulty), "Faulty")
    answers = made.generate([ask("a", repetition=k) for k in range(3)])
    assert {a.outcome for a in answers} == {Outcome.ERROR}
    for answer in answers:
        assert re.search(message, answer.message)


def test_pixels_that_are_not_numbers_are_one_error_row_each(tmp_path):
    made = module(networks.save_module(tmp_path, networks.Faulty), "Faulty")
    batch = [ask("a", seed=k) for k in range(12)]
    bad = [np.random.default_rng(k).standard_normal(8)[0] > 0 for k in range(12)]
    answers = made.generate(batch)
    assert [a.outcome is Outcome.ERROR for a in answers] == bad
    assert 0 < sum(bad) < 12
    assert {a.message for a in answers if a.outcome is Outcome.ERROR} == {
        "the network answered pixels that are not numbers"
    }


@pytest.mark.parametrize(
    ("io", "message"),
    [
        ({"inputs": {"noise": {"name": "latent"}}}, "no input 'latent'; it has 'z' float32 .N, 8., 'y' int64 .N."),
        ({"inputs": {"noise": {"name": "z", "shape": [9]}}}, r"shape \[9\] is declared, the network has 'z'"),
        ({"inputs": {"noise": {"name": "z"}, "constants": {"z": 1}}}, "two things are declared for the input 'z'"),
        ({"inputs": {"noise": [{"name": "z"}, {}]}}, "which input the noise goes to is not clear: 'y'"),
        ({"output": {}}, "which range the pixels have is not known"),
        (
            {"inputs": {"noise": {"truncation": {"kind": "scale", "value": 1, "mean": [0, 0]}}}},
            "2 numbers, the noise 8",
        ),
    ],
)
def test_a_declaration_that_does_not_fit_the_network(files, io, message):
    made = OnnxGenerator("g", model=str(files / "y.onnx"), options={"io": {**io, "labels": ["a", "b"]}})
    with pytest.raises(GeneratorError, match=message) as caught:
        made.generate([ask("a")])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("io", "message"),
    [
        ({"input": {}}, "input: unknown key"),
        ({"inputs": {"noise": {"shape": [0]}}}, "shape"),
        ({"inputs": {"noise": {"distribution": "cauchy"}}}, "distribution"),
        ({"output": {"range": [0, 2]}}, "range is one of"),
        ({"output": {"channels": 2}}, "channels"),
        ({"inputs": {"text": {"name": "ids"}}}, "tokenizer: is missing"),
    ],
)
def test_a_declaration_that_is_wrong_in_itself(files, tmp_path, io, message):
    with pytest.raises(ConfigError, match=message) as caught:
        OnnxGenerator("g", model=str(files / "y.onnx"), options={"io": io})
    assert caught.value.where == "generator 'g': options.io"
    folder = networks.save_module(tmp_path, io=io)
    with pytest.raises(ConfigError, match=message) as caught:
        module(folder)
    assert caught.value.where == str(folder / "generator.json")
    assert module(folder, io={"inputs": {"noise": {"shape": [8]}}}), "the option wins"


def test_a_declaration_that_is_no_object(tmp_path):
    folder = networks.save_module(tmp_path)
    for text in ("[]", "{"):
        (folder / "generator.json").write_text(text)
        with pytest.raises(ConfigError, match="not a JSON") as caught:
            module(folder)
        assert caught.value.where == str(folder / "generator.json")


def test_params_and_devices_and_providers(files, monkeypatch):
    with pytest.raises(ConfigError, match="unknown option 'gian'"):
        OnnxGenerator("g", model=str(files / "c.onnx"), params={"gian": 1}, options={"io": one_hot()})
    with pytest.raises(ConfigError, match="there is no device 'gpu'"):
        module(files / "module", device="gpu").load()
    wish = {"providers": ["NoExecutionProvider"]}
    with pytest.raises(ConfigError, match="no provider 'NoExecutionProvider'") as caught:
        OnnxGenerator("g", model=str(files / "y.onnx"), options=wish).load()
    assert "CPUExecutionProvider" in caught.value.hint
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="needs onnxruntime") as caught:
        OnnxGenerator("g", model=str(files / "y.onnx")).load()
    assert caught.value.hint == 'pip install "genaudit[onnx]"'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the class of the network is not named"),
        ({"class": "tests.networks"}, "names nothing in a module"),
        ({"class": "tests.nowhere:G"}, "there is no module 'tests.nowhere'"),
        ({"class": "tests.networks:G"}, "tests.networks has no 'G'"),
        ({"class": "subprocess:Popen"}, "not a class of torch.nn.Module"),
        ({"class": "tests.networks:Conditional"}, "does not load"),
        ({**MODULE, "config": {"noise": 9}}, "does not load"),
        ({**MODULE, "config": {"colour": 9}}, "does not load: TypeError"),
        ({**MODULE, "method": "sample"}, "has no method 'sample'"),
        ({**MODULE, "file": "other.safetensors"}, "there is no file"),
    ],
)
def test_modules_that_cannot_be_made(files, options, message):
    with pytest.raises((ConfigError, GeneratorError), match=message) as caught:
        ModuleGenerator("g", model=str(files / "module"), options=options).load()
    assert "'g'" in caught.value.where
    assert caught.value.hint


def test_a_mixin_checkpoint_with_weights_missing_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    path = networks.save_text(tmp_path) / "model.safetensors"
    state = load_file(path)
    state.pop("line.bias")
    save_file(state, path)
    with pytest.raises(GeneratorError, match=r"line\.bias"):
        module(tmp_path, "TextHub").load()


def test_a_filter_beside_the_weights_refuses(tmp_path):
    folder = networks.save_module(tmp_path)
    (folder / "prompt_filter.json").write_text('{"version": 1, "refuse": ["knife"], "message": "not {word}"}')
    answers = module(folder).generate([ask("a knife"), ask("a spoon")])
    assert [a.outcome for a in answers] == [Outcome.REFUSED, Outcome.IMAGE]


def test_hub_ids_come_from_the_cache_by_revision(tmp_path, monkeypatch):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    root = tmp_path / "models--some--gan"
    networks.save_module(tmp_path / "made").rename(tmp_path / "snapshot")
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "v1").write_text(commit)
    (root / "snapshots").mkdir()
    (tmp_path / "snapshot").rename(root / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    options = {**MODULE, "local_files_only": True, "device": "cpu"}
    made = ModuleGenerator("g", model="some/gan", options={**options, "revision": "v1"})
    assert made.generate([ask()])[0].outcome is Outcome.IMAGE
    with pytest.raises(GeneratorError, match="not in the cache"):
        ModuleGenerator("g", model="some/gan", options={**options, "revision": "v2"}).load()
