# SPDX-License-Identifier: Apache-2.0
"""A finished run made by hand: two generators, three occupations, every picture and every truth known."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from audit.images import pixel_digest
from audit.labels import Export
from audit.runs import Run
from audit.types import AnnotatorSpec, Prompt, Request

GROUPS = ("feminine", "masculine")
SIZES = {"nurse": 24, "pilot": 12, "chef": 6}  # images a generator


@dataclass(frozen=True)
class Made:
    run: Run
    truth: Mapping[str, str]  # request id -> group
    answers: Mapping[str, str]  # request id -> what the instrument said
    pictures: Mapping[str, np.ndarray]


def picture(rng: np.random.Generator) -> tuple[np.ndarray, bytes]:
    """Noise, in a file whose metadata give away where it comes from."""
    rgb = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    told = PngInfo()
    told.add_text("generator", "secretgan")
    sink = io.BytesIO()
    Image.fromarray(rgb).save(sink, "PNG", pnginfo=told)
    return rgb, sink.getvalue()


def make_run(folder: Path, *, seed: int = 0) -> Made:
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, Any]]] = {}
    requests: list[Request] = []
    truth, answers, pictures = {}, {}, {}
    declared = {"presentation": {"groups": list(GROUPS)}}
    plan = {
        "probes": [
            {"name": "jobs", "by": ["occupation"], "groups": declared},
            {"name": "other", "by": [], "groups": {}},
        ]
    }
    for generator in ("secretgan", "secretdiff"):
        for job, size in {**SIZES, "none": 3}.items():
            for repetition in range(size + 1):
                probe = "other" if job == "none" else "jobs"
                prompt = Prompt(
                    f"{probe}/{job}", f"a portrait of a {job}", probe, {} if job == "none" else {"occupation": job}
                )
                request = Request(f"{generator}-{job}-{repetition}", generator, prompt, repetition, repetition)
                requests.append(request)
                row = {"request_id": request.id, "generator": generator, "outcome": "refused"}
                rows.setdefault(generator, []).append(row)
                if repetition < size:
                    pictures[request.id] = picture(rng)
                    truth[request.id] = GROUPS[int(rng.random() < 0.3)]
                    answers[request.id] = truth[request.id] if rng.random() < 0.8 else "could not tell"
                    row.update(outcome="image", media_type="image/png", pixels=pixel_digest(pictures[request.id][0]))
    run = Run.create(folder, plan, requests)
    spec = AnnotatorSpec("attributes", "1", "d" * 20, {"presentation": "perceived presentation"})
    for index, found in enumerate(rows.values()):
        for row in found:
            if row["outcome"] == "image":
                row["sha256"] = run.add_image(pictures[row["request_id"]][1], "image/png", b"")
        run.add_generations(f"{index:02d}", found)
        shown = [row["request_id"] for row in found if row["outcome"] == "image"]
        said = np.array([answers[name] for name in shown], dtype=object)
        run.add_annotations(spec, f"{index:02d}", shown, {"presentation": said})
    run.put_manifest({**plan, "name": "made", "annotators": [{"name": "attributes", "digest": spec.digest}]})
    return Made(run, truth, answers, {name: rgb for name, (rgb, _) in pictures.items()})


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def made(made_once: Made, tmp_path: Path) -> Made:
    """A copy, so that a test may spoil it."""
    shutil.copytree(made_once.run.path, tmp_path / "run")
    return replace(made_once, run=Run.open(tmp_path / "run"))


def fill(
    export: Export, rater: str, say: Callable[[str, int], str | None], path: Path, *, keep: int | None = None
) -> Path:
    """The sheet of one rater, answered by what ``say`` makes of (request id, occasion); the first ``keep`` rows."""
    key = {item.item: item for item in export.items}
    sheet = list(csv.DictReader((export.path / rater / "sheet.csv").read_text().splitlines()))
    for row in sheet:
        item = key[row["item"]]
        for name in export.attributes:
            row[name] = say(item.request_id, item.occasion) or ""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(sheet[0]))
        writer.writeheader()
        writer.writerows(sheet[:keep])
    return path
