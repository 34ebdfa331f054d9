# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.config import GeneratorConfig
from audit.runs._cores import available, crew_size, free_memory, measuring_threads

GIB = 1 << 30


def block(**more) -> GeneratorConfig:
    return GeneratorConfig(name="g", kind="diffusers", **more)


def test_as_many_processes_as_cores_where_the_weights_fit(tmp_path):
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(4 * GIB)  # a hole: no byte is written
    # Two copies of 4 GiB and 1 GiB of libraries each, in 60 % of the memory.
    sizes = {free: crew_size(block(model=str(tmp_path)), cores=16, free=free * GIB) for free in (1, 16, 32, 64, 1024)}
    assert sizes == {1: 1, 16: 1, 32: 2, 64: 4, 1024: 16}


def test_one_where_weights_cannot_be_seen_or_an_accelerator_draws(tmp_path):
    (tmp_path / "w").write_bytes(b"1")
    assert crew_size(block(model="owner/name"), cores=8, free=64 * GIB) == 1
    assert crew_size(block(model=None), cores=8, free=64 * GIB) == 1
    assert crew_size(block(model=str(tmp_path), options={"device": "cuda"}), cores=8, free=64 * GIB) == 1
    assert crew_size(block(model=str(tmp_path), options={"device": "cpu"}), cores=8, free=64 * GIB) == 8
    assert crew_size(block(model="reference:gan"), cores=8, free=64 * GIB) == 8


def test_the_file_decides_where_it_says_so():
    assert crew_size(block(model="owner/name", workers=3), cores=8) == 3


def test_fewer_threads_wished_for_are_fewer_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = available()
    for wish, expected in (("1", 1), ("999", cores), ("two", cores), ("0", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", wish)
        assert available() == expected


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_container_has_the_cores_of_its_quota(tmp_path, monkeypatch, files, cores):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    whole = available(tmp_path)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available(tmp_path) == (whole if cores is None else cores)


def test_a_container_has_the_memory_that_its_limit_leaves(tmp_path):
    whole = free_memory(tmp_path)
    assert whole > GIB // 4
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory(tmp_path) == pytest.approx(whole, rel=0.2)
    (tmp_path / "memory.max").write_text("5000\n")
    assert free_memory(tmp_path) == 4000


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 1), (16, 8)])
def test_instruments_take_half(cores, threads):
    assert measuring_threads(cores) == threads
