# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from audit.errors import AnnotatorError
from audit.reference.instruments import (
    COULD_NOT_TELL,
    HEADS,
    AttributeConfig,
    AttributeNet,
    FaceEmbedder,
    crop_faces,
    to_tensor,
    weights_dir,
)
from audit.reference.render import face_boxes, render
from audit.reference.world import sample_people, uniform_shares


@pytest.fixture(scope="module")
def people():
    return sample_people(240, rng=np.random.default_rng(5), shares=uniform_shares(), identity_pool="heldout")


@pytest.fixture(scope="module")
def images(people):
    return render(people, size=64)


@pytest.fixture(scope="module")
def shipped():
    return AttributeNet.from_pretrained(weights_dir("attributes"))


def test_a_crop_is_centred_on_its_box():
    x = torch.zeros(1, 3, 64, 64)
    x[:, :, 20:24, 40:44] = 1.0
    crop = crop_faces(x, torch.tensor([[42 / 64, 22 / 64, 0.1, 0.12]]), size=48, margin=1.0)
    mass = crop[0, 0] / crop[0, 0].sum()
    row = (mass.sum(1) * (torch.arange(48) + 0.5)).sum()
    column = (mass.sum(0) * (torch.arange(48) + 0.5)).sum()
    assert abs(float(row) - 24) < 0.2
    assert abs(float(column) - 24) < 0.2


def test_pictures_of_any_size_become_64():
    flat = np.full((2, 128, 128, 3), 255, np.uint8)
    x = to_tensor(flat)
    assert x.shape == (2, 3, 64, 64)
    assert float((x - 1).abs().max()) < 1e-5


def test_saving_and_loading_keeps_the_answers(tmp_path, images):
    torch.manual_seed(0)
    config = AttributeConfig(widths=(8, 8, 16, 16), hidden=16)
    net = AttributeNet(config)
    net.save_pretrained(tmp_path)
    again = AttributeNet.from_pretrained(tmp_path)
    assert again.config == config
    before, after = net.predict(images[:8]), again.predict(images[:8])
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, atol=5e-3)


def test_a_folder_without_weights_is_an_error_with_a_hint(tmp_path):
    with pytest.raises(AnnotatorError, match=r"no readable config\.json") as caught:
        AttributeNet.from_pretrained(tmp_path)
    assert "audit.reference.train" in caught.value.hint


def test_the_folder_of_another_network_is_refused(tmp_path):
    AttributeNet(AttributeConfig(widths=(8, 8, 16, 16), hidden=16)).save_pretrained(tmp_path)
    with pytest.raises(AnnotatorError, match="not a FaceEmbedder"):
        FaceEmbedder.from_pretrained(tmp_path)


def test_no_pictures_give_no_rows(shipped):
    none = np.zeros((0, 64, 64, 3), np.uint8)
    out = shipped.predict(none)
    assert {key: len(value) for key, value in out.items()} == dict.fromkeys(out, 0)
    assert out["occupation_p"].shape == (0, 9)
    assert shipped.answers(out, "age") == []


def test_unsure_or_faceless_is_could_not_tell():
    net = AttributeNet(AttributeConfig(thresholds=tuple((head, 0.6) for head in HEADS)))
    seen = {
        "presentation_p": np.array([[0.9, 0.1], [0.55, 0.45], [0.9, 0.1]], np.float32),
        "face_p": np.array([0.99, 0.99, 0.1], np.float32),
    }
    assert net.answers(seen, "presentation") == ["feminine", COULD_NOT_TELL, COULD_NOT_TELL]
    assert net.answers(seen, "face") == ["face", "face", "no face"]


def test_the_shipped_classifier_reads_held_out_people(shipped, people, images):
    seen = shipped.predict(images)
    assert (seen["presentation_p"].argmax(1) == people.presentation).mean() > 0.9
    assert (seen["age_p"].argmax(1) == people.age).mean() > 0.85
    assert (seen["occupation_p"].argmax(1) == people.occupation).mean() > 0.98
    assert ((seen["glasses_p"] > 0.5) == people.glasses).mean() > 0.98
    assert (seen["face_p"] > 0.5).all()
    assert np.abs(seen["box"] - face_boxes(people)).mean() < 0.02
    for head in ("presentation", "age", "occupation"):
        np.testing.assert_allclose(seen[f"{head}_p"].sum(1), 1, atol=1e-5)


def test_the_shipped_classifier_reads_larger_pictures_alike(shipped, people):
    large = shipped.predict(render(people[:60], size=128))
    assert (large["presentation_p"].argmax(1) == people.presentation[:60]).mean() > 0.85


def test_the_shipped_classifier_sees_no_face_in_noise(shipped):
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3)).astype(np.uint8)
    assert (shipped.predict(noise)["face_p"] < 0.5).all()
    assert set(shipped.answers(shipped.predict(noise), "age")) == {COULD_NOT_TELL}


@pytest.mark.parametrize("key", ["presentation", "age", "tone", "tone_band", "occupation", "glasses"])
def test_shipped_counts_cover_every_picture(key):
    measured = json.loads((weights_dir("attributes") / "operating.json").read_text())
    table = measured[key]
    counts = np.array(table["counts"])
    assert counts.shape == (len(table["truth"]), len(table["answers"]))
    assert table["answers"] == [*table["truth"], COULD_NOT_TELL]
    assert counts.sum() == measured["measured_on"]["n"] >= 4000


def test_presentation_by_tone_band_adds_up():
    measured = json.loads((weights_dir("attributes") / "operating.json").read_text())
    parts = sum(np.array(table["counts"]) for table in measured["presentation_by_tone_band"].values())
    np.testing.assert_array_equal(parts, measured["presentation"]["counts"])


def test_the_shipped_embedder_tells_people_apart(shipped):
    embedder = FaceEmbedder.from_pretrained(weights_dir("faces"))
    rng = np.random.default_rng(8)
    ids = 20_500_000 + np.repeat(np.arange(30), 2) * 7
    pictures = render(sample_people(60, rng=rng, shares=uniform_shares(), identity_id=ids), size=64)
    z = embedder.embed(pictures, shipped.predict(pictures)["box"])
    assert z.shape == (60, 128)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    similarity = z @ z.T
    mated = similarity[np.arange(0, 60, 2), np.arange(1, 60, 2)]
    other = similarity[~(ids[:, None] == ids[None, :])]
    assert np.median(mated) > np.quantile(other, 0.99)
    assert embedder.embed(pictures[:0], np.zeros((0, 4), np.float32)).shape == (0, 128)
