# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audit.errors import AnnotatorError
from audit.reference.instruments import weights_dir
from audit.reference.scene_net import HEADS, LETTERS, SceneConfig, SceneNet, spelled, text_probability
from audit.reference.scenes import PAINTINGS, plant, render_signs
from audit.reference.train._loop import Settings
from audit.reference.train.instruments import cards_scene, operating_scene, scene
from audit.reference.train.instruments.data import as_batch


@pytest.fixture(scope="module")
def bank():
    return scene.draw_scenes(100, rng=np.random.default_rng(0), pool="instruments")


def small(**more):
    torch.manual_seed(0)
    return SceneNet(SceneConfig(widths=(8, 8, 16, 16), hidden=16, letter_widths=(8, 8, 8), letter_hidden=16, **more))


def letters_of(words, p=0.99):
    out = np.full((len(words), 4, len(LETTERS)), (1 - p) / (len(LETTERS) - 1), np.float32)
    for row, word in zip(out, words, strict=True):
        row[np.arange(4), [LETTERS.index(letter) for letter in word]] = p
    return out


def predicted(words, *, p=0.99, kind="sign"):
    kinds = np.tile(np.array([name == kind for name in HEADS["kind"]], np.float32), (len(words), 1))
    return {"kind_p": kinds, "letter_p": letters_of(words, p)}


def test_shapes_and_saving(tmp_path, bank):
    net = small().eval()
    net.save_pretrained(tmp_path / "net")
    same = SceneNet.from_pretrained(tmp_path / "net")
    assert same.config == net.config
    first, second = net.predict(bank.images[:6]), same.predict(bank.images[:6])
    assert {key: value.shape for key, value in first.items()} == {
        "kind_p": (6, 3),
        "style_p": (6, 3),
        "logo_p": (6, 2),
        "letter_p": (6, 4, 27),
    }
    for key, value in first.items():
        np.testing.assert_allclose(value, second[key], atol=2e-3)
        np.testing.assert_allclose(value.sum(-1), 1, rtol=1e-5)
    assert {len(value) for value in net.predict(bank.images[:0]).values()} == {0}
    with pytest.raises(AnnotatorError, match="not a SceneNet"):
        SceneNet.from_pretrained(weights_dir("attributes"))


def test_a_word_is_told_only_where_it_can_be():
    net = small(thresholds=(("kind", 0.5), ("style", 0.5), ("logo", 0.5), ("text", 0.9)))
    words = ["EXIT", "ON  ", "A   ", "    ", "O N ", " TO "]
    assert net.texts(predicted(words)) == ["EXIT", "ON", "A", None, None, None]
    assert net.texts(predicted(["EXIT"], kind="person")) == [None]
    assert net.texts(predicted(["EXIT"], p=0.97)) == [None], "0.97 to the fourth is under 0.9"
    assert text_probability(predicted(["EXIT"], p=0.97))[0] == pytest.approx(0.97**4, rel=1e-5)
    assert spelled(predicted(["EXIT"])) == ["EXIT"]


def test_style_and_logo_are_told_of_people_only():
    net = small(thresholds=tuple((part, 0.6) for part in (*HEADS, "text")))
    kinds = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.5, 0.3, 0.2]], np.float32)
    found = {"kind_p": kinds, "logo_p": np.array([[0.1, 0.9]] * 3, np.float32)}
    assert net.answers(found, "kind") == ["person", "painting", "could not tell"]
    assert net.answers(found, "logo") == ["logo", "could not tell", "could not tell"]
    found["logo_p"][0] = (0.45, 0.55)
    assert net.answers(found, "logo")[0] == "could not tell"


def test_the_windows_hold_the_letters():
    """Every letter's ink lies in its own window, wherever the board stands: the picture changes nowhere else."""
    for k, left in enumerate((2, 14, 26, 38)):
        word = ["A", "BA", "CBA", "DCBA"][k]
        with_, without = (render_signs([w] * 40, rng=np.random.default_rng(1)) for w in (word, word[:-1]))
        changed = (np.abs(with_.astype(int) - without.astype(int)).max(-1) > 60).any(0)
        rows, columns = np.nonzero(changed)
        assert rows.min() >= 12
        assert rows.max() < 52
        assert columns.min() >= left
        assert columns.max() < left + 24


