# SPDX-License-Identifier: Apache-2.0
"""Limits are real: the child is really slow, really short of memory, really killed."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.provenance import State, Verified, verify_bytes, verify_many, verify_path
from audit.provenance._limits import Limits
from audit.provenance._sandbox import Sandbox
from audit.provenance._sources import Source
from audit.provenance._verdict import Ingredient, SoftBinding, TimeStamp, verified_from
from audit.provenance.trust import TrustList

MIB = 2**20


@pytest.fixture(scope="module")
def box(authority):
    with Sandbox([TrustList.of(authority.pem)], workers=2) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def large(signer, tmp_path_factory) -> Path:
    """A signed file of 27 MB."""
    pixels = np.random.default_rng(0).integers(0, 255, (3000, 3000, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=0)
    path = tmp_path_factory.mktemp("large") / "large.png"
    path.write_bytes(signer.sign(out.getvalue()))
    return path


def wait_until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def test_the_same_verdict_as_in_this_process(box, signer, stranger, picture, authority, tmp_path) -> None:
    signed = signer.sign(picture())
    files = {
        "signed": signed,
        "stranger": stranger.sign(picture()),
        "plain": picture(),
        "changed": signed[:-30] + b"\0" + signed[-29:],
        "edited": signer.sign(stranger.sign(picture()), edit=True),
        "text": b"hello",
        "empty": b"",
        "cut": signed[:2000],
        "pointer": signer.sign(picture(), remote="https://x.example/a", embed=False),
    }
    for name, data in files.items():
        here = verify_bytes(data, anchors=authority.pem)
        assert box.verify(Source(name, data=data)) == here, name
        path = tmp_path / name
        path.write_bytes(data)
        assert box.verify(Source(name, path)) == here, name
    assert box.verify(Source("gone", tmp_path / "gone")) == replace(
        verify_path(tmp_path / "gone"), lists=(TrustList.of(authority.pem).record,)
    )
    assert len(box.children) == 1  # one child did it all


def test_names_of_any_bytes(box, signer, picture, tmp_path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe \n'.png"))
    path.write_bytes(signer.sign(picture()))
    assert box.verify(Source(str(path), path)).state is State.NO_TIMESTAMP


def test_too_slow(large) -> None:
    with Sandbox(limits=Limits(seconds=0.001)) as box:
        found = box.verify(Source("x", large))
        assert (found.state, found.codes) == (State.UNDETERMINED, ("genaudit.verifier.time",))
        assert "0.001 s" in found.message


@pytest.mark.skipif(sys.platform != "linux", reason="address space is not limited elsewhere")
@pytest.mark.parametrize("as_bytes", [False, True])
def test_too_little_memory(large, as_bytes) -> None:
    source = Source("x", data=large.read_bytes()) if as_bytes else Source("x", large)
    with Sandbox(limits=Limits(memory=15 * MIB)) as box:
        found = box.verify(source)
        assert (found.state, found.codes) == (State.UNDETERMINED, ("genaudit.verifier.memory",))
        assert "15 MiB" in found.message
    with Sandbox(limits=Limits(memory=40 * MIB)) as box:  # enough to read it, not to parse it
        assert box.verify(source).codes == ("genaudit.verifier.memory",)
    with Sandbox(limits=Limits(memory=100 * MIB)) as box:
        assert box.verify(source).state is State.VALID_UNTRUSTED


def test_a_file_after_one_that_was_too_much(large, signer, picture) -> None:
    """Another child takes the place of the one that was ended."""
    with Sandbox(limits=Limits(memory=40 * MIB)) as box:
        small = Source("small", data=signer.sign(picture()))
        assert box.verify(small).state is State.VALID_UNTRUSTED
        (first,) = box.children
        assert box.verify(Source("large", large)).state is State.UNDETERMINED
        assert box.verify(small).state is State.VALID_UNTRUSTED
        (second,) = box.children
        assert first != second


@pytest.mark.parametrize(
    ("blow", "state", "code"),
    [
        (signal.SIGSEGV, State.UNREADABLE, "genaudit.verifier.crashed"),
        (signal.SIGABRT, State.UNREADABLE, "genaudit.verifier.crashed"),
        (signal.SIGKILL, State.UNDETERMINED, "genaudit.verifier.killed"),
    ],
)
def test_killed_at_work(signer, picture, blow, state, code) -> None:
    with Sandbox() as box:
        box.verify(Source("warm", data=picture()))
        (child,) = box.children
        os.kill(child, signal.SIGSTOP)  # so that it is surely at work when the blow falls
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(box.verify, Source("x", data=signer.sign(picture())))
            time.sleep(0.1)
            os.kill(child, blow)
            os.kill(child, signal.SIGCONT)
            found = waiting.result(timeout=30)
        assert (found.state, found.codes) == (state, (code,))
        if state is State.UNREADABLE:
            assert f"signal {blow.value}" in found.message
        assert box.verify(Source("next", data=signer.sign(picture()))).state is State.VALID_UNTRUSTED


def test_one_that_stands_still(picture) -> None:
    """It reads nothing, so a large file fills the pipe; the clock runs all the same."""
    with Sandbox(limits=Limits(seconds=1.0)) as box:
        box.verify(Source("warm", data=picture()))
        os.kill(box.children[0], signal.SIGSTOP)
        began = time.monotonic()
        found = box.verify(Source("x", data=bytes(32 * MIB)))
        assert found.codes == ("genaudit.verifier.time",)
        assert time.monotonic() - began < 10


def test_killed_between_files(signer, picture) -> None:
    """The next file must not pay for what happened before it."""
    with Sandbox() as box:
        signed = Source("x", data=signer.sign(picture()))
        box.verify(signed)
        (child,) = box.children
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not box.children)
        assert box.verify(signed).state is State.VALID_UNTRUSTED


def test_children_end_with_the_sandbox(picture) -> None:
    box = Sandbox(workers=2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: box.verify(Source("x", data=picture())), range(8)))
    children = box.children
    assert children
    box.close()
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    assert box.verify(Source("x", data=picture())).codes == ("genaudit.verifier.start",)


def test_children_end_with_their_parent(tmp_path, picture) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from audit.provenance._sandbox import Sandbox\n"
        "from audit.provenance._sources import Source\n"
        "box = Sandbox()\n"
        f"box.verify(Source('x', Path({str(tmp_path / 'a.png')!r})))\n"
        "print(box.children[0], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    child = int(done.stdout)

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    wait_until(gone)


def test_the_child_has_no_secrets_and_may_not_write(monkeypatch, picture, tmp_path) -> None:
    monkeypatch.setenv("GENAUDIT_KEY_PASSWORD", "hunter2")
    with Sandbox() as box:
        box.verify(Source("x", data=picture()))
        (child,) = box.children
        assert b"hunter2" not in Path(f"/proc/{child}/environ").read_bytes()
        limits = Path(f"/proc/{child}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert (rows["Max file size"], rows["Max core file size"]) == ("0", "0")
    assert int(rows["Max address space"]) < 4 * 2**30
    assert int(rows["Max cpu time"]) < 60


def test_threads_share_it(box, signer, picture) -> None:
    signed, plain = signer.sign(picture()), picture()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: box.verify(Source(str(i), data=plain if i % 3 else signed)), range(60)))
    assert [verdict.state for verdict in found] == [State.ABSENT if i % 3 else State.NO_TIMESTAMP for i in range(60)]
    assert len(box.children) <= 2


def test_a_fork_gets_its_own(box, signer, picture) -> None:
    signed = Source("x", data=signer.sign(picture()))
    assert box.verify(signed).state is State.NO_TIMESTAMP
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if box.verify(signed).state is State.NO_TIMESTAMP else 2
            box.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert box.verify(signed).state is State.NO_TIMESTAMP


def test_a_pickled_one_works(signer, picture, authority) -> None:
    with Sandbox([TrustList.of(authority.pem)]) as box:
        box.verify(Source("x", data=picture()))
        with pickle.loads(pickle.dumps(box)) as copy:
            assert copy.verify(Source("x", data=signer.sign(picture()))).state is State.NO_TIMESTAMP


def test_a_python_that_does_not_start(monkeypatch, picture) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Sandbox() as box:
        found = box.verify(Source("x", data=picture()))
    assert (found.state, found.codes) == (State.UNDETERMINED, ("genaudit.verifier.start",))


# -- many ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "isolated"), [(1, True), (3, True), (1, False), (3, False)])
def test_many_in_order(signer, picture, tmp_path, workers, isolated) -> None:
    signed = signer.sign(picture())
    items: list[Path | str | Source] = []
    expected = []
    for index in range(40):
        path = tmp_path / f"{index}.png"
        path.write_bytes(signed if index % 2 else picture())
        items.append(str(path) if index % 3 else path)
        expected.append("valid_untrusted" if index % 2 else "absent")
    items += [Source("inside", data=signed), Source("broken", problem="no"), tmp_path / "missing", tmp_path]
    expected += ["valid_untrusted", "unreadable", "unreadable", "unreadable"]
    assert [found.state.value for found in verify_many(items, workers=workers, isolated=isolated)] == expected


def test_many_takes_no_more_than_it_needs(picture) -> None:
    """An archive never stands in memory as a whole."""
    taken = 0

    def items():
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield Source("x", data=picture())

    found = verify_many(items(), workers=2, isolated=False)
    for _ in range(5):
        next(found)
    assert taken <= 5 + 4
    found.close()
    assert taken <= 5 + 4


def test_leaving_early_ends_everything(picture) -> None:
    before = threading.active_count()
    found = verify_many((Source("x", data=picture()) for _ in range(1000)), workers=2)
    next(found)
    found.close()
    wait_until(lambda: threading.active_count() <= before)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_regular_file_is_not_read(tmp_path, kind) -> None:
    path = {"fifo": tmp_path / "fifo", "device": Path("/dev/zero"), "folder": tmp_path}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    found = verify_path(path)
    assert (found.state, "not a regular file" in found.message) == (State.UNREADABLE, True)


# -- what a child says is checked ------------------------------------------------------------------------------


def test_a_verdict_survives_the_way() -> None:
    record = TrustList("n", "signers", "ab", 1, 0).record
    verdict = Verified(
        State.BAD_INGREDIENT,
        codes=("a", "b"),
        ai=True,
        watermark=SoftBinding("x", None),
        timestamp=TimeStamp("t", None, "trusted"),
        ingredients=(Ingredient("parentOf", codes=("c",)),),
        trust_list=record,
        lists=(record, record),
        rubric=("r",),
    )
    import json

    assert verified_from(json.loads(json.dumps(asdict(verdict)))) == verdict


@pytest.mark.parametrize(
    "change",
    [
        {"state": "fine"},
        {"ai": 1},
        {"codes": "abc"},
        {"codes": [1]},
        {"issuer": ["x"]},
        {"lists": [{"name": "x"}]},
        {"ingredients": [None]},
        {"message": None},
        {"unknown": 1},
        {"trust_list": {"name": "n", "kind": "k", "uri": "u", "sha256": "s", "date": None, "certificates": True}},
    ],
)
def test_anything_else_is_refused(change) -> None:
    import json

    plain = json.loads(json.dumps(asdict(Verified(State.ABSENT)))) | change
    with pytest.raises(ValueError, match=r".+"):
        verified_from(plain)


@pytest.mark.parametrize("plain", [None, [], "x", 3])
def test_no_table_is_refused(plain) -> None:
    with pytest.raises(ValueError, match="not a table"):
        verified_from(plain)


def test_a_library_that_does_not_load(monkeypatch, picture, tmp_path) -> None:
    (tmp_path / "c2pa.py").write_text("raise ImportError('GLIBC_2.34 not found')")
    monkeypatch.syspath_prepend(tmp_path)  # the child looks where this process looks
    with Sandbox() as box:
        found = box.verify(Source("x", data=picture()))
    assert (found.state, found.codes) == (State.UNDETERMINED, ("genaudit.library",))
    assert "GLIBC_2.34" in found.message


def test_limits_beyond_what_there_is(signer, picture) -> None:
    with Sandbox(limits=Limits(seconds=1e9, memory=2**80)) as box:
        assert box.verify(Source("x", data=signer.sign(picture()))).state is State.VALID_UNTRUSTED


def test_relative_paths_after_a_change_of_folder(monkeypatch, signer, picture, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(signer.sign(picture()))
    with Sandbox() as box:
        box.verify(Source("x", data=picture()))
        monkeypatch.chdir(tmp_path)
        assert box.verify(Source("a.png", Path("a.png"))).state is State.VALID_UNTRUSTED
