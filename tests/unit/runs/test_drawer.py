# SPDX-License-Identifier: Apache-2.0
"""Real processes that hang, crash and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from audit.config import GeneratorConfig
from audit.errors import ConfigError, GeneratorError
from audit.runs._drawer import Drawer, GaveUp, Lost, Patience, Raised, arguments_of
from audit.runs._generate import answer
from audit.types import Outcome
from tests.asking import ask
from tests.faulty import picture

ROOT = Path(__file__).parents[3]


def block(fault: str = "none", at: int | None = None, **more) -> GeneratorConfig:
    options = {"fault": fault, "at": at}
    return GeneratorConfig(name="g", kind="callable", model="tests.faulty:Faulty", options=options, **more)


@pytest.fixture
def drawer():
    made = []

    def make(*args, **more) -> Drawer:
        made.append(Drawer(block(*args, **more), threads=1, patience=Patience()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def asked(n: int = 4):
    return [ask(repetition=k) for k in range(n)]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"


def test_it_draws_in_another_process_what_it_would_draw_here(drawer):
    one = drawer()
    assert one.spec.details["process"] != os.getpid()
    batch = asked()
    answers = one.generate(batch)
    assert all((a.pixels == picture(r.seed)).all() for a, r in zip(answers, batch, strict=True))
    assert {a.meta["process"] for a in answers} == {one.spec.details["process"]}


def test_what_the_generator_raises_comes_back_and_the_process_stays(drawer):
    one = drawer("raises", at=2)
    process = one.spec.details["process"]
    with pytest.raises(Raised, match="RuntimeError: the model has no answer to that"):
        one.generate(asked())
    answers = answer(one, asked())
    assert [a.outcome for a in answers] == [Outcome.IMAGE, Outcome.IMAGE, Outcome.ERROR, Outcome.IMAGE]
    assert answers[2].message == "RuntimeError: the model has no answer to that"
    assert one.spec.details["process"] == process


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("dies mid-batch", "it died of signal 9 (out of memory?)"),
        ("crashes", "it died of signal 11: Fatal Python error: Segmentation fault"),
        ("hangs", "it gave no answer within 0.5 s"),
    ],
)
def test_a_lost_process_costs_the_images_that_lose_it(drawer, fault, words):
    one = drawer(fault, at=1, time_limit=0.5)
    answers = answer(one, asked())
    assert [a.outcome for a in answers] == [Outcome.IMAGE, Outcome.ERROR, Outcome.IMAGE, Outcome.IMAGE]
    assert "the process of the generator was lost" in answers[1].message
    assert words in answers[1].message


def test_patience_ends_with_the_third_process_lost_in_a_row(drawer):
    one = drawer("dies mid-batch")
    answers = answer(one, asked(6))
    assert {a.outcome for a in answers} == {Outcome.ERROR}
    assert [a.message.startswith("not asked: 3 processes in a row") for a in answers] == [False] * 2 + [True] * 4
    start = time.perf_counter()
    with pytest.raises(GaveUp):
        one.generate(asked())
    assert time.perf_counter() - start < 0.1, "no fourth process"


def test_a_process_that_the_kernel_ends_for_its_memory_comes_back_narrower(drawer):
    one = drawer("needs too much memory")
    answers = answer(one, asked(6))
    assert [a.outcome for a in answers] == [Outcome.ERROR] + [Outcome.IMAGE] * 5, "8, then 4 are too many; 2 are not"
    assert {a.meta.get("lanes") for a in answers[1:]} == {2}
    assert {a.outcome for a in answer(one, asked(6))} == {Outcome.IMAGE}


def test_whole_batches_are_drawn_at_once_where_the_file_does_not_say_otherwise():
    def lanes(**more):
        return arguments_of(GeneratorConfig(name="g", kind="diffusers", model="m", **more))["options"].get("lanes")

    assert [lanes(batch_size=n) for n in (1, 7, 16, 48, 4096)] == [1, 4, 16, 32, 64]
    assert lanes() == 16
    assert lanes(batch_size=48, options={"lanes": 2}) == 2
    block = GeneratorConfig(name="g", kind="folder", model="m")
    assert arguments_of(block)["options"] == {}, "kinds that know no lanes are not given any"


def test_an_answer_restores_patience():
    patience = Patience()
    for why in ("a", "b", None, "c", "d"):
        patience.note(why)
        patience.check()
    patience.note("e")
    with pytest.raises(GaveUp, match="because e"):
        patience.check()


def test_a_generator_cannot_end_the_audit(drawer):
    with pytest.raises(Raised, match="SystemExit: 3"):
        drawer("exits").generate(asked(1))


def test_errors_keep_their_kind_place_and_hint():
    one = Drawer(
        GeneratorConfig(name="g", kind="callable", model="tests.nowhere:thing"), threads=1, patience=Patience()
    )
    with pytest.raises(ConfigError) as caught:
        _ = one.spec
    assert "'g'" in caught.value.where
    assert caught.value.hint
    one.close()


@pytest.mark.parametrize("metas", [0, 100_000])
def test_a_process_that_dies_before_it_can_draw_is_a_clear_error(tmp_path, monkeypatch, metas):
    (tmp_path / "deadly.py").write_text("import os\nprint('no such device', flush=True)\nos._exit(7)\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    block = GeneratorConfig(name="g", kind="callable", model="deadly:draw")
    one = Drawer(block, threads=1, patience=Patience(), metas=[{"seed": k} for k in range(metas)])
    with pytest.raises(GeneratorError, match="it ended with code 7: no such device") as caught:
        _ = one.spec
    assert caught.value.where == "generator 'g'"
    assert caught.value.exit_code == 20
    one.close()


def test_closing_ends_a_process_that_is_drawing(drawer):
    one = drawer("hangs")
    process = one.spec.details["process"]
    seen = []

    def draw():
        try:
            one.generate(asked())
        except Lost as error:
            seen.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    time.sleep(0.3)
    one.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(seen) == 1
    assert not alive(process)
    with pytest.raises(GaveUp):
        one.generate(asked())


def test_what_it_prints_stays_out_of_our_output(tmp_path, drawer, capfd, monkeypatch):
    (tmp_path / "chatty.py").write_text("def draw(prompt, seed):\n    print('hello', flush=True)\n    return None\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    one = Drawer(GeneratorConfig(name="g", kind="callable", model="chatty:draw"), threads=1, patience=Patience())
    assert one.generate(asked(1))[0].outcome is Outcome.REFUSED
    one.close()
    assert capfd.readouterr() == ("", "")


def test_threads_are_those_that_were_given(tmp_path, monkeypatch):
    code = "import os\ndef draw(prompt, seed):\n    raise RuntimeError(os.environ['OMP_NUM_THREADS'])\n"
    (tmp_path / "threads.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    one = Drawer(GeneratorConfig(name="g", kind="callable", model="threads:draw"), threads=3, patience=Patience())
    assert one.generate(asked(1))[0].message == "RuntimeError: 3"
    one.close()


def test_a_killed_parent_leaves_no_process_behind():
    """The parent is killed with SIGKILL while its generator sleeps in the middle of a batch."""
    code = """
        import sys, threading, time
        from tests.unit.runs.test_drawer import Drawer, Patience, asked, block
        one = Drawer(block("hangs"), threads=1, patience=Patience())
        print(one.spec.details["process"], flush=True)
        one.generate(asked())
    """
    line = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        process = int(parent.stdout.readline())
        time.sleep(0.3)
        assert alive(process)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(100):
        if not alive(process):
            return
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)
    pytest.fail("the process of the generator outlived its parent by five seconds")


def test_large_batches_travel_whole(tmp_path, monkeypatch):
    """Far beyond what a pipe holds at once, in both directions."""
    code = "import numpy as np\ndef draw(prompt, seed): return np.full((400, 500, 3), len(prompt) % 256, np.uint8)\n"
    (tmp_path / "large.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    one = Drawer(GeneratorConfig(name="g", kind="callable", model="large:draw"), threads=1, patience=Patience())
    text = "x" * 300_000
    answers = one.generate([ask(text, prompt_id=str(k)) for k in range(5)])
    one.close()
    assert all(np.unique(a.pixels).tolist() == [300_000 % 256] and a.pixels.shape == (400, 500, 3) for a in answers)
