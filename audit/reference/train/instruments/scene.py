# SPDX-License-Identifier: Apache-2.0
"""Training of the network that reads scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audit.reference.people import Pool
from audit.reference.scene_net import LETTERS, PARTS, SceneConfig, SceneNet
from audit.reference.scenes import SIGN_LETTERS, STYLES, painting_ids, plant, render_paintings, render_signs, restyle
from audit.reference.train import tokens
from audit.reference.train._loop import Settings, autocast, checkpoint_path, load_average
from audit.reference.train.instruments import augment
from audit.reference.train.instruments.attributes import through_autoencoder
from audit.reference.train.instruments.data import as_batch, balanced_people, draw, without_faces
from audit.reference.train.instruments.operating import Decode
from audit.reference.train.instruments.operating_scene import measure_scene
from audit.reference.train.instruments.steps import descend, optimiser, torch_generator

STEPS, BATCH, RATE = 5000, 64, 2e-3
#: Pictures trained on, pictures calibrated on, and pictures of each sort measured on.
PICTURES, SPLIT, HELD_OUT = 30_000, 3000, 2000
#: Shares of people, paintings and signs; of a batch, that of pictures of nothing.
MIX, NOTHING_SHARE = (0.45, 0.17, 0.38), 0.08
#: An answer is given from the smallest probability at which at most this share of the answers given is wrong, but never
#: below the least one: pictures worse than those of the split must be able to fail.
WRONG_AT_MOST, LEAST = 0.01, {"kind": 0.6, "style": 0.6, "logo": 0.6, "text": 0.7}
_THRESHOLDS = np.arange(0.5, 0.96, 0.05)
_WEIGHTS = {"kind": 0.5, "style": 0.4, "logo": 1.0}
_LENGTHS = (0.04, 0.06, 0.15, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Pictures of all kinds with their truth, -1 where a question does not arise.

    Attributes:
        images: uint8 (n, 64, 64, 3).
        truth: class index (n,) per head.
        letters: index into ``LETTERS`` (n, 4).
    """

    images: NDArray[np.uint8]
    truth: dict[str, Tensor]
    letters: Tensor

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.images)


def random_words(n: int, *, rng: np.random.Generator) -> list[str]:
    """Draw strings of one to four random letters, none of them a word that the generators know."""
    known = {*plant("signs")["words"], *plant("signs")["misspelt"].values()}
    out: list[str] = []
    while len(out) < n:
        length = 1 + int(rng.choice(SIGN_LETTERS, p=_LENGTHS))
        word = "".join(LETTERS[k] for k in rng.integers(0, 26, length))
        if word not in known:
            out.append(word)
    return out


def letter_indices(words: Sequence[str]) -> Tensor:
    """Index into ``LETTERS`` of each letter and of the empty places behind them, (n, 4)."""
    rows = [[LETTERS.index(letter) for letter in word.ljust(SIGN_LETTERS)] for word in words]
    return torch.tensor(rows, dtype=torch.int64).view(len(rows), SIGN_LETTERS)


def draw_scenes(n: int, *, rng: np.random.Generator, pool: Pool) -> Scenes:
    """Draw about ``n`` pictures by ``MIX``: people balanced in style and logo, paintings, signs of random letters."""
    people_n, paintings_n, signs_n = (round(n * share) for share in MIX)
    people = balanced_people(people_n, rng=rng, pool=pool).replace(logo=rng.random(people_n) < 0.5)
    style, shown = rng.integers(0, len(STYLES), people_n), random_words(signs_n, rng=rng)
    drawn = [
        restyle(draw(people).images, [STYLES[k] for k in style]),
        render_paintings(painting_ids(paintings_n, pool=pool, rng=rng)),
        render_signs(shown, rng=rng),
    ]
    none = np.full(paintings_n + signs_n, -1)
    truth = {
        "kind": np.repeat(np.arange(3), (people_n, paintings_n, signs_n)),
        "style": np.concatenate([style, none]),
        "logo": np.concatenate([people.logo.astype(np.int64), none]),
    }
    empty = torch.full((people_n + paintings_n, SIGN_LETTERS), -1)
    letters = torch.cat([empty, letter_indices(shown)])
    return Scenes(np.concatenate(drawn), {head: torch.from_numpy(column) for head, column in truth.items()}, letters)


