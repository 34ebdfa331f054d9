# SPDX-License-Identifier: Apache-2.0
"""Read Content Credentials and judge them: a verdict above the library's own state, which hides too much.

The library calls an image "Trusted" whose parent was tampered with, and raises where a reader needs an answer. Here
every file gets one of a few states, the raw codes stay beside it, and no file makes anything raise or call the network.
"""

from __future__ import annotations

import io
import json
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from audit.errors import ConfigError, VerificationError
from audit.provenance._engine import library, sniff, verify_context
from audit.provenance._judge import Reading, judge
from audit.provenance._limits import MAX_BYTES, Limits
from audit.provenance._sayings import gave_up, too_large
from audit.provenance._sources import Source, named
from audit.provenance._strict import DEFECTS, defects
from audit.provenance._verdict import Ingredient, SoftBinding, TimeStamp, Verified
from audit.provenance.drift import ensure
from audit.provenance.state import State
from audit.provenance.trust import TrustList, distinct, entries

__all__ = [
    "MAX_BYTES",
    "Ingredient",
    "Limits",
    "SoftBinding",
    "State",
    "TimeStamp",
    "Verified",
    "verify_bytes",
    "verify_many",
    "verify_path",
]

_HOLDS: Final = {State.BAD_INGREDIENT, *(state for state in State if state.verified)}

