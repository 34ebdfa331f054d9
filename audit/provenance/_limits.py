# SPDX-License-Identifier: Apache-2.0
"""How much one file may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_BYTES", "Limits"]

MAX_BYTES: Final = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one untrusted file may cost in a child process.

    Attributes:
        seconds: until the file counts as undetermined.
        memory: bytes of address space on top of what the process maps before it reads anything. Reading takes about
            twice the file and 15 MiB, so the default holds for files up to ``bytes``. Not enforced on macOS.
        bytes: size of the largest file that is looked into.
        start: seconds that starting a child may take.
    """

    seconds: float = 10.0
    memory: int = 2 * 2**30
    bytes: int = MAX_BYTES
    start: float = 60.0
