# SPDX-License-Identifier: Apache-2.0
"""The driver of every hosted generator: threads, tries, limits, money, and one row for each request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, ClassVar

from audit.checkpoints import check_options
from audit.errors import AuditError, ConfigError, GeneratorError
from audit.generators.hosted._key import Key, refuse_keys
from audit.generators.hosted._limits import Bill, Pace, Purse
from audit.generators.hosted._replies import Again, Declined, Reply, Stopped, TooLate, check, file_facts
from audit.generators.hosted._settings import COMMON, read_settings
from audit.generators.hosted._wire import Wire
from audit.types import Generation, GeneratorSpec, Outcome, Request, Scalar

__all__ = ["Ask", "HostedGenerator", "Picture"]

_GARBAGE_TRIES = 2  # a paid answer that cannot be read is asked for once more, not seven times
_UNREACHED_TRIES = 2  # of a server that has never answered
_LONGEST_WAIT = 60.0  # seconds between two tries
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Picture:
    """What a server drew.

    Attributes:
        data: the file, byte for byte as received.
        meta: what is known of it.
        asked: width and height that were asked for, None where the server chose.
    """

    data: bytes
    meta: Mapping[str, Scalar]
    asked: tuple[int, int] | None = None


@dataclass(slots=True)
class Ask:
    """One request on its way to a server.

    Attributes:
        request: what is asked.
        wire: how.
        deadline: of ``time.monotonic()``, for all tries together.
        where: place for messages.
        hint: what to do where the server lets nobody in.
        pace: told when the server's rate limit is used up.
        tries: so far.
        last: how the last try failed.
        began: when this try was sent.
        paid: the API accepted this try, so that it counts as drawn and billed.
        notes: what one try leaves for the next.
    """

    request: Request
    wire: Wire
    deadline: float
    where: str
    hint: str | None
    pace: Pace
    tries: int = 0
    last: str | None = None
    began: float = 0.0
    paid: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def send(self, method: str, url: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask the API; every try of one request carries the same ``Idempotency-Key``. Raises what `check` raises."""
        own = {"Idempotency-Key": self.request.id} if method == "POST" else {}
        reply = self.wire.call(method, url, json=body, headers={**own, **(headers or {})}, deadline=self.deadline)
        check(reply, where=self.where, hint=self.hint)
        self.paid = self.paid or method == "POST"
        self.pace.hold(reply.used_up())
        return reply

    def fetch(self, url: str) -> bytes:
        """A file that the API named, see `Wire.fetch`."""
        return self.wire.fetch(url, deadline=self.deadline)


