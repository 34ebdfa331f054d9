# SPDX-License-Identifier: Apache-2.0
"""What drawing takes: of real processes, and of counters laid out in a folder as the kernel does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from audit.config import GeneratorConfig
from audit.generators._energy import Energy, NvmlCounter, RaplCounter
from audit.generators._meter import Meter, _reset_peak
from audit.runs._drawer import Drawer, Patience
from audit.types import Generation, Outcome
from tests.asking import ask

MB = 1 << 20


class Works:
    """Takes ``megabytes`` of memory, ``seconds`` of one processor, and refuses every ``refuse``-th request."""

    spec = None

    def __init__(self, *, megabytes: int = 0, seconds: float = 0.0, refuse: int = 0) -> None:
        self.megabytes, self.seconds, self.refuse = megabytes, seconds, refuse

    def generate(self, batch):
        kept = np.ones(self.megabytes * MB, np.uint8)
        start = time.process_time()
        while time.process_time() - start < self.seconds:
            kept[:1] += 1
        picture = np.zeros((4, 4, 3), np.uint8)
        return [
            Generation(r.id, Outcome.REFUSED, message="no")
            if self.refuse and k % self.refuse == 0
            else Generation(r.id, Outcome.IMAGE, pixels=picture, meta={"seed": r.seed})
            for k, r in enumerate(batch)
        ]


class Counts:
    """Stands for a counter of the machine: moves by fixed joules."""

    def __init__(self, *joules: float) -> None:
        self.joules = list(joules)

    def begin(self) -> None:
        pass

    def spent(self) -> tuple[float, str]:
        return self.joules.pop(0), "a counter"


def asked(n: int = 4):
    return [ask(repetition=k) for k in range(n)]


def test_processor_time_is_shared_by_the_images():
    meter = Meter(count=False)
    answers = meter.draw(Works(seconds=0.2, refuse=2), asked(4))
    assert [a.outcome for a in answers] == [Outcome.REFUSED, Outcome.IMAGE] * 2
    assert [a.meta.get("meter.cpu_seconds") for a in answers[::2]] == [None, None]
    shares = [a.meta["meter.cpu_seconds"] for a in answers[1::2]]
    assert shares[0] == shares[1]
    assert 0.1 <= shares[0] < 0.2
    assert answers[1].meta["seed"] == asked()[1].seed, "what the generator says stays"


def test_a_peak_is_of_its_own_batch_where_the_system_resets_it():
    meter, found = Meter(count=False), []
    for megabytes in (8, 200, 8):
        meta = meter.draw(Works(megabytes=megabytes), asked(1))[0].meta
        found.append(meta["meter.memory"] / MB)
        assert meta["meter.memory_by"].startswith("resident memory of the process that draws")
    assert found[1] > found[0] + 150
    if _reset_peak():
        assert found[2] < found[1] - 150
    else:
        assert found[2] >= found[1]


def test_where_peaks_cannot_be_reset_it_says_so(tmp_path, monkeypatch):
    assert not _reset_peak(tmp_path / "nowhere")
    (tmp_path / "clear_refs").touch()
    (tmp_path / "status").write_text(f"VmHWM: {500 * 1024} kB\nVmRSS: {100 * 1024} kB\n")
    assert not _reset_peak(tmp_path), "written without an error, and nothing was reset"
    (tmp_path / "status").write_text(f"VmHWM: {101 * 1024} kB\nVmRSS: {100 * 1024} kB\n")
    assert _reset_peak(tmp_path)
    monkeypatch.setattr("audit.generators._meter._PROC", tmp_path / "nowhere")
    monkeypatch.setattr("audit.generators._meter._reset_peak", lambda: False)
    meta = Meter(count=False).draw(Works(), asked(1))[0].meta
    assert meta["meter.memory_by"].endswith("since it began")
    assert meta["meter.memory"] > MB


def test_drawers_share_the_counters_of_the_machine():
    meter = Meter(count=False, energy=Counts(120.0, 120.0))
    assert meter.draw(Works(), asked(4))[0].meta["meter.energy"] == 30.0
    meta = meter.draw(Works(), asked(4), drawers=3)[0].meta
    assert (meta["meter.energy"], meta["meter.drawers"], meta["meter.energy_by"]) == (10.0, 3, "a counter")


def test_a_batch_without_an_image_took_nothing_of_one():
    assert [a.meta for a in Meter(count=False).draw(Works(refuse=1), asked(2))] == [{}, {}]


# -- counters of energy ----------------------------------------------------------------------------------------


def zone(root: Path, name: str, *, number: str, energy: int, most: int = 262_143_328_850) -> Path:
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder / "energy_uj"


def test_packages_and_memory_are_added_and_their_parts_are_not(tmp_path):
    package = zone(tmp_path, "package-0", number="0", energy=1_000_000)
    core = zone(tmp_path, "core", number="0:0", energy=0)
    memory = zone(tmp_path, "dram", number="0:1", energy=5)
    psys = zone(tmp_path, "psys", number="1", energy=0)
    energy = Energy(rapl=RaplCounter(tmp_path))
    energy.begin()
    for path, value in ((package, 4_500_000), (core, 9_000_000), (memory, 500_005), (psys, 99_000_000)):
        path.write_text(str(value))
    joules, by = energy.spent()
    assert joules == pytest.approx(4.0)
    assert "RAPL" in by
    assert "whole machine" in by


def test_a_counter_that_wrapped(tmp_path):
    package = zone(tmp_path, "package-0", number="0", energy=999_999_000, most=999_999_999)
    counter = RaplCounter(tmp_path)
    start = counter.read()
    package.write_text("1000")
    assert counter.between(start, counter.read()) == pytest.approx(2000e-6)
    later = (counter.read()[0], start[1] + 2.1)
    assert counter.between(start, later) is None, "1000 J at 500 W: it may have wrapped twice"


def test_no_counter_is_no_number_and_the_reason_is_told(tmp_path):
    energy = Energy(rapl=RaplCounter(tmp_path))
    energy.begin()
    assert energy.spent() == (None, "the machine has no RAPL counters")
    package = zone(tmp_path, "package-0", number="0", energy=7)
    known = Energy(rapl=RaplCounter(tmp_path))
    known.begin()
    package.unlink()
    assert known.spent() == (None, "the counters of energy could not be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_counters_that_only_root_may_read(tmp_path):
    zone(tmp_path, "package-0", number="0", energy=7).chmod(0)
    assert RaplCounter(tmp_path).why == "this user may not read the RAPL counters (energy_uj)"


def test_accelerators_count_from_their_first_reading():
    counter = NvmlCounter()
    assert counter.between({"GPU-a": 1000}, {"GPU-a": 3500}) == 2.5
    assert counter.between({}, {"GPU-a": 3500}) is None
    assert counter.between({}, {}) is None


# -- operations, in real processes -----------------------------------------------------------------------------


def drawer(**more) -> Drawer:
    return Drawer(GeneratorConfig(name="g", **more), threads=1, patience=Patience())


def test_operations_are_counted_once_in_the_life_of_a_run():
    one = drawer(kind="gan", model="reference:gan")
    first, second = one.generate(asked(2)), one.generate(asked(2))
    one.close()
    assert first[0].meta["meter.flops"] == 183_038_976
    assert first[0].meta["meter.flops_by"].startswith("counted once, over 2 images")
    assert "meter.flops" not in second[0].meta
    assert np.array_equal(first[1].pixels, second[1].pixels)
    metas = [dict(a.meta) for a in first]
    again = Drawer(one._block, threads=1, patience=Patience(), metas=metas)
    resumed = again.generate(asked(2))
    again.close()
    assert "meter.flops" not in resumed[0].meta
    assert np.array_equal(first[1].pixels, resumed[1].pixels)


def test_a_process_without_torch_says_so():
    one = drawer(kind="callable", model="tests.faulty:Faulty", options={"fault": "none", "at": None})
    meta = one.generate(asked(1))[0].meta
    one.close()
    assert meta["meter.flops_by"] == "not counted: nothing in its process uses torch"
    assert "meter.flops" not in meta


class Torch(Works):
    """Multiplies, until it is told to fail."""

    def __init__(self, *, fails: int = 0, countable: bool = True) -> None:
        super().__init__()
        self.fails, self.countable, self.calls = fails, countable, 0

    def generate(self, batch):
        import torch

        self.calls += 1
        if self.calls <= self.fails:
            raise RuntimeError("no")
        _ = torch.ones(len(batch), 3) @ torch.ones(3, 5)
        return super().generate(batch)


def test_compiled_networks_are_not_counted():
    meta = Meter().draw(Torch(countable=False), asked(1))[0].meta
    assert meta["meter.flops_by"] == "not counted: its networks are compiled, and run unseen"


def test_failing_under_the_counter_costs_no_image():
    meter, generator = Meter(), Torch(fails=1)
    meta = meter.draw(generator, asked(2))[0].meta
    assert (generator.calls, meta["meter.flops_by"]) == (2, "not counted: drawing failed while operations were counted")
    meter = Meter()
    with pytest.raises(RuntimeError, match="no"):
        meter.draw(Torch(fails=2), asked(2))
    assert meter.draw(Torch(), asked(2))[0].meta["meter.flops"] == 2 * 3 * 5
