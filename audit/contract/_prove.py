# SPDX-License-Identifier: Apache-2.0
"""All checks of one generator in turn; what later ones need, earlier ones have found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from audit.contract._asked import after_errors, knobs, odd_prompts, prompts, sizes
from audit.contract._desk import Desk, Tell
from audit.contract._identity import answers, failed, identity, loads, pictures
from audit.contract._inquiry import Inquiry
from audit.contract._repeats import batches, fresh, order, repeats, seeds
from audit.contract._rows import Row
from audit.errors import ConfigError
from audit.types import Generator

__all__ = ["prove"]

Opened = Callable[[], AbstractContextManager[Generator]]

_CHECKS: Mapping[str, Callable[[Desk], Row | Iterator[Row]]] = {
    "seeds": seeds,
    "repeats": repeats,
    "batch size": batches,
    "order": order,
    "prompts": prompts,
    "size": sizes,
    "knobs": knobs,
    "odd prompts": odd_prompts,
    "after errors": after_errors,
}


def prove(start: Opened, inquiry: Inquiry, *, tell: Tell | None = None) -> list[Row]:
    """Ask a generator until it is known what an audit can rely on.

    Args:
        start: opens the generator; called twice, the second time after the first one was closed.
        inquiry: what to ask with.
        tell: gets (what, done, total) in pictures.

    Returns:
        Rows in a fixed order; where the generator cannot be driven the last one says why.

    Raises:
        ConfigError: its configuration is wrong.
    """
    rows: list[Row] = []
    begun = time.perf_counter()
    try:
        with start() as generator:
            rows += identity(generator)
            if len(rows) == 1:  # a spec that is none
                return rows
            if not _loaded(generator, rows, begun):
                return rows
            desk = Desk(generator, inquiry, tell)
            if not _drawn(desk, rows):
                return rows
            rows += _asked(desk)
            desk.finish()
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a foreign generator raises is a finding about it
        return [*rows, failed("builds", error)]
    return [*rows, *_again(start, desk)]


def _loaded(generator: Generator, rows: list[Row], begun: float) -> bool:
    try:
        rows.append(loads(generator, begun))
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001
        rows.append(failed("loads", error))
        return False
    return True


def _drawn(desk: Desk, rows: list[Row]) -> bool:
    """Draws the main batch; whether anything came of it."""
    try:
        rows += answers(desk)
        rows += pictures(desk)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001
        rows.append(failed("answers", error))
    return any(seen.rgb is not None for seen in desk.first.seen.values())


def _asked(desk: Desk) -> Iterator[Row]:
    """What the main batch and further ones show; one check that fails takes no other with it."""
    for check, look in _CHECKS.items():
        try:
            found = look(desk)
            yield from [found] if isinstance(found, Row) else found
        except Exception as error:  # noqa: BLE001
            yield failed(check, error)


def _again(start: Opened, desk: Desk) -> Iterator[Row]:
    try:
        with start() as generator:
            yield fresh(desk, generator)
    except Exception as error:  # noqa: BLE001
        yield failed("started again", error)
