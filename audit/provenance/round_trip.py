# SPDX-License-Identifier: Apache-2.0
"""One image all the way: signed and marked, edited until nothing of its metadata is left, and found again.

What was seen at each station is written down, with small pictures, so that a page can show it and compute nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from audit.errors import StoreError
from audit.images import decode, thumbnail
from audit.provenance._files import replace_file
from audit.provenance.recover import Recovered, recover
from audit.provenance.store import ManifestStore
from audit.provenance.survive._journal import disk_errors
from audit.provenance.survive.edits import Edit, select_edits
from audit.provenance.verify import Verified, verify_bytes
from audit.provenance.watermark import Watermark

__all__ = ["FOLDER", "SHOWN", "RoundTrip", "Station", "read", "round_trip", "round_trips", "write"]

#: Within a survival folder.
FOLDER: Final = "round_trip"
#: Edits that are shown: nothing embedded outlives them.
SHOWN: Final = ("social", "screenshot-jpeg", "crop-10", "cms")
_FILE: Final = "round_trip.json"


@dataclass(frozen=True, slots=True)
class Station:
    """The image at one point of the way.

    Attributes:
        title: what was done to it.
        state: of the credentials in the file.
        message: the verifier's sentence.
        width, height: pixels.
        size: of the file, bytes.
        picture: a small WebP of it.
    """

    title: str
    state: str
    message: str
    width: int
    height: int
    size: int
    picture: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What was seen.

    Attributes:
        image: name of the signed file.
        edit: id of the edit.
        signed: the file as it was made.
        edited: what was left of it.
        outcome: of recovery.
        found: what the recovered manifest says: manifest_id, generator, issuer, signed_at, request_id, run_id, state.
        algorithm: of the mark, None where none was read.
        p_value: chance of such a mark in an unmarked picture, None where the algorithm cannot say.
        likeness: of the edited picture to the signed one, None where no manifest was found.
        message: recovery's sentence.
    """

    image: str
    edit: str
    signed: Station
    edited: Station
    outcome: str
    found: Mapping[str, Any]
    algorithm: str | None
    p_value: float | None
    likeness: float | None
    message: str


def round_trip(
    name: str,
    data: bytes,
    edit: Edit,
    *,
    store: ManifestStore,
    watermarks: Sequence[Watermark],
    anchors: str | None = None,
) -> RoundTrip | None:
    """Edit a signed file and find its credentials again.

    Args:
        name: of the file.
        data: the signed file.
        edit: what happens to it.
        store: where its manifest was kept.
        watermarks: to look for.
        anchors: PEM of roots to trust.

    Returns:
        What was seen; None where the edit cannot be done on this file.
    """
    left = edit(data)
    if left is None:
        return None
    before = verify_bytes(data, anchors=anchors)
    found = recover(left, store=store, watermarks=watermarks, anchors=anchors)
    return RoundTrip(
        image=name,
        edit=edit.id,
        signed=_station("Signed and marked", data, before),
        edited=_station(edit.title, left, found.embedded),
        outcome=str(found.outcome),
        found=_said(found),
        algorithm=found.algorithm,
        p_value=found.p_value,
        likeness=found.likeness,
        message=found.message,
    )


def round_trips(
    images: Mapping[str, Path], *, store: ManifestStore, watermark: Watermark, anchors: str | None = None
) -> list[RoundTrip]:
    """One trip for each of the edits in `SHOWN`, on as many images, from the first on; fewer where there are fewer.

    Args:
        images: path by name, of signed files.
        store: where their manifests were kept.
        watermark: to look for.
        anchors: PEM of roots to trust.
    """
    edits = select_edits(SHOWN)
    trips = [
        round_trip(name, path.read_bytes(), edit, store=store, watermarks=[watermark], anchors=anchors)
        for (name, path), edit in zip(images.items(), edits, strict=False)
    ]
    return [trip for trip in trips if trip is not None]


def _station(title: str, data: bytes, verdict: Verified) -> Station:
    rgb = decode(data)
    height, width = rgb.shape[:2]
    return Station(title, str(verdict.state), verdict.message, width, height, len(data), thumbnail(rgb))


def _said(found: Recovered) -> dict[str, Any]:
    credentials = found.credentials
    if credentials is None:
        return {}
    names = ("manifest_id", "generator", "issuer", "signed_at", "request_id", "run_id")
    return {**{name: getattr(credentials, name) for name in names}, "state": str(credentials.state)}


def write(folder: Path, trips: Sequence[RoundTrip]) -> Path:
    """``round_trip.json`` and two small pictures a trip, in ``folder``/round_trip. Returns the JSON's path.

    Raises:
        StoreError: the disk says no.
    """
    home = folder / FOLDER
    with disk_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, trip in enumerate(trips):
        row = asdict(trip)
        for station in ("signed", "edited"):
            picture = row[station].pop("picture")
            row[station]["file"] = f"{index:02d}-{station}.webp"
            replace_file(home / row[station]["file"], picture)
        rows.append(row)
    replace_file(home / _FILE, (json.dumps(rows, sort_keys=True, indent=1) + "\n").encode())
    return home / _FILE


def read(folder: Path) -> list[dict[str, Any]]:
    """What `write` wrote, with ``path`` beside ``file``; empty where there is nothing.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / FOLDER / _FILE
    if not path.is_file():
        return []
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        for row in rows:
            for station in ("signed", "edited"):
                row[station]["path"] = str(path.parent / Path(row[station]["file"]).name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "run genaudit survive on this run again"
        raise StoreError(f"cannot be read: {error}", where=str(path), hint=hint) from None
    return rows
