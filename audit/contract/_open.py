# SPDX-License-Identifier: Apache-2.0
"""A generator held as a run holds it: in a process of its own, with the threads that it would get there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from audit.config import GeneratorConfig
from audit.runs._cores import available, crew_size
from audit.runs._crew import build_generator
from audit.runs._drawer import Drawer, Patience
from audit.types import Generator

__all__ = ["opened"]


@contextmanager
def opened(block: GeneratorConfig) -> Iterator[Generator]:
    """The generator of a block of the audit file; in this process only where the block says ``isolate: false``.

    Raises:
        AuditError: it cannot be built.
    """
    generator: Any
    if block.isolate is False:
        generator = build_generator(block)
    else:
        cores = available()
        generator = Drawer(block, threads=max(1, cores // crew_size(block, cores=cores)), patience=Patience())
    try:
        yield generator
    finally:
        with suppress(Exception):  # an end that goes wrong must not hide what came before
            getattr(generator, "close", lambda: None)()
