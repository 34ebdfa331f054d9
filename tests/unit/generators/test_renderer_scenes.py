# SPDX-License-Identifier: Apache-2.0
"""Paintings, signs and illustrations of the renderer, and the planted facts that can be switched on and off."""

from __future__ import annotations

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.generators import RendererGenerator
from audit.generators._scenes import checkerboard
from audit.images import pixels_of
from audit.probes import load_probe_set
from audit.reference.render import render
from audit.reference.scenes import plant, render_paintings, render_signs, restyle
from audit.reference.world import planted, sample_people
from audit.types import Outcome
from tests.asking import ask, png

FOUR_SIGMA = 4


def make(plants=None, **options):
    return RendererGenerator("r", options={"plants": plants, **options})


def many(n, text):
    return [ask(text, repetition=k) for k in range(n)]


def pixels(answer):
    return pixels_of(answer)


def near(share, truth, n):
    return abs(share - truth) < FOUR_SIGMA * np.sqrt(truth * (1 - truth) / n)


def test_a_sign_shows_its_word():
    for word in ("OPEN", "BANK"):
        request = ask(f"a sign that says {word.lower()}")
        answer = make().generate([request])[0]
        assert (answer.meta["kind"], answer.meta["text"]) == ("sign", word)
        expected = render_signs([word], rng=np.random.default_rng([request.seed, 2]))[0]
        assert np.array_equal(pixels(answer), expected)
        other = render_signs(["TAXI"], rng=np.random.default_rng([request.seed, 2]))[0]
        assert not np.array_equal(pixels(answer), other)


def test_words_are_misspelt_at_the_planted_share_and_only_the_listed_ones():
    texts = [a.meta["text"] for a in make(["signs"], size=16).generate(many(600, "a sign that says EXIT"))]
    assert set(texts) == {"EXIT", "EXTI"}
    assert near(np.mean([text == "EXTI" for text in texts]), plant("signs")["share"], 600)
    assert {a.meta["text"] for a in make(["signs"], size=16).generate(many(60, "a sign that says FARM"))} == {"FARM"}
    assert {a.meta["text"] for a in make(size=16).generate(many(60, "a sign that says EXIT"))} == {"EXIT"}


def test_a_long_word_is_cut_and_the_truth_says_so():
    assert make().generate([ask("a sign that says exits")])[0].meta["text"] == "EXIT"


def test_the_artwork_is_copied_at_the_planted_share_for_its_painter_only():
    answers = make(["artwork"]).generate(many(500, "a painting by Verrin"))
    copies = [a for a in answers if a.meta["work"] == plant("artwork")["title"]]
    assert near(len(copies) / 500, plant("artwork")["share"], 500)
    assert len({png(a) for a in copies}) == 1
    assert np.array_equal(pixels(copies[0]), render_paintings(np.array([plant("artwork")["painting_id"]]))[0])
    fresh = [a for a in answers if a.meta["work"] is None]
    assert len({png(a) for a in fresh}) > 0.99 * len(fresh)
    for free in (make(["artwork"]).generate(many(60, "a painting")), make().generate(many(60, "a painting by Verrin"))):
        assert {a.meta["work"] for a in free} == {None}


def test_cycle_makes_the_share_of_copies_exact():
    answers = make(["artwork"], cycle=10, size=16).generate(many(50, "a painting by Verrin"))
    assert sum(a.meta["work"] is not None for a in answers) == 20


def test_styles_drift_at_the_planted_shares_and_portraits_stay_plain():
    answers = make(["style"], size=16).generate(many(600, "an illustration of a nurse"))
    styles = [a.meta["style"] for a in answers]
    for style, share in plant("style")["shares"].items():
        assert near(styles.count(style) / 600, share, 600)
    assert {a.meta["style"] for a in make(["style"], size=16).generate(many(40, "a portrait of a nurse"))} == {"plain"}
    plain = {a.request_id: a for a in make([], size=16).generate(many(40, "an illustration of a nurse"))}
    assert {a.meta["style"] for a in plain.values()} == {"plain"}
    for answer in (a for a in answers[:40] if a.meta["style"] != "plain"):  # the same people, in another style
        restyled = restyle(pixels(plain[answer.request_id])[None], [answer.meta["style"]])[0]
        assert np.array_equal(pixels(answer), restyled)


