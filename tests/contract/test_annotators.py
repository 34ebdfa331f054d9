# SPDX-License-Identifier: Apache-2.0
"""What holds for every registered annotator."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from audit.registry import ANNOTATORS
from audit.types import Annotator, AnnotatorSpec
from tests.asking import record
from tests.checkpoints import save_clip, save_siglip, save_vilt, save_vit
from tests.extractors import save_inception, save_sscd, save_vision


def clip_case(folder):
    return {"model": str(save_clip(folder)), "device": "cpu", "reference": {"n": 4}}


def likeness_case(folder):
    import torch

    from audit.reference.instruments import FaceEmbedder

    torch.manual_seed(6)
    FaceEmbedder().save_pretrained(folder)
    return {"model": str(folder), "fpir": 0.2, "searches": 60}


def plain_case(folder):
    return {}


def people_case(folder):
    (folder / "labels.csv").write_text("request_id,presentation\ni0,feminine\ni5,could not tell\ni2,masculine\n")
    return {"table": str(folder / "labels.csv"), "attributes": {"presentation": ["feminine", "masculine"]}}


def works_case(folder):
    return {"searches": 300}


def counts(folder):
    """A file of confusion counts, so that answers are held against those of the operating characteristics."""
    rows = ["presentation,feminine,feminine,9", "presentation,masculine,masculine,8"]
    (folder / "counts.csv").write_text("\n".join(["attribute,truth,answer,count", *rows]))
    return str(folder / "counts.csv")


def classifier_case(folder):
    labels = {"presentation": {"feminine": ["female"], "masculine": ["male"]}}
    return {"model": str(save_vit(folder)), "device": "cpu", "labels": labels, "operating": counts(folder.parent)}


def aesthetic_case(folder):
    import torch

    torch.manual_seed(7)
    sizes = {0: (24, 8), 2: (8, 8), 4: (8, 8), 6: (8, 8), 7: (8, 1)}
    layers = {f"layers.{k}": torch.nn.Linear(*size) for k, size in sizes.items()}
    state = {f"{name}.{part}": value for name, layer in layers.items() for part, value in layer.state_dict().items()}
    torch.save(state, folder / "head.pth")
    return {"model": str(save_clip(folder / "clip")), "head": str(folder / "head.pth"), "device": "cpu"}


def judgements_case(folder):
    rows = ["request_id,judge,correct,score", "i0,j,yes,0.9", "i2,j,cannot tell,", "i5,j,0,0.1", "i0,k,no,"]
    (folder / "judged.csv").write_text("\n".join(rows))
    return {"table": str(folder / "judged.csv"), "judge": "j", "second": "k", "extra": "ignore"}


def preference_case(folder):
    return {"model": str(save_siglip(folder)), "device": "cpu"}


def vqa_score_case(folder):
    config = save_vilt(folder) / "config.json"
    config.write_text(config.read_text().replace('"woman"', '"yes"').replace('"man"', '"no"'))
    return {"model": str(folder), "device": "cpu", "question": "{text}"}


def torchmetrics_case(folder):
    noise = np.random.default_rng(9).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "_0.png")  # the first answer to the prompt "", which these records have
    names = ["PeakSignalNoiseRatio", "SpectralAngleMapper", "StructuralSimilarityIndexMeasure", "TotalVariation"]
    return {"metrics": names, "against": str(folder), "resize": True}


def dinov2_case(folder):
    return {"model": str(save_vision(folder, "dinov2")), "size": 32, "device": "cpu"}


def inception_case(folder):
    return {"weights": str(save_inception(folder / "seeded.pth")), "device": "cpu"}


def sscd_case(folder):
    return {"weights": str(save_sscd(folder / "small.pt")), "device": "cpu"}


def vision_case(folder):
    return {"model": str(save_vision(folder, "convnext")), "device": "cpu"}


def vqa_case(folder):
    asked = {"presentation": {"ask": "a photo", "answers": {"feminine": ["woman"], "masculine": ["man"]}}}
    return {"model": str(save_vilt(folder)), "device": "cpu", "questions": asked, "operating": counts(folder.parent)}


def zero_shot_case(folder):
    prompts = {"presentation": {"feminine": ["a photo of a woman"], "masculine": ["a photo of a man"]}}
    folder = save_siglip(folder)
    more = {"attributes": prompts, "temperature": 0.1, "operating": counts(folder.parent)}
    return {"model": str(folder), "device": "cpu", **more}


# An annotator that is added to the registry needs a line here.
CASES = {
    "aesthetic": aesthetic_case,
    "attributes": plain_case,
    "classifier": classifier_case,
    "clip": clip_case,
    "credentials": plain_case,
    "discriminator": plain_case,
    "dinov2": dinov2_case,
    "faults": plain_case,
    "inception": inception_case,
    "judgements": judgements_case,
    "likeness": likeness_case,
    "ocr": plain_case,
    "people": people_case,
    "preference": preference_case,
    "scene": plain_case,
    "skin_tone": plain_case,
    "sscd": sscd_case,
    "style": plain_case,
    "torchmetrics": torchmetrics_case,
    "vision": vision_case,
    "vqa": vqa_case,
    "vqa_score": vqa_score_case,
    "works": works_case,
    "zero_shot": zero_shot_case,
}
LOCAL = [name for name in ANNOTATORS if ANNOTATORS.describe(name).distribution == "genaudit"]


@pytest.fixture(scope="module")
def images():
    from audit.reference.render import render
    from audit.reference.world import sample_people

    rng = np.random.default_rng(3)
    people = sample_people(5, rng=rng, identity_pool="heldout")
    portraits = list(render(people)) + list(render(people[:2], size=200))
    grey = np.repeat(portraits[0][..., :1], 3, axis=2)
    see_through = np.dstack([portraits[1], np.full((64, 64), 128, np.uint8)])
    odd = [
        rng.integers(0, 256, (1, 1, 3), dtype=np.uint8),
        rng.integers(0, 256, (3, 7, 3), dtype=np.uint8),
        rng.integers(0, 256, (700, 1100, 3), dtype=np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.asarray(Image.fromarray(see_through, "RGBA").convert("RGB")),
        grey,
    ]
    return [record(rgb, name=f"i{index}") for index, rgb in enumerate([*portraits, *odd])]


@pytest.fixture(scope="module", params=LOCAL)
def annotator(request, tmp_path_factory) -> Annotator:
    return ANNOTATORS.get(request.param)(**CASES[request.param](tmp_path_factory.mktemp(request.param)))


def same(first, second, order=slice(None), *, exact=True):
    assert set(first) == set(second)
    for name, values in first.items():
        if values.dtype == object or exact:
            np.testing.assert_array_equal(values[order], second[name], err_msg=name)
        else:
            np.testing.assert_allclose(values[order], second[name], atol=1e-4, err_msg=name)


def test_it_is_an_annotator_with_a_steady_spec(annotator):
    assert isinstance(annotator, Annotator)
    spec = annotator.spec
    assert isinstance(spec, AnnotatorSpec)
    assert spec.name in LOCAL
    assert len(spec.digest) >= 16
    assert annotator.spec == spec
    assert all(spec.columns.values())
    for column, table in spec.operating.items():
        assert column in spec.columns
        assert table.matrix().shape == (len(table.truth), len(table.answers))


def test_columns_are_those_of_the_spec_with_one_row_an_image(annotator, images):
    columns = annotator.annotate(images)
    assert set(columns) == set(annotator.spec.columns)
    for name, values in columns.items():
        assert isinstance(values, np.ndarray), name
        assert len(values) == len(images), name
        if values.dtype == object:
            assert all(value is None or isinstance(value, str) for value in values), name
        else:
            assert values.dtype.kind == "f", name
    for name, table in annotator.spec.operating.items():
        # What is read off a sign is counted as right or wrong only against the word that was asked for.
        assert name == "text" or set(columns[name]) <= set(table.answers)


def test_deterministic(annotator, images):
    same(annotator.annotate(images), annotator.annotate(images))


def test_rows_follow_the_order_of_images(annotator, images):
    order = np.random.default_rng(0).permutation(len(images))
    same(annotator.annotate(images), annotator.annotate([images[i] for i in order]), order, exact=False)


def test_an_image_does_not_depend_on_the_others(annotator, images):
    same(annotator.annotate(images), annotator.annotate(images[5:6]), slice(5, 6), exact=False)


def test_no_images(annotator):
    columns = annotator.annotate([])
    assert set(columns) == set(annotator.spec.columns)
    assert {len(values) for values in columns.values()} == {0}


def test_unknown_options_are_refused(annotator):
    from audit.errors import ConfigError

    with pytest.raises(ConfigError, match="nonsense"):
        type(annotator)(nonsense=1)
