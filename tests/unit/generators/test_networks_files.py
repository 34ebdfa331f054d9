# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import io
import json
import pickle
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audit.errors import ConfigError, GeneratorError
from audit.generators import ModuleGenerator, OnnxGenerator, ProgramGenerator
from audit.generators.convert import convert, main
from audit.types import Outcome
from tests import networks
from tests.asking import ask, png

TRUST = "i_trust_this_pickle_and_its_author"
OPTIONS = {"class": "tests.networks:Unconditional"}


class Trap:
    """A pickle of it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def states():
    return networks.seeded(networks.Unconditional).state_dict()


def pickled(folder, content, name="model.pth", **how):
    """A module folder whose weights are a pickle."""
    networks.save_module(folder)
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / name, **how)
    return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return networks.save_program(tmp_path_factory.mktemp("p") / "g.pt2")


@pytest.mark.parametrize("name", ["g.pth", "g.pt", "g.bin", "g.ckpt", "g.pkl", "model.safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_refused_whatever_their_name(tmp_path, name, zipped):
    trap = tmp_path / "ran"
    folder = pickled(tmp_path / "m", {"a": Trap(trap)}, name, _use_new_zipfile_serialization=zipped)
    with pytest.raises(GeneratorError, match=r"is a pickle.*runs whatever code its author put into it") as caught:
        ModuleGenerator("g", model=str(folder), options=OPTIONS).generate([ask()])
    assert f"python -m audit.generators.convert {folder / name}" in caught.value.hint
    assert ("in spite of its name" in caught.value.message) is (name == "model.safetensors")
    with pytest.raises(GeneratorError, match="is a pickle"):
        ModuleGenerator("g", model=str(folder / name), options=OPTIONS)
    assert not trap.exists()


@pytest.mark.parametrize(("kind", "name"), [(OnnxGenerator, "g.onnx"), (ProgramGenerator, "g.pt2")])
def test_files_that_are_not_what_they_are_called(tmp_path, kind, name):
    trap = tmp_path / "ran"
    torch.save({"a": Trap(trap)}, tmp_path / name)
    with pytest.raises(GeneratorError):
        kind("g", model=str(tmp_path)).load()
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(GeneratorError, match=name) as caught:
        kind("g", model=str(tmp_path)).load()
    assert caught.value.hint
    assert not trap.exists()


def test_a_folder_with_several_files_or_none(tmp_path, program):
    with pytest.raises(GeneratorError, match=r"holds no \.pt2 file"):
        ProgramGenerator("g", model=str(tmp_path))
    for name in ("a.pt2", "b.pt2"):
        shutil.copy(program, tmp_path / name)
    with pytest.raises(ConfigError, match=r"holds a\.pt2, b\.pt2") as caught:
        ProgramGenerator("g", model=str(tmp_path))
    assert "`file`" in caught.value.hint
    assert ProgramGenerator("g", model=str(tmp_path), options={"file": "b.pt2"}).spec.details["file"] == "b.pt2"


def test_broken_safetensors(tmp_path):
    folder = networks.save_module(tmp_path)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(GeneratorError, match="does not load"):
        ModuleGenerator("g", model=str(folder), options=OPTIONS).load()
    path.write_bytes(b"<!DOCTYPE html><p>not found</p>")
    with pytest.raises(GeneratorError, match="not a file of safetensors"):
        ModuleGenerator("g", model=str(folder), options=OPTIONS).load()


def test_torchscript_is_refused_with_the_way_out(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(networks.seeded(networks.Unconditional), torch.zeros(1, 8)).save(tmp_path / "g.pt")
    for kind in (ModuleGenerator, ProgramGenerator):
        with pytest.raises(GeneratorError, match="is a TorchScript archive") as caught:
            kind("g", model=str(tmp_path), options=OPTIONS if kind is ModuleGenerator else {})
        assert "torch.export" in caught.value.hint
    with pytest.raises(GeneratorError, match="is a TorchScript archive"):
        ModuleGenerator("g", model=str(tmp_path), options={**OPTIONS, TRUST: True})


def test_a_trusted_pickle_draws_the_same_and_says_so(tmp_path):
    request = ask()
    plain = ModuleGenerator("g", model=str(networks.save_module(tmp_path / "s")), options=OPTIONS)
    want = png(plain.generate([request])[0])
    trap = tmp_path / "ran"
    for name, content, ran in (("data", states(), False), ("code", {"g_ema": states(), "x": Trap(trap)}, True)):
        folder = pickled(tmp_path / name, content)
        made = ModuleGenerator("g", model=str(folder), options={**OPTIONS, TRUST: True})
        assert png(made.generate([request])[0]) == want
        assert made.spec.details["pickle"] == "read on the word of the configuration"
        assert trap.exists() is ran
    assert plain.spec.details["pickle"] is None


def test_which_of_several_state_dicts(tmp_path):
    other = {name: tensor * 2 for name, tensor in states().items()}
    folder = pickled(tmp_path / "m", {"g": other, "g_ema": states(), "epoch": 3})
    options = {**OPTIONS, TRUST: True}
    with pytest.raises(ConfigError, match="it has: g, g_ema"):
        ModuleGenerator("g", model=str(folder), options=options).load()
    images = [
        png(ModuleGenerator("g", model=str(folder), options={**options, "key": key}).generate([ask()])[0])
        for key in ("g", "g_ema")
    ]
    assert images[0] != images[1]


@pytest.mark.parametrize("zipped", [True, False])
def test_convert(tmp_path, zipped, capsys):
    tied = states()
    tied["again"] = tied["line.weight"]
    content = {"g_ema": OrderedDict(tied), "opt": {"lr": 0.1}, "step": 3}
    torch.save(content, tmp_path / "in.pth", _use_new_zipfile_serialization=zipped)
    assert main([str(tmp_path / "in.pth"), str(tmp_path / "out.safetensors")]) == 0
    assert capsys.readouterr().out.startswith("3 tensors written to ")
    found = load_file(tmp_path / "out.safetensors")
    assert found.keys() == tied.keys()
    assert all(torch.equal(found[name], tied[name]) for name in tied)
    with pytest.raises(ConfigError, match="is there already"):
        convert(tmp_path / "in.pth", tmp_path / "out.safetensors")
    with pytest.raises(ConfigError, match="already safetensors"):
        convert(tmp_path / "out.safetensors", tmp_path / "b.safetensors")
    with pytest.raises(ConfigError, match="no state dict under 'g'; it has: g_ema"):
        convert(tmp_path / "in.pth", tmp_path / "b.safetensors", key="g")


def test_convert_runs_nothing(tmp_path):
    trap = tmp_path / "ran"
    (tmp_path / "in.pkl").write_bytes(pickle.dumps({"G_ema": Trap(trap)}))
    command = [sys.executable, "-m", "audit.generators.convert", str(tmp_path / "in.pkl"), str(tmp_path / "o")]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert out.returncode == 20
    assert "holds more than weights" in out.stderr
    assert "StyleGAN" in out.stderr
    assert "Traceback" not in out.stderr
    assert not trap.exists()
    assert not (tmp_path / "o").exists()
    pickle.loads((tmp_path / "in.pkl").read_bytes())
    assert trap.exists(), "the trap works"


def rewritten(source, target, change):
    """The archive with every entry passed through ``change(name inside, bytes) -> bytes``; a dict adds entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        top = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))
        for name, data in getattr(change, "more", {}).items():
            new.writestr(f"{top}/{name}", data)
    return target


