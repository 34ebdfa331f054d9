# SPDX-License-Identifier: Apache-2.0
"""Durable credentials on what the bundled models draw: sign, strip, find again, check, with known answers."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from audit.images import encode_png, pixels_of
from audit.provenance import Claim, Stamper, State, verify_bytes
from audit.provenance.keys import DevelopmentKeys
from audit.provenance.recover import Outcome, recover
from audit.provenance.store import ManifestStore
from audit.provenance.watermark import find
from audit.registry import GENERATORS
from tests.asking import ask

N = 48
MARK = find("spread")
PROMPTS = ("a portrait of a nurse", "a portrait of a judge", "a portrait of a farmer")

pytestmark = pytest.mark.slow


def _saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A tenth of each side is cut away, anywhere."""
    away = image.width // 10
    left, top = (int(v) for v in rng.integers(0, away + 1, 2))
    return image.crop((left, top, left + image.width - away, top + image.height - away))


STRIPS = {
    "saved anew": lambda image, _: _saved(image),
    "jpeg 75": lambda image, _: _saved(image, "JPEG", quality=75),
    "half": lambda image, _: _saved(_scaled(image, 0.5)),
    "double": lambda image, _: _saved(_scaled(image, 2.0)),
    "crop": lambda image, rng: _saved(_cropped(image, rng)),
}


@pytest.fixture(scope="module")
def drawn() -> list[np.ndarray]:
    """Pictures of a GAN and a token model, several of each prompt, so that many look alike."""
    made: list[np.ndarray] = []
    for kind in ("gan", "recurrent"):
        generator = GENERATORS.get(kind)(kind, model=f"reference:{kind}")
        batch = [ask(PROMPTS[k % 3], repetition=k) for k in range(N // 2)]
        made += [pixels_of(answer) for answer in generator.generate(batch)]
    return made


@pytest.fixture(scope="module")
def world(drawn, tmp_path_factory):
    """(store, signed files, root): every picture marked, signed and kept."""
    folder = tmp_path_factory.mktemp("durable")
    stamper = Stamper(DevelopmentKeys(folder / "keys"), watermark=MARK)
    store, signed = ManifestStore(folder / "m.sqlite"), []
    for number, rgb in enumerate(drawn):
        one = stamper.mark(rgb, Claim.about("bundled", prompt="private", seed=number, request_id=f"r-{number}"))
        store.add(one, rgb=one.rgb, request_id=f"r-{number}", run_id="run")
        signed.append(one)
    return store, signed, stamper.chain.root.decode()


def test_before_it_is_stripped_the_file_speaks_for_itself(world) -> None:
    store, signed, root = world
    for one in signed:
        found = recover(one.data, store=store, watermarks=[MARK], anchors=root)
        assert (found.outcome, found.verified) == (Outcome.EMBEDDED, True)
        assert found.embedded == verify_bytes(one.data, anchors=root)


@pytest.mark.parametrize("strip", STRIPS)
def test_stripped_pictures_are_found_again(world, strip) -> None:
    store, signed, root = world
    rng, seen = np.random.default_rng(0), Counter()
    for number, one in enumerate(signed):
        data = STRIPS[strip](Image.fromarray(one.rgb), rng)
        assert verify_bytes(data).state is State.ABSENT
        found = recover(data, store=store, watermarks=[MARK], anchors=root)
        seen[found.outcome] += 1
        if found.outcome is Outcome.RECOVERED:
            assert found.kept.manifest_id == one.manifest_id
            assert found.credentials.request_id == f"r-{number}"
            assert found.credentials.state is State.NO_TIMESTAMP
    assert set(seen) <= {Outcome.RECOVERED, Outcome.NO_MARK}, "never another's credentials, never a false alarm"
    assert seen[Outcome.RECOVERED] >= 0.95 * len(signed), seen


def test_unmarked_pictures_are_given_nobodys_credentials(world, drawn) -> None:
    store, _, _ = world
    outcomes = {recover(encode_png(rgb), store=store, watermarks=[MARK]).outcome for rgb in drawn}
    assert outcomes == {Outcome.NO_MARK}


def test_marks_copied_onto_other_pictures_are_noticed(world, drawn) -> None:
    """But for pictures of the same model that look alike; how many is told in the documentation."""
    store, signed, _ = world
    seen = Counter()
    for number, rgb in enumerate(drawn):
        payload = bytes.fromhex(signed[(number + 7) % len(signed)].payload)
        found = recover(encode_png(MARK.embed(rgb, payload)), store=store, watermarks=[MARK])
        seen[found.outcome] += 1
    assert set(seen) <= {Outcome.MISMATCH, Outcome.RECOVERED}
    assert seen[Outcome.MISMATCH] >= 0.8 * len(drawn), seen
