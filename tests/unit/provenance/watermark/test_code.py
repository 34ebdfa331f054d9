# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.provenance.watermark._code import BITS, LENGTH, decode, encode, generator


def words(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    payload = np.random.default_rng(seed).integers(0, 2, (n, BITS)).astype(np.uint8)
    return payload, encode(payload)


def doubled(value: int) -> int:
    """Multiplication by x in GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1, by shifting: no table of logarithms."""
    value <<= 1
    return value ^ 0b100011101 if value & 256 else value


def test_every_word_is_zero_at_the_roots_of_the_bch_code():
    """Bose & Ray-Chaudhuri: zeros at alpha, ..., alpha^86 make words differ in 87 places or more."""
    powers = [1]
    for _ in range(254):
        powers.append(doubled(powers[-1]))
    _, sent = words(20)
    for word in sent:
        ones = np.flatnonzero(word)
        for root in range(1, 87):
            assert not np.bitwise_xor.reduce([powers[root * i % 255] for i in ones])


def test_the_payload_stands_in_front_and_no_place_is_idle():
    payload, sent = words(200)
    assert (sent[:, :BITS] == payload).all()
    assert generator().any(axis=0).all()
    assert np.linalg.matrix_rank(generator().astype(float)) == BITS


def test_words_differ_in_87_places():
    _, sent = words(400)
    distance = (sent[:, None] != sent[None]).sum(2)
    assert distance[~np.eye(len(sent), dtype=bool)].min() >= 87


@pytest.mark.parametrize("wrong", [0, 20, 43])
def test_as_many_errors_as_the_code_corrects_are_corrected_where_they_are_the_less_sure_places(wrong):
    _, sent = words(30)
    rng = np.random.default_rng(wrong)
    soft = (1.0 - 2.0 * sent) * rng.uniform(0.5, 1, sent.shape)
    for row in soft:
        row[rng.choice(LENGTH, wrong, replace=False)] *= -0.4
    found, score = decode(soft)
    assert (found == sent).all()
    signs = 1.0 - 2.0 * sent
    assert score == pytest.approx((signs * soft).sum(1) / np.sqrt((soft**2).sum(1)))


def test_gaussian_noise_at_which_a_quarter_of_the_bits_is_wrong():
    _, sent = words(400)
    soft = (1.0 - 2.0 * sent) * 0.8 + np.random.default_rng(1).normal(size=sent.shape)
    found, score = decode(soft)
    right = (found == sent).all(1)
    assert ((soft < 0) != sent).mean() > 0.2
    assert right.mean() > 0.9
    truth = ((1.0 - 2.0 * sent) * soft).sum(1) / np.sqrt((soft**2).sum(1))
    assert score[right] == pytest.approx(truth[right])
    assert ((1.0 - 2.0 * encode(found[:, :BITS])) == (1.0 - 2.0 * found)).all()  # whatever is found is a word


def test_sets_of_three_are_found_as_an_exhaustive_search_finds_them():
    """The best of all words within the tried flips, against building every one of them."""
    from audit.provenance.watermark._code import _flips, _flips_alike, _sets_of_rows

    rng = np.random.default_rng(2)
    sign = rng.choice([-1.0, 1.0], (1, BITS, LENGTH)).astype(np.float32)
    agreed = rng.normal(size=(50, LENGTH)).astype(np.float32)
    rows = np.concatenate([sign[0], np.ones((1, LENGTH), np.float32)])[_sets_of_rows()].prod(1)
    best = (agreed[:, None] * rows[None]).sum(2).max(1)
    extended = np.concatenate([sign[0], np.ones((1, LENGTH), np.float32)])
    for flips in (_flips(agreed, np.broadcast_to(sign, (50, BITS, LENGTH))), _flips_alike(agreed, sign[0])):
        assert (agreed * extended[flips].prod(1)).sum(1) == pytest.approx(best, rel=1e-4)


def test_rows_that_differ_in_signs_only_are_decoded_alike():
    rng = np.random.default_rng(3)
    soft = rng.normal(size=LENGTH) * rng.choice([-1.0, 1.0], (40, LENGTH))
    one, two = decode(soft), decode(soft, alike=True)
    assert (one[0] == two[0]).all()
    assert one[1] == pytest.approx(two[1])


def test_nothing_scores_nothing():
    word, score = decode(np.zeros((2, LENGTH)))
    assert score.tolist() == [0.0, 0.0]
    assert word.shape == (2, LENGTH)
    assert decode(np.empty((0, LENGTH)))[0].shape == (0, LENGTH)
