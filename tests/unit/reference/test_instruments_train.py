# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from audit.reference.instruments import OCCUPATION_CUES, weights_dir
from audit.reference.train._loop import Settings, train
from audit.reference.train.instruments import augment, cards, clip, data, faces, operating, operating_faces
from audit.reference.train.instruments.attributes import Attributes
from audit.reference.train.instruments.words import LONGEST, merges_of, tokenizer
from audit.reference.world import VOCABULARY, captions


@pytest.fixture(scope="module")
def bank():
    return data.draw(data.balanced_people(64, rng=np.random.default_rng(3), pool="instruments"))


def _gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_boxes_move_with_the_picture():
    # A disc of the size of its box: after the move the box must still hold its centre of mass.
    line = (torch.arange(64) + 0.5) / 64
    box = torch.tensor([[0.45, 0.55, 0.15, 0.15]]).repeat(16, 1)
    disc = ((line[None, :] - 0.45) ** 2 + (line[:, None] - 0.55) ** 2 < 0.15**2).float()
    moved, after = augment.move(disc.expand(16, 3, 64, 64), box, _gen())
    mass = moved[:, 0] / moved[:, 0].sum((1, 2), keepdim=True)
    centre = torch.stack([(mass.sum(1) * line).sum(1), (mass.sum(2) * line).sum(1)], 1)
    assert float((centre - after[:, :2]).abs().max()) < 0.01
    radius = (moved[:, 0].mean((1, 2)) / torch.pi).sqrt()
    assert float((radius - after[:, 2]).abs().max()) < 0.01
    assert float((after[:, :2] - box[:, :2]).abs().max()) > 0.03


def test_jpeg_is_nearly_lossless_at_100_and_worse_at_20(bank):
    x = data.as_batch(bank.images[:8])
    fine = (augment.jpeg(x, torch.full((8,), 100.0)) - x).abs().mean()
    coarse = (augment.jpeg(x, torch.full((8,), 20.0)) - x).abs().mean()
    assert float(fine) < 0.005
    assert float(coarse) > 3 * float(fine)


def test_blur_takes_detail_and_keeps_the_mean(bank):
    x = data.as_batch(bank.images[:8])
    soft = augment.blur(x, torch.full((8,), 1.0))
    assert float(soft.diff(dim=3).abs().mean()) < 0.9 * float(x.diff(dim=3).abs().mean())
    assert float((soft.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs().max()) < 0.02


@pytest.mark.parametrize("mix", [augment.strong, augment.mild])
def test_a_mix_depends_on_its_generator_alone(mix, bank):
    x = data.as_batch(bank.images)
    first, again, other = mix(x, _gen(4)), mix(x, _gen(4)), mix(x, _gen(5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.abs().max()) <= 1.0 + 1e-6


def test_instrument_people_are_balanced_and_of_their_pool():
    people = data.balanced_people(9000, rng=np.random.default_rng(0), pool="instruments")
    jobs = np.bincount(data.occupation_cue(people), minlength=len(OCCUPATION_CUES))
    # Five standard deviations of a binomial share.
    assert np.abs(jobs - 1000).max() < 5 * np.sqrt(9000 * (1 / 9) * (8 / 9))
    assert abs(people.presentation.mean() - 0.5) < 5 * 0.5 / np.sqrt(9000)
    tones = np.bincount(people.tone, minlength=11)[1:]
    assert np.abs(tones - 900).max() < 5 * np.sqrt(9000 * 0.1 * 0.9)
    assert people.identity_id.min() >= 10_000_000
    assert people.identity_id.max() < 20_000_000


def test_pictures_of_one_person_share_the_face_only():
    people = data.repeated_people(20, 5, rng=np.random.default_rng(0), pool="heldout")
    groups = people.identity_id.reshape(20, 5)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups[:, 0])) == 20
    for column in (people.identity[:, 0], people.presentation, people.tone, people.age, people.hair_colour):
        assert (column.reshape(20, 5) == column.reshape(20, 5)[:, :1]).all()
    assert (people.background.reshape(20, 5) != people.background.reshape(20, 5)[:, :1]).any()


def test_pictures_without_faces_keep_nothing_of_the_face(bank):
    x = data.as_batch(bank.images)
    empty = data.without_faces(x, _gen())
    assert empty.shape == x.shape
    assert float((empty - x).abs().mean((1, 2, 3)).min()) > 0.02


def test_counts_put_truth_in_rows():
    table = operating.table(["a", "a", "b"], ["a", "could not tell", "a"], ["a", "b"])
    assert table["counts"] == [[1, 0, 1], [1, 0, 0]]
    assert cards.right(table) == "right: 33.33 % (1 of 3); could not tell: 33.33 % (1 of 3)"
    assert cards.percent(0, 0) == "no cases"
    assert cards.confusion(table).splitlines()[-1] == "| b | 1 | 0 | 0 |"


