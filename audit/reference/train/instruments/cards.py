# SPDX-License-Identifier: Apache-2.0
"""Model cards and ``operating.json`` of the instruments, written from what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from audit.reference.instruments import COULD_NOT_TELL
from audit.reference.train._loop import Record, Settings

_AFTER = ("presentation", "age", "tone", "tone_band", "occupation", "glasses", "face")
_LIMITS = """## Limits

It knows the drawn people of the reference world and nothing else: on photographs its answers mean nothing. What it
reports is how a drawn person is perceived by this network, with the errors counted here; it says nothing about who
anybody is. Figures hold for pictures degraded as stated; pictures further from that may be read worse.

## Licence

Apache-2.0. Trained on pictures drawn by this project; no outside data.
"""


def percent(part: int, whole: int) -> str:
    """Show a share with its counts, or that there is none."""
    return f"{100 * part / whole:.2f} % ({part} of {whole})" if whole else "no cases"


def confusion(table: dict[str, Any]) -> str:
    """Return a table of counts as Markdown: rows are truth, columns are answers."""
    lines = ["| truth | " + " | ".join(table["answers"]) + " |", "|---|" + "---:|" * len(table["answers"])]
    for name, row in zip(table["truth"], table["counts"], strict=True):
        lines.append(f"| {name} | " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def right(table: dict[str, Any]) -> str:
    """Say how many answers are right and how many abstain."""
    counts = table["counts"]
    total, hits = sum(map(sum, counts)), sum(row[k] for k, row in enumerate(counts))
    text = f"right: {percent(hits, total)}"
    if COULD_NOT_TELL in table["answers"]:
        text += f"; could not tell: {percent(sum(row[-1] for row in counts), total)}"
    return text


def section(title: str, table: dict[str, Any]) -> str:
    """Return a heading, the summary and the counts of one table."""
    return f"### {title}\n\n{right(table)}\n\n{confusion(table)}\n"


def training(record: Record, settings: Settings, *, batch: int, data: str) -> dict[str, Any]:
    """Collect the facts of a training."""
    return {
        "seed": settings.seed,
        "steps": record.step,
        "batch": batch,
        # A budget of time depends on the machine: another run takes more or fewer steps.
        "budget": f"--minutes {settings.minutes:g}" if settings.minutes else f"--steps {record.step}",
        "seconds": round(record.seconds),
        "threads": settings.threads,
        "loss": {key: round(value, 4) for key, value in record.last.items()},
        "data": data,
    }


def _write(folder: Path, *, title: str, about: str, facts: dict[str, Any], measured: dict[str, Any], body: str) -> None:
    weights = load_file(folder / "model.safetensors")
    parameters = sum(tensor.numel() for tensor in weights.values())
    on = measured["measured_on"]
    text = f"# {title}\n\n{about}\n\n## Training\n\n"
    text += f"- {parameters:,} numbers in float16 (`model.safetensors`)\n- data: {facts['data']}\n"
    text += f"- {facts['steps']} steps of {facts['batch']}, seed {facts['seed']}, {facts['threads']} CPU thread(s), "
    text += f"{facts['seconds']} s\n- running mean of the loss at the end: "
    text += ", ".join(f"{key} {value}" for key, value in facts["loss"].items())
    again = f"python -m audit.reference.train {folder.name} --seed {facts['seed']} {facts['budget']}"
    text += f"\n- again: `{again}`\n\n## Measured on held-out people\n\n"
    text += f"n = {on['n']}: {on['what']}, degraded (64x64): {on['degradation']}. Seed {on['seed']}. "
    text += f"The same counts are in `operating.json`.\n\n{body}\n{_LIMITS}"
    (folder / "README.md").write_text(text, encoding="utf-8")
    content = json.dumps(measured | {"training": facts}, indent=1)
    (folder / "operating.json").write_text(content + "\n", encoding="utf-8")


def write_attributes(folder: Path, measured: dict[str, Any], record: Record, settings: Settings) -> None:
    """Write card and ``operating.json`` of the attribute classifier."""
    from audit.reference.train.instruments.attributes import BATCH, PEOPLE

    data = (
        f"{PEOPLE} renders of people of the pool `instruments`, balanced over presentation, tone, age and occupation, "
        "moved, relit, blurred, made noisy and JPEG-coded anew for each step; 15 % of a batch shows no face"
    )
    body = "\n".join(
        section(title, measured[key])
        for key, title in (
            ("presentation", "Perceived presentation"),
            ("age", "Apparent age"),
            ("tone", "Apparent skin tone (pixel method, Monk 1 to 10, in the box found here)"),
            ("tone_band", "Band of apparent skin tone"),
            ("occupation", "Clothes"),
            ("glasses", "Glasses"),
            ("face", "A face can be seen"),
        )
    )
    for band, table in measured["presentation_by_tone_band"].items():
        body += "\n" + section(f"Perceived presentation of people of {band} tone", table)
    if "after_autoencoder" in measured:
        after = measured["after_autoencoder"]
        body += f"\n### The same people {after['measured_on']['degradation']}\n\n"
        body += "".join(f"- {key}: {right(after[key])}\n" for key in _AFTER)
        body += "\nThe tables are in `operating.json` under `after_autoencoder`.\n"
    box = measured["box_overlap"]
    body += f"\n### Face box\n\nintersection over union with the true box: mean {box['mean']:.3f}, "
    body += f"5th percentile {box['5th_percentile']:.3f} (n = {box['n']})\n"
    about = (
        "Reads perceived presentation, apparent age, clothes, glasses, whether a face can be seen and where it is, "
        'from a 64x64 picture. Under the thresholds in `config.json` the answer is "could not tell".'
    )
    facts = training(record, settings, batch=BATCH, data=data)
    _write(folder, title="Attribute classifier", about=about, facts=facts, measured=measured, body=body)


def write_faces(folder: Path, measured: dict[str, Any], record: Record, settings: Settings) -> None:
    """Write card and ``operating.json`` of the face embedder."""
    from audit.reference.train.instruments.faces import BATCH, IDENTITIES, PICTURES_EACH

    data = (
        f"{IDENTITIES} people of the pool `instruments`, {PICTURES_EACH} renders each with fresh clothes, hair style, "
        "glasses, beard, background, light and pose, degraded anew for each step; margin softmax over the people"
    )
    rows = [
        "| false accept rate | threshold | mated pairs accepted | non-mated pairs accepted |",
        "|---:|---:|---|---|",
    ]
    rows += [
        f"| {r['false_accept_rate']:g} | {r['threshold']:.3f} | {percent(r['mated_accepted'], r['mated'])} "
        f"| {r['non_mated_accepted']} of {r['non_mated']} |"
        for r in measured["rates"]
    ]
    body = (
        f"{measured['measured_on']['identities']} people, {measured['measured_on']['pictures_each']} pictures each.\n\n"
    )
    body += "\n".join(rows) + "\n\n### Highest similarity of people outside a gallery to anyone in it\n"
    for m in measured["non_mated_maxima"]:
        quantiles = ", ".join(f"{100 * float(q):g} %: {v:.3f}" for q, v in m["quantiles"].items())
        body += f"\n- gallery of {m['gallery']}, {m['probes']} pictures of {m['identities']} others: {quantiles}"
    body += "\n\nThe pairs share people, so they are not independent; the threshold for a gallery is calibrated anew.\n"
    about = (
        "Maps the face in a 64x64 picture to a unit vector of 128 numbers; the dot product of two is their similarity. "
        "A person is the eight proportions of the face with presentation, tone, age and hair colour."
    )
    facts = training(record, settings, batch=BATCH, data=data)
    _write(folder, title="Face embedder", about=about, facts=facts, measured=measured, body=body)


def write_clip(folder: Path, measured: dict[str, Any], record: Record, settings: Settings) -> None:
    """Write card and ``operating.json`` of the CLIP."""
    from audit.reference.train.instruments.clip import BATCH, PEOPLE

    data = (
        f"{PEOPLE} renders of people of the pool `instruments`, balanced over presentation, tone, age and occupation, "
        "described anew with varying detail and degraded anew for each step; captions of one meaning share the "
        "target; presentation, age, glasses and beard are read off the picture vectors as a second task"
    )
    body = "Nearest of the prompts `a portrait of a <occupation>` and `a portrait of a <presentation> person`.\n\n"
    body += section("Occupation", measured["occupation"]) + "\n"
    body += section("Perceived presentation", measured["presentation"]) + "\n"
    body += "### The prompt that names a thing scores higher once the same person wears it\n\n"
    for name, found in measured["worn_scores_higher"].items():
        body += f"- {name}: {percent(found['higher'], found['n'])}\n"
    first = measured["first_of_hundred"]
    body += f"\n### Own caption among a hundred\n\nCaptions: {first['captions']}.\n\n"
    body += f"- picture finds its caption: {percent(first['image_to_caption'], first['n'])}\n"
    body += f"- caption finds its picture (or one described alike): {percent(first['caption_to_image'], first['n'])}\n"
    about = (
        "A `transformers.CLIPModel` with its `CLIPTokenizer` and image processor: 64x64 pictures in patches of 8, "
        f"texts of the reference world's words, {measured['dimensions']} dimensions. Scores how well a picture fits a "
        "prompt, and its image features serve the Fréchet distance."
    )
    facts = training(record, settings, batch=BATCH, data=data)
    _write(folder, title="CLIP of the reference world", about=about, facts=facts, measured=measured, body=body)
