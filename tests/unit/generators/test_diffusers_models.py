# SPDX-License-Identifier: Apache-2.0
"""Which pipelines can be driven, and at which size."""

from __future__ import annotations

import json

import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import DiffusersGenerator
from audit.generators.pipelines._call import Call
from audit.generators.pipelines._kind import why_not
from audit.images import pixels_of
from audit.types import Outcome
from tests.asking import ask
from tests.pipelines_unet import save_class_consistency


def make(folder, params=None):
    options = {"lanes": 1, "device": "cpu"}
    return DiffusersGenerator("g", model=str(folder), params=params or {"steps": 2}, options=options)


# --- size --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shape"), [(48, (48, 48)), ("48", (48, 48)), ("48x24", (24, 48)), ("24 X 48", (48, 24))]
)
def test_size_in_pixels(sd, size, shape):
    assert pixels_of(make(sd).generate([ask(params={"size": size})])[0]).shape[:2] == shape


@pytest.mark.parametrize("size", ["big", 0, -8, "48x", "48x24x8", True, 1.5])
def test_wrong_sizes(sd, size):
    with pytest.raises(ConfigError, match="is no size") as caught:
        _ = make(sd, params={"size": size}).spec
    assert "768x512" in caught.value.hint


def test_size_against_width_and_size_where_there_is_none(sd, ddpm):
    with pytest.raises(ConfigError, match="'width' is set twice"):
        _ = make(sd, params={"size": 32, "width": 48}).spec
    with pytest.raises(ConfigError, match="takes no parameter 'size'"):
        _ = make(ddpm, params={"size": 32}).spec


# --- which pipelines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("StableDiffusionImg2ImgPipeline", "starts from a picture"),
        ("StableDiffusionInpaintPipeline", "starts from a picture"),
        ("StableDiffusionXLControlNetPipeline", "starts from a picture"),
        ("QwenImageEditPipeline", "starts from a picture"),
        ("KandinskyV22Pipeline", "needs `image_embeds`"),
        ("KandinskyV22PriorPipeline", "makes embeddings"),
        ("StableVideoDiffusionPipeline", "makes video"),
        ("WanPipeline", "makes video"),
        ("LTXPipeline", "makes video"),
        ("AudioLDM2Pipeline", "makes sound"),
        ("StableAudioPipeline", "makes sound"),
        ("ShapEPipeline", "three-dimensional"),
    ],
)
def test_pipelines_that_cannot_be_driven_are_refused_before_loading(name, reason, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(GeneratorError, match=reason) as caught:
        _ = make(tmp_path).spec
    assert name in caught.value.message
    assert "text, a class or nothing" in caught.value.hint
    assert caught.value.exit_code == 20


def test_every_class_for_text_to_image_can_be_driven_or_asks_for_a_picture():
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    refused = {kind.__name__: why_not(kind) for kind in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()}
    refused = {name: reason for name, reason in refused.items() if reason}
    # diffusers lists these under text-to-image, though they start from a picture or make video.
    assert all("Control" in name or "Helios" in name for name in refused), refused


def test_a_pipeline_that_takes_one_generator_is_known_by_its_annotation():
    from diffusers import AmusedPipeline, StableDiffusionPipeline

    assert (Call.of(AmusedPipeline).many, Call.of(StableDiffusionPipeline).many) == (False, True)


def test_a_class_beyond_the_last_is_an_error_row(tmp_path):
    generator = make(save_class_consistency(tmp_path))
    good, bad, word = generator.generate([ask("2"), ask("3"), ask("nurse")])
    assert good.outcome is Outcome.IMAGE
    assert [bad.outcome, word.outcome] == [Outcome.ERROR] * 2
    assert "no class '3'" in bad.message
