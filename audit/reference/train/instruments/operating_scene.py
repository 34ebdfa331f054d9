# SPDX-License-Identifier: Apache-2.0
"""How often the scene network is right: counts on held-out people, paintings and words whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.reference.scene_net import HEADS, LETTERS, SceneNet, spelled
from audit.reference.scenes import SIGN_LETTERS, STYLES, painting_ids, plant, render_paintings, render_signs, restyle
from audit.reference.train.instruments.data import balanced_people, degraded, draw
from audit.reference.train.instruments.operating import AUTOENCODER, DEGRADATION, Decode, table
from audit.stats.text import AS_ASKED, OTHERWISE, compared

TOKENS: Final = "encoded and decoded by the token autoencoder of the reference recurrent model"
#: What the counts behind each decoder are worth anything for: it only knows the pictures it was trained on.
_BEHIND: Final = {
    "after_autoencoder": (AUTOENCODER, ("logo",)),
    "after_tokens": (TOKENS, ("kind", "style", "text", "words", "letters")),
}


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out pictures and their truth.

    Attributes:
        portraits: plain people, half of them with the logo.
        logo: whether it is there (n,).
        drawn: people in the three styles, without the logo.
        style: index into ``STYLES`` (n,).
        paintings: fresh ones.
        signs: with ``shown`` on them where ``asked`` was asked for.
        asked, shown: words that the generators know, each shown right and with another spelling equally often.
        random_signs: with ``random`` strings on them.
        random: the strings.
    """

    portraits: NDArray[np.uint8]
    logo: NDArray[np.bool_]
    drawn: NDArray[np.uint8]
    style: NDArray[np.int64]
    paintings: NDArray[np.uint8]
    signs: NDArray[np.uint8]
    asked: list[str]
    shown: list[str]
    random_signs: NDArray[np.uint8]
    random: list[str]


def misspelling(word: str, *, rng: np.random.Generator) -> str:
    """Another spelling of a word: the planted one, two neighbours swapped, or one letter exchanged.

    The planted one takes half of the cases where there is one. These are the wrong words that are hardest to tell from
    the right one.
    """
    planted = plant("signs")["misspelt"]
    if word in planted and rng.random() < 0.5:
        return str(planted[word])
    at = int(rng.integers(0, len(word) - 1))
    if rng.random() < 0.5 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    other = LETTERS[(LETTERS.index(word[at]) + int(rng.integers(1, 26))) % 26]
    return word[:at] + other + word[at + 1 :]


def held_out_scenes(n: int, *, seed: int) -> Held:
    """Draw ``n`` pictures of each sort that neither instruments nor generators saw."""
    rng = np.random.default_rng([seed, 9])
    logo, style = rng.random(n) < 0.5, rng.integers(0, len(STYLES), n)
    wearing = balanced_people(n, rng=rng, pool="heldout").replace(logo=logo)
    drawn = draw(balanced_people(n, rng=rng, pool="heldout")).images
    asked = [str(word) for word in rng.choice(plant("signs")["words"], n)]
    shown = [
        word if right else misspelling(word, rng=rng) for word, right in zip(asked, rng.random(n) < 0.5, strict=True)
    ]
    random = ["".join(LETTERS[k] for k in row) for row in rng.integers(0, 26, (n, SIGN_LETTERS))]
    return Held(
        portraits=draw(wearing).images,
        logo=logo,
        drawn=restyle(drawn, [STYLES[k] for k in style]),
        style=style,
        paintings=render_paintings(painting_ids(n, pool="heldout", rng=rng)),
        signs=render_signs(shown, rng=rng),
        asked=asked,
        shown=shown,
        random_signs=render_signs(random, rng=rng),
        random=random,
    )


def _answers(net: SceneNet, images: NDArray[np.uint8], head: str) -> list[str]:
    return net.answers(net.predict(images), head)


def _kinds(net: SceneNet, held: Held, change: Decode) -> dict[str, Any]:
    sorts = {"person": [held.portraits, held.drawn], "painting": [held.paintings], "sign": [held.signs]}
    truth, said = [], []
    for kind, stacks in sorts.items():
        for images in stacks:
            truth += [kind] * len(images)
            said += _answers(net, change(images), "kind")
    return table(truth, said, HEADS["kind"])


def _style(net: SceneNet, held: Held, change: Decode) -> dict[str, Any]:
    return table([STYLES[k] for k in held.style], _answers(net, change(held.drawn), "style"), STYLES)


def _logo(net: SceneNet, held: Held, change: Decode) -> dict[str, Any]:
    return table(
        [HEADS["logo"][int(k)] for k in held.logo], _answers(net, change(held.portraits), "logo"), HEADS["logo"]
    )


