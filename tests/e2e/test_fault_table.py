# SPDX-License-Identifier: Apache-2.0
"""Whatever a generator does, the run finishes and every request has its row. Prints the table: ``pytest -s``.

The local generator really hangs, crashes and is killed in a process of its own; the hosted one is a server on loopback
that fails as planned. Each line is one ``genaudit run`` of twelve requests, judged by a policy that asks for half.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from audit.runs import Run
from tests.servers import serving

ROOT = Path(__file__).parents[2]
REQUESTS = 12
PATIENCE = {"retries": 2, "backoff": 0.01, "timeout": 0.5}
POLICY = """schema: 1
name: half
version: 1.0.0
title: Half of the requests
rules: [{id: answered, rule: threshold, metric: outcomes.answered, exact: true, at_least: 0.5}]
"""
# fault -> outcomes beside IMAGE where one request meets it, and where all do; exit codes; a word of the message
LOCAL: dict[str, tuple[dict[str, int], dict[str, int], str]] = {
    "raises": ({"error": 1}, {"error": 12}, "RuntimeError: the model has no answer to that"),
    "exits": ({"error": 1}, {"error": 12}, "SystemExit: 3"),
    "hangs": ({"error": 1}, {"error": 12}, "no answer within"),
    "dies mid-batch": ({"error": 1}, {"error": 12}, "signal 9"),
    "crashes": ({"error": 1}, {"error": 12}, "Segmentation fault"),
    "returns too few": ({"error": 1}, {"error": 12}, "returned no answer"),
    "draws nothing": ({"error": 1}, {"error": 12}, "not uint8 (height, width, 3)"),
    "draws NaN": ({"error": 1}, {"error": 12}, "float32"),
    "draws black": ({"error": 1}, {"error": 12}, "one colour, black"),
    "draws one colour": ({"error": 1}, {"error": 12}, "one colour, #777777"),
    "draws another size": ({"error": 1}, {"error": 12}, "16x8 pixels, asked for was 16x16"),
    "refuses": ({"refused": 1}, {"refused": 12}, "not this"),
    "blocks": ({"blocked": 1}, {"blocked": 12}, "not this"),
}
# What a server does once is asked for again, and leaves no trace but the number of tries.
HOSTED: dict[str, tuple[dict[str, int], dict[str, int], str]] = {
    "500": ({}, {"error": 12}, "500"),
    "429": ({}, {"error": 12}, "429"),
    "hang": ({}, {"error": 12}, "no answer within 0.5 s"),
    "reset": ({}, {"error": 12}, "connection"),
    "cut": ({}, {"error": 12}, "connection"),
    "not-json": ({}, {"error": 12}, "JSON"),
    "400": ({"error": 1}, {"error": 12}, "size is not supported"),
    "refused": ({"refused": 1}, {"refused": 12}, "safety system"),
    "blocked": ({"blocked": 1}, {"blocked": 12}, "filtered"),
    "not-image": ({}, {"error": 12}, "no picture"),
    "truncated": ({}, {"error": 12}, "image"),
    "wrong-size": ({"error": 1}, {"error": 12}, "asked for was 16x16"),
}
TABLE: list[tuple[str, str, str, str, int, int]] = []


@pytest.fixture(scope="module", autouse=True)
def table():
    yield
    print(f"\n{'generator':<10}{'fault':<20}{'met by':<9}{'outcomes':<28}{'rows':>5}{'exit':>6}")
    for generator, fault, met, outcomes, rows, code in TABLE:
        print(f"{generator:<10}{fault:<20}{met:<9}{outcomes:<28}{rows:>5}{code:>6}")


def _run(
    genaudit, tmp_path: Path, generator: dict[str, Any], annotators: tuple[str, ...] = ()
) -> tuple[int, str, list[dict[str, Any]]]:
    (tmp_path / "policy.yaml").write_text(POLICY)
    config = tmp_path / "audit.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "name": "faults",
                "generators": [{"name": "g", "batch_size": 4, **generator}],
                "probes": [{"set": "occupations", "limit": 1, "repetitions": REQUESTS}],
                "instruments": {"annotators": list(annotators)},
                "metrics": ["outcomes.answered"],
                "gallery": None,
                "reference": None,
                "provenance": {"stamp": False},
                "policy": str(tmp_path / "policy.yaml"),
                "reports": ["json"],
            }
        )
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = genaudit("run", config, "--out", tmp_path / "run", "--quiet", env=env)
    assert done.returncode in (0, 10), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    run = Run.open(tmp_path / "run")
    assert run.complete
    return done.returncode, done.stderr, run.generations().to_pylist()


def _judge(who: str, fault: str, met: str, found: tuple[int, str, list[dict[str, Any]]], expected: dict[str, int]):
    code, complaint, rows = found
    counts = Counter(row["outcome"] for row in rows)
    TABLE.append((who, fault, met, ", ".join(f"{n} {o}" for o, n in sorted(counts.items())), len(rows), code))
    assert len({row["request_id"] for row in rows}) == len(rows) == REQUESTS
    missing = sum(expected.values())
    assert counts == Counter({"image": REQUESTS - missing} | expected), rows
    assert code == (10 if missing == REQUESTS else 0), complaint
    return [row["message"] for row in rows if row["outcome"] != "image"]


@pytest.mark.slow
@pytest.mark.parametrize("met", ["one", "all"])
@pytest.mark.parametrize("fault", LOCAL)
def test_local(genaudit, tmp_path: Path, fault: str, met: str) -> None:
    options = {"fault": fault, "at": 5 if met == "one" else None}
    generator = {"kind": "callable", "model": "tests.faulty:Faulty", "options": options, "time_limit": 0.5}
    one, everything, words = LOCAL[fault]
    found = _run(genaudit, tmp_path, {**generator, "params": {"size": 16}})
    messages = _judge("local", fault, met, found, one if met == "one" else everything)
    assert any(words in message for message in messages), messages


@pytest.mark.slow
@pytest.mark.parametrize("met", ["one", "all"])
@pytest.mark.parametrize("fault", HOSTED)
def test_hosted(genaudit, tmp_path: Path, fault: str, met: str) -> None:
    told = {"plan": [None, None, fault]} if met == "one" else {"always": fault}
    with serving(**told) as (url, _):
        options = {"base_url": url + "/v1", "key_env": None, "concurrency": 2, **PATIENCE}
        generator = {"kind": "openai", "model": "m", "options": options, "params": {"size": "16x16"}}
        found = _run(genaudit, tmp_path, generator)
    one, everything, words = HOSTED[fault]
    messages = _judge("hosted", fault, met, found, one if met == "one" else everything)
    assert not messages or any(words in message for message in messages), messages


def test_what_is_asked_again_is_what_failed(genaudit, tmp_path: Path) -> None:
    """Of twelve pictures two fail; asked again, only those two are drawn, and all twelve are measured."""
    with serving(plan=[None, "400", None, None, None, "400"]) as (url, seen):
        options = {"base_url": url + "/v1", "key_env": None, "concurrency": 1, **PATIENCE}
        generator = {"kind": "openai", "model": "m", "options": options}
        _, _, rows = _run(genaudit, tmp_path, generator, ("faults",))
        failed = {row["request_id"] for row in rows if row["outcome"] == "error"}
        good = {row["request_id"]: row["sha256"] for row in rows if row["outcome"] == "image"}
        assert (len(failed), len(good)) == (2, 10)
        before = len(seen.asked)
        done = genaudit("run", tmp_path / "audit.yaml", "--out", tmp_path / "run", "--quiet", "--retry-errors")
        assert done.returncode == 0, done.stderr
    assert {one.headers["Idempotency-Key"] for one in seen.asked[before:]} == failed
    run = Run.open(tmp_path / "run")
    again = {row["request_id"]: row for row in run.generations().to_pylist()}
    assert {row["outcome"] for row in again.values()} == {"image"}
    assert {name: again[name]["sha256"] for name in good} == good
    assert sorted(run.annotations("faults")["request_id"].to_pylist()) == sorted(again)