def saved(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def in_samples(trap):
    return lambda name, data: saved((Trap(trap), {})) if "sample_inputs" in name else data


def in_sizes(trap):
    code = f"__import__('pathlib').Path({str(trap)!r}).touch() or 2"

    def change(name, data):
        if not name.startswith("models/"):
            return data
        graph = json.loads(data)
        size = graph["graph_module"]["graph"]["tensor_values"]["z"]["sizes"][0]["as_expr"]
        size["expr_str"] = code
        return json.dumps(graph).encode()

    return change


def in_weights(trap):
    def change(name, data):
        if name.endswith("weight_0"):
            return saved(Trap(trap))
        if name == "data/weights/model_weights_config.json":
            config = json.loads(data)
            next(iter(config["config"].values()))["use_pickle"] = True
            return json.dumps(config).encode()
        return data

    return change


@pytest.mark.parametrize("trick", [in_samples, in_sizes, in_weights])
def test_programs_that_would_run_code_are_refused(tmp_path, program, trick):
    trap = tmp_path / "ran"
    path = rewritten(program, tmp_path / "bad.pt2", trick(trap))
    with pytest.raises(GeneratorError, match="is not read: ") as caught:
        ProgramGenerator("g", model=str(path)).load()
    assert caught.value.hint
    assert not trap.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):  # independent truth: torch itself would have run it
            torch.export.load(path)
    assert trap.exists()


def test_other_things_that_no_plain_export_holds(tmp_path, program):
    def calls(target):
        def change(name, data):
            return data.replace(b"torch.ops.aten.tanh.default", target.encode()) if "models/" in name else data

        return change

    def plain(name, data):
        return data

    same = rewritten(program, tmp_path / "same.pt2", plain)
    assert ProgramGenerator("g", model=str(same)).generate([ask()])[0].outcome is Outcome.IMAGE
    for index, target in enumerate(("torch.ops.load_library", "torch.os.system", "torch.hub.load", "_operator.call")):
        with pytest.raises(GeneratorError, match=f"the graph calls .{target}"):
            ProgramGenerator("g", model=str(rewritten(program, tmp_path / f"{index}.pt2", calls(target)))).load()
    for index, name in enumerate(
        ("data/aotinductor/model/x.so", "data/constants/opaque_obj_0", "data/weights/model.pt", "version")
    ):
        plain.more = {name: b"x"}
        path = rewritten(program, tmp_path / f"more{index}.pt2", plain)
        with pytest.raises(GeneratorError, match="is not read") if name != "version" else warnings.catch_warnings():
            ProgramGenerator("g", model=str(path)).load()
