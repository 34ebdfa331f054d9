# SPDX-License-Identifier: Apache-2.0
"""Ask a model of transformers a question about pictures: BLIP, ViLT, and models that are talked to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._pretrained import Pretrained
from audit.checkpoints import quiet
from audit.errors import AnnotatorError, ConfigError

__all__ = ["Ask", "asker"]

#: Pictures of equal shape (n, h, w, 3) and a question to n answers.
Ask = Callable[[NDArray[np.uint8], str], list[str]]


def asker(model: Pretrained, *, max_tokens: int, template: str | None) -> Ask:
    """Load a model that answers.

    Args:
        model: where it lies.
        max_tokens: of an answer, at most.
        template: prompt with ``{ask}`` in it, for models without a chat template.

    Raises:
        AnnotatorError: it cannot be loaded.
        ConfigError: it needs a template.
    """
    kind = model.config.get("model_type")
    if kind == "vilt":
        return _vilt(model)
    if kind == "blip":
        return _blip(model, max_tokens)
    return _chat(model, max_tokens, template)


def _vilt(model: Pretrained) -> Ask:
    """A classifier over the answers of its training set."""
    import torch

    network, processor = model.network("ViltForQuestionAnswering"), model.part("AutoProcessor")
    names = network.config.id2label

    def ask(pictures: NDArray[np.uint8], question: str) -> list[str]:
        inputs = processor(images=list(pictures), text=[question] * len(pictures), return_tensors="pt")
        # ViLT draws the order of its patches by chance: the same one every time, and nobody else's chance is used up.
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.inference_mode():
            torch.manual_seed(0)
            best = network(**model.moved(inputs)).logits.argmax(dim=1)
        return [str(names[int(k)]) for k in best]

    return ask


def _blip(model: Pretrained, max_tokens: int) -> Ask:
    network, processor = model.network("BlipForQuestionAnswering"), model.part("AutoProcessor")

    def ask(pictures: NDArray[np.uint8], question: str) -> list[str]:
        inputs = processor(images=list(pictures), text=[question] * len(pictures), return_tensors="pt")
        return _said(processor, _generate(network, model.moved(inputs), max_tokens))

    return ask


def _chat(model: Pretrained, max_tokens: int, template: str | None) -> Ask:
    network, processor = model.network("AutoModelForImageTextToText"), model.part("AutoProcessor")
    if not hasattr(processor, "apply_chat_template") or not hasattr(processor, "tokenizer"):
        message = f"{model.model} has no processor for pictures with text"
        raise AnnotatorError(message, where=model.where, hint="name a model that was saved with its processor")
    if template is None and not getattr(processor, "chat_template", None):
        message = f"{model.model} has no chat template"
        raise ConfigError(message, where=model.where, hint='set `template`, e.g. "Question: {ask} Answer:"')

    def ask(pictures: NDArray[np.uint8], question: str) -> list[str]:
        if template is None:
            inputs = processor.apply_chat_template(
                [_talk(picture, question) for picture in pictures],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            text = [template.replace("{ask}", question)] * len(pictures)
            inputs = processor(images=[_picture(p) for p in pictures], text=text, return_tensors="pt")
        moved = model.moved(inputs)
        found = _generate(network, moved, max_tokens)
        asked = moved["input_ids"]
        length = asked.shape[1]
        # Some models give back the question before the answer, some do not.
        if found.shape[1] >= length and bool((found[:, :length] == asked).all()):
            found = found[:, length:]
        return _said(processor, found)

    return ask


def _picture(rgb: NDArray[np.uint8]) -> Any:
    from PIL import Image

    return Image.fromarray(rgb)


def _talk(rgb: NDArray[np.uint8], question: str) -> list[dict[str, Any]]:
    content = [{"type": "image", "image": _picture(rgb)}, {"type": "text", "text": question}]
    return [{"role": "user", "content": content}]


def _generate(network: Any, inputs: dict[str, Any], max_tokens: int) -> Any:
    """The likeliest token each time, nothing drawn by chance."""
    import torch

    with torch.inference_mode(), quiet():
        return network.generate(**inputs, max_new_tokens=max_tokens, do_sample=False, num_beams=1)


def _said(processor: Any, tokens: Any) -> list[str]:
    texts: Sequence[str] = processor.batch_decode(tokens, skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]
