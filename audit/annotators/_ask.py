# SPDX-License-Identifier: Apache-2.0
"""Ask a model of transformers a question about pictures: BLIP, ViLT, and models that are talked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.annotators._pretrained import Pretrained
from audit.checkpoints import quiet
from audit.errors import AnnotatorError, AuditError, ConfigError

__all__ = ["Ask", "Probable", "Words", "asker", "explained", "probable", "yes_and_no"]

#: Pictures of equal shape (n, h, w, 3) and a question to n answers.
Ask = Callable[[NDArray[np.uint8], str], list[str]]
#: The same to the probability of each of several sets of first words, (n, k).
Probable = Callable[[NDArray[np.uint8], str], NDArray[np.float64]]
#: Numbers of tokens, or of a classifier's answers, with how they are written.
Words = Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Writer:
    """A model that writes, with what turns pictures and a question into its input.

    Attributes:
        network: the model.
        processor: of pictures and text.
        inputs: pictures and a question to tensors where the model works.
    """

    network: Any
    processor: Any
    inputs: Callable[[NDArray[np.uint8], str], dict[str, Any]]


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
    if model.config.get("model_type") == "vilt":
        logits, names = _vilt(model)
        return lambda pictures, question: [names[k] for k in logits(pictures, question).argmax(axis=1)]
    writer = _writer(model, template)

    def ask(pictures: NDArray[np.uint8], question: str) -> list[str]:
        inputs = writer.inputs(pictures, question)
        found, asked = _generate(writer.network, inputs, max_tokens), inputs["input_ids"]
        length = asked.shape[1]
        # Some models give back the question before the answer, some do not.
        if found.shape[1] >= length and bool((found[:, :length] == asked).all()):
            found = found[:, length:]
        return _said(writer.processor, found)

    return ask


def probable(model: Pretrained, words: Sequence[Words], *, template: str | None) -> Probable:
    """Load a model that says how probable it is that its answer begins with each of several sets of tokens.

    Args:
        model: where it lies.
        words: k sets of tokens, see `yes_and_no`.
        template: as for `asker`.

    Raises:
        AnnotatorError: it cannot be loaded.
        ConfigError: it needs a template.
    """
    columns = [sorted(tokens) for tokens in words]
    if model.config.get("model_type") == "vilt":
        logits, _ = _vilt(model)
        # Trained on each answer by itself: its probabilities do not add up to 1.
        return lambda pictures, question: _sums(special.expit(logits(pictures, question)), columns)
    writer = _writer(model, template)

    def sure(pictures: NDArray[np.uint8], question: str) -> NDArray[np.float64]:
        first = _first_logits(writer.network, writer.inputs(pictures, question))
        return _sums(special.softmax(first, axis=1), columns)

    return sure


def yes_and_no(model: Pretrained) -> tuple[Words, Words]:
    """The tokens that "yes" and "no" begin with, in lower and upper case, at the start of an answer and behind a space.

    A model that has no such word as one token is read by its first letters.

    Raises:
        AnnotatorError: the model has no token for one of them.
    """
    if model.config.get("model_type") == "vilt":
        names = {int(k): str(name) for k, name in (model.config.get("id2label") or {}).items()}
        found = [{k: name for k, name in names.items() if name.strip().casefold() == word} for word in ("yes", "no")]
    else:
        tokenizer = model.part("AutoTokenizer")
        found = [_begins(tokenizer, word) for word in ("yes", "no")]
    for word, tokens in zip(("yes", "no"), found, strict=True):
        if not tokens:
            hint = "name a model that answers questions in English"
            raise AnnotatorError(f"{model.model} has no token for {word!r}", where=model.where, hint=hint)
    return found[0], found[1]


@contextmanager
def explained(pictures: NDArray[np.uint8], *, where: str) -> Iterator[None]:
    """Say of which pictures a model failed. Raises AnnotatorError."""
    try:
        yield
    except AuditError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shape = " x ".join(str(side) for side in pictures.shape[1:3])
        message = f"the model fails on pictures of {shape}: {str(error)[:300]}"
        raise AnnotatorError(message, where=where, hint="ask a shorter question, or name another model") from error


def _begins(tokenizer: Any, word: str) -> dict[int, str]:
    """First tokens of a word as it may be written: those that are all of it, else those that are its beginning."""
    found = {}
    for text in (word, word.capitalize(), word.upper(), f" {word}", f" {word.capitalize()}", f" {word.upper()}"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        written = str(tokenizer.decode(ids[:1])) if ids and ids[0] != tokenizer.unk_token_id else ""
        if written.strip() and word.startswith(written.strip().casefold()):
            found[int(ids[0])] = written
    whole = {k: written for k, written in found.items() if written.strip().casefold() == word}
    return whole or found


def _sums(p: NDArray[np.float64], columns: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    return np.stack([p[:, list(mine)].sum(axis=1) for mine in columns], axis=1)


def _vilt(model: Pretrained) -> tuple[Callable[[NDArray[np.uint8], str], NDArray[np.float64]], dict[int, str]]:
    """A classifier over the answers of its training set: its logits, and the answers."""
    import torch

    network, processor = model.network("ViltForQuestionAnswering"), model.part("AutoProcessor")

    def logits(pictures: NDArray[np.uint8], question: str) -> NDArray[np.float64]:
        inputs = processor(images=list(pictures), text=[question] * len(pictures), return_tensors="pt")
        # ViLT draws the order of its patches by chance: the same one every time, and nobody else's chance is used up.
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.inference_mode():
            torch.manual_seed(0)
            found: NDArray[np.float64] = network(**model.moved(inputs)).logits.double().cpu().numpy()
        return found

    return logits, {int(k): str(name) for k, name in network.config.id2label.items()}


def _writer(model: Pretrained, template: str | None) -> _Writer:
    return _blip(model) if model.config.get("model_type") == "blip" else _chat(model, template)


def _blip(model: Pretrained) -> _Writer:
    network, processor = model.network("BlipForQuestionAnswering"), model.part("AutoProcessor")

    def inputs(pictures: NDArray[np.uint8], question: str) -> dict[str, Any]:
        return model.moved(processor(images=list(pictures), text=[question] * len(pictures), return_tensors="pt"))

    return _Writer(network, processor, inputs)


def _chat(model: Pretrained, template: str | None) -> _Writer:
    network, processor = model.network("AutoModelForImageTextToText"), model.part("AutoProcessor")
    if not hasattr(processor, "apply_chat_template") or not hasattr(processor, "tokenizer"):
        message = f"{model.model} has no processor for pictures with text"
        raise AnnotatorError(message, where=model.where, hint="name a model that was saved with its processor")
    if template is None and not getattr(processor, "chat_template", None):
        message = f"{model.model} has no chat template"
        raise ConfigError(message, where=model.where, hint='set `template`, e.g. "Question: {ask} Answer:"')

    def inputs(pictures: NDArray[np.uint8], question: str) -> dict[str, Any]:
        if template is None:
            found = processor.apply_chat_template(
                [_talk(picture, question) for picture in pictures],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        else:
            text = [template.replace("{ask}", question)] * len(pictures)
            found = processor(images=[_picture(p) for p in pictures], text=text, return_tensors="pt")
        return model.moved(found)

    return _Writer(network, processor, inputs)


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


def _first_logits(network: Any, inputs: dict[str, Any]) -> NDArray[np.float64]:
    """Of the first token of the answer, before anything is forbidden or made likelier; (n, tokens)."""
    import torch

    more = {"output_logits": True, "return_dict_in_generate": True}
    with torch.inference_mode(), quiet():
        out = network.generate(**inputs, max_new_tokens=1, do_sample=False, num_beams=1, **more)
    first: NDArray[np.float64] = out.logits[0].double().cpu().numpy()
    return first


def _said(processor: Any, tokens: Any) -> list[str]:
    texts: Sequence[str] = processor.batch_decode(tokens, skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]
