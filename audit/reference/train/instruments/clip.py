# SPDX-License-Identifier: Apache-2.0
"""Training of a small `transformers.CLIPModel` on renders and their captions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from audit.reference.instruments import IMAGE_SIZE
from audit.reference.train._loop import Settings, autocast, load_average
from audit.reference.train.instruments import augment
from audit.reference.train.instruments.data import Bank, as_batch, balanced_people, draw
from audit.reference.train.instruments.steps import descend, optimiser, torch_generator
from audit.reference.train.instruments.words import LONGEST, tokenizer
from audit.reference.world import AGES, PRESENTATIONS, People, captions, parse_prompt

STEPS, BATCH, RATE = 4500, 64, 1.5e-3
#: Renders trained on, and renders measured on.
PEOPLE, HELD_OUT = 30_000, 4000
DIMENSIONS = 128
#: How much of a person a caption tells, drawn for every batch.
DETAILS = (0.35, 0.7, 0.9)
_READINGS = {"presentation": len(PRESENTATIONS), "age": len(AGES), "glasses": 2, "beard": 2}
_READING_SCALE = 8.0


def new_model(words: CLIPTokenizer) -> CLIPModel:
    """Return an untrained CLIP: vision 4 layers of 128, patches of 8; text 2 layers of 128; projection 128."""
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    text = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = text | {"num_hidden_layers": 4, "image_size": IMAGE_SIZE, "patch_size": 8}
    text |= {"vocab_size": len(words), "max_position_embeddings": LONGEST, **ids}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIMENSIONS))
    model.set_attn_implementation("eager")  # on a CPU the fused kernel's backward takes twice as long
    return model


def image_processor() -> CLIPImageProcessorPil:
    """Return the preprocessing: 64x64, bilinear, [-1, 1]."""
    return CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE_SIZE},
        crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        resample=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def same_meaning(texts: list[str]) -> Tensor:
    """Return bool (n, n): which captions say the same ("a photo of a nurse", "a portrait of a nurse")."""
    keys: dict[frozenset[tuple[str, Any]], int] = {}
    which = torch.tensor([keys.setdefault(frozenset(parse_prompt(text).items()), len(keys)) for text in texts])
    return which[:, None] == which[None, :]


def contrast(image: Tensor, text: Tensor, scale: Tensor, same: Tensor) -> Tensor:
    """Symmetric contrastive loss (Radford et al. 2021, fig. 3); captions of one meaning share the target.

    Args:
        image: unit vectors (n, d).
        text: unit vectors (n, d).
        scale: log of the inverse temperature.
        same: bool (n, n), from `same_meaning`.
    """
    logits = image @ text.T * scale.clamp(max=math.log(100)).exp()
    target = same.float() / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class Lesson(nn.Module):
    """The CLIP with what only training needs: four attributes read off its picture vectors.

    A contrastive loss alone is soon content with clothes and colours; the second task makes the picture vectors hold
    the finer cues, so that there is something for the words to be matched to.
    """

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.model = model
        self.readings = nn.ModuleDict({name: nn.Linear(DIMENSIONS, count) for name, count in _READINGS.items()})

    def read(self, image: Tensor, people: People) -> Tensor:
        """Return the loss of the second task for unit vectors (n, d)."""
        loss = torch.zeros(())
        for name, layer in self.readings.items():
            truth = torch.from_numpy(getattr(people, name).astype(np.int64))
            loss = loss + F.cross_entropy(layer(image * _READING_SCALE), truth)
        return loss


def loss_on(
    lesson: Lesson, words: CLIPTokenizer, bank: Bank, *, batch: int, gen: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw people, describe them anew, degrade the pictures; return the contrastive loss and that of the readings."""
    index = torch.randint(0, len(bank), (batch,), generator=gen).numpy()
    rng = np.random.default_rng(int(torch.randint(0, 2**62, (1,), generator=gen)))
    people = bank.people[index]
    texts = captions(people, rng=rng, detail=DETAILS[int(rng.integers(len(DETAILS)))])
    x, _ = augment.move(as_batch(bank.images[index]), torch.from_numpy(bank.boxes[index]), gen)
    tokens, pixels = words(texts, padding=True, truncation=True, return_tensors="pt"), augment.strong(x, gen)
    with autocast():
        out = lesson.model(pixel_values=pixels, **tokens)
    image, text = out.image_embeds.float(), out.text_embeds.float()
    return contrast(image, text, lesson.model.logit_scale, same_meaning(texts)), lesson.read(image, people)


def save(model: nn.Module, words: CLIPTokenizer, folder: Path) -> None:
    """Write a folder that `CLIPModel.from_pretrained` and `CLIPProcessor.from_pretrained` load; weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)  # type: ignore[operator]
    words.save_pretrained(folder)
    image_processor().save_pretrained(folder)
    path = folder / "model.safetensors"
    half = {k: v.half() if v.is_floating_point() else v for k, v in load_file(path).items()}
    save_file(half, path, metadata={"format": "pt"})
    path.chmod(0o644)


class Clip:
    """Training task: put a picture and what is said of it in the same place."""

    name = "clip"

    def __init__(self, settings: Settings, *, people: int = PEOPLE) -> None:
        torch.manual_seed(settings.seed)
        self.words = tokenizer()
        self.lesson = Lesson(new_model(self.words))
        self.adamw = optimiser(self.lesson, RATE)
        self.bank = draw(balanced_people(people, rng=np.random.default_rng([settings.seed, 4]), pool="instruments"))

    def modules(self) -> dict[str, nn.Module]:
        """The CLIP with its readings."""
        return {"lesson": self.lesson}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.adamw}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002 - as the loop calls it
        """One update on a batch of the bank."""
        parts = loss_on(self.lesson.train(), self.words, self.bank, batch=BATCH, gen=torch_generator(rng))
        descend(parts[0] + parts[1], self.lesson, self.adamw)
        return {"contrast": float(parts[0].detach()), "readings": float(parts[1].detach())}


def export(settings: Settings) -> Path:
    """Write the averaged weights, measure what was written, and write the card."""
    from audit.reference.train.instruments.cards import write_clip
    from audit.reference.train.instruments.operating_clip import measure_clip

    torch.set_num_threads(settings.threads)
    task, folder = Clip(settings, people=1), settings.out / "clip"
    record = load_average(task, settings)
    save(task.lesson.model, task.words, folder)
    shipped = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()  # type: ignore[no-untyped-call]
    measured = measure_clip(shipped, folder, held_out=HELD_OUT, seed=settings.seed)
    write_clip(folder, measured, record, settings)
    return folder
