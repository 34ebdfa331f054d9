# SPDX-License-Identifier: Apache-2.0
"""One error tree. The message says what is wrong and where; the hint names the command or edit that mends it.

Exit codes: 2 usage or configuration, 10 gate failed, 11 inconclusive or not run, 20 generator, annotator or store
failed, 21 verification failed, 130 interrupted, 1 a bug of ours.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AnnotatorError",
    "AuditError",
    "ConfigError",
    "GeneratorError",
    "PluginError",
    "ProbeError",
    "StoreError",
    "VerificationError",
]


class AuditError(Exception):
    """Anything a user can mend.

    Args:
        message: what is wrong.
        where: file with line, key path, image or request it was found in.
        hint: what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigError(AuditError):
    """The configuration, a policy or the command line is wrong."""

    exit_code = 2


class ProbeError(ConfigError):
    """A probe set cannot be read or breaks a rule of the format."""


class PluginError(ConfigError):
    """A plug-in is unknown, ambiguous or fails to load."""


class GeneratorError(AuditError):
    """A generator cannot be loaded or driven at all (a single failed image is a row, not an error)."""

    exit_code = 20


class AnnotatorError(AuditError):
    """An instrument cannot be loaded or applied."""

    exit_code = 20


class StoreError(AuditError):
    """A run folder cannot be read, written or resumed."""

    exit_code = 20


class VerificationError(AuditError):
    """Credentials or evidence do not verify."""

    exit_code = 21
