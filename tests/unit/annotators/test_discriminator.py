# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from audit.annotators.discriminator import DiscriminatorAnnotator
from audit.checkpoints import reference_folder
from audit.errors import AnnotatorError, ConfigError
from audit.reference.gan_model import ConditionalDiscriminator, ConditionalGenerator, GanConfig
from audit.reference.train._cards_gan import auc
from tests.asking import record

SMALL = GanConfig(noise=8, style=16, text=8, channels=(16, 16, 8, 8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A discriminator whose normalisation has settled, and its folder."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("gan")
    ConditionalGenerator(SMALL).save_pretrained(folder)
    before = (folder / "generator.safetensors").read_bytes()
    critic = ConditionalDiscriminator(SMALL, channels=(8, 8, 16, 16))
    for _ in range(400):
        critic.judge(critic.features(torch.zeros(1, 3, 64, 64)), torch.zeros(1, 8))
    critic.eval().save_pretrained(folder)
    assert (folder / "generator.safetensors").read_bytes() == before
    return critic, folder


def test_folding_keeps_scores_and_stores_plain_half_precision_weights(trained):
    critic, folder = trained
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    texts = ["a nurse", "a portrait of a pilot", "", "zorp", "a nurse"]
    loaded = ConditionalDiscriminator.from_pretrained(folder)
    np.testing.assert_allclose(loaded.rate(images, texts), critic.rate(images, texts), rtol=0.02, atol=2e-3)
    with safe_open(folder / "discriminator.safetensors", "pt") as stored:
        assert not [name for name in stored.keys() if "parametrizations" in name]  # noqa: SIM118
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118
    assert float(torch.linalg.matrix_norm(loaded.squeeze.weight.detach(), ord=2)) == pytest.approx(1, abs=2e-3)
    assert ConditionalGenerator.from_pretrained(folder).config == SMALL
    assert "discriminator" in json.loads((folder / "config.json").read_text())


def test_averaged_singular_vectors_do_not_matter(trained):
    """What broke once: averages of singular vectors shrink, and every score grows with them."""
    critic, folder = trained
    images, texts = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8), ["a nurse"] * 4
    expected = ConditionalDiscriminator.from_pretrained(folder).rate(images, texts)
    shrunk = ConditionalDiscriminator(SMALL, channels=(8, 8, 16, 16))
    shrunk.load_state_dict({k: v * 0.1 if k.endswith(("_u", "_v")) else v for k, v in critic.state_dict().items()})
    np.testing.assert_allclose(shrunk.eval().fold().rate(images, texts), expected, rtol=0.02, atol=2e-3)


def test_other_sizes_are_resized_and_order_does_not_matter(trained):
    annotator = DiscriminatorAnnotator(model=str(trained[1]))
    small = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images = [record(small), record(small.repeat(3, 0).repeat(3, 1)), record(small[:1, :1]), record(small)]
    score = annotator.annotate(images)["score"]
    assert score.dtype == np.float32
    assert np.isfinite(score).all()
    assert score[1] == pytest.approx(score[0], abs=0.05)
    assert score[3] == pytest.approx(score[0], abs=1e-4)
    np.testing.assert_allclose(annotator.annotate(images[::-1])["score"][::-1], score, atol=1e-4)


def test_the_bundled_one_tells_renders_from_its_generator():
    from audit.reference.prompts import captions
    from audit.reference.render import render
    from audit.reference.world import sample_people

    rng = np.random.default_rng(7)
    people = sample_people(60, rng=rng, identity_pool="heldout", logo=False)
    texts = captions(people, rng=rng)
    made = ConditionalGenerator.from_pretrained(reference_folder("gan")).generate(texts, list(range(60)))
    annotator = DiscriminatorAnnotator()
    real, drawn = (
        annotator.annotate([record(image, text) for image, text in zip(images, texts, strict=True)])["score"]
        for images in (render(people), made)
    )
    assert auc(real, drawn) > 0.97
    assert 0.8 < real.mean() < 2
    assert -3 < drawn.mean() < -1


def test_auc_is_mann_and_whitneys():
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 30), rng.integers(0, 7, 40)
    assert auc(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / (30 * 40))


def test_folders_without_a_discriminator(tmp_path):
    ConditionalGenerator(SMALL).save_pretrained(tmp_path)
    with pytest.raises(AnnotatorError, match="no conditional GAN discriminator"):
        DiscriminatorAnnotator(model=str(tmp_path)).annotate([record(np.zeros((64, 64, 3), np.uint8))])
    with pytest.raises(ConfigError, match="is not a folder"):
        DiscriminatorAnnotator(model="nobody/nothing")
