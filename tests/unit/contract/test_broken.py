# SPDX-License-Identifier: Apache-2.0
"""Generators that each break one promise: the row of that promise says so, and no other but what follows from it."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from audit.contract import Inquiry, lines, prove
from audit.errors import ConfigError, GeneratorError
from audit.images import encode_png
from audit.types import Generation, GeneratorSpec, Outcome

ALL = ("text", "seed", "size", "negative", "guidance", "steps")


class Sound:
    """Keeps every promise; others inherit and break one."""

    capabilities = frozenset(ALL)
    digest = "0" * 64

    def __init__(self):
        self.shift, self.calls = 0, 0

    @property
    def spec(self):
        return GeneratorSpec("g", "sound", "m", self.digest, licence="MIT", capabilities=self.capabilities)

    def generate(self, batch):
        self.calls += 1
        return [self.answer(request, batch, place) for place, request in enumerate(batch)]

    def answer(self, request, batch, place):
        return Generation(request.id, Outcome.IMAGE, pixels=self.draw(request, batch, place))

    def draw(self, request, batch, place):
        return self.noise(request)

    def noise(self, request, *more, seed=True, text=True, knobs=ALL, size=True):
        known = [request.seed if seed else 0, request.prompt.text if text else "", *more]
        known += [request.prompt.negative] if "negative" in knobs else []
        known += [request.params.get(word) for word in ("guidance", "steps") if word in knobs]
        rng = np.random.default_rng(int(hashlib.sha256(repr(known).encode()).hexdigest(), 16))
        edge = request.params.get("size", 16) if size else 16
        return rng.integers(10, 240, (edge, edge, 3), dtype=np.uint8)


class IgnoresSeed(Sound):
    def draw(self, request, batch, place):
        return self.noise(request, seed=False)


class IgnoresPrompt(Sound):
    def draw(self, request, batch, place):
        return self.noise(request, text=False)


class ByPlace(Sound):
    def draw(self, request, batch, place):
        return self.noise(request, place)


class LastBits(Sound):
    """As kernels do that are chosen by the size of the batch."""

    def draw(self, request, batch, place):
        rgb = self.noise(request)
        rgb[::5] += len(batch) % 2
        return rgb


class PadsToLongest(Sound):
    def draw(self, request, batch, place):
        return self.noise(request, max(len(one.prompt.text.split()) for one in batch) > 30)


class GlobalState(Sound):
    rng = np.random.default_rng(0)

    def draw(self, request, batch, place):
        return self.noise(request, self.rng.random())


class TooFew(Sound):
    def generate(self, batch):
        return super().generate(batch)[: max(1, len(batch) - 1)]


class Twice(Sound):
    def generate(self, batch):
        return super().generate(batch) + super().generate(batch[:1])


class OtherIds(Sound):
    def generate(self, batch):
        return [replace(one, request_id=f"{k}") for k, one in enumerate(super().generate(batch))]


class FixedSize(Sound):
    def draw(self, request, batch, place):
        return self.noise(request, size=False)


class RandomSize(Sound):
    def draw(self, request, batch, place):
        return self.noise(request)[: 16 - request.seed % 2]


class Overflows(Sound):
    """Half precision: every third picture is NaN, which ends as black."""

    def draw(self, request, batch, place):
        rgb = self.noise(request)
        return np.nan_to_num(np.full(rgb.shape, np.nan)).astype(np.uint8) if request.seed % 3 == 0 else rgb


class Floats(Sound):
    def draw(self, request, batch, place):
        return self.noise(request) / 255


class Mislabels(Sound):
    def answer(self, request, batch, place):
        return Generation(request.id, Outcome.IMAGE, encode_png(self.noise(request)), "image/jpeg")


class StopsAtOdd(Sound):
    def draw(self, request, batch, place):
        if not request.prompt.text.isascii():
            raise GeneratorError("cannot encode the prompt")
        return self.noise(request)


class SpoilsNeighbours(Sound):
    def answer(self, request, batch, place):
        if any(not one.prompt.text for one in batch):
            return Generation(request.id, Outcome.ERROR, message="a prompt of the batch is empty")
        return super().answer(request, batch, place)


class DropsEmpty(Sound):
    def generate(self, batch):
        return super().generate([request for request in batch if request.prompt.text])


class StaysBroken(Sound):
    """An unknown parameter raises, and leaves something behind."""

    def draw(self, request, batch, place):
        if set(request.params) - {"size", "steps", "guidance"}:
            self.shift = 1
            raise TypeError("unknown parameter")
        return self.noise(request, self.shift)


class NoEmpty(Sound):
    def generate(self, batch):
        return super().generate(batch) if max(len(one.prompt.text) for one in batch) else []


class Restless(Sound):
    count = 0

    @property
    def spec(self):
        type(self).count += 1
        return replace(super().spec, details={"count": self.count})


class NotJson(Sound):
    @property
    def spec(self):
        return replace(super().spec, details={"device": object})


class ByInstance(Sound):
    made = 0

    def __init__(self):
        super().__init__()
        type(self).made += 1
        self.own = self.made

    def draw(self, request, batch, place):
        return self.noise(request, self.own)


def look(kind, **inquiry):
    """Rows by check."""
    rows = prove(lambda: nullcontext(kind()), Inquiry(**inquiry))
    names = [row.check for row in rows]
    assert len(names) == len(set(names))
    json.dumps([row.record("g") for row in rows])
    return {row.check: row for row in rows}


def bad(rows):
    return {name for name, row in rows.items() if row.state == "BAD"}


def test_a_sound_generator_has_no_other_row_than_ok():
    rows = look(Sound)
    assert {str(row.state) for row in rows.values()} == {"ok"}
    assert len(rows) == 22
    assert rows["seeds"].figures == {"pictures": 12, "different": 12, "effective_n": 12}


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (IgnoresSeed, {"seeds"}),
        (IgnoresPrompt, {"prompts"}),
        (ByPlace, {"batch size", "order"}),  # alone, everything stands first
        (LastBits, {"batch size"}),
        (PadsToLongest, {"neighbours"}),
        (GlobalState, {"repeats"}),
        (TooFew, {"answers"}),
        (Twice, {"answers"}),
        (FixedSize, {"size"}),
        (RandomSize, {"size"}),
        (Overflows, {"content"}),
        (Mislabels, {"files"}),
        (StopsAtOdd, {"odd prompts"}),
        (SpoilsNeighbours, {"odd prompts"}),
        (DropsEmpty, {"odd prompts"}),
        (StaysBroken, {"after errors"}),
        (NoEmpty, {"empty batch"}),
        (NotJson, {"spec"}),
        (ByInstance, {"started again"}),
        (Restless, {"spec", "started again"}),
    ],
)
def test_each_is_caught_by_its_row_and_by_no_other(kind, broken):
    rows = look(kind)
    assert bad(rows) == broken
    for name in broken:
        assert rows[name].means or rows[name].hint
        shown = list(lines(rows[name]))
        assert shown[0].startswith(f"BAD    {name}")
        assert max(map(len, shown)) <= 100


@pytest.mark.parametrize(("kind", "broken"), [(OtherIds, {"answers", "pictures"}), (Floats, {"pictures", "files"})])
def test_without_a_picture_nothing_else_is_judged(kind, broken):
    rows = look(kind)
    assert bad(rows) == broken
    assert "seeds" not in rows


def test_last_bits_are_told_in_levels_and_can_be_tolerated():
    row = look(LastBits, images=10)["batch size"]
    assert row.figures["alone_largest"] == 1
    assert row.figures["alone_mean"] == pytest.approx(4 / 16)  # rows 0, 5, 10 and 15 of 16
    assert (row.figures["alone_differing"], row.figures["in_pairs_differing"]) == (10, 0)
    assert bad(look(LastBits, images=10, tolerance=1)) == set()


def test_the_number_of_pictures_that_count_is_told():
    assert look(IgnoresSeed)["seeds"].figures["effective_n"] == 4  # one a prompt
    assert bad(look(Overflows, plain=True)) == set()


def test_what_cannot_be_set_is_no_fault():
    class Plain(GlobalState):
        capabilities = frozenset({"text"})
        digest = None

    rows = look(Plain)
    assert bad(rows) == set()
    assert {name for name, row in rows.items() if row.state == "cannot"} >= {"seeds", "repeats", "digest", "batch size"}
    assert "cannot be repeated" in rows["seeds"].means


def test_a_server_that_keeps_one_picture_a_prompt_is_caught_without_seeds_too():
    class Cached(IgnoresSeed):
        capabilities = frozenset({"text"})

    assert bad(look(Cached)) == {"seeds"}


@pytest.mark.parametrize("word", ["negative", "guidance", "steps"])
def test_a_knob_without_effect_is_told(word):
    class Deaf(Sound):
        def draw(self, request, batch, place):
            return self.noise(request, knobs=[one for one in ALL if one != word])

    rows = look(Deaf)
    assert {name for name, row in rows.items() if row.state != "ok"} == {word}
    assert "the same picture" in rows[word].found


def test_a_generator_that_cannot_be_driven_says_why():
    class Raises(Sound):
        def generate(self, batch):
            raise GeneratorError("no weights", hint="download them")

    rows = look(Raises)
    assert bad(rows) == {"answers"}
    assert (rows["answers"].found, rows["answers"].hint) == ("no weights", "download them")


def test_single_failures_are_rows_and_the_rest_is_judged():
    class Fails(Sound):
        def draw(self, request, batch, place):
            if request.seed % 2:
                raise ValueError("odd seed")
            return self.noise(request)

    rows = look(Fails)
    assert bad(rows) == set()
    assert rows["answers"].state == rows["pictures"].state == "warn"
    assert "odd seed" in rows["pictures"].found


def test_control_characters_of_a_generator_do_not_reach_the_terminal():
    class Colours(Sound):
        def generate(self, batch):
            raise GeneratorError("\x1b[31mred\x07")

    assert all(line.isprintable() for row in look(Colours).values() for line in lines(row))


@pytest.mark.parametrize("wrong", [{"images": 3}, {"tolerance": -1}, {"tolerance": 255}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ConfigError, match="must be between"):
        Inquiry(**wrong)


def test_the_largest_difference_does_not_wrap_around():
    class Flips(Sound):
        def draw(self, request, batch, place):
            rgb = self.noise(request)
            rgb[0, 0] = (0, 0, 0) if self.calls == 1 else (255, 255, 255)
            return rgb

    assert look(Flips)["repeats"].figures["asked_again_largest"] == 255
