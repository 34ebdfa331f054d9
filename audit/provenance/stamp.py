# SPDX-License-Identifier: Apache-2.0
"""Sign images with Content Credentials that say: drawn by this model, for this request, at this time."""

from __future__ import annotations

import io
import math
import os
import uuid
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from audit import __version__
from audit.errors import ConfigError, StoreError
from audit.provenance._engine import GENERATION, SPEC_VERSION, library, settings, sniff
from audit.provenance.claim import Claim, Stamped
from audit.provenance.keys import Chain, DevelopmentKeys, FolderKeys, KeySource, native_signer
from audit.provenance.state import State
from audit.provenance.verify import verify_bytes
from audit.types import Scalar

__all__ = ["Stamper"]

_SOURCE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_WRITABLE: Final = ("image/png", "image/jpeg", "image/webp")
_ATTESTED: Final = ["c2pa.actions", "c2pa.ingredient", GENERATION]
_CREATE: Final = {"create": "trainedAlgorithmicMedia"}
_EDIT: Final = "edit"


class Stamper:
    """Signs images with one chain; can be shared by threads, forked and pickled.

    Args:
        keys: where the key comes from; a path names a folder with ``chain.pem`` and ``key.pem``; None: the development
            chain, made on first use.
        tool_version: version of this tool, named in every claim.
    """

    def __init__(self, keys: KeySource | Path | str | None = None, *, tool_version: str = __version__) -> None:
        self.keys = _source(keys)
        self.tool_version = tool_version
        # Objects of the library do not survive a fork, so each process makes its own; those of a parent stay referenced
        # here, since a child must not free them.
        self._made: dict[int, tuple[Chain, Mapping[bool, Any]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}

    @property
    def chain(self) -> Chain:
        """The chain that signs. Raises ConfigError if it cannot be used."""
        return self._objects()[0]

    def stamp(self, data: bytes, claim: Claim) -> Stamped:
        """``data`` with credentials.

        An image without credentials is declared as created by a trained model. One that already carries them keeps
        them: they become the parent, and the new claim says that it was opened and that only metadata was added. If the
        parent's credentials are broken, that stays on record, and verifying the result says ``bad_ingredient``.

        Args:
            data: a whole PNG, JPEG or WebP file; pixels are not touched.
            claim: what to say.

        Returns:
            The signed file; signing the same image twice gives different bytes (fresh ids and signatures).

        Raises:
            StoreError: not one of these formats, existing credentials that cannot be read, or signing failed.
            ConfigError: the chain or the C2PA library cannot be used.
        """
        where = f"request {claim.request_id}"
        kind = sniff(data)
        if kind not in _WRITABLE:
            hint = "credentials can be embedded in PNG, JPEG and WebP"
            raise StoreError(
                f"{len(data)} bytes that are {kind or 'no known image'} cannot be stamped", where=where, hint=hint
            )
        before = verify_bytes(data)
        if before.state is State.UNREADABLE:
            hint = "keep the image as it is: stamping would hide that its credentials are damaged"
            raise StoreError(f"the image cannot be stamped: {before.message}", where=where, hint=hint)
        signed = before.state is not State.ABSENT
        manifest = _manifest(claim, parent=before.state if signed else None, tool=self._tool())
        signed_data, embedded = self._sign(data, kind, manifest, signed=signed, where=where)
        parent = before.state if signed else None
        return Stamped(signed_data, kind, manifest["label"], embedded, parent=parent)

    def _sign(
        self, data: bytes, kind: str, manifest: dict[str, Any], *, signed: bool, where: str
    ) -> tuple[bytes, bytes]:
        c2pa = library()
        context = self._objects()[1][signed]
        out = io.BytesIO()
        try:
            with c2pa.Builder(manifest, context=context) as builder:  # single use
                embedded = builder.sign(kind, io.BytesIO(data), out)
        except c2pa.C2paError as error:
            raise StoreError(f"signing failed: {_first_line(error)}", where=where) from None
        return out.getvalue(), embedded

    def _objects(self) -> tuple[Chain, Mapping[bool, Any]]:
        """Chain and signing contexts of this process: for fresh images (False) and already signed ones (True)."""
        process = os.getpid()
        if process not in self._made:
            chain = self.keys.load()
            contexts = {signed: self._context(chain, _EDIT if signed else _CREATE) for signed in (False, True)}
            self._made[process] = (chain, contexts)
        return self._made[process]

    def _context(self, chain: Chain, intent: Any) -> Any:
        c2pa = library()
        builder = {
            "thumbnail": {"enabled": False},  # costs 60 ms and up to megabytes an image
            "claim_generator_info": {**self._tool(), "specVersion": SPEC_VERSION},
            "intent": intent,
            "actions": {"all_actions_included": True},
            "created_assertion_labels": _ATTESTED,  # otherwise the signer does not vouch for them
        }
        try:  # the context takes the signer over, so each context gets one of its own
            return c2pa.Context.from_dict(settings({"builder": builder}), signer=native_signer(chain))
        except c2pa.C2paError as error:
            raise ConfigError(f"the chain cannot sign: {_first_line(error)}", where=str(chain.folder)) from None

    def _tool(self) -> dict[str, str]:
        return {"name": "genaudit", "version": self.tool_version}


def _manifest(claim: Claim, *, parent: State | None, tool: Mapping[str, str]) -> dict[str, Any]:
    when = claim.when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if parent is None:
        agent = {"name": claim.generator} | ({"version": claim.generator_digest} if claim.generator_digest else {})
        action: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": _SOURCE, "softwareAgent": agent}
    else:
        # The library puts c2pa.opened, with the parent, before this. Nobody here knows how the pixels came about.
        action = {"action": "c2pa.edited.metadata", "softwareAgent": dict(tool)}
    said = {
        "generator": claim.generator,
        "generator_digest": claim.generator_digest,
        "request_id": claim.request_id,
        "prompt_sha256": claim.prompt_sha256,
        "seed": claim.seed,
        "params": {str(key): _plain(value) for key, value in sorted(claim.params.items())},
    }
    if parent is not None:
        said["parent_state"] = parent.value
    return {
        # Ours to choose, so that a watermark can name it before anything is signed.
        "label": f"urn:c2pa:{uuid.uuid4()}",
        "title": _plain(claim.title),
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{**action, "when": when}], "allActionsIncluded": True}},
            {"label": GENERATION, "data": said},
        ],
    }


def _plain(value: Scalar) -> Scalar:
    """A value that survives CBOR: integers beyond int64, NaN, infinities and lone surrogates become text."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else str(value)
    return value


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _source(keys: KeySource | Path | str | None) -> KeySource:
    if keys is None:
        return DevelopmentKeys()
    return FolderKeys(Path(keys).expanduser()) if isinstance(keys, str | Path) else keys
