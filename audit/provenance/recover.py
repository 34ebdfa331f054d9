# SPDX-License-Identifier: Apache-2.0
"""Find the credentials of an image that lost them: its watermark leads to a manifest that was kept elsewhere.

C2PA calls credentials that can be found again so *durable*, and the watermark a *soft binding* (Technical Specification
2.4, sections 2.4.1, 9.3 and 18.10). A soft binding is no hard binding: nothing here says that the pixels are as signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit.provenance._likeness import LIKENESS, likeness, sketch, sketch_hash
from audit.provenance._limits import MAX_BYTES, Limits
from audit.provenance._outside import verdict_on
from audit.provenance._sources import Source, named
from audit.provenance.state import State
from audit.provenance.store import Kept, ManifestStore
from audit.provenance.trust import TrustList, distinct
from audit.provenance.verify import Verified, read_capped, verify_bytes
from audit.provenance.watermark import Reading, Watermark

__all__ = ["LIKENESS", "Outcome", "Recovered", "recover", "recover_many"]

_NO_CARRIER: Final = "genaudit.file.unknown"
_NEAR: Final = 6  # bits


class Outcome(StrEnum):
    """What recovery can say about one file."""

    EMBEDDED = "embedded"  # the file carries credentials itself, and nothing better was found: see their state
    REPLACED = "replaced"  # the credentials in the file hold, but the mark in the picture leads to other ones
    RECOVERED = "recovered"  # the mark leads to a manifest that holds, and the picture looks like the signed one
    MISMATCH = "mismatch"  # the mark leads to a manifest, but the picture is another one, or has changed very much
    INVALID = "invalid"  # the mark leads to a manifest that does not hold
    UNKNOWN_MARK = "unknown_mark"  # a mark, but no manifest for it in this store
    NO_MARK = "no_mark"  # no credentials and no mark
    UNREADABLE = "unreadable"  # not an image that can be decoded
    UNDETERMINED = "undetermined"  # credentials could not be checked: the C2PA library is missing


# From worst to best, of what marks lead to.
_ORDER: Final = (
    Outcome.NO_MARK,
    Outcome.UNKNOWN_MARK,
    Outcome.INVALID,
    Outcome.UNDETERMINED,
    Outcome.MISMATCH,
    Outcome.RECOVERED,
)
_BROKEN: Final = frozenset({State.INVALID, State.BAD_INGREDIENT, State.UNREADABLE, State.REMOTE_ONLY})


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found for one file.

    Attributes:
        outcome: see `Outcome`.
        embedded: verdict on the credentials in the file itself.
        credentials: verdict on the manifest found through the mark, leaving out that the file is not byte for byte the
            signed one; None where no manifest was found.
        kept: the row of the store, None where no manifest was found.
        algorithm: of the mark, None where there is none.
        payload: of the mark (hex), None where there is none.
        p_value: of the mark, over all watermarks that were tried; None where the algorithm cannot say.
        likeness: of the picture to the signed one, at most 1; see `LIKENESS`.
        distance: bits in which the perceptual hashes differ, of 64; for people, since a crop changes many.
        similar: names of manifests whose pictures look alike, where asked for and nothing else was found: a hint, not
            evidence.
        message: one sentence for people.
    """

    outcome: Outcome
    embedded: Verified
    credentials: Verified | None = None
    kept: Kept | None = None
    algorithm: str | None = None
    payload: str | None = None
    p_value: float | None = None
    likeness: float | None = None
    distance: int | None = None
    similar: tuple[str, ...] = ()
    message: str = ""

    @property
    def verified(self) -> bool:
        """Whether the image has credentials that hold, in the file or recovered."""
        if self.outcome is Outcome.EMBEDDED:
            return self.embedded.state.verified
        return self.outcome is Outcome.RECOVERED


