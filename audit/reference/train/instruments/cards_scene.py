# SPDX-License-Identifier: Apache-2.0
"""Model card and ``operating.json`` of the scene network, written from what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from audit.reference.train._loop import Record, Settings
from audit.reference.train.instruments.cards import confusion, percent, section, training

_TITLES = {
    "kind": "Kind of picture",
    "style": "Style of a drawing of a person",
    "logo": "The logo on the clothes",
    "text": "The word asked for is on the sign",
}
_ABOUT = """# Scene network

Reads from a 64x64 picture whether it shows a person, a painting or a sign, in which of three styles a person is drawn,
whether the clothes carry the logo, and up to four letters on a sign. Under the thresholds in `config.json` the answer
is "could not tell", and an unsure word is no word. Style and logo are told of people only.
"""
_DECODED = """These counts hold the faults of the decoder together with those of the reader: where the decoder cannot
draw a letter, the picture shows another one, and reading that is no mistake. What a picture shows is judged with the
counts on renders; to correct with those of this section forgives the generator what its decoder spoils. Word by word:
"""
_LIMITS = """## What it cannot see

- It knows the drawn pictures of the reference world and nothing else: on photographs its answers mean nothing.
- It reads the letters A to Z in the font and at the place of the signs drawn here, four at most; a fifth letter, lower
  case, digits and other scripts are not seen. It was trained on random letters and knows no words, so it does not mend
  a misspelling; a letter that is half one and half another may still be read as either.
- It knows one logo. Other marks on clothes count as none, and a logo too blurred to see is missed.
- It knows three styles; a fourth would be called the nearest of them, or "could not tell".
- It says nothing about whose painting it is (the `works` annotator does), and nothing about who anybody is.

Figures hold for pictures degraded as stated; pictures further from that may be read worse.

## Licence

Apache-2.0. Trained on pictures drawn by this project; no outside data.
"""


def confused_letters(letters: dict[str, Any], *, most: int = 8) -> str:
    """Say how many letters are read right, and which pairs are confused most often."""
    names, counts = letters["truth"], letters["counts"]
    total, hits = sum(map(sum, counts)), sum(row[k] for k, row in enumerate(counts))
    pairs = [(counts[i][j], a, b) for i, a in enumerate(names) for j, b in enumerate(names) if i != j and counts[i][j]]
    worst = ", ".join(f"{a} as {b} ({n})" for n, a, b in sorted(pairs, key=lambda p: (-p[0], p[1:]))[:most])
    return f"letters right, without a threshold: {percent(hits, total)}" + (f"; most often {worst}" if worst else "")


def write_scene(folder: Path, measured: dict[str, Any], record: Record, settings: Settings) -> None:
    """Write card and ``operating.json`` of the scene network."""
    from audit.reference.train.instruments.scene import BATCH, PICTURES

    data = (
        f"{PICTURES} pictures of the pool `instruments` (45 % people with and without the logo in three styles, 17 % "
        "paintings, 38 % signs with random letters), moved, relit, blurred, made noisy and JPEG-coded anew for each "
        "step; 8 % of a batch shows nothing"
    )
    facts = training(record, settings, batch=BATCH, data=data)
    parameters = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    text = f"{_ABOUT}\n## Training\n\n- {parameters:,} numbers in float16 (`model.safetensors`)\n- data: {data}\n"
    text += f"- {facts['steps']} steps of {facts['batch']}, seed {facts['seed']}, {facts['threads']} CPU thread(s), "
    text += f"{facts['seconds']} s\n- running mean of the loss at the end: {facts['loss']['loss']}\n"
    text += f"- again: `python -m audit.reference.train scene --seed {facts['seed']} {facts['budget']}`\n\n"
    text += f"{_measured(measured)}\n{_LIMITS}"
    (folder / "README.md").write_text(text, encoding="utf-8")
    content = json.dumps(measured | {"training": facts}, indent=1)
    (folder / "operating.json").write_text(content + "\n", encoding="utf-8")


def _measured(measured: dict[str, Any]) -> str:
    on, strings = measured["measured_on"], measured["random_strings"]
    text = f"## Measured on held-out pictures\n\nn = {on['n']} {on['what']}; degraded (64x64): {on['degradation']}. "
    text += f"Seed {on['seed']}. The same counts are in `operating.json`.\n\n"
    text += "\n".join(section(title, measured[part]) for part, title in _TITLES.items())
    text += f"\n{confused_letters(measured['letters'])}\n\nstrings of four random letters: "
    text += (
        f"right {percent(strings['right'], strings['n'])}, no answer {percent(strings['unreadable'], strings['n'])}\n"
    )
    for name in ("after_autoencoder", "after_tokens"):
        if name in measured:
            text += _behind(name, measured[name])
    return text


def _behind(name: str, measured: dict[str, Any]) -> str:
    text = f"\n## The same pictures {measured['measured_on']['degradation']}\n\n"
    text += "Only what that decoder was trained to draw. The counts are in `operating.json` under "
    text += f"`{name}`.\n\n"
    text += "\n".join(section(title, measured[part]) for part, title in _TITLES.items() if part in measured)
    if "words" in measured:
        text += f"\n{_DECODED}\n{confusion(measured['words'])}\n"
    return text + (f"\n{confused_letters(measured['letters'])}\n" if "letters" in measured else "")
