# SPDX-License-Identifier: Apache-2.0
"""What is shown of an image's way out and back: what was seen, nothing computed later, and nothing left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.errors import StoreError
from audit.provenance import Claim, ManifestStore, Stamper
from audit.provenance.round_trip import FOLDER, SHOWN, read, round_trip, round_trips, write
from audit.provenance.survive import select_edits
from audit.provenance.watermark import find

MARK = find("spread")


@pytest.fixture(scope="module")
def kept(tmp_path_factory, stamper: Stamper) -> tuple[dict[str, Path], ManifestStore, list[str]]:
    folder = tmp_path_factory.mktemp("trips")
    store = ManifestStore(folder / "m.sqlite")
    marker = Stamper(stamper.keys, watermark=MARK)
    images, ids = {}, []
    for seed in range(len(SHOWN)):
        rng = np.random.default_rng(seed)
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        made = marker.mark(small.resize((256, 256), Image.Resampling.BICUBIC), Claim.about("g", seed=seed))
        store.add(made, request_id=f"r-{seed}", run_id="run")
        path = folder / f"{seed}.png"
        path.write_bytes(made.data)
        images[path.name], ids = path, [*ids, made.manifest_id]
    return images, store, ids


def test_each_trip_leads_back_to_its_own_manifest(kept) -> None:
    images, store, ids = kept
    trips = round_trips(images, store=store, watermark=MARK)
    assert {trip.edit for trip in trips} == set(SHOWN)
    for trip, manifest_id in zip(trips, ids, strict=True):
        assert (trip.signed.state, trip.edited.state) == ("valid_untrusted", "absent")
        if trip.outcome == "recovered":
            assert trip.found["manifest_id"] == manifest_id
            assert trip.p_value < 1e-6
        else:
            assert not trip.found, "what was not found says nothing"
    outcomes = {trip.edit: trip.outcome for trip in trips}
    assert outcomes["social"] == outcomes["crop-10"] == "recovered"
    assert outcomes["screenshot-jpeg"] == "no_mark", "a border is not searched for, and the page shows that"


def test_a_mark_that_is_not_in_the_store_is_shown_as_that(kept, tmp_path) -> None:
    images, _, _ = kept
    name, path = next(iter(images.items()))
    trip = round_trip(
        name, path.read_bytes(), select_edits(["jpeg-90"])[0], store=ManifestStore(tmp_path / "e"), watermarks=[MARK]
    )
    assert trip is not None
    assert (trip.outcome, trip.found, trip.likeness) == ("unknown_mark", {}, None)


def test_what_was_written_is_read_with_its_pictures(kept, tmp_path) -> None:
    images, store, _ = kept
    trips = round_trips(images, store=store, watermark=MARK)
    write(tmp_path, trips)
    rows = read(tmp_path)
    assert [row["image"] for row in rows] == list(images)
    for row, trip in zip(rows, trips, strict=True):
        assert Path(row["edited"]["path"]).read_bytes() == trip.edited.picture
        assert (row["signed"]["width"], row["signed"]["height"]) == (256, 256)
    assert not list((tmp_path / FOLDER).glob(".tmp-*"))


def test_no_trips_and_damaged_ones(kept, tmp_path) -> None:
    assert read(tmp_path) == []
    path = write(tmp_path, [])
    assert read(tmp_path) == []
    path.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        read(tmp_path)
    path.write_text(json.dumps([{"signed": {"file": "../../../etc/passwd"}, "edited": {"file": "b"}}]))
    assert Path(read(tmp_path)[0]["signed"]["path"]).parent == path.parent, "no file elsewhere is shown"
