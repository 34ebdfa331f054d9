# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from audit.annotators.attributes import AttributeAnnotator
from audit.checkpoints import reference_folder
from audit.errors import AnnotatorError, ConfigError
from audit.reference.world import AGES, OCCUPATIONS, PLAIN, PRESENTATIONS
from tests.asking import record


@pytest.fixture(scope="module")
def annotator():
    return AttributeAnnotator()


def agreement(answers, truth):
    told = answers != "could not tell"
    return np.mean(answers[told] == np.array(truth, dtype=object)[told]), np.mean(told)


def test_answers_agree_with_the_truth_of_the_renders(annotator, portraits, people):
    columns = annotator.annotate(portraits)
    truth = {
        "presentation": [PRESENTATIONS[k] for k in people.presentation],
        "age": [AGES[k] for k in people.age],
        "occupation": [PLAIN if k < 0 else OCCUPATIONS[k] for k in people.occupation],
    }
    for attribute, least in (("presentation", 0.93), ("age", 0.88), ("occupation", 0.95)):
        right, told = agreement(columns[attribute], truth[attribute])
        assert right > least, attribute
        assert told > 0.85, attribute
    assert np.mean((columns["glasses"] > 0.5) == people.glasses) > 0.95


def test_boxes_lie_on_the_faces(annotator, portraits, people):
    from audit.reference.render import face_boxes

    assert np.abs(annotator.annotate(portraits)["box"] - face_boxes(people)).mean() < 0.02


def test_without_a_face_it_could_not_tell(annotator, nothing):
    columns = annotator.annotate(nothing)
    unseen = columns["face"] < 0.5
    assert unseen.mean() >= 0.75
    for attribute in ("presentation", "age", "occupation"):
        assert set(columns[attribute][unseen]) == {"could not tell"}
        assert np.isnan(columns[f"{attribute}_p"][unseen]).all()
    assert np.isnan(columns["box"][unseen]).all()
    assert np.isnan(columns["glasses"][unseen]).all()


def test_spec_carries_counts(annotator):
    operating = annotator.spec.operating
    assert set(operating) == {"presentation", "age", "occupation"}
    table = operating["presentation"]
    assert (table.attribute, table.truth) == ("presentation", PRESENTATIONS)
    assert table.answers[-1] == "could not tell"
    assert table.matrix().sum() > 1000
    assert "held" in table.measured_on or "neither" in table.measured_on


def test_answers_are_those_of_the_counts(annotator, portraits):
    columns = annotator.annotate(portraits)
    for attribute, table in annotator.spec.operating.items():
        assert set(columns[attribute]) <= set(table.answers)


def test_digest_follows_weights_and_counts(annotator, tmp_path):
    folder = shutil.copytree(reference_folder("attributes"), tmp_path / "net")
    same = AttributeAnnotator(model=str(folder))
    assert same.spec.digest == annotator.spec.digest
    config = json.loads((folder / "config.json").read_text())
    config["thresholds"]["presentation"] = 0.999
    (folder / "config.json").write_text(json.dumps(config))
    strict = AttributeAnnotator(model=str(folder))
    assert strict.spec.digest != annotator.spec.digest


def test_threshold_of_the_checkpoint_makes_it_abstain(portraits, tmp_path):
    folder = shutil.copytree(reference_folder("attributes"), tmp_path / "net")
    config = json.loads((folder / "config.json").read_text())
    config["thresholds"]["presentation"] = 1.01
    (folder / "config.json").write_text(json.dumps(config))
    columns = AttributeAnnotator(model=str(folder)).annotate(portraits[:5])
    assert set(columns["presentation"]) == {"could not tell"}
    assert np.isfinite(columns["presentation_p"]).all()


def test_no_counts_no_operating_characteristics(tmp_path):
    folder = shutil.copytree(reference_folder("attributes"), tmp_path / "net")
    (folder / "operating.json").unlink()
    assert AttributeAnnotator(model=str(folder)).spec.operating == {}


@pytest.mark.parametrize("raw", ["{", '{"presentation": {"truth": ["a"], "answers": ["a"], "counts": [[1, 2]]}}'])
def test_broken_counts(tmp_path, raw):
    folder = shutil.copytree(reference_folder("attributes"), tmp_path / "net")
    (folder / "operating.json").write_text(raw)
    with pytest.raises(AnnotatorError, match="counts cannot be read"):
        _ = AttributeAnnotator(model=str(folder)).spec


def test_what_is_not_to_be_had(tmp_path, clip_folder, portraits):
    with pytest.raises(AnnotatorError, match="no public attribute model"):
        AttributeAnnotator(model="standard")
    with pytest.raises(AnnotatorError, match="no public attribute model"):
        AttributeAnnotator(model="somebody/attributes")
    with pytest.raises(ConfigError, match="is not a folder"):
        AttributeAnnotator(model=str(tmp_path / "no" / "where"))
    with pytest.raises(ConfigError, match="unknown option 'modell'"):
        AttributeAnnotator(modell="x")
    with pytest.raises(AnnotatorError):
        AttributeAnnotator(model=str(clip_folder)).annotate(portraits[:1])


def test_no_images(annotator):
    columns = annotator.annotate([])
    assert set(columns) == set(annotator.spec.columns)
    assert {len(values) for values in columns.values()} == {0}


def test_sizes_may_be_mixed(annotator, people):
    from audit.reference.render import render

    small, large = render(people[:3], size=64), render(people[:3], size=128)
    images = [record(rgb) for pair in zip(small, large, strict=True) for rgb in pair]
    columns = annotator.annotate(images)
    np.testing.assert_allclose(columns["box"][0::2], columns["box"][1::2], atol=0.03)
    np.testing.assert_allclose(columns["box"][1::2], annotator.annotate(images[1::2])["box"], atol=1e-5)


def test_counts_measured_on_other_images_can_be_chosen():
    plain, soft = AttributeAnnotator().spec, AttributeAnnotator(counts="after_autoencoder").spec
    assert plain.digest != soft.digest
    before, after = (s.operating["presentation"].matrix() for s in (plain, soft))
    assert before.shape == after.shape
    assert after[:, 2].sum() > before[:, 2].sum(), "it cannot tell more often"
    assert "autoencoder" in soft.operating["presentation"].measured_on
    with pytest.raises(ConfigError, match="no counts called 'photographs'"):
        _ = AttributeAnnotator(counts="photographs").spec
