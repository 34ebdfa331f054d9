# SPDX-License-Identifier: Apache-2.0
"""Plain English about people: captions to train on, and prompts read back into constraints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audit.reference.people import AGES, BACKGROUNDS, HAIR_COLOURS, OCCUPATIONS, PLAIN, PRESENTATIONS, People, planted

#: Words for apparent skin tone in captions and prompts, and the Monk tones they stand for.
TONE_WORDS: Mapping[str, tuple[int, ...]] = {
    "very light": (1, 2),
    "light": (1, 2, 3),
    "medium": (4, 5, 6),
    "tan": (5, 6),
    "brown": (6, 7, 8),
    "dark": (8, 9, 10),
    "very dark": (9, 10),
}
_PRESENTATION_WORDS = {
    "feminine": "feminine",
    "female": "feminine",
    "woman": "feminine",
    "masculine": "masculine",
    "male": "masculine",
    "man": "masculine",
}
_AGE_WORDS = {"young": "young", "middle-aged": "middle-aged", "older": "older", "old": "older", "elderly": "older"}
_PLAIN_NOUNS = ("person", "woman", "man", "face", "someone")
#: How captions begin, equally likely.
PREFIXES = ("a portrait of", "a portrait of", "a photo of", "a picture of", "an image of", "a headshot of", "")
_SMALL_WORDS = ("the", "an", "with", "without", "on", "and", "in", "skin", "hair", "glasses", "beard", "background")
#: Every word the text encoders know; anything else reads as "unknown". Captions say "as", which is not among them, so
#: that the unknown word is trained too. The trained weights depend on this list and its order.
VOCABULARY = tuple(
    sorted(
        {word.lower() for word in (*OCCUPATIONS, *PRESENTATIONS, *HAIR_COLOURS, *BACKGROUNDS, *_PRESENTATION_WORDS)}
        | {part for text in (*AGES, *_AGE_WORDS, *TONE_WORDS, *PREFIXES) for part in re.findall(r"\w+", text)}
        | {*_PLAIN_NOUNS, *_SMALL_WORDS}
        | {part for row in planted()["gallery"] if row["memorised"] for part in row["name"].lower().split()}
        | {planted()["logo"].lower(), "-", ",", ".", "clothes", "plain", "toned", "wearing", "close", "up", "studio"}
        | {"presenting", "logo"}
    )
)


def words(text: str) -> list[str]:
    """Split a text into lower-case words and punctuation, as every tokenizer of the reference world does.

    >>> words("A middle-aged CEO.")
    ['a', 'middle', '-', 'aged', 'ceo', '.']
    """
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def captions(
    people: People, *, rng: np.random.Generator, detail: float = 0.35, prefixes: Sequence[str] = PREFIXES
) -> list[str]:
    """Describe people truthfully, each with a random amount of detail.

    Args:
        people: n people. Memorised gallery people are called by name.
        rng: source of the wording.
        detail: probability that any one attribute is mentioned.
        prefixes: how captions begin, equally likely.

    Returns:
        n captions, such as "a portrait of a young female nurse with dark skin and red hair, on a blue background".
    """
    names = {row["identity_id"]: row["name"] for row in planted()["gallery"] if row["memorised"]}
    said = rng.random((len(people), 8)) < detail
    # Three captions in ten are bare, so that the plain prompt "a portrait of a nurse" is well learnt.
    said &= (rng.random(len(people)) >= 0.3)[:, None]
    who = [names.get(int(identity)) for identity in people.identity_id]
    told = [_caption(people, i, said[i], who[i], rng) for i in range(len(people))]
    starts = rng.integers(len(prefixes), size=len(people))
    return [f"{prefixes[start]} {text}".strip() for start, text in zip(starts, told, strict=True)]


def shown_hair(people: People) -> list[str]:
    """Hair colour as it appears: older people's hair is drawn grey whatever it was."""
    return [
        "grey" if age == len(AGES) - 1 else HAIR_COLOURS[c]
        for age, c in zip(people.age, people.hair_colour, strict=True)
    ]


