# SPDX-License-Identifier: Apache-2.0
"""The instrument that reads scenes: kind of picture, style of drawing, the planted logo, the word on a sign.

Letters are read one by one in four fixed windows by a network that saw random letters only: it knows no words, so it
cannot mend a misspelling. The other answers come from a trunk that keeps 4x4 cells, since the logo is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from torch import Tensor, nn

from audit.reference.instruments import (
    COULD_NOT_TELL,
    IMAGE_SIZE,
    Floats,
    Images,
    read_weights,
    to_tensor,
    trunk,
    write_weights,
)
from audit.reference.scenes import SIGN_LETTERS, STYLES

HEADS: Final[dict[str, tuple[str, ...]]] = {
    "kind": ("person", "painting", "sign"),
    "style": STYLES,
    "logo": ("no logo", "logo"),
}
#: What a letter's place may hold; the last one stands for an empty place.
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ "
#: Calibrated parts: the heads, and all letters together.
PARTS: Final = (*HEADS, "text")
#: Windows of the letters in a picture of 64x64: first column of each, common rows, width. Boards move a few pixels.
_LEFT: Final = (2, 14, 26, 38)
_ROWS: Final = slice(12, 52)
_WIDE: Final = 24


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Shape and calibration of a `SceneNet`.

    Attributes:
        widths: channels of the stages under the heads, each but the first halving the picture.
        hidden: width of the layer under the heads.
        letter_widths: channels of the stages that read a letter.
        letter_hidden: width of the layer under the letters.
        temperatures: per part, what its logits are divided by (fitted on a validation split).
        thresholds: per part, the probability under which the answer is "could not tell"; for ``text`` that of all
            letters together.
    """

    widths: tuple[int, ...] = (16, 32, 48, 80)
    hidden: int = 96
    letter_widths: tuple[int, ...] = (16, 32, 64)
    letter_hidden: int = 96
    temperatures: tuple[tuple[str, float], ...] = tuple((part, 1.0) for part in PARTS)
    thresholds: tuple[tuple[str, float], ...] = tuple((part, 0.0) for part in PARTS)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> SceneConfig:
        """Read what `as_json` wrote."""
        return cls(
            widths=tuple(raw["widths"]),
            hidden=int(raw["hidden"]),
            letter_widths=tuple(raw["letter_widths"]),
            letter_hidden=int(raw["letter_hidden"]),
            temperatures=tuple((part, float(raw["temperatures"][part])) for part in PARTS),
            thresholds=tuple((part, float(raw["thresholds"][part])) for part in PARTS),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``config.json``."""
        return {
            "architecture": "SceneNet",
            "image_size": IMAGE_SIZE,
            "widths": list(self.widths),
            "hidden": self.hidden,
            "letter_widths": list(self.letter_widths),
            "letter_hidden": self.letter_hidden,
            "temperatures": dict(self.temperatures),
            "thresholds": dict(self.thresholds),
            "heads": {head: list(names) for head, names in HEADS.items()},
            "letters": LETTERS,
        }


class SceneNet(nn.Module):
    """One picture in; its kind, style, logo and letters out."""

    def __init__(self, config: SceneConfig | None = None) -> None:
        super().__init__()
        self.config = config or SceneConfig()
        c = self.config
        self.trunk = trunk(c.widths)
        cells = (IMAGE_SIZE // 2 ** len(c.widths)) ** 2
        self.body = nn.Sequential(nn.Linear(c.widths[-1] * cells, c.hidden), nn.SiLU(), nn.Dropout(0.1))
        self.heads = nn.ModuleDict({head: nn.Linear(c.hidden, len(names)) for head, names in HEADS.items()})
        halved = 2 ** len(c.letter_widths)
        seen = c.letter_widths[-1] * ((_ROWS.stop - _ROWS.start) // halved) * (_WIDE // halved)
        self.letter_trunk = trunk(c.letter_widths)
        self.letter = nn.Sequential(
            nn.Linear(seen, c.letter_hidden), nn.SiLU(), nn.Dropout(0.1), nn.Linear(c.letter_hidden, len(LETTERS))
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map float (n, 3, 64, 64) in [-1, 1] to logits per head."""
        z = self.body(self.trunk(x).flatten(1))
        return {head: layer(z) for head, layer in self.heads.items()}

    def letters(self, x: Tensor) -> Tensor:
        """Map float (n, 3, 64, 64) in [-1, 1] to logits (n, 4, 27) over ``LETTERS``."""
        windows = torch.stack([x[:, :, _ROWS, left : left + _WIDE] for left in _LEFT], dim=1)
        logits: Tensor = self.letter(self.letter_trunk(windows.flatten(0, 1)).flatten(1))
        return logits.view(len(x), SIGN_LETTERS, len(LETTERS))

    @torch.inference_mode()
    def predict(self, images: Images, *, batch: int = 256) -> dict[str, Floats]:
        """Measure pictures of any size.

        Args:
            images: uint8 (n, h, w, 3).
            batch: pictures at a time.

        Returns:
            Calibrated probabilities ``kind_p`` (n, 3), ``style_p`` (n, 3), ``logo_p`` (n, 2), ``letter_p`` (n, 4, 27).
        """
        self.eval()
        heat = dict(self.config.temperatures)
        parts: dict[str, list[Tensor]] = {key: [] for key in (*HEADS, "letter")}
        for start in range(0, len(images), batch):
            x = to_tensor(images[start : start + batch])
            for head, logits in self(x).items():
                parts[head].append(torch.softmax(logits.float() / heat[head], dim=1))
            parts["letter"].append(torch.softmax(self.letters(x).float() / heat["text"], dim=2))
        empty = {head: torch.zeros(0, len(names)) for head, names in HEADS.items()}
        empty["letter"] = torch.zeros(0, SIGN_LETTERS, len(LETTERS))
        return {f"{key}_p": (torch.cat(found) if found else empty[key]).numpy() for key, found in parts.items()}

    def answers(self, predicted: dict[str, Floats], head: str) -> list[str]:
        """Turn probabilities into words; below the declared threshold "could not tell".

        Style and logo are told of people only: where no person is seen, the answer is "could not tell".

        Args:
            predicted: what `predict` returned.
            head: a name in `HEADS`.
        """
        p = predicted[f"{head}_p"]
        sure = p.max(axis=1) >= dict(self.config.thresholds)[head]
        if head != "kind":
            sure &= np.array([kind == "person" for kind in self.answers(predicted, "kind")], dtype=bool)
        return [HEADS[head][int(k)] if ok else COULD_NOT_TELL for k, ok in zip(p.argmax(axis=1), sure, strict=True)]

    def texts(self, predicted: dict[str, Floats]) -> list[str | None]:
        """The word on each sign, upper case; None on other pictures and where the letters cannot be told.

        Letters stand at the left of the board, so a word with a gap, or none, cannot be told either.

        Args:
            predicted: what `predict` returned.
        """
        least = dict(self.config.thresholds)["text"]
        found = zip(self.answers(predicted, "kind"), spelled(predicted), text_probability(predicted), strict=True)
        return [
            word.rstrip() if kind == "sign" and p >= least and word.rstrip().isalpha() else None
            for kind, word, p in found
        ]

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load ``config.json`` and ``model.safetensors`` from a folder.

        Raises:
            AnnotatorError: if the folder does not hold a SceneNet.
        """
        raw, weights = read_weights(folder, "SceneNet")
        net = cls(SceneConfig.from_json(raw))
        net.load_state_dict(weights, strict=False)
        return net.eval()

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and float16 ``model.safetensors``."""
        write_weights(folder, self.config.as_json(), self)


def spelled(predicted: dict[str, Floats]) -> list[str]:
    """The likeliest letter of each place, four characters a picture, spaces where a place is empty."""
    return ["".join(LETTERS[int(k)] for k in row) for row in predicted["letter_p"].argmax(axis=2)]


def text_probability(predicted: dict[str, Floats]) -> Floats:
    """Calibrated probability (n,) that all letters are read right: the product over places."""
    together: Floats = np.prod(predicted["letter_p"].max(axis=2), axis=1)
    return together
