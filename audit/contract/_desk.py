# SPDX-License-Identifier: Apache-2.0
"""Asks a generator, counts what comes back, and keeps what later questions are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.contract._inquiry import Inquiry, main_batch, request_for
from audit.contract._seen import Difference, Seen, compare, see
from audit.errors import AuditError
from audit.images import is_constant
from audit.runs._drawer import Lost, Raised
from audit.runs._generate import answer
from audit.types import Generation, Generator, GeneratorSpec, Outcome, Prompt, Request

__all__ = ["Desk", "Reply", "Tell", "told"]

Tell = Callable[[str, int, int], None]
_PASSES = 8  # over the main batch, before the generator is started again


@dataclass(slots=True)
class Reply:
    """What came back for some requests.

    Attributes:
        seen: by request id; every request has its entry.
        faults: what was wrong with the list of answers itself, in words, counted.
        raised: what the batch as a whole raised; its requests were asked again one by one then.
        lost: whether that cost the process of the generator.
    """

    seen: dict[str, Seen] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    raised: str = ""
    lost: bool = False

    def add(self, other: Reply) -> None:
        """Take in the reply to other requests."""
        self.seen |= other.seen
        self.faults += other.faults
        self.raised, self.lost = self.raised or other.raised, self.lost or other.lost

    @property
    def errors(self) -> list[Seen]:
        """Answers that are errors of the generator."""
        return [seen for seen in self.seen.values() if seen.outcome is Outcome.ERROR]


class Desk:
    """One generator and what is known of it.

    Args:
        generator: to be asked.
        inquiry: what to ask with.
        tell: gets (what, done, total) in pictures.

    Attributes:
        first: the reply to the main batch.
        alone: the reply to its requests one at a time.
        steady: whether the same batch is answered the same; None: not known yet.
    """

    def __init__(self, generator: Generator, inquiry: Inquiry, tell: Tell | None = None) -> None:
        self.generator, self.inquiry, self._tell = generator, inquiry, tell
        self.spec: GeneratorSpec = generator.spec
        self.batch = main_batch(inquiry, self.spec)
        self.first, self.alone = Reply(), Reply()
        self.steady: bool | None = None
        self._done = 0

    def can(self, *words: str) -> bool:
        """Whether the generator claims one of these capabilities."""
        return bool(self.spec.capabilities & set(words))

    @property
    def base(self) -> Request:
        """The first request of the main batch that became a picture, if possible one with something on it."""
        there = [(request, self.first.seen[request.id].rgb) for request in self.batch]
        drawn = [(request, rgb) for request, rgb in there if rgb is not None]
        good = (request for request, rgb in drawn if not is_constant(rgb))
        return next(good, (drawn or there)[0][0])

    def request(self, prompt: Prompt, *, seed: int | None = None, **params: Any) -> Request:
        """A request beside the main batch; ``params`` replace those of the inquiry."""
        merged = {**self.inquiry.params, **params}
        return request_for(prompt, 0, name=self.spec.name, params=merged, seed=seed)

    def ask(self, batch: Sequence[Request]) -> Reply:
        """One call. A call that raises is followed by one call a request, as in a run. Raises AuditError."""
        try:
            given = list(self.generator.generate(batch))
        except AuditError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a foreign generator raises is a finding about it
            reply = _one_by_one(self.generator, batch)
            reply.raised = reply.raised or told(error)
            reply.lost = isinstance(error, Lost)
        else:
            reply = _sorted(batch, given)
        self._count(len(batch))
        return reply

    def ask_in(self, batches: Iterable[Sequence[Request]]) -> Reply:
        """Several calls. Raises AuditError."""
        reply = Reply()
        for batch in batches:
            reply.add(self.ask(batch))
        return reply

    def compare(self, reply: Reply) -> Difference:
        """How far a reply is from the main batch."""
        return compare(self.first.seen, reply.seen, tolerance=self.inquiry.tolerance)

    def forgive(self) -> None:
        """Let a process that was lost too often be started again."""
        getattr(self.generator, "forgive", lambda: None)()

    def finish(self) -> None:
        """Nothing more is asked."""
        if self._tell:
            self._tell(f"asking {self.spec.name}", self._done, self._done)

    def _count(self, pictures: int) -> None:
        self._done += pictures
        if self._tell:
            total = _PASSES * len(self.batch)
            self._tell(f"asking {self.spec.name}", self._done, max(total, self._done))


def told(error: Exception) -> str:
    """What a generator raised, in one line; its own process has put the type in front already."""
    text = str(error) if isinstance(error, AuditError | Lost | Raised) else f"{type(error).__name__}: {error}"
    return text[:300]


def _one_by_one(generator: Generator, batch: Sequence[Request]) -> Reply:
    found = [generation for request in batch for generation in answer(generator, [request])]
    return Reply({generation.request_id: see(generation) for generation in found})


def _sorted(batch: Sequence[Request], given: Sequence[Any]) -> Reply:
    """Answers by request, and what is wrong with the list of them."""
    reply, ids = Reply({request.id: Seen(None, message="no answer") for request in batch}), Counter[str]()
    for generation in given:
        if not isinstance(generation, Generation):
            reply.faults[f"{type(generation).__name__} instead of a Generation"] += 1
        elif generation.request_id not in reply.seen:
            reply.faults["to a request that was not made"] += 1
        else:
            ids[generation.request_id] += 1
            reply.seen[generation.request_id] = see(generation)
    reply.faults["missing"] = sum(ids[name] == 0 for name in reply.seen)
    reply.faults["twice"] = sum(count > 1 for count in ids.values())
    reply.faults = +reply.faults
    return reply