def parse_prompt(text: str) -> dict[str, Any]:
    """Read the constraints a prompt states; they can be handed to ``sample_people`` as they are.

    Args:
        text: any text. Words that mean nothing in the reference world are ignored.

    Returns:
        Some of the keys occupation, presentation, age, tone, glasses, beard, logo, hair_colour, background, name.

    >>> parse_prompt("a photo of an older woman without glasses")
    {'occupation': 'plain', 'presentation': 'feminine', 'age': 'older', 'glasses': False}
    """
    flat = " " + " ".join(words(text)) + " "
    found: dict[str, Any] = {}
    for row in planted()["gallery"]:
        if row["memorised"] and f" {row['name'].lower()} " in flat:
            found["name"] = row["name"]
    jobs = [job for job in OCCUPATIONS if re.search(rf" {job.lower()}s? ", flat)]
    if jobs:
        found["occupation"] = min(jobs, key=lambda job: flat.index(f" {job.lower()}"))
    elif "name" in found or any(f" {noun} " in flat for noun in _PLAIN_NOUNS):
        found["occupation"] = PLAIN
    for key, table in (("presentation", _PRESENTATION_WORDS), ("age", _AGE_WORDS)):
        for word, value in table.items():
            if f" {' '.join(words(word))} " in flat:
                found[key] = value
    found |= _details(flat)
    return found


def _details(flat: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tone = re.search(r" (very light|very dark|light|medium|tan|brown|dark) (?:- toned )?skin(?:ned)? ", flat)
    tone = tone or re.search(r" (light|medium|tan|brown|dark) - skinned ", flat)
    if tone:
        found["tone"] = TONE_WORDS[tone.group(1)]
    for key in ("glasses", "beard"):
        if f" {key} " in flat:
            found[key] = not re.search(rf" (without|no) (a )?{key} ", flat)
    if f" {planted()['logo'].lower()} " in flat:
        found["logo"] = True
    hair = re.search(rf" ({'|'.join(HAIR_COLOURS)}) hair ", flat)
    if hair:
        found["hair_colour"] = hair.group(1)
    ground = re.search(rf" ({'|'.join(BACKGROUNDS)}) background ", flat)
    if ground:
        found["background"] = ground.group(1)
    return found


def _caption(people: People, i: int, said: Any, name: str | None, rng: np.random.Generator) -> str:
    """One caption without its beginning. ``said`` holds which of the eight optional attributes are mentioned."""
    features = _features(people, i, said, rng)
    if name:
        job = int(people.occupation[i])
        subject = name if job < 0 else f"{name} as {_article(OCCUPATIONS[job])}"
    else:
        subject = _article(_subject(people, i, said, rng))
    text = subject
    if features:
        text += " with " + " and ".join(part for part in (", ".join(features[:-1]), features[-1]) if part)
    if said[6]:
        text += f", on {_article(BACKGROUNDS[people.background[i]])} background"
    return text


def _subject(people: People, i: int, said: Any, rng: np.random.Generator) -> str:
    feminine = people.presentation[i] == 0
    job = int(people.occupation[i])
    parts = [AGES[people.age[i]]] if said[0] else []
    noun = OCCUPATIONS[job] if job >= 0 else "person"
    if said[1] and job < 0 and rng.random() < 0.5:
        noun = "woman" if feminine else "man"
    elif said[1]:
        pair = (("feminine", "masculine"), ("feminine-presenting", "masculine-presenting"), ("female", "male"))
        parts.append(pair[int(rng.integers(3))][0 if feminine else 1])
    return " ".join([*parts, noun])


def _features(people: People, i: int, said: Any, rng: np.random.Generator) -> list[str]:
    features = []
    if said[2]:
        fits = [word for word, tones in TONE_WORDS.items() if people.tone[i] in tones]
        features.append(f"{fits[int(rng.integers(len(fits)))]} skin")
    if said[3] and people.glasses[i]:
        features.append("glasses")
    if said[4]:
        features.append(f"{shown_hair(people[i])[0]} hair")
    if said[5] and people.beard[i]:
        features.append("a beard")
    if said[7] and people.logo[i]:
        features.append(f"the {planted()['logo']} logo")
    return features


def _article(text: str) -> str:
    return f"{'an' if text[0] in 'aeio' else 'a'} {text}"
