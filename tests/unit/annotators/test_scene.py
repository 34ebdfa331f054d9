# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from audit.annotators.scene import SceneAnnotator
from audit.checkpoints import reference_folder
from audit.errors import AnnotatorError, ConfigError
from audit.reference.scenes import STYLES, painting_ids, plant, render_paintings, render_signs, restyle
from tests.asking import record

WORDS = [*plant("signs")["words"], *plant("signs")["misspelt"].values(), "QJ", "Z", "WXV"]


@pytest.fixture(scope="module")
def annotator():
    return SceneAnnotator()


@pytest.fixture(scope="module")
def seen(annotator, people):
    from audit.reference.render import render

    rng = np.random.default_rng(0)
    worn = np.arange(60) % 2 == 1
    styles = [STYLES[k % 3] for k in range(60)]
    stacks = {
        "portraits": render(people[:60].replace(logo=worn)),
        "drawn": restyle(render(people[60:120]), styles),
        "paintings": render_paintings(painting_ids(40, pool="heldout", rng=rng)),
        "signs": render_signs(WORDS * 3, rng=rng),
    }
    found = {name: annotator.annotate([record(rgb) for rgb in stack]) for name, stack in stacks.items()}
    return found, worn, styles


def test_kinds_are_told_apart(seen):
    found, *_ = seen
    for name, kind in (("portraits", "person"), ("drawn", "person"), ("paintings", "painting"), ("signs", "sign")):
        assert np.mean(found[name]["kind"] == kind) > 0.95, name


def test_the_logo_and_the_style_are_seen(seen):
    found, worn, styles = seen
    assert np.mean((found["portraits"]["logo"] == "logo") == worn) > 0.95
    assert np.mean(found["drawn"]["style"] == np.array(styles, dtype=object)) > 0.95


def test_words_are_read_as_they_stand_misspelt_ones_included(seen):
    found, *_ = seen
    assert np.mean(found["signs"]["text"] == np.array(WORDS * 3, dtype=object)) > 0.9
    assert (found["signs"]["text_p"] > 0).all()


def test_what_was_not_asked_is_not_answered(seen):
    found, *_ = seen
    for name in ("paintings", "signs"):
        unseen = found[name]["kind"] != "person"
        for column in ("style", "logo"):
            assert set(found[name][column][unseen]) == {"could not tell"}
            assert np.isnan(found[name][f"{column}_p"][unseen]).all()
    for name in ("portraits", "paintings"):
        assert set(found[name]["text"][found[name]["kind"] != "sign"]) == {None}
        assert np.isnan(found[name]["text_p"][found[name]["kind"] != "sign"]).all()


def test_of_noise_and_flat_colours_little_is_said(annotator, nothing):
    columns = annotator.annotate(nothing)
    assert np.mean(columns["kind"] == "could not tell") >= 0.5
    assert set(columns["text"]) == {None}


def test_spec_carries_counts(annotator):
    operating = annotator.spec.operating
    assert set(operating) == {"kind", "style", "logo", "text"}
    assert operating["logo"].truth == ("no logo", "logo")
    assert operating["text"].truth == ("as asked", "otherwise")
    assert all(table.answers[-1] == "could not tell" for table in operating.values())
    assert all(table.matrix().sum() >= 1000 for table in operating.values())


def test_counts_measured_on_other_images_can_be_chosen(annotator):
    assert SceneAnnotator(counts="renders").spec.digest == annotator.spec.digest
    soft, told = SceneAnnotator(counts="after_autoencoder").spec, SceneAnnotator(counts="after_tokens").spec
    assert len({annotator.spec.digest, soft.digest, told.digest}) == 3
    # Each decoder only for what it was trained to draw.
    assert set(soft.operating) == {"logo"}
    assert set(told.operating) == {"kind", "style", "text"}
    assert "token" in told.operating["text"].measured_on
    with pytest.raises(ConfigError, match="no counts called 'photographs'"):
        _ = SceneAnnotator(counts="photographs").spec


def test_thresholds_of_the_checkpoint_make_it_abstain(tmp_path, people):
    from audit.reference.render import render

    folder = shutil.copytree(reference_folder("scene"), tmp_path / "net")
    config = json.loads((folder / "config.json").read_text())
    config["thresholds"] |= {"logo": 1.01, "text": 1.01}
    (folder / "config.json").write_text(json.dumps(config))
    strict = SceneAnnotator(model=str(folder))
    rng = np.random.default_rng(0)
    columns = strict.annotate([record(rgb) for rgb in (*render(people[:3]), *render_signs(["OPEN"], rng=rng))])
    assert set(columns["logo"]) == {"could not tell"}
    assert set(columns["text"]) == {None}
    assert strict.spec.digest != SceneAnnotator().spec.digest


def test_what_is_not_to_be_had(tmp_path):
    with pytest.raises(AnnotatorError, match="no public model answers these questions"):
        SceneAnnotator(model="standard")
    with pytest.raises(ConfigError, match="is not a folder"):
        SceneAnnotator(model=str(tmp_path / "no" / "where"))
    with pytest.raises(ConfigError, match="unknown option 'modell'"):
        SceneAnnotator(modell="x")
    with pytest.raises(AnnotatorError, match="not a SceneNet"):
        SceneAnnotator(model="reference:attributes").annotate([record(np.zeros((64, 64, 3), np.uint8))])


def test_no_images_and_large_ones(annotator):
    empty = annotator.annotate([])
    assert set(empty) == set(annotator.spec.columns)
    assert {len(values) for values in empty.values()} == {0}
    small, large = (render_signs(["TAXI"], rng=np.random.default_rng(4), size=size)[0] for size in (64, 128))
    assert annotator.annotate([record(small), record(large)])["text"].tolist() == ["TAXI", "TAXI"]
