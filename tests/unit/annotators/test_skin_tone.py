# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from audit.annotators.skin_tone import SkinToneAnnotator
from audit.reference.world import TONE_BANDS, tone_band
from tests.asking import record


def test_tones_agree_with_the_renders(portraits, people):
    columns = SkinToneAnnotator().annotate(portraits)
    told = np.isfinite(columns["tone"])
    assert told.mean() > 0.9
    assert np.mean(np.abs(columns["tone"][told] - people.tone[told]) <= 1) > 0.93
    bands = np.array([tone_band(tone) for tone in people.tone], dtype=object)
    assert np.mean(columns["tone_band"][told] == bands[told]) > 0.93
    assert set(columns["tone_band"][~told]) <= {"could not tell"}
    assert columns["lab"].shape == (len(people), 3)


def test_without_a_face_or_colour_it_could_not_tell(nothing, portraits):
    grey = [record(np.repeat(p.rgb.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)) for p in portraits[:5]]
    columns = SkinToneAnnotator().annotate([nothing[0], *grey])
    assert set(columns["tone_band"]) == {"could not tell"}
    assert np.isnan(columns["tone"]).all()
    assert np.isnan(columns["lab"][0]).all()


def test_spec():
    spec = SkinToneAnnotator().spec
    table = spec.operating["tone_band"]
    assert (table.attribute, table.truth) == ("tone_band", tuple(TONE_BANDS))
    assert table.answers == (*TONE_BANDS, "could not tell")
    assert set(spec.columns) == {"tone", "tone_band", "lab", "delta_e"}


def test_no_images():
    columns = SkinToneAnnotator().annotate([])
    assert columns["lab"].shape == (0, 3)
    assert {len(values) for values in columns.values()} == {0}
