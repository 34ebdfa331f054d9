# SPDX-License-Identifier: Apache-2.0
"""A recurrent text-to-image model: an LSTM writes 8x8 tokens row by row, a small VQ autoencoder turns them into pixels.

Sources: vector-quantised autoencoder (van den Oord et al. 2017), recurrent image models (van den Oord et al. 2016),
long short-term memory (Hochreiter and Schmidhuber 1997).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from audit.reference._text import PAD, SPECIAL, in_lanes, word_ids
from audit.reference.prompts import VOCABULARY
from audit.reference.scenes import SCENE_WORDS


@dataclasses.dataclass(frozen=True, slots=True)
class RecurrentConfig:
    """Architecture; ``config.json`` beside the weights.

    Attributes:
        vocabulary: words of the text encoder, in order.
        text: width of the text embedding.
        codes: size of the token autoencoder's codebook.
        side: tokens a row, and rows.
        width: of a token's embedding.
        hidden: of the LSTM.
        layers: of the LSTM.
        max_words: longer prompts are cut.
        temperature: the logits are divided by it when a token is drawn.
    """

    vocabulary: tuple[str, ...] = (*VOCABULARY, *SCENE_WORDS)
    text: int = 128
    codes: int = 1024
    side: int = 8
    width: int = 128
    hidden: int = 320
    layers: int = 2
    max_words: int = 40
    temperature: float = 1.0


class TextReader(nn.Module):
    """The largest answer of each unit over groups of three words, so that one word can decide what is drawn."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(config.vocabulary) + SPECIAL, config.text, padding_idx=PAD)
        self.mix = nn.Conv1d(config.text, 2 * config.text, 3, padding=1)
        self.out = nn.Linear(2 * config.text, config.text)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ids (n, words) to (n, text)."""
        hidden = functional.silu(self.mix(self.embed(ids).transpose(1, 2)))
        silent = (ids == PAD).unsqueeze(1)
        # SiLU is never below -0.28, so a text of no words reads as less than any word.
        out: Tensor = self.out(hidden.masked_fill(silent, -0.3).amax(2))
        return out


class TokenLSTM(nn.Module):
    """Next token given the text, the token before and the token above.

    Args:
        config: architecture.
    """

    def __init__(self, config: RecurrentConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or RecurrentConfig()
        self.text = TextReader(c)
        self.before = nn.Embedding(c.codes + 1, c.width)
        self.above = nn.Embedding(c.codes + 1, c.width)
        self.place = nn.Parameter(torch.zeros(c.side * c.side, c.width))
        self.told = nn.Linear(c.text, c.width)
        self.lstm = nn.LSTM(c.width, c.hidden, c.layers, batch_first=True)
        self.hint = nn.Linear(c.text, c.hidden)
        self.out = nn.Linear(c.hidden, c.codes)

    def forward(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Logits (n, t, codes) of every token of (n, t) given those before it and the word ids (n, words)."""
        c = self.config
        start = torch.full((len(tokens), c.side), c.codes, dtype=torch.long)
        padded = torch.cat([start, tokens], dim=1)
        t = tokens.shape[1]
        before, above = padded[:, c.side - 1 : c.side - 1 + t], padded[:, :t]
        text = self.text(ids)
        x = self.before(before) + self.above(above) + self.place[:t] + self.told(text).unsqueeze(1)
        hidden, _ = self.lstm(x)
        logits: Tensor = self.out(hidden + self.hint(text).unsqueeze(1))
        return logits

    def sample(self, ids: Tensor, uniform: Tensor) -> Tensor:
        """Draw tokens (n, side * side), each where a uniform number (n, side * side) meets its distribution."""
        c = self.config
        text = self.text(ids)
        told, hint = self.told(text), self.hint(text)
        tokens = torch.full((len(ids), c.side * (c.side + 1)), c.codes, dtype=torch.long)
        state: tuple[Tensor, Tensor] | None = None
        for k in range(c.side * c.side):
            at = c.side + k
            x = self.before(tokens[:, at - 1]) + self.above(tokens[:, k]) + self.place[k] + told
            hidden, state = self.lstm(x.unsqueeze(1), state)
            share = torch.softmax(self.out(hidden[:, 0] + hint).double() / c.temperature, dim=1).cumsum(1)
            tokens[:, at] = (share < uniform[:, k : k + 1].double() * share[:, -1:]).sum(1).clamp(max=c.codes - 1)
        return tokens[:, c.side :]


class RecurrentGenerator:
    """The LSTM and its token autoencoder, ready to draw.

    Args:
        lstm: writes the tokens.
        decoder: a ``diffusers.VQModel``.
    """

    def __init__(self, lstm: TokenLSTM, decoder: Any) -> None:
        self.lstm, self.decoder = lstm.eval(), decoder.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load ``config.json``, ``model.safetensors`` and the ``VQModel`` in ``vq/``.

        Raises:
            FileNotFoundError: when the folder lacks one of them.
        """
        from diffusers import VQModel

        stored = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["generator"]
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        lstm = TokenLSTM(RecurrentConfig(**fields))
        lstm.load_state_dict({k: v.float() for k, v in load_file(Path(folder) / "model.safetensors").items()})
        load: Any = VQModel
        return cls(lstm, load.from_pretrained(Path(folder) / "vq", torch_dtype=torch.float32))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the architecture and the weights (float16)."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        config = {"model_type": "recurrent", "resolution": 64, "generator": dataclasses.asdict(self.lstm.config)}
        (Path(folder) / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        state = {key: value.detach().half().contiguous() for key, value in self.lstm.state_dict().items()}
        save_file(state, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        self.decoder.half().save_pretrained(Path(folder) / "vq")
        self.decoder.float()

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Draw one picture a prompt.

        Args:
            prompts: n texts.
            seeds: n seeds; the same prompt and seed give the same picture, whatever else is in the batch.

        Returns:
            (n, 64, 64, 3) RGB levels.
        """
        if not prompts:
            return np.empty((0, 64, 64, 3), dtype=np.uint8)
        places = self.lstm.config.side**2
        uniform = np.stack([np.random.default_rng(seed).random(places, dtype=np.float32) for seed in seeds])
        return in_lanes(self._draw, prompts, uniform)

    def _draw(self, prompts: Sequence[str], uniform: Tensor) -> Tensor:
        c = self.lstm.config
        tokens = self.lstm.sample(word_ids(prompts, c.vocabulary, longest=c.max_words), uniform)
        book = self.decoder.quantize.embedding.weight
        hidden = book[tokens].view(len(tokens), c.side, c.side, -1).permute(0, 3, 1, 2).contiguous()
        image: Tensor = self.decoder.decoder(self.decoder.post_quant_conv(hidden))
        return image
