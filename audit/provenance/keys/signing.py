# SPDX-License-Identifier: Apache-2.0
"""From a chain to signatures: the library's signer, what a callback raised, signing with or without a time stamp."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from audit.errors import ConfigError, StoreError
from audit.provenance._engine import library, settings
from audit.provenance.keys.chain import Chain
from audit.provenance.keys.timestamps import TimeStamps

if TYPE_CHECKING:
    from audit.provenance.keys._relay import Relay

__all__ = ["Outcome", "SigningContext", "native_signer", "raised"]

T = TypeVar("T")
_CAUGHT = threading.local()


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What signing gave.

    Attributes:
        result: of the work.
        timestamped: whether an authority vouches for the time.
        note: why there is no time stamp where one was asked for; else None.
    """

    result: T
    timestamped: bool = False
    note: str | None = None


class SigningContext:
    """Settings and signer together, for one process; can be shared by its threads.

    Args:
        extra: blocks of settings, as for `settings`.
        chain: who signs.
        timestamps: authority to ask; default: the one that the signer itself names, if it names one.
        use_tsa: False: ask none in any case.

    Raises:
        ConfigError: the library refuses the chain.
    """

    def __init__(
        self, extra: dict[str, Any], chain: Chain, timestamps: TimeStamps | None = None, *, use_tsa: bool = True
    ) -> None:
        if timestamps is None and chain.tsa_url:
            timestamps = TimeStamps(chain.tsa_url)
        if not use_tsa:
            timestamps = None
        self._plain = _context(extra, chain)
        self._relay: Relay | None = None
        self._stamped: Any = None
        if timestamps is not None:
            self._relay, self._stamped = _timed(extra, chain, timestamps)

    def sign(self, work: Callable[[Any], T], *, where: str) -> Outcome[T]:
        """Sign by ``work``, with a time stamp where an authority is configured and answers, else without.

        Args:
            work: takes a context of the library and signs with it (builders are used up: it makes its own each time).
            where: for messages.

        Raises:
            StoreError: the callback or program that signs failed, or there is no time stamp where one is required.
            C2paError: the library failed for another reason.
        """
        if self._relay is None:
            return Outcome(_run(self._plain, work))
        try:
            if (paused := self._relay.paused()) is not None:
                raise _NoTime(paused)
            return Outcome(_with_time(self._stamped, work, self._relay), timestamped=True)
        except _NoTime as error:
            message = f"no time stamp: {error}"
            if self._relay.timestamps.required:
                hint = "try again, name another authority, or do not require time stamps"
                raise StoreError(message, where=where, hint=hint) from None
            return Outcome(_run(self._plain, work), note=message)


class _NoTime(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """The reason."""


def native_signer(chain: Chain, *, tsa_url: str | None = None) -> Any:
    """A ``c2pa.Signer`` that signs with the chain. A context takes it over, so each context needs one of its own.

    Where the chain signs by a function, what that raises is kept: see `raised`.

    Args:
        chain: who signs.
        tsa_url: of a time stamp authority. The library asks it with a time-out of 30 s: see `SigningContext`.

    Raises:
        ConfigError: the library refuses the chain.
    """
    c2pa = library()
    algorithm = getattr(c2pa.C2paSigningAlg, chain.algorithm)
    try:
        if chain.sign is not None:
            return c2pa.Signer.from_callback(_keeping(chain.sign), algorithm, chain.certificates.decode(), tsa_url)
        tsa = tsa_url.encode() if tsa_url else None
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain.certificates, chain.key, tsa))
    except (c2pa.C2paError, TypeError, ValueError) as error:
        message = f"the chain cannot sign: {_line(error)}"
        raise ConfigError(message, where=chain.where, hint=f"genaudit keys check {chain.where}") from None


def raised() -> BaseException | None:
    """What a chain's function raised in this thread since the last call; the library itself swallows it."""
    error: BaseException | None = getattr(_CAUGHT, "error", None)
    _CAUGHT.error = None
    return error


def _keeping(sign: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def keeping(data: bytes) -> bytes:
        try:
            return sign(data)
        except BaseException as error:  # noqa: BLE001 - an interrupt, too, would vanish inside the library
            _CAUGHT.error = error
            return b""

    return keeping


def _timed(extra: dict[str, Any], chain: Chain, timestamps: TimeStamps) -> tuple[Relay, Any]:
    from audit.provenance.keys._relay import HOST, relay  # with it come HTTP clients and servers

    through = relay(timestamps)
    return through, _context(extra, chain, tsa_url=through.url, hosts=(HOST,))


def _context(extra: dict[str, Any], chain: Chain, *, tsa_url: str | None = None, hosts: tuple[str, ...] = ()) -> Any:
    c2pa = library()
    signer = native_signer(chain, tsa_url=tsa_url)
    try:
        return c2pa.Context.from_dict(settings(extra, hosts=hosts), signer=signer)
    except c2pa.C2paError as error:
        message = f"the chain cannot sign: {_line(error)}"
        raise ConfigError(message, where=chain.where, hint=f"genaudit keys check {chain.where}") from None


def _run(context: Any, work: Callable[[Any], T]) -> T:
    raised()
    try:
        return work(context)
    except library().C2paError:
        if (error := raised()) is not None:
            raise error from None
        raise


def _with_time(context: Any, work: Callable[[Any], T], through: Relay) -> T:
    before = through.failures
    try:
        return _run(context, work)
    except library().C2paError as error:
        # Whatever the library dislikes while it asks for the time may well be the time: the caller goes on without,
        # and if that fails, too, it was something else.
        if through.failures == before:
            through.trip(f"the library did not take the authority's answer ({_line(error)})")
        raise _NoTime(through.reason) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
