# SPDX-License-Identifier: Apache-2.0
"""How fast and how much: a pace that the threads of one generator share, and a purse that they share."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

from audit.generators.hosted._replies import Declined, Stopped, TooLate
from audit.types import Outcome

__all__ = ["Bill", "Pace", "Purse"]

_TICK = 0.05  # seconds between two looks at a purse that others may refill


class Pace:
    """A token bucket of one token: requests start no closer together than the rate allows, and none while held.

    Args:
        per_minute: requests a minute, None for no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = self._held = 0.0
        self._lock = threading.Lock()

    def take(self, *, deadline: float, stop: threading.Event) -> None:
        """Wait for a turn.

        Args:
            deadline: of ``time.monotonic()``.
            stop: set when nobody wants the answer any more.

        Raises:
            TooLate: the turn comes after the deadline.
            Stopped: ``stop`` was set.
        """
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._gap
        while True:
            with self._lock:
                turn = max(turn, self._held)
            wait = turn - time.monotonic()
            if wait <= 0:
                return
            if turn > deadline:
                raise TooLate(f"the server asks to wait {wait:.0f} s more, which is past the deadline of this image")
            if stop.wait(wait):
                raise Stopped

    def hold(self, seconds: float | None) -> None:
        """Nobody asks for so many seconds."""
        if seconds:
            with self._lock:
                self._held = max(self._held, time.monotonic() + seconds)


class Purse:
    """What has been spent, what may still be asked for by requests in flight, and the cap on both.

    Args:
        cap: never exceeded, None for no cap.
    """

    def __init__(self, cap: Decimal | None) -> None:
        self._cap, self._spent, self._held, self._paid = cap, Decimal(0), Decimal(0), 0
        self._change = threading.Condition()

    @property
    def spent(self) -> Decimal:
        """So far, with what is recalled of an earlier process."""
        return self._spent

    def hold(self, price: Decimal, stop: threading.Event) -> None:
        """Put ``price`` aside before it is asked for; waits while requests in flight may still turn out to be free.

        Raises:
            Declined: an ERROR row: the cap leaves no room.
            Stopped: ``stop`` was set.
        """
        with self._change:
            while self._cap is not None and self._spent + self._held + price > self._cap:
                if self._spent + price > self._cap:
                    message = f"spending cap of {self._cap:.2f} reached after {self._paid} images"
                    raise Declined(Outcome.ERROR, message)
                self._change.wait(_TICK)
                if stop.is_set():
                    raise Stopped
            self._held += price

    def settle(self, price: Decimal, *, charge: bool) -> None:
        """What was held is spent (``charge``) or free again."""
        with self._change:
            self._held -= price
            if charge:
                self._spent, self._paid = self._spent + price, self._paid + 1
            self._change.notify_all()

    def recall(self, cost: Decimal) -> None:
        """An image that an earlier process paid for."""
        with self._change:
            self._spent, self._paid = self._spent + cost, self._paid + 1


class Bill:
    """The money side of one request, over all its tries.

    Args:
        purse: of the generator.
        price: of one picture, None where it costs nothing.
        idempotent: the server draws and bills repeated tries of one request once.
        stop: see `Pace.take`.
    """

    def __init__(self, purse: Purse, price: Decimal | None, *, idempotent: bool, stop: threading.Event) -> None:
        self._purse, self._price, self._idempotent, self._stop = purse, price, idempotent, stop
        self._held = self._doubt = False
        self.cost = Decimal(0)

    def hold(self) -> None:
        """Before a try. Raises Declined or Stopped, see `Purse.hold`."""
        if self._price is not None and not self._held:
            self._purse.hold(self._price, self._stop)
            self._held = True

    def lost(self, *, unknown: bool) -> None:
        """A try brought nothing; ``unknown``: it may have been drawn and billed all the same."""
        self._doubt = self._doubt or unknown
        if not (self._idempotent and self._doubt):
            self._settle(charge=unknown)
            self._doubt = False

    def keep(self) -> None:
        """A try was paid for, and the next one only fetches its file."""
        self._doubt = True

    def close(self, *, charge: bool) -> None:
        """After the last try."""
        self._settle(charge=charge or self._doubt)

    def _settle(self, *, charge: bool) -> None:
        if self._held and self._price is not None:
            self._purse.settle(self._price, charge=charge)
            self.cost += self._price if charge else 0
            self._held = False