def _said(net: SceneNet, held: Held, change: Decode) -> list[str]:
    seen = net.predict(change(held.signs))
    read = zip(held.asked, net.answers(seen, "kind"), net.texts(seen), strict=True)
    return [compared(asked, kind=kind, text=text) for asked, kind, text in read]


def _text(net: SceneNet, held: Held, change: Decode) -> dict[str, Any]:
    truth = [AS_ASKED if shown == asked else OTHERWISE for asked, shown in zip(held.asked, held.shown, strict=True)]
    return table(truth, _said(net, held, change), (AS_ASKED, OTHERWISE))


def _words(net: SceneNet, held: Held, change: Decode) -> dict[str, Any]:
    """What is said of each word where it is written right, and of each planted misspelling: they differ much."""
    names = {(word, word): word for word in plant("signs")["words"]}
    names |= {(word, wrong): f"{word} written {wrong}" for word, wrong in plant("signs")["misspelt"].items()}
    answers = [AS_ASKED, OTHERWISE, "could not tell"]
    pairs = list(zip(held.asked, held.shown, _said(net, held, change), strict=True))
    counts = [[pairs.count((*case, answer)) for answer in answers] for case in names]
    return {"truth": list(names.values()), "answers": answers, "counts": counts}


def _letters(net: SceneNet, held: Held, change: Decode) -> dict[str, Any]:
    """Letter by letter on the words of the generators, without a threshold: the blank is called "(none)"."""
    names = [*LETTERS[:-1], "(none)"]
    return _letter_table(held.shown, spelled(net.predict(change(held.signs))), names)


def _letter_table(shown: Sequence[str], read: Sequence[str], names: list[str]) -> dict[str, Any]:
    pairs = [pair for word, text in zip(shown, read, strict=True) for pair in zip(word.ljust(4), text, strict=True)]
    index = [(LETTERS.index(a), LETTERS.index(b)) for a, b in pairs]
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, tuple(np.array(index).T), 1)
    return {"truth": names, "answers": names, "counts": counts.tolist()}


def once(change: Decode) -> Decode:
    """Do the work of ``change`` once for each stack of pictures: decoders are slow, and several tables ask for one."""
    done: dict[int, NDArray[np.uint8]] = {}

    def look(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if id(images) not in done:  # the stacks live as long as this
            done[id(images)] = change(images)
        return done[id(images)]

    return look


_TABLES = {"kind": _kinds, "style": _style, "logo": _logo, "text": _text, "words": _words, "letters": _letters}


def _random_strings(net: SceneNet, held: Held) -> dict[str, int]:
    """How many strings of four random letters are read right, wrong, and not at all."""
    read = net.texts(net.predict(degraded(held.random_signs, seed=0)))
    right = sum(text == word for text, word in zip(read, held.random, strict=True))
    return {"n": len(read), "right": right, "unreadable": read.count(None)}


def measure_scene(
    net: SceneNet, *, held_out: int, seed: int, decoders: Mapping[str, Decode | None] | None = None
) -> dict[str, Any]:
    """Measure the network on held-out people, paintings and words.

    Args:
        net: the network as shipped.
        held_out: pictures of each sort: portraits, illustrations, paintings, signs with words of the generators, signs
            with random strings.
        seed: of pictures and degradation.
        decoders: what sends pictures through the decoder of a generator, by the name of its counts; None where that
            generator is not trained.

    Returns:
        The content of ``operating.json``: tables (see `table`) for kind, style, logo, text and letters, what they were
        measured on, and under each name of ``decoders`` those of what that decoder was trained to draw.
    """
    held = held_out_scenes(held_out, seed=seed)
    on = {
        "n": held_out,
        "what": "pictures of each sort, none seen by instruments or generators: portraits, half with the logo; "
        "illustrations in three styles; paintings; signs with the generators' words, half of them spelled otherwise",
        "pool": "heldout",
        "seed": seed,
    }

    mildly = once(lambda images: degraded(images, seed=seed))
    measured: dict[str, Any] = {"measured_on": on | {"degradation": DEGRADATION}}
    measured |= {name: count(net, held, mildly) for name, count in _TABLES.items()}
    measured["random_strings"] = _random_strings(net, held)
    for name, decode in (decoders or {}).items():
        if decode is not None:
            how, parts = _BEHIND[name]
            behind = once(decode)
            tables = {part: _TABLES[part](net, held, behind) for part in parts}
            measured[name] = {"measured_on": on | {"degradation": how}, **tables}
    return measured
