# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from audit.annotators._clip import DualEncoder, cosine
from audit.annotators._pretrained import Pretrained
from audit.errors import AnnotatorError
from audit.stats.intervals import mean_interval
from audit.torchmetrics import CLIPScore
from tests.checkpoints import save_clip


def pairs(n: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    texts = torch.randn(n, 8, generator=rng)
    return texts + 2 * torch.randn(n, 8, generator=rng), texts


def scores(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    a, b = first.double().numpy(), second.double().numpy()
    return 100 * np.maximum((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1), 0)


def test_the_mean_of_clipped_scores_with_its_interval():
    metric, (first, second) = CLIPScore(), pairs()
    for part in (slice(13), slice(13, None)):
        metric.update(first[part], second[part])
    found, each = metric.compute(), scores(first, second)
    assert (each == 0).sum() > 2  # clipped one by one: a mean of cosines would be lower
    expected = mean_interval(each, None, level=0.95)
    assert float(found["value"]) == pytest.approx(expected.value, rel=1e-12)
    assert [float(found[end]) for end in ("low", "high")] == pytest.approx([expected.low, expected.high], rel=1e-9)
    assert float(found["standard_error"]) == pytest.approx(each.std(ddof=1) / 60**0.5, rel=1e-9)
    assert found["n"] == 60


def test_merging_and_copying():
    first, second = CLIPScore(), CLIPScore()
    images, texts = pairs()
    first.update(images[:20], texts[:20])
    second.update(images[20:], texts[20:])
    first.merge_state(pickle.loads(pickle.dumps(second)))
    assert float(first.compute()["value"]) == pytest.approx(scores(images, texts).mean(), rel=1e-12)


def test_images_and_texts_through_a_model(tmp_path):
    folder, texts = save_clip(tmp_path), ["a nurse", "a portrait of a judge", "a photo"]
    images = torch.randint(0, 256, (3, 3, 40, 40), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    metric = CLIPScore(model=str(folder), device="cpu")
    metric.update(images, texts)
    metric = pickle.loads(pickle.dumps(metric))
    metric.update(images, texts)
    encoder = DualEncoder(Pretrained({"model": str(folder), "device": "cpu"}, where="test"))
    pictures = [image.permute(1, 2, 0).numpy() for image in images]
    each = 100 * np.maximum(cosine(encoder.images(pictures), encoder.texts(texts)), 0)
    assert float(metric.compute()["value"]) == pytest.approx(each.mean(), rel=1e-5)
    assert metric.compute()["n"] == 6
    with pytest.raises(AnnotatorError, match="tokens, the model reads"):
        metric.update(images[:1], ["a nurse " * 90])
    with pytest.raises(AnnotatorError, match="uint8, got torch"):
        metric.update(images / 255, texts)
    with pytest.raises(AnnotatorError, match="3 images and 1 texts"):
        metric.update(images, texts[:1])


def test_one_pair_is_no_number():
    metric = CLIPScore()
    metric.update(*(side[:1] for side in pairs()))
    with pytest.warns(UserWarning, match="CLIPScore has no number: 1 images, needs 2"):
        found = metric.compute()
    assert found["n"] == 1
    assert found["value"].isnan()


def test_other_inputs_are_refused():
    images, texts = pairs()
    with pytest.raises(AnnotatorError, match=r"got torch.float32 \(60, 8\) and torch.float32 \(59, 8\)"):
        CLIPScore().update(images, texts[:59])
    with pytest.raises(AnnotatorError, match="no model to embed") as caught:
        CLIPScore().update(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ["a"])
    assert "CLIPScore(model=...)" in caught.value.hint
