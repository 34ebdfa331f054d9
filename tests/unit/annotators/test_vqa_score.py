# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from audit.annotators._ask import _begins, yes_and_no
from audit.annotators._pretrained import Pretrained
from audit.annotators.vqa_score import VqaScoreAnnotator
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record

#: The small models learnt to answer "a photo"; what is in quotes are words that they do not know.
QUESTION = "{text}"
YES, NO = 12, 13  # of the small vocabulary: the places of "woman" and "man"


@pytest.fixture(scope="module", params=["blip", "llava", "vilt"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def answering(tiny, tmp_path_factory):
    """The small models that learnt "woman" of dark and "man" of middling pictures, those words being "yes" and "no"."""
    made = {}

    def folder(kind):
        if kind not in made:
            made[kind] = shutil.copytree(tiny(kind), tmp_path_factory.mktemp(kind) / "model")
            for path in [*made[kind].glob("tokenizer*.json"), made[kind] / "config.json"]:
                path.write_text(path.read_text().replace('"woman"', '"yes"').replace('"man"', '"no"'))
        return made[kind]

    return folder


def asked(images, text="a photo"):
    return [record(image.rgb, text=text, name=image.request_id) for image in images]


def by_hand(folder, kind, images):
    """Probabilities of yes and no by the model's own forward pass."""
    import transformers

    processor = transformers.AutoProcessor.from_pretrained(folder, backend="pil")
    text = ["a photo"] * len(images)
    pictures = [image.rgb for image in images]
    with torch.inference_mode():
        if kind == "vilt":
            model = transformers.ViltForQuestionAnswering.from_pretrained(folder).eval()
            torch.manual_seed(0)
            logits = model(**processor(images=pictures, text=text, return_tensors="pt")).logits.double().numpy()
            return expit(logits)[:, :2]
        if kind == "blip":
            model = transformers.BlipForQuestionAnswering.from_pretrained(folder).eval()
            inputs = processor(images=pictures, text=text, return_tensors="pt")
            start = torch.full((len(images), 1), model.decoder_start_token_id)
            seen = model.vision_model(pixel_values=inputs["pixel_values"])[0]
            states = model.text_encoder(
                inputs["input_ids"], attention_mask=inputs["attention_mask"], encoder_hidden_states=seen
            )[0]
            logits = model.text_decoder(start, encoder_hidden_states=states).logits[:, -1]
        else:
            model = transformers.LlavaForConditionalGeneration.from_pretrained(folder).eval()
            talk = [f"<start>{'<image>'} a photo"] * len(images)
            inputs = processor(images=pictures, text=talk, add_special_tokens=False, return_tensors="pt")
            logits = model(**inputs).logits[:, -1]
    return softmax(logits.double().numpy(), axis=1)[:, [YES, NO]]


def test_probabilities_are_those_of_the_model_called_by_hand(answering, kind, shades):
    folder = answering(kind)
    columns = VqaScoreAnnotator(model=str(folder), question=QUESTION, device="cpu").annotate(asked(shades))
    expected = by_hand(folder, kind, shades)
    np.testing.assert_allclose(columns["score"], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(columns["relative"], expected[:, 0] / expected.sum(axis=1), atol=1e-5)
    dark, middling, light = columns["score"]
    assert dark > 0.8 > 0.2 > max(middling, light)


def test_scores_do_not_depend_on_company_or_order(answering, kind, shades):
    rng = np.random.default_rng(1)
    odd = [record(rng.integers(0, 256, shape, dtype=np.uint8), text="a man") for shape in ((1, 1, 3), (90, 50, 3))]
    images = [*asked(shades), *odd, *asked(shades[:1], text="the nurse")]
    annotator = VqaScoreAnnotator(model=str(answering(kind)), question=QUESTION, batch=2)
    whole = annotator.annotate(images)["score"]
    alone = np.concatenate([annotator.annotate([image])["score"] for image in reversed(images)])
    np.testing.assert_allclose(alone[::-1], whole, atol=1e-5)


def test_without_a_prompt_text_there_is_no_score(answering, shades):
    columns = VqaScoreAnnotator(model=str(answering("blip")), question=QUESTION).annotate(asked(shades, text=" "))
    assert np.isnan(columns["score"]).all()
    assert np.isnan(columns["relative"]).all()


def test_the_question_of_the_paper_is_asked_with_the_prompt_in_it(answering, shades, monkeypatch):
    annotator = VqaScoreAnnotator(model=str(answering("blip")))
    asked_for = []
    real = annotator._probable
    monkeypatch.setattr(annotator, "_probable", lambda rgb, question: asked_for.append(question) or real(rgb, question))
    annotator.annotate(asked(shades, text="the nurse"))
    assert asked_for == ['Does this figure show "the nurse"? Please answer yes or no.']


def words(vocabulary, space=""):
    """A tokenizer that tells upper from lower case, and words behind a space where ``space`` marks them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: k for k, word in enumerate(["<unk>", *vocabulary])}, unk_token="<unk>"))
    if space:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement=space, prepend_scheme="never")
        inner.decoder = decoders.Metaspace(replacement=space, prepend_scheme="never")
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


def test_all_ways_to_write_a_word_count():
    made = words(["yes", "Yes", "no", "▁yes", "▁YES", "yesterday"], space="▁")
    assert _begins(made, "yes") == {1: "yes", 2: "Yes", 4: " yes", 5: " YES"}
    assert _begins(made, "no") == {3: "no"}


def test_a_word_of_several_tokens_is_read_by_its_beginning():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    letters = {letter: k for k, letter in enumerate(["<unk>", *"yesnoYESNO"])}
    inner = Tokenizer(models.BPE(letters, merges=[], unk_token="<unk>"))
    made = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    assert _begins(made, "yes") == {letters["y"]: "y", letters["Y"]: "Y"}
    assert _begins(made, "no") == {letters["n"]: "n", letters["N"]: "N"}


def test_the_spec_says_which_tokens_were_added_up(answering, kind):
    spec = VqaScoreAnnotator(model=str(answering(kind))).spec
    assert "'yes'" in spec.columns["score"]
    assert "'no'" in spec.columns["relative"]
    yes, no = yes_and_no(Pretrained({"model": str(answering(kind))}, where="here"))
    assert (set(yes.values()), set(no.values())) == ({"yes"}, {"no"})


def test_digest_follows_the_question(answering):
    folder = str(answering("blip"))
    plain, same, other = (
        VqaScoreAnnotator(model=folder, **more).spec.digest
        for more in ({}, {"batch": 2}, {"question": "is this {text}?"})
    )
    assert plain == same != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"questions": "x"}, "unknown option 'questions'"),
        ({"question": "is it?"}, "question has no {text}"),
        ({"template": "now"}, "template has no {ask}"),
        ({"model": None}, "no model given"),
    ],
)
def test_wrong_options(answering, options, message):
    with pytest.raises(ConfigError, match=message):
        VqaScoreAnnotator(**{"model": str(answering("blip")), **options})


def test_models_that_know_no_yes(tiny, shades):
    with pytest.raises(AnnotatorError, match="has no token for 'yes'"):
        _ = VqaScoreAnnotator(model=str(tiny("blip"))).spec
    with pytest.raises(AnnotatorError, match="has no token for 'yes'"):
        VqaScoreAnnotator(model=str(tiny("vilt"))).annotate(asked(shades))


def test_a_text_too_long_for_the_model_says_so(answering, shades):
    with pytest.raises(AnnotatorError, match="the model fails on pictures of 40 x 48"):
        VqaScoreAnnotator(model=str(answering("vilt"))).annotate(asked(shades, text="a photo " * 40))
