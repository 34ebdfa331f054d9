# SPDX-License-Identifier: Apache-2.0
"""What a rule about keys is, what it looks at, and how a broken one is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography import x509

from audit.errors import ConfigError
from audit.provenance.keys._x509 import extension

__all__ = ["Facts", "Finding", "KeyRuleError", "Level", "Rule"]


class Level(StrEnum):
    """What a broken rule means: no signing, signing that some verifiers refuse, or a thing to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at.

    Attributes:
        chain: signer first, then its issuers; never empty.
        key: the signer's private key, None where it is kept elsewhere.
        now: time of signing.
        anchors: roots that verifiers are known to trust; empty where nobody said.
    """

    chain: Sequence[x509.Certificate]
    key: Any
    now: datetime
    anchors: Sequence[x509.Certificate] = ()

    @property
    def signer(self) -> x509.Certificate:
        """The certificate that signs."""
        return self.chain[0]

    @property
    def purposes(self) -> frozenset[x509.ObjectIdentifier]:
        """Extended key usages of the signer."""
        return frozenset(extension(self.signer, x509.ExtendedKeyUsage) or ())


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule.

    Attributes:
        rule: its name, stable across versions.
        level: see `Level`.
        message: what is wrong.
        hint: what to do.
        source: where the rule stands.
    """

    rule: str
    level: Level
    message: str
    hint: str
    source: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; ``test`` gives what is wrong, or None. Rules about files have no test: reading finds them broken."""

    name: str
    level: Level
    hint: str
    source: str
    test: Callable[[Facts], str | None] | None = None

    def broken(self, message: str, hint: str | None = None) -> Finding:
        """The finding that says so; ``hint`` where a better one is known than the general one."""
        return Finding(self.name, self.level, message, hint or self.hint, self.source)


class KeyRuleError(ConfigError):
    """A chain or key breaks a rule, whose name is in ``rule``."""

    def __init__(self, finding: Finding, *, where: str) -> None:
        super().__init__(finding.message, where=where, hint=finding.hint)
        self.finding, self.rule = finding, finding.rule