_JXL: Final = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_BRANDS: Final = {**dict.fromkeys((b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"), b"msf1": "image/heif"}


def verify_bytes(
    data: bytes,
    *,
    anchors: str | None = None,
    trust: Sequence[TrustList] = (),
    max_bytes: int = MAX_BYTES,
    rubric: bool = False,
) -> Verified:
    """Verify the credentials embedded in a file, in this process.

    Args:
        data: the whole file.
        anchors: PEM of roots that vouch for signers and for time; the same as a `TrustList` of kind "any".
        trust: lists in force. Without any, nothing in the world is more than ``valid_untrusted``.
        max_bytes: larger files are not looked into and count as unreadable.
        rubric: also run the official checks on how credentials are made; see `Verified.rubric`.

    Returns:
        The verdict; never raises because of the file.

    Raises:
        ConfigError: ``anchors`` are no certificates.
    """
    lists = distinct(trust, anchors)
    return replace(_verify(data, lists, max_bytes=max_bytes, rubric=rubric), lists=tuple(one.record for one in lists))


def verify_path(
    path: Path | str,
    *,
    anchors: str | None = None,
    trust: Sequence[TrustList] = (),
    max_bytes: int = MAX_BYTES,
    rubric: bool = False,
) -> Verified:
    """`verify_bytes` for a file; one that is missing, no regular file, or cannot be opened is unreadable."""
    try:
        data = read_capped(Path(path), max_bytes)
    except OSError as error:
        return Verified(State.UNREADABLE, message=f"cannot be opened: {error.strerror or error}")
    return verify_bytes(data, anchors=anchors, trust=trust, max_bytes=max_bytes, rubric=rubric)


def verify_many(
    items: Iterable[Path | str | Source],
    *,
    workers: int = 1,
    anchors: str | None = None,
    trust: Sequence[TrustList] = (),
    max_bytes: int = MAX_BYTES,
    isolated: bool = True,
    limits: Limits | None = None,
    rubric: bool = False,
) -> Iterator[Verified]:
    """Verdicts in the order of ``items``.

    Args:
        items: files, or what `audit.provenance._sources.find` found in folders, archives and tables; taken as they are
            needed, so that an archive never stands in memory as a whole.
        workers: at the same time.
        anchors: as in `verify_bytes`.
        trust: as in `verify_bytes`.
        max_bytes: as in `verify_bytes`.
        isolated: read each file in a child process with limits on time and memory, so that a file made to break the
            reader breaks that process only. In this process (False) it is faster by the time that starting takes.
        limits: of the child processes; default: `Limits`.
        rubric: as in `verify_bytes`.

    Raises:
        ConfigError: ``anchors`` are no certificates.
    """
    lists = distinct(trust, anchors)
    workers = max(1, workers)
    with ExitStack() as stack:
        # Left in the opposite order: first nothing new is begun, then the children end, then the threads.
        pool = stack.enter_context(ThreadPoolExecutor(workers)) if workers > 1 else None
        if isolated:
            from audit.provenance._sandbox import Sandbox

            bounds = replace(limits or Limits(), bytes=max_bytes)
            one = stack.enter_context(Sandbox(lists, workers=workers, limits=bounds, rubric=rubric)).verify
        else:
            one = partial(_here, lists=lists, max_bytes=max_bytes, rubric=rubric)
        if pool is None:
            yield from map(one, map(named, items))
            return
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        yield from _in_order(pool, one, items, ahead=2 * workers)


def read_capped(path: Path, most: int) -> bytes:
    """At most ``most + 1`` bytes of a regular file. Raises OSError for anything that cannot be read as one."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # reading a pipe or a device may never end
        raise OSError("not a regular file")
    with path.open("rb") as file:
        return file.read(min(about.st_size, most) + 1)


def _here(source: Source, *, lists: Sequence[TrustList], max_bytes: int, rubric: bool) -> Verified:
    if source.problem is not None:
        return Verified(State.UNREADABLE, message=source.problem)
    if source.data is not None:
        return verify_bytes(source.data, trust=lists, max_bytes=max_bytes, rubric=rubric)
    return verify_path(source.path or source.name, trust=lists, max_bytes=max_bytes, rubric=rubric)


def _in_order(
    pool: ThreadPoolExecutor, one: Callable[[Source], Verified], items: Iterable[Path | str | Source], *, ahead: int
) -> Iterator[Verified]:
    """Like ``pool.map``, but no more than ``ahead`` items are taken before their verdicts are."""
    waiting: deque[Future[Verified]] = deque()
    for item in items:
        waiting.append(pool.submit(one, named(item)))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


# -- one file --------------------------------------------------------------------------------------------------


def _verify(data: bytes, lists: Sequence[TrustList], *, max_bytes: int, rubric: bool) -> Verified:
    if len(data) > max_bytes:
        return too_large(max_bytes)
    kind = _media_type(data)
    if kind is None:
        what = "an empty file" if not data else "not an image file that can carry credentials"
        return Verified(State.UNREADABLE, codes=("genaudit.file.unknown",), message=f"this is {what}")
    try:
        ensure()
        c2pa = library()
        verdict = _read(c2pa, kind, data, lists, rubric=rubric)
    except ConfigError as error:
        return Verified(State.UNDETERMINED, codes=("genaudit.library",), message=error.message, hint=error.hint or "")
    if verdict.state in _HOLDS and (found := defects(data, kind)):
        verdict = _refused(verdict, found)
    return replace(verdict, library=f"c2pa-python {c2pa.__version__}, c2pa-rs {c2pa.sdk_version()}")


def _media_type(data: bytes) -> str | None:
    """By the first bytes; also of formats that are read here and not written: JPEG XL, sequences of HEIC images."""
    if data.startswith(_JXL):
        return "image/jxl"
    return _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" and data[8:12] in _BRANDS else sniff(data)


def _read(c2pa: Any, kind: str, data: bytes, lists: Sequence[TrustList], *, rubric: bool) -> Verified:
    def store(some: Sequence[TrustList]) -> Mapping[str, Any]:
        with c2pa.Reader(kind, io.BytesIO(data), context=_context(some)) as reader:
            return _object(reader.json())

    try:
        with c2pa.Reader(kind, io.BytesIO(data), context=_context(lists)) as reader:
            reading = Reading(_object(reader.json()), again=store, details=lambda: _object(reader.crjson()))
            verdict = judge(reading, lists)
            return replace(verdict, rubric=_failing(reading.details())) if rubric else verdict
    except c2pa.C2paError as error:
        return gave_up(error, traces=b"dcterms:provenance" in data and b"self#jumbf=" in data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return gave_up(ValueError(f"Json: {type(error).__name__}: {error}"), traces=False)


def _context(lists: Sequence[TrustList]) -> Any:
    return verify_context(lists=entries(tuple(lists)))


def _object(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("a manifest store that is no table")
    return value


def _failing(crjson: Mapping[str, Any]) -> tuple[str, ...] | None:
    from audit.provenance.rubric import Rubric, check

    try:
        checks = check(crjson)
    except VerificationError:
        return None
    # Whether the signer is trusted is the verdict's business, not that of how credentials are made.
    form = {Rubric.CONFORMANCE, Rubric.GENERATOR}
    return tuple(one.id for one in checks if not one.holds and form & set(one.rubrics))


def _refused(verdict: Verified, found: tuple[str, ...]) -> Verified:
    """Nothing that a hash covers was changed, but something beside it was."""
    said = "; ".join(DEFECTS.get(code, code) for code in found)
    return replace(
        verdict,
        state=State.INVALID,
        codes=tuple(sorted({*verdict.codes, *found})),
        message=f"invalid: changed where no hash looks: {said}",
        hint="get the file again from where it came, or write to whoever signed it about their software",
    )
