# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from audit.provenance.watermark import find, payload_of
from audit.provenance.watermark._code import BITS
from audit.provenance.watermark._layout import layout_of, signs_of
from audit.provenance.watermark.spread import TRIED, Spread, alignments_of, bound, threshold
from audit.reference.people import sample_people
from audit.reference.render import render

PAYLOAD = b"\x00\xff\x12ab"
PILOT = [2, 4, 9, 12, 16, 21]
PLACE = [121, 146, 80, 122, 42, 218]
SIGNS = [-1, -1, -1, -1, 1, -1, -1, -1, 1, 1, 1, 1]
TONE = [-2.4934691, -2.1984336, 1.4539849]


@pytest.fixture(scope="module")
def people():
    return render(sample_people(12, rng=np.random.default_rng(5)))


@pytest.fixture(scope="module")
def marked(people):
    return [Spread().embed(picture, PAYLOAD) for picture in people]


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured noise with the spectrum of photographs."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    f[0, 0] = 1e3
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) / f**1.1).real
    levels = 120 + 45 * field[..., None] / (field.std() + 1e-9) * (1.0, 0.8, 0.6)
    return levels.clip(0, 255).round().astype(np.uint8)


def jpeg(rgb: np.ndarray, quality: int = 75) -> np.ndarray:
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(sink, "JPEG", quality=quality)
    return np.asarray(Image.open(sink))


def resized(rgb: np.ndarray, factor: float) -> np.ndarray:
    height, width = rgb.shape[:2]
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(rgb)).resize((round(width * factor), round(height * factor)))
    )


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p,
        jpeg,
        lambda p: resized(p, 0.5),
        lambda p: resized(p, 0.77),
        lambda p: resized(p, 2.0),
        lambda p: p[6:, 6:],
        lambda p: p[:58, 6:],
        lambda p: p[3:61, 2:60],
        lambda p: p[:, 4:],
    ],
)
def test_small_pictures_are_read_after_what_is_promised(marked, edit):
    """The promise is 95 of 100; of these twelve one may fail."""
    assert sum(Spread().read(edit(picture)).payload == PAYLOAD for picture in marked) >= 11


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: jpeg(p[20:480, 30:]),
        lambda p: resized(p, 0.5),
        lambda p: resized(p, 1.7),
        lambda p: resized(p[:470, 10:600], 0.61),
        lambda p: p[:, ::-1],
        np.rot90,
        lambda p: (p * 0.7).astype(np.uint8),
    ],
)
def test_a_larger_picture_is_read_after_more(edit):
    picture = texture(512, 640)
    marked = Spread().embed(picture, PAYLOAD)
    assert psnr(picture, marked) > 43
    reading = Spread().read(edit(marked))
    assert reading.payload == PAYLOAD
    assert reading.p_value < 1e-6


def test_it_hardly_shows(people, marked):
    assert np.median([psnr(a, b) for a, b in zip(people, marked, strict=True)]) > 36
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(people, marked, strict=True)) < 40


@pytest.mark.parametrize("shape", [(64, 64), (64, 1000), (700, 64), (100, 130), (65, 199), (1030, 600)])
def test_any_shape(shape):
    marked = Spread().embed(texture(*shape), PAYLOAD)
    assert marked.shape == (*shape, 3)
    assert Spread().read(marked).payload == PAYLOAD


def marked_or_refused(picture: np.ndarray) -> np.ndarray | None:
    try:
        return Spread().embed(picture, PAYLOAD)
    except ValueError as error:
        if "cannot be read back" in str(error):
            return None
        raise


@pytest.mark.parametrize("level", [0, 4, 128, 255])
def test_flat_pictures_are_marked_so_that_they_are_read_or_refused(level):
    flat = np.full((96, 96, 3), level, np.uint8)
    assert not Spread().read(flat).found
    marked = marked_or_refused(flat)
    assert marked is None or Spread().read(marked).payload == PAYLOAD


def test_pictures_without_anything_between_black_and_white():
    hard = (255 * (np.random.default_rng(0).random((128, 128, 1)) < 0.5)).repeat(3, 2).astype(np.uint8)
    marked = marked_or_refused(hard)
    assert marked is None or Spread().read(marked).payload == PAYLOAD


def test_what_cannot_be_marked_is_said():
    with pytest.raises(ValueError, match="63x80: a mark needs 64 pixels"):
        Spread().embed(texture(80, 63), PAYLOAD)
    with pytest.raises(ValueError, match="4 bytes, not 5"):
        Spread().embed(texture(64, 64), b"four")
    for wrong in (np.zeros((64, 64), np.uint8), np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64, 3))):
        with pytest.raises(ValueError, match="not uint8"):
            Spread().embed(wrong, PAYLOAD)
        with pytest.raises(ValueError, match="not uint8"):
            Spread().read(wrong)


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (1, 1), (1, 500), (7, 3), (21, 21), (22, 22), (23, 900), (40, 40)])
def test_reading_takes_any_size(shape):
    reading = Spread().read(texture(*shape) if 0 not in shape else np.zeros((*shape, 3), np.uint8))
    assert reading.payload is None
    assert reading.p_value == 1.0