class HostedGenerator:
    """What hosted generators share; a kind says how one picture is asked for (`_draw`).

    Args:
        name: in the configuration.
        model: as the server calls it.
        params: sent with every request.
        options: the kind's own, and those of `COMMON`.

    Raises:
        ConfigError: an unknown option, a value out of range, a key in the configuration, or missing libraries.
    """

    kind: ClassVar[str]
    own_options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    defaults: ClassVar[Mapping[str, Any]] = {}
    basic: ClassVar[bool] = False
    isolated: ClassVar[bool] = False  # it loads nothing, and its threads share one rate limit and one purse

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where = name, f"generator {name!r}"
        self._model, self._params, self._options = model, dict(params or {}), dict(options or {})
        env = self._options.get("key_env", self.defaults.get("key_env"))
        shown = env if isinstance(env, str) and env.isupper() else None
        for block, what in ((self._options, "options"), (self._params, "params")):
            refuse_keys(block, env=shown, where=f"{self._where}: {what}")
        check_options(self._options, {**COMMON, **self.own_options}, where=f"{self._where}: options")
        _need_libraries(self._where)
        self._settings = read_settings(self._options, self.defaults, where=f"{self._where}: options")
        self._key = Key(env, where=self._where)
        if self._key.is_in(json.dumps([model, self._params, self._options], default=str).encode()):
            hint = f"take it out, and keep it in the environment variable {env}"
            raise ConfigError("the configuration holds the API key", where=self._where, hint=hint)
        self._check_price(self._params)
        self._pace, self._purse = Pace(self._settings.requests_per_minute), Purse(self._settings.max_spend)
        self._wire: Wire | None = None
        self._reached = False
        self._closed = threading.Event()
        self._busy = threading.Lock()

    # -- what a kind adds -------------------------------------------------------------------------------------

    @property
    def spec(self) -> GeneratorSpec:
        """Identity; weights behind a server cannot be seen, so there is no digest unless the server tells one."""
        raise NotImplementedError

    def _draw(self, ask: Ask) -> Picture:
        """One try of one request. Raises Again, Declined, TooLate, Stopped or GeneratorError."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Before a batch. Raises GeneratorError where the generator cannot be driven at all."""

    # -- the generator ----------------------------------------------------------------------------------------

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given; what fails for good becomes an ERROR row.

        Raises:
            GeneratorError: the server lets us in no more (wrong key, no money), or is not there.
        """
        if not batch:
            return []
        with self._busy:
            wire = self._open()
            try:
                return self._answers(batch, wire)
            except Stopped:
                raise GeneratorError("it was closed while it was asking", where=self._where) from None

    def _answers(self, batch: Sequence[Request], wire: Wire) -> list[Generation]:
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix=self.name) as pool:
            try:
                self._prepare()
                futures = [pool.submit(self._answer, request, wire) for request in batch]
                wait(futures, return_when=FIRST_EXCEPTION)
                errors = [future.exception() for future in futures if future.done()]
                raised = [error for error in errors if error is not None]
                if raised:  # the cause before what it stopped
                    raise min(raised, key=lambda error: isinstance(error, Stopped))
                return [future.result() for future in futures]
            except BaseException:
                # Ctrl-C as well: what waits in line is dropped, what waits for bytes is woken; then threads are joined.
                wire.abort()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def recall(self, metas: Iterable[Mapping[str, Scalar]]) -> None:
        """Add up what the images of an earlier process cost, so that the cap holds over a resumed run."""
        for meta in metas:
            cost = meta.get("cost")
            if isinstance(cost, int | float) and not isinstance(cost, bool):
                self._purse.recall(Decimal(str(cost)))

    def close(self) -> None:
        """Stop asking, from whichever thread, and close the connections; nothing is asked of it any more."""
        self._closed.set()
        if self._wire is not None:
            self._wire.abort()
        with self._busy:
            self._hang_up()

    def _hang_up(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    # -- one request ------------------------------------------------------------------------------------------

    def _answer(self, request: Request, wire: Wire) -> Generation:
        settings = self._settings
        ask = Ask(request, wire, time.monotonic() + settings.deadline, self._where, self._hint(), self._pace)
        price = settings.prices.of(self._price_params(request)) if settings.prices else None
        bill = Bill(self._purse, price, idempotent=settings.idempotent, stop=wire.stop)
        outcome, text, picture, facts = Outcome.ERROR, "", None, ("", 0, 0)
        try:
            picture, facts = self._retrying(wire)(self._try, ask, bill)
            bill.close(charge=True)
        except Declined as declined:
            outcome, text = declined.outcome, declined.text
        except Again as again:
            text = f"{again.text} (after {ask.tries} tries)"
            if not self._reached and not again.reached:
                hint = f"start the server, or set options.base_url; asked: {settings.base_url}"
                raise GeneratorError(self._key.scrub(again.text), where=self._where, hint=hint) from None
        except TooLate as late:
            text = f"{late} (after {ask.tries} tries{f'; the last: {ask.last}' if ask.last else ''})"
        except AuditError as error:
            raise self._scrubbed(error) from None
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - asked again by the runner, it would be paid again
            text = f"{type(error).__name__}: {error}"
        finally:
            refused = outcome in (Outcome.REFUSED, Outcome.BLOCKED)
            bill.close(charge=settings.bill_refusals if refused else ask.paid)
        meta = self._meta(ask, bill, picture, facts)
        if picture is None:
            return Generation(request.id, outcome, message=self._key.scrub(text)[:_LONGEST_TEXT], meta=meta)
        seconds = time.monotonic() - ask.began
        return Generation(request.id, Outcome.IMAGE, picture.data, facts[0], seconds=seconds, meta=meta)

    def _try(self, ask: Ask, bill: Bill) -> tuple[Picture, tuple[str, int, int]]:
        bill.hold()
        self._pace.take(deadline=ask.deadline, stop=ask.wire.stop)
        ask.tries, ask.began, ask.paid = ask.tries + 1, time.monotonic(), False
        try:
            picture = self._draw(ask)
            facts = file_facts(picture.data)
        except Again as again:
            self._reached = self._reached or again.reached
            if ask.notes.get("answer"):  # drawn and paid, and only its file is still to be fetched
                bill.keep()
            else:
                bill.lost(unknown=again.unknown or ask.paid)
            self._pace.hold(again.after)
            ask.last = again.text
            raise
        self._reached = True
        if self._key.is_in(picture.data):
            raise Declined(Outcome.ERROR, "the file that came holds the API key, so it is not kept")
        return picture, facts

    def _retrying(self, wire: Wire) -> Any:
        """Tries with exponential backoff and full jitter (the wait is uniform between nothing and the bound)."""
        import tenacity

        hopeless: Any = self._hopeless  # any function of the state will do, whatever the type hints say

        def nap(seconds: float) -> None:
            if wire.stop.wait(seconds):
                raise Stopped

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Again),
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self._settings.retries + 1), hopeless),
            wait=tenacity.wait_random_exponential(multiplier=self._settings.backoff, max=_LONGEST_WAIT),
            sleep=nap,
            reraise=True,
        )

    def _hopeless(self, state: Any) -> bool:
        """Whether to give up before all tries are used."""
        again = state.outcome.exception()
        if again.garbage and self._settings.prices is not None and not self._settings.idempotent:
            return bool(state.attempt_number >= _GARBAGE_TRIES)
        return not (self._reached or again.reached) and bool(state.attempt_number >= _UNREACHED_TRIES)

    # -- pieces -----------------------------------------------------------------------------------------------

    def _open(self) -> Wire:
        if self._closed.is_set():
            raise GeneratorError("it was closed", where=self._where)
        if self._options.get("key_env") and not self._key:
            hint = f"set the environment variable {self._key.env} to the key"
            raise GeneratorError(f"{self._key.env} is not set", where=self._where, hint=hint)
        if self._wire is None or self._wire.stop.is_set():
            self._hang_up()
            self._wire = Wire(
                self._settings.base_url,
                headers=self._key.headers(self._settings.key_header, basic=self.basic),
                timeout=self._settings.timeout,
                connections=self._settings.concurrency,
                scrub=self._key.scrub,
            )
        if self._closed.is_set():  # meanwhile
            self._wire.abort()
        return self._wire

    def _hint(self) -> str:
        if self._key.env is None:
            return "name the environment variable with the key in options.key_env"
        return f"check the environment variable {self._key.env}" + ("" if self._key else ", which is not set")

    def _scrubbed(self, error: AuditError) -> AuditError:
        return type(error)(self._key.scrub(error.message)[:_LONGEST_TEXT], where=error.where, hint=error.hint)

    def _meta(self, ask: Ask, bill: Bill, picture: Picture | None, facts: tuple[str, int, int]) -> dict[str, Scalar]:
        meta: dict[str, Scalar] = dict(picture.meta) if picture else {}
        if ask.tries:
            meta["attempts"] = ask.tries
        if bill.cost:
            meta["cost"] = float(bill.cost)
        if picture and picture.asked and picture.asked != facts[1:]:
            meta["size_asked"] = f"{picture.asked[0]}x{picture.asked[1]}"
        return {key: self._clean(value) for key, value in meta.items() if value is not None}

    def _clean(self, value: Scalar) -> Scalar:
        return self._key.scrub(value)[:_LONGEST_TEXT] if isinstance(value, str) else value

    def _seed(self, request: Request) -> int:
        return request.seed % (1 << self._settings.seed_bits)

    def _price_params(self, request: Request) -> Mapping[str, Any]:
        return {**self._params, **request.params}

    def _check_price(self, params: Mapping[str, Any]) -> None:
        prices = self._settings.prices
        if prices is not None and prices.of(params) is None:
            hint = f"add one, or a default; there are: {', '.join(prices.amounts)}"
            raise ConfigError("no price fits the size and quality asked for", where=self._where, hint=hint)

    def _details(self, **more: Scalar) -> dict[str, Scalar]:
        return {"api": self.kind, "host": self._settings.host, **more}


def _need_libraries(where: str) -> None:
    missing = [name for name in ("httpx2", "tenacity") if find_spec(name) is None]
    if missing:
        hint = 'pip install "genaudit[api]"'
        raise ConfigError(f"{' and '.join(missing)} is not installed", where=where, hint=hint)