def recover(
    data: bytes,
    *,
    store: ManifestStore,
    watermarks: Sequence[Watermark],
    anchors: str | None = None,
    trust: Sequence[TrustList] = (),
    least: float = LIKENESS,
    by_picture: bool = False,
    embedded: Verified | None = None,
) -> Recovered:
    """The credentials of an image, from the file or through its mark.

    RECOVERED means: a mark is in the picture whose chance in an unmarked one is ``p_value``; it leads to a manifest of
    this store whose signature, assertions and certificate hold, and which itself names this mark; and the picture looks
    like the one that was signed. So whoever holds the key says this of a picture *like this one*.

    It does not mean that the picture is unchanged: an edit that keeps most of it, such as another face, stays
    RECOVERED. Nor is it proof against somebody who sets out to deceive: with a public watermark key anybody can put any
    mark on any picture, and only the likeness stands against that. Credentials in the file are the stronger evidence.

    Args:
        data: a whole image file.
        store: where manifests were kept.
        watermarks: to look for.
        anchors: as in `audit.provenance.verify_bytes`.
        trust: as in `audit.provenance.verify_bytes`.
        least: likeness from which on a picture counts as the signed one, edited.
        by_picture: where nothing is found, name manifests of pictures that look alike.
        embedded: verdict on the file under the same trust, where one is at hand (say, from a process with limits).

    Returns:
        What was found; never raises because of the file.

    Raises:
        StoreError: the store cannot be read.
    """
    from audit.images import decode

    lists = distinct(trust, anchors)
    embedded = embedded or verify_bytes(data, trust=lists)
    try:
        rgb = decode(data)
    except ValueError:
        if embedded.state.verified:  # a format that Pillow does not read here
            return Recovered(Outcome.EMBEDDED, embedded, message=embedded.message)
        told = embedded.state is State.UNREADABLE and embedded.message
        return Recovered(Outcome.UNREADABLE, embedded, message=told or "the image cannot be decoded")
    found = _through_marks(rgb, embedded, store=store, watermarks=watermarks, lists=lists, least=least)
    if embedded.state.verified:
        return _beside(found, embedded)
    if found.outcome is Outcome.NO_MARK and (instead := _without_mark(embedded)):
        return replace(found, outcome=instead, message=f"{embedded.message}; no mark in the picture")
    if found.kept is None and by_picture:
        near = store.near(sketch_hash(sketch(rgb)), _NEAR)
        return replace(found, similar=tuple(kept.manifest_id for kept in near))
    return found


def recover_many(
    items: Iterable[Path | str | Source],
    *,
    store: ManifestStore,
    watermarks: Sequence[Watermark],
    trust: Sequence[TrustList] = (),
    least: float = LIKENESS,
    by_picture: bool = False,
    workers: int = 1,
    max_bytes: int = MAX_BYTES,
) -> Iterator[tuple[str, Recovered]]:
    """Names of files and what was found, in the order of ``items``; credentials are read in child processes.

    Args:
        items: files, or what `audit.provenance._sources.find` found.
        store: as in `recover`.
        watermarks: as in `recover`.
        trust: as in `recover`.
        least: as in `recover`.
        by_picture: as in `recover`.
        workers: files at the same time.
        max_bytes: larger files are not looked into.
    """
    from audit.provenance._sandbox import Sandbox

    limits = Limits(bytes=max_bytes)
    with Sandbox(trust, workers=workers, limits=limits) as sandbox, ThreadPoolExecutor(workers) as pool:

        def one(item: Path | str | Source) -> tuple[str, Recovered]:
            source = named(item)
            embedded = sandbox.verify(source)
            try:
                data = _bytes_of(source, max_bytes)
            except OSError as error:
                message = embedded.message or f"cannot be opened: {error.strerror or error}"
                return source.name, Recovered(Outcome.UNREADABLE, embedded, message=message)
            found = recover(
                data,
                store=store,
                watermarks=watermarks,
                trust=trust,
                least=least,
                by_picture=by_picture,
                embedded=embedded,
            )
            return source.name, found

        waiting = iter(items)
        while some := list(islice(waiting, 4 * workers)):  # so that an archive never stands in memory as a whole
            yield from pool.map(one, some)


def _bytes_of(source: Source, most: int) -> bytes:
    """The file. Raises OSError where it cannot be had, or is too large."""
    if source.problem is not None:
        raise OSError(source.problem)
    data = source.data if source.data is not None else read_capped(source.path or Path(source.name), most)
    if len(data) > most:
        raise OSError(f"more than {most} bytes")
    return data


