# SPDX-License-Identifier: Apache-2.0
"""The library is what we take it for, and one that is not is an error with a remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from audit.provenance import drift

RUN = """
import sys
from audit.errors import ConfigError
try:
    {call}
except ConfigError as error:
    print("MESSAGE", error); print("HINT", error.hint)
else:
    print("FINE")
"""


def _run(call: str, *, first: Path | None = None, cwd: Path | None = None, **env: str) -> str:
    """What a fresh interpreter says, with ``first`` at the head of its path."""
    root = str(Path(drift.__file__).parents[2])
    path = os.pathsep.join([*([str(first)] if first else []), root])
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(call=call)],
        env={**os.environ, "PYTHONPATH": path, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


LOAD = "from audit.provenance._native import load; load()"
ENSURE = "from audit.provenance.drift import ensure; ensure()"


def test_the_installed_library_does_what_we_rely_on() -> None:
    findings = drift.self_test()
    assert [finding for finding in findings if not finding.ok] == []
    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names) >= 15
    assert all(finding.expected and finding.found for finding in findings)


def test_it_takes_little_time() -> None:
    took = []
    for _ in range(4):
        started = time.perf_counter()
        drift.self_test()
        took.append(time.perf_counter() - started)
    assert min(took) < 0.3  # about 25 ms where nothing else runs


def test_a_pass_is_remembered_and_nothing_else(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(drift, "_PASSED", set())
    drift.ensure()
    (memory,) = (tmp_path / "cache" / "c2pa").iterdir()
    said = json.loads(memory.read_text())
    assert said["passed"] is True
    assert len(said["findings"]) == len(drift.self_test())
    for broken in ("", "[]", "{}", json.dumps({**said, "key": "other"}), json.dumps({**said, "passed": False})):
        memory.write_text(broken)
        monkeypatch.setattr(drift, "_PASSED", set())
        drift.ensure()  # asks again, and mends the file
        assert json.loads(memory.read_text())["passed"] is True


def test_what_is_remembered_is_not_asked_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(drift, "_PASSED", set())
    drift.ensure()
    monkeypatch.setattr(drift, "_PASSED", set())
    started = time.perf_counter()
    drift.ensure()
    first = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(100):
        drift.ensure()
    assert (time.perf_counter() - started) / 100 < first + 0.01
    assert len(drift._PASSED) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert _run(ENSURE, GENAUDIT_CACHE=str(tmp_path / "file")).strip() == "FINE"


# Libraries that do other things. The package is the real one, with one change; it stands first on the path.


def _with_change(folder: Path, code: str) -> Path:
    """A package ``c2pa`` that is the installed one with ``code`` run on it."""
    real = find_spec("c2pa")
    assert real is not None
    assert real.origin is not None
    (folder / "c2pa").mkdir(parents=True)
    source = f"""
        import importlib.util, sys
        places = [{str(Path(real.origin).parent)!r}]
        spec = importlib.util.spec_from_file_location("c2pa", {real.origin!r}, submodule_search_locations=places)
        module = importlib.util.module_from_spec(spec)
        sys.modules["c2pa"] = module
        spec.loader.exec_module(module)
    """
    (folder / "c2pa" / "__init__.py").write_text(textwrap.dedent(source) + textwrap.dedent(code))
    return folder


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("module.sdk_version = lambda: '0.92.0'", "version of its native library: expected >=0.91,<0.92, found 0.92.0"),
        (
            """
            made = module.Context.from_dict
            def from_dict(config, signer=None):
                config = {**config, "trust": {k: v for k, v in config["trust"].items() if k != "trust_config"}}
                return made(config, signer=signer)
            module.Context.from_dict = from_dict
            """,
            "certificates for C2PA claims sign: expected signs, found refused",
        ),
        (
            """
            made = module.Context.from_dict
            def from_dict(config, signer=None):
                if "builder" in config:
                    config["builder"]["thumbnail"]["enabled"] = True
                    config["builder"]["created_assertion_labels"] = []
                return made(config, signer=signer)
            module.Context.from_dict = from_dict
            """,
            "thumbnails stay off: expected none, found c2pa.thumbnail.claim",
        ),
        (
            """
            made = module.Context.from_dict
            def from_dict(config, signer=None):
                return made({**config, "verify": {**config["verify"], "remote_manifest_fetch": True}}, signer=signer)
            module.Context.from_dict = from_dict
            """,
            "credentials elsewhere are not fetched: expected not fetched, found tried to fetch",
        ),
        (
            """
            made = module.Context.from_dict
            def from_dict(config, signer=None):
                return made({**config, "verify": {**config["verify"], "verify_trust": False}}, signer=signer)
            module.Context.from_dict = from_dict
            """,
            "without anchors nobody is trusted: expected Valid signingCredential.untrusted, found Valid",
        ),
        (
            """
            sign = module.Builder.sign
            module.Builder.sign = lambda self, *given: sign(self, *given) and None
            """,
            "signing returns the embedded manifest store: expected yes, found no",
        ),
        ("del module.Context", "signing with a development chain: expected works, found AttributeError"),
    ],
)
def test_a_library_that_has_drifted_is_an_error_that_says_what_changed(tmp_path, code, named) -> None:
    said = _run(ENSURE, first=_with_change(tmp_path / "first", code), GENAUDIT_CACHE=str(tmp_path / "cache"))
    assert "MESSAGE c2pa-python: version" in said
    assert named in said
    assert 'HINT pip install "c2pa-python>=0.38,<0.39"' in said
    assert not list((tmp_path / "cache").rglob("*.json"))  # a failure is not remembered


def test_a_library_that_is_not_installed(tmp_path) -> None:
    said = _run(
        f"sys.modules['c2pa'] = None; {LOAD}"
    )  # what the interpreter itself does for a module that is not there
    assert "cannot be loaded" in said or "is not installed" in said
    assert 'pip install "c2pa-python>=0.38,<0.39"' in said


def test_a_native_library_that_is_damaged(tmp_path) -> None:
    said = _run(LOAD, first=_copy(tmp_path / "first", b"\x7fELF and nothing more"))
    assert "MESSAGE c2pa-python: the C2PA library cannot be loaded: " in said
    assert _library().name in said
    assert "--force-reinstall" in said


@pytest.mark.skipif(sys.platform != "linux", reason="GLIBC")
def test_a_system_that_is_too_old(tmp_path) -> None:
    """The real library, asking for a GLIBC that no system has yet: the dynamic loader itself refuses it."""
    real = _library().read_bytes()
    assert b"GLIBC_2.34\0" in real
    said = _run(LOAD, first=_copy(tmp_path / "first", real.replace(b"GLIBC_2.34\0", b"GLIBC_9.99\0")))
    assert "it needs GLIBC 9.99, this system has 2." in said
    assert "HINT use Debian 12, Ubuntu 22.04, RHEL 9 or later" in said


def test_a_library_in_the_working_folder_is_not_run(tmp_path) -> None:
    """Images may come with anything beside them, and the package looks in the working folder first."""
    name = _library().name
    (tmp_path / name).write_bytes(b"\x7fELF, but not a library of ours")
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / name).write_bytes(b"nor this")
    call = f"{LOAD}; import os; maps = open('/proc/self/maps').read() if os.path.exists('/proc/self/maps') else ''"
    said = _run(
        f"{call}; assert {str(tmp_path)!r} not in maps; assert 'C2PA_LIBRARY_NAME' not in os.environ", cwd=tmp_path
    )
    assert said.strip() == "FINE"


def _library() -> Path:
    spec = find_spec("c2pa")
    assert spec is not None
    assert spec.origin is not None
    return next(
        path for path in (Path(spec.origin).parent / "libs").iterdir() if path.suffix in {".so", ".dylib", ".dll"}
    )


def _copy(folder: Path, native: bytes) -> Path:
    """The installed package with another native library."""
    source = _library().parents[1]
    (folder / "c2pa" / "libs").mkdir(parents=True)
    for path in source.glob("*.py"):
        (folder / "c2pa" / path.name).write_bytes(path.read_bytes())
    (folder / "c2pa" / "libs" / _library().name).write_bytes(native)
    return folder
