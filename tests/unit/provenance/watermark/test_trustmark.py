# SPDX-License-Identifier: Apache-2.0
"""Loading and packing; the networks' weights are no part of this project, so nothing here runs them."""

from __future__ import annotations

import importlib.util
import inspect
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.provenance.watermark.trustmark import TrustMark, _chance, from_bits, to_bits

INSTALLED = importlib.util.find_spec("trustmark") is not None


@pytest.mark.skipif(INSTALLED, reason="the package is installed")
@pytest.mark.parametrize("use", [lambda m: m.spec, lambda m: m.read(np.zeros((300, 300, 3), np.uint8))])
def test_a_missing_package_is_a_configuration_error_with_the_command(use):
    with pytest.raises(ConfigError) as caught:
        use(TrustMark())
    assert caught.value.hint == 'pip install "genaudit[trustmark]"'


def test_missing_weights_are_named_and_nothing_is_downloaded(tmp_path, monkeypatch):
    (tmp_path / "trustmark" / "models").mkdir(parents=True)
    package = tmp_path / "trustmark" / "__init__.py"
    package.write_text("raise RuntimeError('not to be imported for this')")
    (tmp_path / "trustmark" / "models" / "encoder_Q.ckpt").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        _ = TrustMark("Q").spec
    assert "trustmark_Q.yaml, decoder_Q.ckpt" in caught.value.message
    assert "encoder" not in caught.value.message
    assert "TrustMark(model_type='Q', loadRemover=False)" in caught.value.hint


def test_identity_follows_the_weights_and_loads_none_of_them(tmp_path, monkeypatch):
    folder = tmp_path / "trustmark" / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('not to be imported for this')")
    for name in ("trustmark_P.yaml", "encoder_P.ckpt", "decoder_P.ckpt"):
        (folder / name).write_bytes(name.encode())
    monkeypatch.syspath_prepend(tmp_path)
    first = TrustMark().spec
    assert (first.name, first.algorithm, first.bits, first.licence) == ("trustmark", "com.adobe.trustmark.P", 40, "MIT")
    assert first.digest == TrustMark().spec.digest
    assert first.digest != TrustMark(strength=0.5).spec.digest
    Path(folder / "decoder_P.ckpt").write_bytes(b"other weights")
    assert TrustMark().spec.digest != first.digest


@pytest.mark.parametrize("payload", [bytes(5), b"\xff" * 5, b"\x01\x80hey"])
def test_bits_and_back(payload):
    bits = to_bits(payload)
    assert len(bits) == 40
    assert int(bits, 2) == int.from_bytes(payload, "big")
    assert from_bits(bits) == payload


def test_the_rate_is_the_share_of_words_near_the_code():
    """Counted in a code small enough: BCH (15, 7), which corrects two, by the same formula."""
    polynomial = 0b111010001
    words = set()
    for message in range(2**7):
        word = 0
        for i in range(7):
            word ^= (polynomial << i) * (message >> i & 1)
        words.add(word)
    near = {
        word ^ a ^ b
        for word in words
        for a in (0, *(1 << i for i in range(15)))
        for b in (0, *(1 << i for i in range(15)))
    }
    assert len(near) / 2**15 == sum(math.comb(15, i) for i in range(3)) / 2**8
    assert 4e-7 < _chance() < 6e-7


def test_options_are_checked_and_it_travels():
    with pytest.raises(ConfigError, match="no variant 'Z'"):
        TrustMark("Z")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="strength"):
        TrustMark(strength=0)
    assert pickle.loads(pickle.dumps(TrustMark("C"))) == TrustMark("C")


@pytest.mark.skipif(not INSTALLED, reason="needs the package trustmark")
def test_the_package_still_takes_what_is_handed_to_it():
    from trustmark import TrustMark as Theirs

    assert Theirs.Encoding.BCH_SUPER == 0
    made = inspect.signature(Theirs.__init__).parameters
    assert {"use_ECC", "verbose", "device", "model_type", "encoding_type", "loadRemover"} <= set(made)
    assert {"MODE", "WM_STRENGTH"} <= set(inspect.signature(Theirs.encode).parameters)
    assert "MODE" in inspect.signature(Theirs.decode).parameters
