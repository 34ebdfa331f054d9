# SPDX-License-Identifier: Apache-2.0
"""Two hundred audits of the renderer, whose shares are known: do the 95 % intervals hold the truth?

Six hundred people an occupation are rendered and shown to the shipped classifier; each audit draws its people by the
planted shares and its answers from that pool, and the shipped confusion counts correct them. So the classifier's
mistakes on each occupation are real, while the counts were measured on other people.
"""

from __future__ import annotations

import numpy as np
import pytest

from audit.annotators.attributes import AttributeAnnotator
from audit.metrics.bias.representation_gap import METRIC
from audit.probes import load_probe_set
from audit.reference.render import render
from audit.reference.world import OCCUPATIONS, PRESENTATIONS, planted, sample_people
from audit.types import ImageRecord, Status, View

AUDITS, IMAGES, POOL = 200, 24, 600


@pytest.fixture(scope="module")
def annotator() -> AttributeAnnotator:
    return AttributeAnnotator()


def _pools(annotator: AttributeAnnotator, occupation: str) -> dict[int, np.ndarray]:
    """Answers of the classifier on fresh people of one occupation, by true presentation."""
    people = sample_people(POOL, rng=np.random.default_rng(11), occupation=occupation, identity_pool="generator")
    images = render(people)
    records = [ImageRecord(str(i), "", "", b"", image) for i, image in enumerate(images)]
    answers = np.concatenate([annotator.annotate(records[i : i + 64])["presentation"] for i in range(0, POOL, 64)])
    return {group: answers[people.presentation == group] for group in range(len(PRESENTATIONS))}


@pytest.mark.slow
def test_planted_shares_lie_in_the_reported_intervals(annotator: AttributeAnnotator) -> None:
    rng = np.random.default_rng(5)
    shares = {name: planted()["occupations"][name]["feminine"] for name in OCCUPATIONS}
    pools = {name: _pools(annotator, name) for name in OCCUPATIONS}
    probe = load_probe_set("occupations")
    groups = {"presentation": probe.groups["presentation"]}
    operating = {"attributes.presentation": annotator.spec.operating["presentation"]}
    held = dict.fromkeys(OCCUPATIONS, 0)
    widths = []
    for _ in range(AUDITS):
        occupation = np.repeat(OCCUPATIONS, IMAGES).astype(object)
        feminine = rng.random(len(occupation)) < np.array([shares[name] for name in occupation])
        answers = [rng.choice(pools[name][0 if f else 1]) for name, f in zip(occupation, feminine, strict=True)]
        n = len(occupation)
        columns = {
            "request_id": np.arange(n).astype(str).astype(object),
            "prompt_id": occupation,
            "outcome": np.full(n, "image", object),
            "axis.occupation": occupation,
            "attributes.presentation": np.array(answers, object),
        }
        view = View("renderer", columns, groups=groups, operating=operating, by=("occupation",))
        for e in METRIC(view):
            name = e.slice.get("occupation")
            if name and e.slice["group"] == "feminine":
                assert e.status is Status.OK, e
                truth = shares[name] - 0.5
                held[name] += e.low <= truth <= e.high
                widths.append(e.high - e.low)
    coverage = sum(held.values()) / (AUDITS * len(OCCUPATIONS))
    print(
        f"coverage {coverage:.4f} over {AUDITS * len(OCCUPATIONS)} cells, median width {np.median(widths):.3f}, {held}"
    )
    assert coverage >= 0.93
    assert min(held.values()) / AUDITS >= 0.90, held
    assert np.median(widths) < 0.5, "an interval that always holds because it says nothing is no interval"