def soften(x: Tensor, gen: torch.Generator, *, share: float) -> Tensor:
    """Blur a share of the pictures as much as the decoders of the generators do, by 0.6 to 1.8 pixels."""
    chosen = torch.rand(len(x), generator=gen) < share
    sigma = torch.where(chosen, augment.uniform(len(x), 0.6, 1.8, gen), torch.zeros(len(x)))
    return augment.blur(x, sigma)


def nudge(x: Tensor, gen: torch.Generator, *, most: int = 2) -> Tensor:
    """Shift the whole batch by up to ``most`` pixels each way; letters must not be mirrored or turned."""
    dx, dy = (int(k) for k in torch.randint(0, 2 * most + 1, (2,), generator=gen))
    padded = F.pad(x, (most, most, most, most), mode="replicate")
    return padded[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]]


def loss_on(net: SceneNet, bank: Scenes, *, batch: int, gen: torch.Generator) -> Tensor:
    """Draw a batch, degrade it, turn some of its people into nothing, and return the summed loss of all answers."""
    index = torch.randint(0, len(bank), (batch,), generator=gen)
    x, truth = as_batch(bank.images[index.numpy()]), {head: values[index] for head, values in bank.truth.items()}
    signs, people = (truth["kind"] == 2).nonzero()[:, 0], (truth["kind"] == 0).nonzero()[:, 0]
    others = (truth["kind"] != 2).nonzero()[:, 0]
    nothing = people[: round(NOTHING_SHARE * batch)]
    x[signs] = nudge(x[signs], gen)
    x[others] = augment.move(x[others], torch.full((len(others), 4), 0.5), gen)[0]
    x[nothing] = without_faces(x[nothing], gen)
    for values in truth.values():
        values[nothing] = -1
    x = augment.strong(soften(x, gen, share=0.4), gen)
    with autocast():
        out, read = net(x.to(memory_format=torch.channels_last)), net.letters(x[signs])
    loss = 1.5 * _cross_entropy(read.flatten(0, 1), bank.letters[index[signs]].flatten())
    for head, weight in _WEIGHTS.items():
        loss = loss + weight * _cross_entropy(out[head], truth[head])
    # Of nothing every kind is equally likely, so that the answer becomes "could not tell".
    return loss - 0.5 * len(nothing) / batch * torch.log_softmax(out["kind"][nothing].float(), dim=1).mean()


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), truth, ignore_index=-1, label_smoothing=0.02)


@torch.inference_mode()
def logits_on(net: SceneNet, x: Tensor, scenes: Scenes) -> dict[str, tuple[Tensor, Tensor]]:
    """Logits (m, k) and truth (m,) of every part, on the pictures ``x`` of ``scenes`` of which it is asked."""
    seen, signs = net.eval()(x), scenes.truth["kind"] == 2
    out = {head: (seen[head][truth >= 0].float(), truth[truth >= 0]) for head, truth in scenes.truth.items()}
    return out | {"text": (net.letters(x[signs]).flatten(0, 1).float(), scenes.letters[signs].flatten())}


