# SPDX-License-Identifier: Apache-2.0
"""Which diffusers pipelines make a picture from a text, a class or nothing, and what the others are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

__all__ = ["mixes_texts", "why_not"]

# Images go in or not: with text alone they draw too.
_IMAGE_OPTIONAL = frozenset(
    {
        *("BriaFibo2Pipeline", "DreamLiteMobilePipeline", "DreamLitePipeline", "Flux2KleinKVPipeline"),
        *("Flux2KleinPipeline", "Flux2Pipeline", "FluxKontextPipeline", "GlmImagePipeline", "OmniGenPipeline"),
        *("QwenImage21Pipeline", "StableCascadeCombinedPipeline", "StableDiffusionGLIGENPipeline"),
        *("StableDiffusionGLIGENTextImagePipeline", "UniDiffuserPipeline", "ZImageOmniPipeline"),
    }
)
# Every text is padded to one length, so that texts of several lengths can share a forward pass without a trace.
_FIXED_LENGTH = frozenset(
    {
        *("AuraFlowPipeline", "ChromaPipeline", "FluxPipeline", "HunyuanDiTPipeline", "KandinskyV22CombinedPipeline"),
        *("LatentConsistencyModelPipeline", "Lumina2Pipeline", "PixArtAlphaPipeline", "PixArtSigmaPipeline"),
        *("SanaPipeline", "StableDiffusion3Pipeline", "StableDiffusionPipeline", "StableDiffusionXLPipeline"),
    }
)
_PICTURE = re.compile(r"(?!ip_adapter|negative|prompt|\w*attention)(\w+_)?(image|images|mask)$")
_EDITS = ("LEdits", "StableDiffusionPix2PixZero", "CycleDiffusion")
_MOVES = frozenset({"num_frames", "video", "video_length", "frames", "frame_rate", "fps", "num_videos_per_prompt"})


def why_not(pipeline: type) -> str | None:
    """What a pipeline class is where it cannot draw a picture from a text, a class or nothing; None where it can.

    Read from the signature of its call, and from its name where the signature does not tell.

    Args:
        pipeline: a subclass of ``DiffusionPipeline``.
    """
    taken = inspect.signature(pipeline.__call__).parameters
    return _makes_else(pipeline.__name__, set(taken)) or _needs_else(pipeline.__name__, taken)


def _makes_else(name: str, taken: set[str]) -> str | None:
    found = {
        "makes video": bool(_MOVES & taken),
        "makes sound": any(re.search("audio|music|duration", word, re.IGNORECASE) for word in (name, *taken)),
        "makes three-dimensional shapes": "frame_size" in taken,
        "makes embeddings for another pipeline": name.endswith(("PriorPipeline", "ReduxPipeline")),
        "runs weights in the ONNX format": "Onnx" in name,
        "edits a picture": name.startswith(_EDITS),
        "makes text": bool({"gen_length", "mask_token_id"} & taken),
        "has no call that draws pictures": "output_type" not in taken,
    }
    return next((what for what, true in found.items() if true), None)


def _needs_else(name: str, taken: Mapping[str, inspect.Parameter]) -> str | None:
    needed = [key for key, one in taken.items() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    needed = [f"`{key}`" for key in needed if key not in ("self", "prompt", "class_labels", "batch_size")]
    if needed:
        return f"needs {' and '.join(needed)}"
    pictures = [key for key in taken if _PICTURE.match(key)]
    return f"starts from a picture (`{pictures[0]}`)" if pictures and name not in _IMAGE_OPTIONAL else None


def mixes_texts(pipeline: str) -> bool:
    """Whether texts of several lengths may share a forward pass of this class.

    Others pad to the longest text of the batch, so what a picture looks like would depend on its neighbours; they get
    one text a forward pass. A class is in the list where a test has shown that nothing changes.
    """
    return pipeline in _FIXED_LENGTH