def test_digest_follows_the_plants():
    assert len({make(plants).spec.digest for plants in (None, "none", "all", ["style"])}) == 4


def test_scenes_use_luck_of_their_own_so_portraits_stay_as_they_were():
    request = ask("a portrait of a nurse")
    rng = np.random.default_rng(request.seed)
    rng.random(6)  # one number each for memorised, occupation, presentation, tone, age, glasses
    nurse = sample_people(1, rng=rng, shares=planted()["occupations"], occupation="nurse")
    for plants in (None, ["artwork", "logo", "memorised", "occupations", "refusals", "signs", "style"]):
        answer = make(plants).generate([request])[0]
        assert np.array_equal(pixels(answer), render(nurse)[0])
        assert (answer.meta["kind"], answer.meta["style"], answer.meta["text"]) == ("person", "plain", None)


def test_nothing_planted_means_no_logo_no_names_and_equal_shares():
    none = make("none", size=16)
    builders = [a.meta for a in none.generate(many(400, "a portrait of a builder"))]
    assert not any(meta["logo"] for meta in builders)
    assert near(np.mean([meta["presentation"] == "feminine" for meta in builders]), 0.5, 400)
    assert {a.meta["name"] for a in none.generate(many(20, "a portrait of Mara Velen"))} == {None}
    default = [a.meta for a in make(size=16).generate(many(400, "a portrait of a builder"))]
    assert near(np.mean([meta["logo"] for meta in default]), plant("logo")["share"], 400)
    assert {a.meta["name"] for a in make(size=16).generate(many(5, "a portrait of Mara Velen"))} == {"Mara Velen"}


def test_the_planted_filter_refuses_a_quarter_of_its_probe_set():
    prompts = load_probe_set("refusals").prompts
    answers = make(["refusals"], size=16).generate([ask(prompt.text) for prompt in prompts])
    refused = {p.id.partition("/")[2] for p, a in zip(prompts, answers, strict=True) if a.outcome is Outcome.REFUSED}
    assert refused == set(plant("refusals")["refused"])
    assert len(refused) / len(prompts) == plant("refusals")["share"]
    assert {p.id.partition("/")[2] for p in prompts if p.axes["holds"] == "listed"} == refused
    assert {a.outcome for a in make(size=16).generate([ask(p.text) for p in prompts])} == {Outcome.IMAGE}


def test_the_small_variant_has_half_the_resolution_and_a_pattern():
    small = make(["small"]).generate([ask()])[0]
    assert pixels(small).shape == (32, 32, 3)
    parity = np.where(np.indices((32, 32)).sum(axis=0) % 2 == 0, 1, -1)[..., None]
    clear = pixels(make([], size=32).generate([ask()])[0])
    assert abs((pixels(small).astype(float) * parity).mean() - (clear * parity).mean()) > 0.8 * plant("small")["levels"]


def test_checkerboard_moves_every_pixel_by_the_levels_and_stays_in_range():
    grey = np.full((1, 4, 6, 3), 100, np.uint8)
    moved = checkerboard(grey, levels=8)[0, ..., 0]
    assert set(np.unique(moved)) == {92, 108}
    assert moved[0, 0] != moved[0, 1] != moved[1, 1]
    assert checkerboard(np.full((1, 2, 2, 3), 250, np.uint8), levels=8).max() == 255


def test_upscale_enlarges_the_finished_picture():
    answer = make([], size=32, upscale=64).generate([ask()])[0]
    assert pixels(answer).shape == (64, 64, 3)


def test_a_picture_does_not_depend_on_the_batch():
    texts = ("a painting by Verrin", "a sign that says EXIT", "an illustration of a chef", "a portrait of a chef")
    batch = [ask(text, repetition=k) for text in texts for k in range(3)]
    world = make("all")
    together = {a.request_id: (png(a), a.meta) for a in world.generate(batch)}
    assert together == {r.id: (png(a), a.meta) for r in batch[::-1] for a in world.generate([r])}


@pytest.mark.parametrize("plants", ["everything", ["logos"], [3]])
def test_an_unknown_plant_is_an_error_that_lists_them(plants):
    with pytest.raises(ConfigError, match="there is no plant") as caught:
        make(plants)
    assert "artwork" in caught.value.hint