def _through_marks(
    rgb: NDArray[np.uint8],
    embedded: Verified,
    *,
    store: ManifestStore,
    watermarks: Sequence[Watermark],
    lists: Sequence[TrustList],
    least: float,
) -> Recovered:
    """The best of all that the marks in the picture lead to."""
    found = [Recovered(Outcome.NO_MARK, embedded, message="no credentials, and no mark was found")]
    for watermark, reading in _readings(rgb, watermarks):
        algorithm, payload = watermark.spec.algorithm, reading.payload or b""
        mark = Recovered(
            Outcome.UNKNOWN_MARK,
            embedded,
            algorithm=algorithm,
            payload=payload.hex(),
            p_value=None if reading.p_value is None else min(1.0, reading.p_value * len(watermarks)),
            message=f"carries the mark {payload.hex()} ({algorithm}), for which this store has no manifest",
        )
        found.append(mark)
        # The first bits of two names may agree: the manifest whose picture fits is the one.
        for kept in store.find(payload, algorithm):
            verdict = verdict_on(kept, algorithm=algorithm, payload=payload.hex(), lists=lists)
            found.append(_compared(replace(mark, kept=kept, credentials=verdict), kept, verdict, rgb, least=least))
    return max(found, key=_rank)


def _readings(rgb: NDArray[np.uint8], watermarks: Sequence[Watermark]) -> Iterator[tuple[Watermark, Reading]]:
    readings = ((watermark, watermark.read(rgb)) for watermark in watermarks)
    return ((watermark, reading) for watermark, reading in readings if reading.found)


def _without_mark(embedded: Verified) -> Outcome | None:
    """What can be said of a file without a mark, where that is more than nothing."""
    if embedded.state is State.UNDETERMINED:
        return Outcome.UNDETERMINED
    carries = embedded.state in _BROKEN and _NO_CARRIER not in embedded.codes
    return Outcome.EMBEDDED if carries else None


def _rank(found: Recovered) -> tuple[int, float]:
    return _ORDER.index(found.outcome), found.likeness if found.likeness is not None else -1.0


def _compared(found: Recovered, kept: Kept, verdict: Verified, rgb: NDArray[np.uint8], *, least: float) -> Recovered:
    """Whether the manifest holds, and the picture is the one that was signed."""
    alike = likeness(kept.sketch, rgb)
    distance = (int(kept.phash, 16) ^ int(sketch_hash(sketch(rgb)), 16)).bit_count()
    found = replace(found, likeness=alike, distance=distance)
    if verdict.state is State.UNDETERMINED:
        return replace(found, outcome=Outcome.UNDETERMINED, message=verdict.message)
    if not verdict.state.verified:
        text = f"its mark leads to {kept.manifest_id}, which does not hold: {verdict.message}"
        return replace(found, outcome=Outcome.INVALID, message=text)
    if alike < least:
        text = (
            f"its mark leads to {kept.manifest_id}, but it does not look like that picture (likeness {alike:.2f}): "
            "the mark was copied, or the picture has changed very much"
        )
        return replace(found, outcome=Outcome.MISMATCH, message=text)
    text = f"found through its mark (likeness {alike:.2f}): {verdict.message}"
    return replace(found, outcome=Outcome.RECOVERED, message=text)


def _beside(found: Recovered, embedded: Verified) -> Recovered:
    """Credentials in the file hold: whether the mark agrees with them."""
    named = {embedded.manifest_id, *embedded.parents, *(each.manifest_id for each in embedded.ingredients)}
    if found.outcome is not Outcome.RECOVERED or found.kept is None or found.kept.manifest_id in named:
        return replace(found, outcome=Outcome.EMBEDDED, message=embedded.message)
    text = (
        f"the credentials in the file hold ({embedded.message}), but they do not name {found.kept.manifest_id}, "
        "to which the mark in the picture leads"
    )
    return replace(found, outcome=Outcome.REPLACED, message=text)