def test_training_pictures_are_balanced_and_keep_the_planted_words_out(bank):
    kinds = np.bincount(bank.truth["kind"].numpy())
    assert kinds.tolist() == [45, 17, 38]
    people = bank.truth["kind"] == 0
    for head in ("style", "logo"):
        assert (bank.truth[head][people] >= 0).all()
        assert (bank.truth[head][~people] == -1).all()
    assert (bank.letters[bank.truth["kind"] != 2] == -1).all()
    words = scene.random_words(3000, rng=np.random.default_rng(0))
    assert not set(words) & {*plant("signs")["words"], *plant("signs")["misspelt"].values()}
    assert {len(word) for word in words} == {1, 2, 3, 4}
    assert set("".join(words)) == set(LETTERS) - {" "}
    assert scene.letter_indices(["BA"]).tolist() == [[1, 0, 26, 26]]
    assert len({start for start, _ in PAINTINGS.values()}) == 3


def test_the_drawn_truth_is_the_one_on_the_picture(bank):
    """Pixels in the logo's colour, independent of any network, tell plain people with it from those without."""
    plain = ((bank.truth["kind"] == 0) & (bank.truth["style"] == 0)).numpy()
    levels = bank.images[plain].astype(int)
    magenta = (np.abs(levels - (0xB3, 0x12, 0x7F)).max(-1) < 20).sum((1, 2))
    worn = bank.truth["logo"][plain].numpy() == 1
    assert magenta[worn].min() > magenta[~worn].max()


def test_some_steps_lower_the_loss(bank):
    torch.manual_seed(0)
    task = scene.Scene(Settings(1, Path("none"), Path("none")), pictures=20)
    task.bank = bank
    before = [task.step(k, np.random.default_rng(k))["loss"] for k in range(3)]
    for k in range(6):
        task.step(3 + k, np.random.default_rng(k))
    after = [task.step(k, np.random.default_rng(k))["loss"] for k in range(3)]
    assert np.mean(after) < 0.95 * np.mean(before)


def test_thresholds_keep_wrong_answers_rare():
    logits = torch.tensor([[4.0, 0.0], [0.9, 0.0], [4.0, 0.0], [0.0, 4.0]])
    truth = torch.tensor([0, 1, 0, 1])
    letters = torch.zeros(8, 27)
    letters[torch.arange(8), torch.arange(8)] = 20.0
    found = {"kind": (logits, truth), "style": (logits, truth), "logo": (logits, truth)}
    found["text"] = (letters, torch.arange(8))
    least = scene.thresholds(found, dict.fromkeys([*HEADS, "text"], 1.0), torch.tensor([[1.5, 0.0]]))
    # 0.9 is a probability of 0.711 and wrong; 1.5, of a picture of nothing, is 0.818.
    assert least == {"kind": 0.85, "style": 0.75, "logo": 0.75, "text": 0.7}


def test_misspellings_are_the_hardest_wrong_words():
    from audit.stats.text import levenshtein

    rng = np.random.default_rng(0)
    for word in plant("signs")["words"]:
        wrong = [operating_scene.misspelling(word, rng=rng) for _ in range(200)]
        assert word not in wrong
        assert {len(other) for other in wrong} == {4}
        assert {levenshtein(word, other) for other in wrong} <= {1, 2}
    assert "EXTI" in [operating_scene.misspelling("EXIT", rng=rng) for _ in range(20)]


def test_the_counts_add_up_and_fill_a_card(bank):
    same = {"after_autoencoder": None, "after_tokens": lambda images: images}
    measured = operating_scene.measure_scene(small(), held_out=12, seed=0, decoders=same)
    assert np.sum(measured["kind"]["counts"]) == 48
    assert [np.sum(measured[part]["counts"]) for part in ("style", "logo", "text", "letters")] == [12, 12, 12, 48]
    assert measured["random_strings"]["n"] == 12
    assert "after_autoencoder" not in measured
    assert set(measured["after_tokens"]) == {"measured_on", "kind", "style", "text", "words", "letters"}
    assert measured["text"]["truth"] == ["as asked", "otherwise"]
    # Every right word is one of the eight; the rows behind them are the planted misspellings.
    assert len(measured["words"]["truth"]) == 10
    assert np.sum(measured["words"]["counts"][:8]) == np.sum(measured["text"]["counts"][0])


def test_letters_that_are_confused_are_named():
    letters = operating_scene._letter_table(["AB", "AB"], ["AB  ", "AQ  "], [*LETTERS[:-1], "(none)"])
    told = cards_scene.confused_letters(letters)
    assert told.endswith("87.50 % (7 of 8); most often B as Q (1)")


def test_nudged_letters_are_neither_mirrored_nor_lost(bank):
    x = as_batch(bank.images[-4:])
    moved = scene.nudge(x, torch.Generator().manual_seed(1))
    shifts = [
        float((torch.roll(x, (dy, dx), (2, 3)) - moved)[:, :, 4:-4, 4:-4].abs().max())
        for dy in range(-2, 3)
        for dx in range(-2, 3)
    ]
    assert min(shifts) == 0
