# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from audit.reference.instruments import weights_dir
from audit.reference.render import render
from audit.reference.train.instruments.data import as_batch
from audit.reference.train.instruments.operating_clip import choices, edits, embed_images, embed_texts
from audit.reference.world import OCCUPATIONS, sample_people, uniform_shares

FOLDER = weights_dir("clip")


@pytest.fixture(scope="module")
def model():
    return CLIPModel.from_pretrained(FOLDER, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def processor():
    return CLIPProcessor.from_pretrained(FOLDER)


def test_the_processor_gives_what_training_saw(processor):
    image = render(sample_people(1, rng=np.random.default_rng(1)), size=64)
    pixels = processor(images=Image.fromarray(image[0]), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels, as_batch(image), atol=1e-5, rtol=0)


def test_the_shipped_clip_finds_the_occupation(model, processor):
    people = sample_people(160, rng=np.random.default_rng(2), shares=uniform_shares(), identity_pool="heldout")
    images = embed_images(model, render(people, size=64))
    texts = embed_texts(model, processor.tokenizer, [f"a photo of a {name}" for name in OCCUPATIONS])
    assert images.shape == (160, 128)
    assert ((images @ texts.T).argmax(1).numpy() == people.occupation).mean() > 0.9


def test_a_prompt_scores_higher_once_its_glasses_are_worn(model, processor):
    people = sample_people(60, rng=np.random.default_rng(3), shares=uniform_shares(), identity_pool="heldout")
    found = edits(model, processor.tokenizer, people, seed=1)
    assert found["glasses"]["n"] == 60
    assert found["glasses"]["higher"] > 0.8 * 60
    assert found["beard"]["n"] == (people.presentation == 1).sum()
    assert found["beard"]["higher"] > 0.8 * found["beard"]["n"]


def test_choices_count_truth_in_rows():
    unit = torch.eye(2)
    table = choices(unit[[0, 0, 1]], np.array([0, 1, 1]), ["chef", "pilot"], lambda texts: unit[: len(texts)])
    assert table["counts"] == [[1, 0], [1, 1]]


def test_shipped_counts_cover_every_picture():
    measured = json.loads((FOLDER / "operating.json").read_text())
    n = measured["measured_on"]["n"]
    assert np.array(measured["presentation"]["counts"]).sum() == n
    # People in plain clothes, a ninth, have no occupation to be found.
    assert abs(np.array(measured["occupation"]["counts"]).sum() - n * 8 / 9) < 5 * np.sqrt(n * 8 / 81)
    assert measured["first_of_hundred"]["n"] == n
