# SPDX-License-Identifier: Apache-2.0
"""Counts of an instrument's error by people's labels: exact where all are labelled, weighted where not."""

from __future__ import annotations

import numpy as np
import pytest

from audit.annotators._operating import measured
from audit.errors import ConfigError, StoreError
from audit.labels import Design, confusion_from_labels, export, read_into
from audit.labels._confusion import effective_counts
from audit.labels._sample import Image, draw
from tests.unit.labels.conftest import GROUPS, fill


def label(made, tmp_path, *, say=None, **design):
    out = export(made.run, tmp_path / "out", Design(raters=1, **design))
    path = fill(out, "rater-1", say or (lambda name, _: made.truth[name]), tmp_path / "r.csv")
    read_into(out, [path], made.run.path)
    return {item.request_id for item in out.items}


def test_everything_labelled_gives_the_plain_table(made, tmp_path):
    seen = label(made, tmp_path, n=84, per_slice=0)
    found = confusion_from_labels(made.run, "presentation")
    assert found.column == "attributes.presentation"
    assert found.operating.answers == (*GROUPS, "could not tell")
    for group, row in zip(found.operating.truth, found.operating.counts, strict=True):
        mine = [made.answers[name] for name in seen if made.truth[name] == group]
        assert row == tuple(mine.count(answer) for answer in found.operating.answers)
    assert sum(found.labelled) == 84
    assert found.effective == pytest.approx(found.labelled)


def test_one_generator_and_what_people_could_not_tell(made, tmp_path):
    def say(name, _):
        return "could not tell" if name.endswith("-1") else made.truth[name]

    seen = [n for n in label(made, tmp_path, n=84, per_slice=0, say=say) if n.startswith("secretgan")]
    found = confusion_from_labels(made.run, "presentation", generator="secretgan")
    assert found.untold == 3
    assert sum(found.labelled) == len(seen) - 3
    assert "images by secretgan" in found.operating.measured_on


def test_what_is_written_is_what_instruments_read(made, tmp_path):
    label(made, tmp_path, n=60, per_slice=4)
    found = confusion_from_labels(made.run, "presentation")
    found.write(tmp_path / "operating.json")
    read = measured(str(tmp_path / "operating.json"), {"presentation": GROUPS}, where="test")["presentation"]
    assert (read.truth, read.answers, read.counts) == (
        found.operating.truth,
        found.operating.answers,
        found.operating.counts,
    )
    assert "labelled by people (1 raters an image)" in read.measured_on


def test_what_cannot_be_measured_is_refused(made, tmp_path):
    with pytest.raises(StoreError, match="no labels"):
        confusion_from_labels(made.run, "presentation")
    label(made, tmp_path, n=40, per_slice=4, say=lambda *_: "feminine")
    with pytest.raises(ConfigError, match="no labelled image shows 'masculine'"):
        confusion_from_labels(made.run, "presentation")
    with pytest.raises(ConfigError, match="nobody was asked"):
        confusion_from_labels(made.run, "age")
    with pytest.raises(ConfigError, match="no column"):
        confusion_from_labels(made.run, "presentation", column="attributes.glasses")


def test_equal_weights_are_worth_what_they_are():
    counts, n = effective_counts(np.array([0] * 17 + [1] * 3), np.full(20, 2.5), 3)
    assert counts.tolist() == [17, 3, 0]
    assert n == pytest.approx(20)
    counts, n = effective_counts(np.zeros(5, dtype=np.int64), np.ones(5), 2)
    assert (counts.tolist(), n) == ([5, 0], 5)
    assert effective_counts(np.array([], dtype=np.int64), np.array([]), 2)[0].tolist() == [0, 0]


def test_oversampled_answers_do_not_look_frequent():
    """A population of 2,000 of one group, 4 % of them misread; 60 of each answer are labelled."""
    rng = np.random.default_rng(4)
    said = (np.arange(2000) < 80).astype(np.int64)
    images = [Image(str(i), "g", "p", "", "", "", {}, f"answer={code}") for i, code in enumerate(said)]
    shares, worth = [], []
    for _ in range(400):
        sample = draw(images, n=120, least=60, rng=rng)
        size = {stratum.name: stratum.inclusion for stratum in sample.strata}
        given = np.array([said[int(image.request_id)] for image in sample.images])
        counts, n = effective_counts(given, np.array([1 / size[i.stratum] for i in sample.images]), 2)
        shares.append(counts[1] / counts.sum())
        worth.append(n)
    assert np.mean(given) == 0.5  # as sampled
    assert abs(np.mean(shares) - 0.04) < 1 / (2 * np.mean(worth))  # up to the rounding of counts
    assert 60 < np.mean(worth) < 120


def test_effective_number_states_the_variance():
    """Unequal weights that do not go with the answer: the variance of the share is p (1 - p) / n effective."""
    rng = np.random.default_rng(5)
    shares, worth = [], []
    for _ in range(3000):
        weights = rng.choice([1.0, 6.0], 300)
        given = (rng.random(300) < 0.3).astype(np.int64)
        counts, n = effective_counts(given, weights, 2)
        shares.append(counts[1] / counts.sum())
        worth.append(n)
    assert np.var(shares) * np.mean(worth) / 0.21 == pytest.approx(1, abs=0.1)