def test_the_same_again():
    picture = texture(80, 120)
    assert np.array_equal(Spread().embed(picture, PAYLOAD), Spread().embed(picture.copy(), PAYLOAD))
    read_only = picture.copy()
    read_only.flags.writeable = False
    assert np.array_equal(Spread().embed(read_only, PAYLOAD), Spread().embed(picture, PAYLOAD))
    assert np.array_equal(picture, texture(80, 120))


def test_a_second_mark_takes_the_place_of_the_first():
    twice = Spread().embed(Spread().embed(texture(200, 200), b"first"), b"later")
    assert Spread().read(twice).payload == b"later"
    assert Spread().read(jpeg(twice)).payload == b"later"


def test_only_the_key_reads_it(marked):
    assert not any(Spread(key="another").read(picture).found for picture in marked)
    other = Spread(key="another").embed(marked[0], b"other")
    assert Spread(key="another").read(other).payload == b"other"


def test_nothing_is_found_where_nothing_is(people):
    for picture in (*people, texture(200, 160), np.tile(texture(32, 32), (4, 4, 1))):
        reading = Spread().read(picture)
        assert reading.payload is None
        assert reading.p_value == 1.0


def test_any_payload():
    rng = np.random.default_rng(8)
    picture = texture(96, 96)
    for payload in (bytes(5), b"\xff" * 5, rng.bytes(5), payload_of("urn:c2pa:1", BITS)):
        assert Spread().read(Spread().embed(picture, payload)).payload == payload


def test_the_reader_decodes_no_more_than_the_bound_counts():
    for size in (22, 64, 90, 176, 182, 400):
        batches = list(alignments_of(texture(size, size), layout_of("x"), reach=1.5))
        assert 0 < sum(map(len, batches)) <= TRIED


def test_bound_and_threshold_are_each_other_s_inverse():
    for rate in (1e-3, 1e-6, 1e-12):
        assert bound(threshold(rate)) == pytest.approx(rate)
    assert bound(0.0) == 1.0
    assert threshold(1e-6) == pytest.approx(np.sqrt(2 * (np.log(TRIED) + 40 * np.log(2) + 6 * np.log(10))))


def test_one_word_under_random_signs_keeps_hoeffding_s_bound():
    """The inequality that the rate stands on, by simulation with soft values of a real and of a heavy-tailed kind."""
    layout = layout_of("pilot")
    alignment = next(alignments_of(texture(128, 128), layout, reach=1.1))[0]
    real = layout.chips(alignment.waves[None])[0]
    heavy = np.random.default_rng(1).standard_t(1.5, 255)
    signs = np.stack([signs_of(f"s{i}") for i in range(20_000)])
    for soft in (real, heavy):
        score = signs @ soft / np.linalg.norm(soft)
        assert score.mean() == pytest.approx(0, abs=0.03)
        assert score.std() == pytest.approx(1, abs=0.02)
        for z in (1, 2, 3):
            assert (score > z).mean() <= np.exp(-(z**2) / 2)


def test_a_stricter_rate_finds_less_easily():
    picture = texture(64, 64)
    assert threshold(1e-12) > threshold(1e-6)
    strict = Spread(rate=1e-12)
    assert strict.read(strict.embed(picture, PAYLOAD)).p_value <= 1e-12


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": 1.0}, {"reach": 0.5}, {"reach": 3.0}])
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match="not between"):
        Spread(**wrong)


def test_a_larger_reach_reads_larger_crops():
    marked = Spread().embed(texture(512, 512), PAYLOAD)
    part = marked[60:400, 100:440]
    assert Spread(reach=1.6).read(part).payload == PAYLOAD


def test_identity():
    spec = Spread().spec
    assert (spec.name, spec.algorithm, spec.bits, spec.min_side) == ("spread", "org.genaudit.spread.1", 40, 64)
    assert spec.false_positive_rate == 1e-6
    assert spec.digest == Spread().spec.digest == find("spread").spec.digest
    assert spec.digest != Spread(key="b").spec.digest
    assert "secret" not in repr(Spread(key="secret"))


def test_marks_made_by_an_older_version_are_still_read():
    """Pins what is in the picture: waves, phases, places and signs. If this fails, the algorithm needs a new name."""
    layout, signs = layout_of("genaudit"), signs_of("genaudit")
    assert layout.pilot[:6].tolist() == PILOT
    assert layout.place[:6].tolist() == PLACE
    assert signs[:12].astype(int).tolist() == SIGNS
    assert np.angle(layout.tone[:3]) == pytest.approx(TONE, abs=1e-6)


def test_it_travels_between_processes_and_threads():
    mark = pickle.loads(pickle.dumps(Spread(key="k")))
    pictures = [texture(96, 96, seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda p: mark.embed(p, PAYLOAD), pictures))
    assert all(np.array_equal(a, mark.embed(p, PAYLOAD)) for a, p in zip(together, pictures, strict=True))
