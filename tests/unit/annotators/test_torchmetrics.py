# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from audit.annotators._targets import TargetFolder, TargetRun
from audit.annotators.torchmetrics import TorchmetricsAnnotator
from audit.errors import AnnotatorError, ConfigError, PluginError
from tests.asking import record

SSIM, PSNR, TV = "StructuralSimilarityIndexMeasure", "PeakSignalNoiseRatio", "TotalVariation"


def noise(side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def asked(rgb: np.ndarray, prompt: str = "occupations/nurse", repetition: int = 0, probe: str = "portraits"):
    return replace(record(rgb), probe=probe, prompt_id=prompt, repetition=repetition)


def save(rgb: np.ndarray, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)


@pytest.fixture
def folder(tmp_path):
    save(noise(seed=1), tmp_path / "occupations__nurse_1.png")
    save(noise(seed=2), tmp_path / "occupations__nurse.png")
    return tmp_path


def test_psnr_and_total_variation_by_their_formulae(folder):
    found = TorchmetricsAnnotator(metrics=[PSNR, TV], against=str(folder)).annotate([asked(noise())])
    x, y = noise() / 255, noise(seed=2) / 255
    assert found[PSNR][0] == pytest.approx(-10 * np.log10(np.mean((x - y) ** 2)), rel=1e-5)
    assert found[TV][0] == pytest.approx(np.abs(np.diff(x, axis=0)).sum() + np.abs(np.diff(x, axis=1)).sum(), rel=1e-5)
    assert found[f"{PSNR}_why"].tolist() == found[f"{TV}_why"].tolist() == [None]


def test_a_target_of_the_repetition_comes_before_that_of_the_prompt(folder):
    images = [asked(noise(seed=1), repetition=k) for k in (0, 1, 2)]
    found = TorchmetricsAnnotator(metrics=[SSIM], against=str(folder)).annotate(images)[SSIM]
    assert found[1] == pytest.approx(1)
    assert found[0] == found[2] < 0.5


def test_a_folder_of_the_probe_set_holds_its_targets(folder):
    save(noise(seed=3), folder / "portraits" / "occupations__nurse.jpg")
    there = TargetFolder.read(folder)
    assert there.find(asked(noise())).name == "occupations__nurse.jpg"
    assert there.find(asked(noise(), probe="others")).name == "occupations__nurse.png"
    assert there.find(asked(noise(), prompt="occupations/judge")) is None


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (asked(noise(), prompt="object-1"), "no target"),
        (asked(noise(16)), "the picture has 16x16 pixels, its target 32x32: set resize: true"),
        (asked(noise(seed=2)), "picture and target are equal: not a finite number"),
    ],
)
def test_no_number_comes_with_its_reason(folder, image, why):
    found = TorchmetricsAnnotator(metrics=[PSNR], against=str(folder)).annotate([image])
    assert np.isnan(found[PSNR]).all()
    assert found[f"{PSNR}_why"].tolist() == [why]


def test_a_picture_too_small_for_the_metric_has_no_number(folder):
    name = "MultiScaleStructuralSimilarityIndexMeasure"
    found = TorchmetricsAnnotator(metrics=[name], against=str(folder)).annotate([asked(noise())])
    assert np.isnan(found[name]).all()
    assert found[f"{name}_why"][0].startswith("torchmetrics: For a given number of `betas` parameters 5")


def test_targets_are_resized_on_demand(folder):
    made = TorchmetricsAnnotator(metrics=[PSNR], against=str(folder), resize=True)
    found = made.annotate([asked(noise(16))])[PSNR]
    small = np.asarray(Image.fromarray(noise(seed=2)).resize((16, 16), Image.Resampling.BICUBIC))
    assert found[0] == pytest.approx(-10 * np.log10(np.mean((noise(16) / 255 - small / 255) ** 2)), rel=1e-5)


def test_a_damaged_target_is_an_error(folder):
    (folder / "occupations__nurse.png").write_bytes(b"no picture")
    with pytest.raises(AnnotatorError, match=r"occupations__nurse\.png: target cannot be read"):
        TorchmetricsAnnotator(metrics=[SSIM], against=str(folder)).annotate([asked(noise())])


def test_the_digest_knows_options_and_targets(folder):
    def digest(**options):
        return TorchmetricsAnnotator(**{"metrics": [SSIM], "against": str(folder), **options}).spec.digest

    first = digest()
    assert digest(metrics={SSIM: None}) == first
    assert digest(metrics={SSIM: {"kernel_size": 7}}) != first
    assert digest(resize=True) != first
    save(noise(seed=5), folder / "occupations__nurse.png")
    assert digest() != first


def test_options_of_the_class_count(folder):
    images = [asked(noise())]
    plain = TorchmetricsAnnotator(metrics=[SSIM], against=str(folder)).annotate(images)[SSIM]
    other = TorchmetricsAnnotator(metrics={SSIM: {"sigma": 3.0}}, against=str(folder)).annotate(images)[SSIM]
    assert plain[0] != other[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "no metric of torchmetrics is named"),
        ({"metrics": [SSIM]}, "needs a target for every picture"),
        ({"metrics": [SSIM], "against": "nowhere"}, "'nowhere' is not a folder"),
        ({"metrics": [SSIM], "against": {"generator": "g"}}, "names no run"),
        ({"metrics": [SSIM], "against": {"run": "nowhere", "generator": "g"}}, "'nowhere' is no finished run"),
        ({"metrics": {TV: {"colour": 1}}}, "options .* do not work: .*colour"),
        ({"metrics": {TV: {"reduction": "sideways"}}}, "options .* do not work: "),
        ({"metrics": {TV: 3}}, "options of TotalVariation are 3"),
        ({"metrics": {PSNR: {"data_range": 255}}}, "data_range cannot be set"),
        ({"metrics": {SSIM: {"return_full_image": True}}, "against": "."}, "more than one number"),
    ],
)
def test_wrong_options_are_told(options, told):
    with pytest.raises(ConfigError, match=told) as caught:
        TorchmetricsAnnotator(**options)
    assert caught.value.hint


def test_a_class_that_cannot_be_used_is_told():
    with pytest.raises(PluginError, match="FrechetInceptionDistance is a number of a set"):
        TorchmetricsAnnotator(metrics=["FrechetInceptionDistance"])


def test_a_run_without_the_generator_is_told(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"request_id": "a", "generator": "sd15", "probe": "p", "prompt_id": "q", "repetition": 0}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "requests.parquet")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match="no generator 'sd'") as caught:
        TargetRun.read(tmp_path, "sd", where="here")
    assert "sd15" in caught.value.hint
