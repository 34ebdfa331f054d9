# SPDX-License-Identifier: Apache-2.0
"""The same prompts in other words, and a generator at several sizes, from the audit file to the report."""

from __future__ import annotations

from pathlib import Path

from audit.runs import Run

#: The renderer reads a prompt word by word: one that is mistyped says nothing to it.
MISTYPED = {"typos": {"rate": 0.01, "seed": 3}, "paraphrase": ["please make this: {text}"], "keep": ["a portrait of a"]}


def test_an_audit_in_other_words(small, genaudit, tmp_path: Path) -> None:
    config = small(
        probes=[{"set": "occupations", "repetitions": 4, "limit": 4, "wordings": MISTYPED}],
        instruments={"annotators": ["faults"]},
        metrics=["quality.robustness"],
        reports=["html", "md"],
    )
    done = genaudit("run", config, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "run")
    assert run.manifest["probes"][0]["wordings"] == {"original": 8, "typos": 8, "paraphrase": 8}

    # a frame around the prompt changes nothing that the renderer reads; a mistyped occupation does
    found = {(e.slice["wording"], e.slice["score"]): e for e in run.estimates() if "score" in e.slice}
    same = found["paraphrase", "noise"]
    assert (same.value, same.extra["unchanged"], same.extra["pairs"]) == (0, 1, 16)
    assert found["typos", "noise"].extra["unchanged"] < 0.5
    assert found["typos", "answered"].value == 0
    assert "In other words" in (run.path / "reports" / "report.html").read_text()
    assert "Change under another wording, at equal seeds" in (run.path / "reports" / "report.md").read_text()


def test_a_sweep_over_the_size_of_the_picture(small, genaudit, tmp_path: Path) -> None:
    config = small(
        generators=[{"name": "renderer", "kind": "renderer", "batch_size": 16, "sweep": {"size": [48, 64, 96]}}],
        probes=[{"set": "portraits", "repetitions": 1, "limit": 12}],
        instruments={"annotators": ["faults"]},
        metrics=["quality.effective_resolution"],
        reports=["html", "md"],
    )
    done = genaudit("run", config, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "run")
    numbers = {e.generator: e for e in run.estimates() if e.metric == "quality.effective_resolution"}
    assert list(numbers) == [f"renderer.size-{edge}" for edge in (48, 64, 96)]
    assert {row["width"] for row in run.generations().to_pylist()} == {48, 64, 96}
    for edge in (48, 64, 96):  # a crisp picture has about as much detail as it has pixels, and never more
        made = numbers[f"renderer.size-{edge}"]
        assert edge * 0.8 < made.value <= edge
        assert made.n == 12
    text = (run.path / "reports" / "report.md").read_text()
    assert "renderer by size: " in text
    assert "| Measure | size 48 | size 64 | size 96 |" in text
    assert '<section id="sweeps">' in (run.path / "reports" / "report.html").read_text()


def test_a_model_that_draws_one_size_refuses_a_sweep_of_it_before_the_first_picture(small, genaudit, tmp_path) -> None:
    block = {"name": "gan", "kind": "gan", "model": "reference:gan", "sweep": {"size": [48, 64]}}
    config = small(generators=[block], instruments={"annotators": ["faults"]}, metrics=[])
    done = genaudit("run", config, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "generator 'gan.size-48': params: unknown option 'size'" in done.stderr
    assert not list((tmp_path / "run").glob("images/*"))
