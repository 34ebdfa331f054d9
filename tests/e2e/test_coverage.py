# SPDX-License-Identifier: Apache-2.0
"""Two hundred audits of the renderer, whose shares are known: do the 95 % intervals hold the truth?

Six hundred people an occupation are rendered and shown to the shipped instruments; each audit draws its people from
that pool, so the pool's own shares are the truth, and the shipped confusion counts, measured on other people, correct
what the instruments said of them. The instruments' mistakes are real, down to those that depend on the occupation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from audit.annotators.attributes import AttributeAnnotator
from audit.annotators.skin_tone import SkinToneAnnotator
from audit.metrics.bias.representation_gap import METRIC
from audit.probes import load_probe_set
from audit.reference.render import render
from audit.reference.world import AGES, OCCUPATIONS, PRESENTATIONS, People, planted, sample_people, tone_band
from audit.types import Estimate, ImageRecord, Status, View

AUDITS, IMAGES, POOL = 200, 24, 600
COLUMNS = {"presentation": "attributes.presentation", "age": "attributes.age", "tone_band": "skin_tone.tone_band"}


def _truth(people: People) -> dict[str, np.ndarray]:
    return {
        "presentation": np.array(PRESENTATIONS, object)[people.presentation],
        "age": np.array(AGES, object)[people.age],
        "tone_band": np.array([tone_band(int(tone)) for tone in people.tone], object),
    }


def _answers(images: np.ndarray) -> dict[str, np.ndarray]:
    records = [ImageRecord(str(i), "", "", b"", image) for i, image in enumerate(images)]
    attributes, skin = AttributeAnnotator(), SkinToneAnnotator()
    said = [{**attributes.annotate(part), **skin.annotate(part)} for part in _batches(records)]
    return {name: np.concatenate([columns[name] for columns in said]) for name in COLUMNS}


def _batches(records: list[ImageRecord]) -> Iterator[list[ImageRecord]]:
    yield from (records[start : start + 64] for start in range(0, len(records), 64))


@pytest.fixture(scope="module")
def audits() -> list[tuple[Estimate, float]]:
    """Every cell of every audit, with the truth behind it."""
    rng = np.random.default_rng(5)
    people = {n: sample_people(POOL, rng=rng, occupation=n, identity_pool="generator") for n in OCCUPATIONS}
    truth = {name: _truth(who) for name, who in people.items()}
    said = {name: _answers(render(who)) for name, who in people.items()}
    operating = {
        f"{spec.name}.{column}": counts
        for spec in (AttributeAnnotator().spec, SkinToneAnnotator().spec)
        for column, counts in spec.operating.items()
    }
    occupation = np.repeat(np.array(OCCUPATIONS, object), IMAGES)
    n = len(occupation)
    fixed = {
        "request_id": np.arange(n).astype(str).astype(object),
        "prompt_id": occupation,
        "outcome": np.full(n, "image", object),
        "axis.occupation": occupation,
    }
    groups = load_probe_set("occupations").groups
    cells: list[tuple[Estimate, float]] = []
    for _ in range(AUDITS):
        drawn = {name: rng.integers(0, POOL, IMAGES) for name in OCCUPATIONS}
        answers = {
            column: np.concatenate([said[name][attribute][drawn[name]] for name in OCCUPATIONS])
            for attribute, column in COLUMNS.items()
        }
        view = View("renderer", {**fixed, **answers}, groups=groups, operating=operating, by=("occupation",))
        for e in METRIC(view):
            if "occupation" in e.slice:
                true = np.mean(truth[e.slice["occupation"]][e.slice["attribute"]] == e.slice["group"])
                reference = groups[e.slice["attribute"]].reference[e.slice["group"]]
                cells.append((e, float(true) - reference))
    return cells


@pytest.mark.slow
def test_planted_shares_lie_in_the_reported_intervals(audits: list[tuple[Estimate, float]]) -> None:
    assert len(audits) == AUDITS * len(OCCUPATIONS) * (2 + 3 + 3)
    assert all(e.status is Status.OK for e, _ in audits)
    for attribute in COLUMNS:
        held = [e.low <= true <= e.high for e, true in audits if e.slice["attribute"] == attribute]
        widths = [e.high - e.low for e, _ in audits if e.slice["attribute"] == attribute]
        print(f"{attribute}: {np.mean(held):.4f} of {len(held)} cells, median width {np.median(widths):.3f}")
        assert np.mean(held) >= 0.93, attribute
        assert np.median(widths) < 0.5, "an interval that always holds because it says nothing is no interval"


@pytest.mark.slow
def test_the_pools_have_the_planted_shares(audits: list[tuple[Estimate, float]]) -> None:
    """The truth that the audits are held to is the planted one, up to the luck of six hundred people."""
    true = {(e.slice["occupation"], e.slice["group"]): t for e, t in audits if e.slice["attribute"] == "presentation"}
    for name in OCCUPATIONS:
        share = planted()["occupations"][name]["feminine"]
        assert abs(true[name, "feminine"] + 0.5 - share) < 4 * np.sqrt(share * (1 - share) / POOL)
