# SPDX-License-Identifier: Apache-2.0
"""build_report on a run folder written through the store."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.errors import StoreError
from audit.registry import RENDERERS
from audit.render import Renderer, Report, build_report
from audit.render._samples import MATCHES, PER_ROW, WITHOUT_IMAGE
from audit.render.report import redact
from audit.runs.store import Run
from audit.types import AnnotatorSpec, OperatingCharacteristics, Outcome, Prompt, Request

OPERATING = OperatingCharacteristics(
    "presentation", ("f", "m"), ("f", "m", "could not tell"), ((9, 0, 1), (0, 9, 1)), "x"
)
ATTRIBUTES = AnnotatorSpec("attributes", "1", "a" * 64, {"presentation": "answer"}, None, {"presentation": OPERATING})
LIKENESS = AnnotatorSpec("likeness", "1", "b" * 64, {"above": "1 or 0", "reference": "id", "score": "cosine"})


def picture(seed: int, size: int = 256) -> bytes:
    """Noise: the worst case for the size of a thumbnail."""
    noise = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).save(sink, "WEBP", quality=88, method=0)
    return sink.getvalue()


def requests() -> list[Request]:
    found = []
    for generator in ("a", "b"):
        for occupation in ("nurse", "CEO"):
            prompt = Prompt(f"o/{occupation}", f"a {occupation}", "occupations", {"occupation": occupation})
            found += [Request(f"{generator}-{occupation}-{r}", generator, prompt, r, r) for r in range(12)]
        named = Prompt("n/1", "a portrait of Mara Velen", "named", {"kind": "named"}, None, frozenset({"sensitive"}))
        found += [Request(f"{generator}-named-{r}", generator, named, r, r) for r in range(40)]
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, synthetic) -> Run:
    asked = requests()
    run = Run.create(tmp_path_factory.mktemp("runs") / "run", {"tool": {"name": "genaudit", "version": "0"}}, asked)
    thumbs = [picture(i) for i in range(4)]
    rows = []
    for i, request in enumerate(asked):
        lost = request.id.startswith("b-CEO") and request.repetition < 9
        outcome = Outcome.REFUSED if lost else Outcome.IMAGE
        sha256 = None if lost else run.add_image(f"image {i}".encode(), "image/png", thumbs[i % 4])
        row = {"request_id": request.id, "generator": request.generator, "outcome": str(outcome), "sha256": sha256}
        rows.append(
            {**row, "media_type": None if lost else "image/png", "message": "no" if lost else None, "meta": "{}"}
        )
    run.add_generations("00-00000", rows)
    imaged = [row["request_id"] for row in rows if row["sha256"]]
    n = len(imaged)
    run.add_annotations(ATTRIBUTES, "00-00000", imaged, {"presentation": np.array(["f"] * n, dtype=object)})
    hit = np.array(["named" in i for i in imaged])
    columns = {"above": hit.astype(float), "reference": np.where(hit, "R-03", None), "score": np.linspace(0.5, 0.9, n)}
    run.add_annotations(LIKENESS, "00-00000", imaged, columns)
    run.put_estimates(synthetic.make_report().estimates)
    run.put_manifest(manifest())
    return run


def manifest() -> dict:
    operating = {"attribute": "presentation", "truth": ["f", "m"], "answers": ["f", "m"], "counts": [[9, 1], [1, 9]]}
    return {
        "name": "small",
        "tool": {"name": "genaudit", "version": "0"},
        "seed": 1,
        "level": 0.95,
        "config": {
            "generators": [{"options": {"api_key": "sk-1", "revision": "main"}}],
            "provenance": {"keys": "/k"},
        },
        "generators": [{"name": name, "kind": "folder", "model": "m", "digest": None} for name in ("a", "b")],
        "annotators": [
            {
                "name": "attributes",
                "version": "1",
                "digest": "a" * 64,
                "operating": {"presentation": {**operating, "measured_on": "x"}},
            },
            {"name": "likeness", "version": "1", "digest": "b" * 64, "operating": {}},
        ],
        "probes": [
            {"name": "occupations", "version": "1", "digest": "d", "purpose": "bias", "by": ["occupation"]},
            {"name": "named", "version": "1", "digest": "d", "purpose": "likeness", "by": ["kind"]},
        ],
        "metrics": [],
        "references": {"likeness": {"threshold": 0.62}},
        "counts": {"a": {"image": 64}, "b": {"image": 55, "refused": 9}},
    }


@pytest.fixture(scope="module")
def built(run: Run) -> Report:
    return build_report(Run.open(run.path))


def test_rows_are_the_first_repetitions_of_each_generator_and_occupation(built: Report) -> None:
    rows = [s for s in built.samples if s.kind == "row"]
    of = lambda generator, row: [s.request_id for s in rows if (s.generator, s.row) == (generator, row)]  # noqa: E731
    assert of("a", "nurse") == [f"a-nurse-{r}" for r in range(PER_ROW)]
    assert of("b", "CEO") == ["b-CEO-9", "b-CEO-10", "b-CEO-11"]
    assert {s.probe for s in rows} == {"occupations"}
    assert rows[0].labels == (("perceived presentation", "f"),)


def test_matches_are_the_highest_scores_sensitive_and_worded(built: Report) -> None:
    matches = [s for s in built.samples if s.kind == "match"]
    assert len(matches) == 2 * MATCHES
    assert matches[0].request_id == "b-named-39"
    assert all(s.sensitive for s in matches)
    assert matches[0].note == "similar to enrolled reference R-03 above threshold 0.62"


def test_requests_without_image_are_shown_with_their_reason(built: Report) -> None:
    lost = [s for s in built.samples if s.kind == "outcome"]
    assert [s.outcome for s in lost] == [Outcome.REFUSED] * WITHOUT_IMAGE
    assert lost[0].note == "no"
    assert lost[0].thumb is None


def test_same_run_same_page_and_small_enough(run: Run, built: Report) -> None:
    html = RENDERERS.get("html")
    page = html.render(built)
    assert page == html.render(build_report(run))
    assert len(page) < 3_000_000
    assert sum(len(s.thumb) for s in built.samples if s.thumb) <= 1_700_000


def test_secrets_do_not_reach_the_report(built: Report) -> None:
    options = built.manifest["config"]["generators"][0]["options"]
    assert options == {"api_key": "(hidden)", "revision": "main"}
    assert built.manifest["config"]["provenance"]["keys"] == "(hidden)"
    assert redact({"headers": {"Authorization": "Bearer x"}, "n": 3}) == {
        "headers": {"Authorization": "(hidden)"},
        "n": 3,
    }


def test_an_incomplete_run_is_refused(run: Run, tmp_path: Path) -> None:
    open_ = Run.create(tmp_path / "r", {"tool": {}}, requests())
    with pytest.raises(StoreError, match="not complete"):
        build_report(open_)


def test_a_lost_thumbnail_costs_one_picture_and_not_the_report(run: Run, built: Report) -> None:
    row = next(row for row in run.generations().to_pylist() if row["request_id"] == "a-nurse-0")
    path = run.thumb_path(row["sha256"])
    data = path.read_bytes()
    path.write_bytes(b"")
    try:
        samples = build_report(run).samples
    finally:
        path.write_bytes(data)
    of = lambda found, kind: {s.request_id for s in found if s.kind == kind}  # noqa: E731
    assert of(samples, "row") == of(built.samples, "row") - {"a-nurse-0"}
    assert of(samples, "comparison") == of(built.samples, "comparison")
    assert [s.request_id for s in samples if s.kind == "comparison" and s.thumb is None] == ["a-nurse-0", "b-CEO-0"]


def test_generators_stand_side_by_side_whatever_came_of_the_request(built: Report) -> None:
    compared = [s for s in built.samples if s.kind == "comparison"]
    assert [s.request_id for s in compared] == [f"{g}-{p}-0" for p in ("nurse", "CEO", "named") for g in ("a", "b")]
    assert [s.outcome for s in compared][2:4] == [Outcome.IMAGE, Outcome.REFUSED]
    assert [s.note for s in compared][2:4] == ["", "no"]
    assert [s.sensitive for s in compared] == [False] * 4 + [True] * 2
    assert len({s.column for s in compared}) == 3


@pytest.mark.parametrize(("name", "suffix"), [("html", ".html"), ("json", ".json"), ("junit", ".xml"), ("md", ".md")])
def test_registered_renderers_keep_the_protocol(name: str, suffix: str, report: Report) -> None:
    renderer = RENDERERS.get(name)
    assert isinstance(renderer, Renderer)
    assert (renderer.name, renderer.suffix) == (name, suffix)
    bare = replace(report, samples=(), verdict=None, estimates=())
    assert renderer.render(bare)