def test_overlap_of_boxes():
    a = np.array([[0.5, 0.5, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1]], np.float32)
    b = np.array([[0.6, 0.5, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1]], np.float32)
    np.testing.assert_allclose(operating.box_overlap(a, a), 1, rtol=1e-5)
    np.testing.assert_allclose(operating.box_overlap(a, b), [1 / 3, 0], atol=1e-5)


def test_thresholds_keep_the_false_accept_rate():
    rng = np.random.default_rng(0)
    rows = operating_faces.rates(rng.normal(3, 1, 500), rng.normal(0, 1, 20_000))
    for row in rows:
        assert row["non_mated_accepted"] <= row["false_accept_rate"] * row["non_mated"]
        assert row["non_mated_accepted"] >= 0.8 * row["false_accept_rate"] * row["non_mated"]
    assert rows[0]["threshold"] == pytest.approx(2.326, abs=0.1)


def test_maxima_are_taken_over_the_gallery():
    z = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 3]]
    found = operating_faces.maxima(z, np.array([1, 1, 2, 2, 3, 4]), size=2, rng=np.random.default_rng(0))
    assert found["gallery"] == 2
    assert found["identities"] == 2
    assert all(value == 0 for value in found["quantiles"].values())


def test_the_margin_makes_the_right_answer_harder():
    cosines, who = torch.tensor([[0.8, 0.6], [0.2, 0.5]]), torch.tensor([0, 1])
    easy, hard = faces.margin_loss(cosines, who, 0.0), faces.margin_loss(cosines, who, 0.2)
    assert float(easy) == pytest.approx(float(torch.nn.functional.cross_entropy(faces.SCALE * cosines, who)))
    assert float(hard) > float(easy)


def test_every_word_is_one_token_and_other_words_fall_into_letters():
    words = tokenizer()
    for word in VOCABULARY:
        assert len(words(word)["input_ids"]) == 3, word
    ids = words("a zebra")["input_ids"]
    assert len(ids) > 4
    assert words.unk_token_id not in ids[1:-1]


def test_merges_are_learnt_most_frequent_first_and_oldest_on_a_tie():
    assert merges_of(["ab", "cab", "ce"]) == [("a", "b</w>"), ("c", "e</w>"), ("c", "ab</w>")]


def test_the_shipped_tokenizer_is_the_one_that_training_builds():
    shipped = CLIPTokenizer.from_pretrained(weights_dir("clip"))
    assert shipped.get_vocab() == tokenizer().get_vocab()
    told = ["a portrait of an older feminine-presenting CEO with very dark skin, zebra stripes"]
    assert shipped(told)["input_ids"] == tokenizer()(told)["input_ids"]


def test_captions_fit_the_longest_text(bank):
    words = tokenizer()
    told = captions(bank.people, rng=np.random.default_rng(0), detail=1.0)
    assert max(map(len, words(told)["input_ids"])) <= LONGEST


def test_captions_of_one_meaning_share_a_target():
    same = clip.same_meaning(["a photo of a nurse", "a portrait of a nurse", "a portrait of a chef"])
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]


def test_without_twins_the_loss_is_the_usual_one():
    image, text = (torch.nn.functional.normalize(torch.randn(5, 8, generator=_gen(k)), dim=1) for k in (1, 2))
    logits, who = image @ text.T * np.exp(2.0), torch.arange(5)
    usual = [torch.nn.functional.cross_entropy(side, who) for side in (logits, logits.T)]
    ours = clip.contrast(image, text, torch.tensor(2.0), torch.eye(5).bool())
    assert float(ours) == pytest.approx(float(sum(usual)) / 2, rel=1e-5)
    capped, limit = (clip.contrast(image, text, torch.tensor(v), torch.eye(5).bool()) for v in (9.0, np.log(100)))
    assert float(capped) == pytest.approx(float(limit))


def test_training_resumes_bit_equal(tmp_path):
    def run(name: str, *stops: int) -> dict[str, torch.Tensor]:
        for steps in stops:
            settings = Settings(steps=4, work=tmp_path / name, out=tmp_path, seed=2, save_seconds=0.0)
            task = Attributes(settings, people=80)
            if steps < 4:
                # Stop early the way Ctrl-C does: after a whole step.
                _stop_after(task, steps)
            train(task, settings)
        return task.net.state_dict()

    whole, pieces = run("whole", 4), run("pieces", 2, 4)
    assert all(torch.equal(whole[key], pieces[key]) for key in whole)


def _stop_after(task: Attributes, steps: int) -> None:
    import os
    import signal

    step = task.step

    def counted(index: int, rng: np.random.Generator) -> dict[str, float]:
        if index + 1 == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return step(index, rng)

    task.step = counted  # type: ignore[method-assign]
