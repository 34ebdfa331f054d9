# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
import math
import operator
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

from audit.errors import AnnotatorError
from audit.features import ahead
from audit.features.ahead import cores
from audit.features.extract import decode_file


def children():
    """Processes that this one has started and that still run."""
    mine = str(os.getpid())
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[1] == mine and words[0] != "Z":
            found.append(path.parent.name)
    return set(found)


@pytest.mark.parametrize(
    ("workers", "few"), [(0, 64), (1, 64), (3, 64), (1, 0), (2, 0)], ids=["none", "thread", "threads", "process", "two"]
)
def test_results_come_in_order(workers, few):
    before = children()
    numbers = list(range(50))
    work = functools.partial(operator.mul, 3)
    assert list(ahead(work, numbers, workers=workers, few=few)) == [3 * k for k in numbers]
    assert children() <= before


def test_processes_do_the_work():
    """``eval`` can be sent anywhere, unlike a function of this file."""
    found = set(ahead(eval, ["__import__('os').getpid()"] * 60, workers=2, few=0))
    assert len(found) == 2
    assert os.getpid() not in found
    assert set(ahead(eval, ["__import__('os').getpid()"] * 60, workers=2, few=60)) == {os.getpid()}


def test_what_cannot_be_sent_stays_here():
    lock = threading.Lock()  # cannot be pickled
    assert list(ahead(lambda k: (lock.locked(), k), range(5), workers=2, few=0)) == [(False, k) for k in range(5)]
    large = [np.full(100_000, k, np.uint8) for k in range(5)]  # orders that no pipe holds
    assert list(ahead(functools.partial(np.sum, axis=0), large, workers=2, few=0)) == [100_000 * k for k in range(5)]


def test_only_so_much_waits_to_be_taken():
    done = []
    stream = ahead(lambda k: done.append(k) or k, range(1000), workers=2)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(done) < 20
    stream.close()


@pytest.mark.parametrize("few", [64, 0])
def test_errors_of_ours_arrive_whole(tmp_path, few):
    from PIL import Image

    paths = [tmp_path / f"{k}.png" for k in range(20)]
    for path in paths[:17]:
        Image.new("RGB", (4, 4)).save(path)
    paths[17].write_bytes(b"no picture")
    stream = ahead(decode_file, paths, workers=2, few=few)
    assert [next(stream).shape for _ in range(16)] == [(4, 4, 3)] * 16
    with pytest.raises(AnnotatorError, match="cannot be decoded") as caught:
        list(stream)
    assert caught.value.where == str(paths[17])
    assert caught.value.hint == "remove or replace the file"


def test_errors_of_others_are_told():
    with pytest.raises(AnnotatorError, match="ValueError"):
        list(ahead(math.sqrt, [1.0, -1.0], workers=1, few=0))


def test_a_lost_process_is_made_up_for():
    """One order ends its process; done here, in the parent, the same work does no harm."""
    deadly = f"9 if __import__('os').getpid() == {os.getpid()} else __import__('os')._exit(3)"
    orders = [*map(str, range(8)), deadly, *map(str, range(40))]
    assert list(ahead(eval, orders, workers=2, few=0)) == [*range(8), 9, *range(40)]


def test_stopping_early_leaves_nothing_behind():
    before = children()
    stream = ahead(functools.partial(operator.add, 1), range(5000), workers=2, few=0)
    assert [next(stream) for _ in range(3)] == [1, 2, 3]
    assert len(children() - before) == 2
    stream.close()
    assert children() <= before


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    """The whole process group is interrupted, as a terminal does it, while a script without any guard waits."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import time
            from audit.features import ahead
            print("once", flush=True)
            stream = ahead(time.sleep, [0.05] * 1000, workers=2, few=0)
            next(stream)
            from pathlib import Path
            import os
            print(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(), flush=True)
            for _ in stream:
                pass
            """
        )
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == "once\n"  # and not once more in every worker
        workers = process.stdout.readline().split()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=20) != 0
        assert process.stdout.read() == ""
    assert len(workers) == 2
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_cores():
    assert 1 <= cores() <= (os.cpu_count() or 1)
