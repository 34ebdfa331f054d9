# SPDX-License-Identifier: Apache-2.0
"""Where keys come from. A source is a small picklable description; each process opens its own key from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from audit.errors import ConfigError
from audit.provenance.keys.chain import Chain, development_chain, load_chain
from audit.provenance.keys.external import CallbackKeys, CommandKeys, imported

__all__ = ["DevelopmentKeys", "FolderKeys", "ImportedKeys", "KeySource", "keys_from"]

_FORMS: Final = "a folder, command:PROGRAM ARGUMENTS, callable:module:name or callable:module:function:chain.pem"


@runtime_checkable
class KeySource(Protocol):
    """Opens a chain. Can be pickled and sent to another process; `load` is called once in each."""

    def load(self) -> Chain:
        """The chain, checked. Raises ConfigError where it cannot be used."""


@dataclass(frozen=True, slots=True)
class DevelopmentKeys:
    """The development chain in ``folder`` (default: the user's), made on first use; trusted by nobody."""

    folder: Path | None = None

    def load(self) -> Chain:
        """See `KeySource`."""
        return development_chain(self.folder)


@dataclass(frozen=True, slots=True)
class FolderKeys:
    """``chain.pem`` and ``key.pem`` in a folder.

    Attributes:
        folder: holds them.
        password_file: holds the password of an encrypted key; default: ``$GENAUDIT_KEY_PASSWORD``, else the file in
            ``$GENAUDIT_KEY_PASSWORD_FILE``.
    """

    folder: Path
    password_file: Path | None = None

    def load(self) -> Chain:
        """See `KeySource`."""
        return load_chain(self.folder, password_file=self.password_file)


@dataclass(frozen=True, slots=True)
class ImportedKeys:
    """A key source of one's own: ``reference`` ("module:name") names one, or a class or function that makes one.

    What it names has ``load() -> Chain``, or ``sign(bytes) -> bytes`` with ``certificates`` (PEM or a path) and, where
    it likes, ``algorithm``.
    """

    reference: str

    def load(self) -> Chain:
        """See `KeySource`."""
        where = f"callable:{self.reference}"
        found = imported(self.reference)
        if isinstance(found, type) or (callable(found) and not _usable(found)):
            found = _made(found, where)
        if isinstance(found, KeySource):
            chain = found.load()
            if not isinstance(chain, Chain):
                raise ConfigError("its load() gives no Chain", where=where, hint="return audit.provenance.keys.Chain")
            return chain
        if not _usable(found):
            hint = "name a key source, an object with `sign` and `certificates`, or callable:module:function:chain.pem"
            raise ConfigError("this is no source of keys", where=where, hint=hint)
        return CallbackKeys(found.sign, found.certificates, getattr(found, "algorithm", None)).load()


def keys_from(text: str | Path | None) -> KeySource:
    """The key source that a user writes.

    Args:
        text: None: the development chain. A folder: its ``chain.pem`` and ``key.pem``. ``command:PROGRAM ARGUMENTS``:
            see `CommandKeys`. ``callable:module:name``: see `ImportedKeys`. ``callable:module:function:chain.pem``: see
            `CallbackKeys`. Nothing is opened yet.

    Raises:
        ConfigError: none of these forms.
    """
    if text is None:
        return DevelopmentKeys()
    kind, colon, rest = str(text).partition(":")
    if colon and kind == "command":
        return CommandKeys(rest)
    if not colon or kind != "callable":
        return FolderKeys(Path(text).expanduser())
    module, _, name = rest.partition(":")
    function, _, certificates = name.partition(":")
    if not module or not function:
        raise ConfigError("this names no source of keys", where=str(text), hint=f"write {_FORMS}")
    if not certificates:
        return ImportedKeys(rest)
    return CallbackKeys(f"{module}:{function}", Path(certificates).expanduser())


def _usable(found: Any) -> bool:
    return isinstance(found, KeySource) or (callable(getattr(found, "sign", None)) and hasattr(found, "certificates"))


def _made(found: Any, where: str) -> Any:
    try:
        return found()
    except Exception as error:  # noqa: BLE001 - a user's function may fail in any way
        hint = "it must be callable without arguments"
        raise ConfigError(f"it fails: {type(error).__name__}: {error}", where=where, hint=hint) from None
