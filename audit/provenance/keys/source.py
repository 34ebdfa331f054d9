# SPDX-License-Identifier: Apache-2.0
"""Where keys come from. A source is a small picklable description; each process opens its own key from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from audit.errors import ConfigError
from audit.provenance._engine import library
from audit.provenance.keys.chain import Chain, development_chain, load_chain

__all__ = ["DevelopmentKeys", "FolderKeys", "KeySource", "TimeStamps", "native_signer"]


@dataclass(frozen=True, slots=True)
class TimeStamps:
    """An RFC 3161 time stamp authority.

    Attributes:
        url: of the authority.
        timeout: seconds until an answer counts as missing.
        required: whether an image without a time stamp is an error; else it is signed without, and that is told.
    """

    url: str
    timeout: float = 10.0
    required: bool = False


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
    """``chain.pem`` and ``key.pem`` in a folder."""

    folder: Path

    def load(self) -> Chain:
        """See `KeySource`."""
        return load_chain(self.folder)


def native_signer(chain: Chain) -> Any:
    """A ``c2pa.Signer`` that signs with the chain. A context takes it over, so each context needs one of its own.

    Raises:
        ConfigError: the library refuses the chain.
    """
    c2pa = library()
    try:
        info = c2pa.C2paSignerInfo(getattr(c2pa.C2paSigningAlg, chain.algorithm), chain.certificates, chain.key, None)
        return c2pa.Signer.from_info(info)
    except c2pa.C2paError as error:
        text = " ".join(str(error).split())[:300]
        raise ConfigError(f"the chain cannot sign: {text}", where=str(chain.folder)) from None