def temperatures(found: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Fit one temperature a part by likelihood (Guo et al. 2017, eq. 9).

    Temperatures under 0.5 are not fitted: a part without a mistake on the split would ask for certainty about broken
    pictures too.
    """
    grid = np.geomspace(0.5, 4.0, 80)
    losses = {
        part: [float(F.cross_entropy(logits / t, truth)) for t in grid] for part, (logits, truth) in found.items()
    }
    return {part: round(float(grid[int(np.argmin(loss))]), 4) for part, loss in losses.items()}


def thresholds(found: dict[str, tuple[Tensor, Tensor]], heat: dict[str, float], nothing: Tensor) -> dict[str, float]:
    """Find for each part the smallest threshold at which at most ``WRONG_AT_MOST`` of the answers given are wrong.

    Args:
        found: logits and truth by part.
        heat: temperatures.
        nothing: logits (m, 3) of the kind of pictures that show nothing: any answer about them is wrong.
    """
    logits, truth = found["kind"]
    cases = found | {"kind": (torch.cat([logits, nothing]), torch.cat([truth, torch.full((len(nothing),), -1)]))}
    out = {}
    for part, (scores, right) in cases.items():
        best, said = torch.softmax(scores / heat[part], dim=1).max(dim=1)
        wrong = said != right
        if part == "text":  # a word is right when all its letters are
            best, wrong = best.view(-1, SIGN_LETTERS).prod(dim=1), wrong.view(-1, SIGN_LETTERS).any(dim=1)
        shares = [float(wrong[best >= t].float().mean()) for t in _THRESHOLDS]
        good = [t for t, share in zip(_THRESHOLDS, shares, strict=True) if share <= WRONG_AT_MOST]
        out[part] = max(LEAST[part], round(float(good[0] if good else _THRESHOLDS[-1]), 2))
    return out


class Scene:
    """Training task: read kind, style, logo and letters off a degraded picture."""

    name = "scene"

    def __init__(self, settings: Settings, *, pictures: int = PICTURES) -> None:
        torch.manual_seed(settings.seed)
        self.net = SceneNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adamw = optimiser(self.net, RATE)
        self.bank = draw_scenes(pictures, rng=np.random.default_rng([settings.seed, 1]), pool="instruments")

    def modules(self) -> dict[str, nn.Module]:
        """The network."""
        return {"net": self.net}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.adamw}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002 - as the loop calls it
        """One update on a batch of the bank."""
        loss = loss_on(self.net.train(), self.bank, batch=BATCH, gen=torch_generator(rng))
        return {"loss": descend(loss, self.net, self.adamw)}


def calibrated(net: SceneNet, *, seed: int, pictures: int = SPLIT) -> SceneConfig:
    """Temperatures and thresholds from pictures of the pool ``instruments``, softened like generated ones."""
    gen = torch.Generator().manual_seed(seed)
    split = draw_scenes(pictures, rng=np.random.default_rng([seed, 2]), pool="instruments")
    x = augment.mild(soften(as_batch(split.images), gen, share=0.5), gen)
    found = logits_on(net, x, split)
    with torch.inference_mode():
        nothing = net(without_faces(x[split.truth["kind"] == 0][:500], gen))["kind"].float()
    heat = temperatures(found)
    least = thresholds(found, heat, nothing)
    return replace(
        net.config,
        temperatures=tuple((part, heat[part]) for part in PARTS),
        thresholds=tuple((part, least[part]) for part in PARTS),
    )


def through_tokens(settings: Settings) -> Decode | None:
    """Return what turns pictures into tokens and back, from ``settings.work``; None before it is trained."""
    if not checkpoint_path(tokens.Tokens.name, settings).exists():
        return None
    model, _ = tokens.load(settings)
    return lambda images: tokens.decode(model, tokens.encode(model, images))


def export(settings: Settings) -> Path:
    """Calibrate the averaged weights, write them, measure what was written, and write the card."""
    from audit.reference.train.instruments.cards_scene import write_scene

    torch.set_num_threads(settings.threads)
    task, folder = Scene(settings, pictures=100), settings.out / "scene"
    record = load_average(task, settings)
    task.net.config = calibrated(task.net, seed=settings.seed)
    task.net.save_pretrained(folder)
    # Read back: what is measured is what is shipped, float16 rounding included.
    shipped = SceneNet.from_pretrained(folder)
    decoders = {"after_autoencoder": through_autoencoder(settings), "after_tokens": through_tokens(settings)}
    measured = measure_scene(shipped, held_out=HELD_OUT, seed=settings.seed, decoders=decoders)
    write_scene(folder, measured, record, settings)
    return folder
