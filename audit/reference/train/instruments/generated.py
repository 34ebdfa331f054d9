# SPDX-License-Identifier: Apache-2.0
"""How the instruments answer on *generated* pictures: counts by what the prompt asked for.

Nobody labelled these pictures: the label is the prompt ("a portrait of an older masculine pilot with dark skin"). Where
answer and label differ either the instrument erred or the generator drew something else, so these counts bound the
instrument's error from above. They are shipped beside the counts on held-out renders, and are not used to correct.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from audit.reference.instruments import COULD_NOT_TELL, AttributeNet, weights_dir
from audit.reference.people import AGES, OCCUPATIONS, PRESENTATIONS, TONE_BANDS, tone_band
from audit.reference.train.instruments.operating import table, tone_answers

Draw = Callable[[Sequence[str], Sequence[int]], NDArray[np.uint8]]
FAMILIES: Final = ("diffusion", "gan", "recurrent", "vae")
_ARTICLE = {"older": "an"}
_OUT = weights_dir("attributes")
_HEADING = "## On generated pictures"


def prompts() -> list[dict[str, str]]:
    """Every occupation, presentation, age and tone band once, with the prompt that asks for it."""
    asked = itertools.product(OCCUPATIONS, PRESENTATIONS, AGES, TONE_BANDS)
    return [
        {
            "occupation": job,
            "presentation": presentation,
            "age": age,
            "tone_band": band,
            "prompt": f"a portrait of {_ARTICLE.get(age, 'a')} {age} {presentation} {job} with {band} skin",
        }
        for job, presentation, age, band in asked
    ]


def measure(draw: Draw, net: AttributeNet, *, each: int) -> dict[str, Any]:
    """Count answers on ``each`` pictures a prompt.

    Args:
        draw: texts and seeds to RGB levels (n, h, w, 3).
        net: the attribute classifier.
        each: pictures a prompt.

    Returns:
        For presentation, age, tone band and occupation a table of counts, rows by what was asked.
    """
    rows = [row for row in prompts() for _ in range(each)]
    images = draw([row["prompt"] for row in rows], list(range(5000, 5000 + len(rows))))
    found = net.predict(images)
    tones = tone_answers(images, found["box"])
    answers = {head: net.answers(found, head) for head in ("presentation", "age", "occupation")}
    answers["tone_band"] = [tone if tone == COULD_NOT_TELL else tone_band(int(tone)) for tone in tones]
    names = {"presentation": PRESENTATIONS, "age": AGES, "tone_band": tuple(TONE_BANDS)}
    # Clothes of no occupation are an answer too, but nobody was asked for them.
    names["occupation"] = tuple(dict.fromkeys([*OCCUPATIONS, *_said(answers["occupation"])]))
    return {key: table([row[key] for row in rows], answers[key], wanted) for key, wanted in names.items()}


def _said(answers: Sequence[str]) -> list[str]:
    return sorted(set(answers) - {COULD_NOT_TELL})


def drawer(name: str) -> Draw:
    """What draws with a shipped generator, through the same classes that audits use."""
    from audit.images import pixels_of
    from audit.registry import GENERATORS
    from audit.types import Prompt, Request

    kind = "diffusers" if name == "diffusion" else name
    options = {"params": {"steps": 20, "guidance": 1.5}, "options": {"lanes": 16}} if name == "diffusion" else {}
    generator = GENERATORS.get(kind)(name, model=f"reference:{name}", **options)

    def draw(texts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
        asked = [
            Request(f"{k}", name, Prompt(f"{k}", text, "generated"), 0, seed)
            for k, (text, seed) in enumerate(zip(texts, seeds, strict=True))
        ]
        answers = [a for k in range(0, len(asked), 48) for a in generator.generate(asked[k : k + 48])]
        return np.stack([pixels_of(answer) for answer in answers])

    return draw


def _lines(measured: dict[str, Any]) -> list[str]:
    lines = [
        _HEADING,
        "",
        f"{measured['n']} pictures a generator, labelled by nobody: the label is what the prompt asked for. A",
        "difference is the instrument's error or the generator's disobedience, so these shares are lower bounds of how",
        "often the instrument is right. Counts by group are in `generated.json`; they do not correct any figure.",
        "",
        "| generator | attribute | as asked | otherwise | could not tell |",
        "|---|---|---:|---:|---:|",
    ]
    for name, tables in measured["generators"].items():
        for attribute, found in tables.items():
            counts = np.array(found["counts"])
            right, silent = int(np.trace(counts)), int(counts[:, -1].sum())
            lines.append(f"| {name} | {attribute} | {right} | {int(counts.sum()) - right - silent} | {silent} |")
    return lines


def main(
    *,
    each: Annotated[int, typer.Option(help="Pictures a prompt; there are 144 prompts.")] = 4,
    out: Annotated[Path, typer.Option(help="Folder of the attribute classifier.")] = _OUT,
) -> None:
    """Draw with every shipped generator, count, and write ``generated.json`` and the last section of the card."""
    net = AttributeNet.from_pretrained(out)
    there = [name for name in FAMILIES if weights_dir(name).is_dir()]
    measured = {
        "labelled_by": "the prompt; no person",
        "n": each * len(prompts()),
        "generators": {name: measure(drawer(name), net, each=each) for name in there},
    }
    (out / "generated.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    card = out / "README.md"
    kept = card.read_text(encoding="utf-8").split(_HEADING)[0].rstrip()
    card.write_text("\n".join([kept, "", *_lines(measured), ""]), encoding="utf-8")
    typer.echo(f"wrote {out / 'generated.json'}")


if __name__ == "__main__":
    typer.run(main)
