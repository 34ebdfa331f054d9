# SPDX-License-Identifier: Apache-2.0
"""Sign images with Content Credentials that say: drawn by this model, for this request, at this time.

The order is fixed: pixels, watermark, encoding, XMP, credentials. Whatever comes after the credentials breaks them.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from audit import __version__
from audit.errors import ConfigError, StoreError
from audit.images import decode
from audit.provenance import _streams
from audit.provenance._complaints import complaint
from audit.provenance._containers import Layout, scan
from audit.provenance._engine import SPEC_VERSION, library, sniff
from audit.provenance._files import checked_target, read_source, replace_file
from audit.provenance._manifest import ATTESTED, PROMPT, Steps, manifest, plain
from audit.provenance._marking import AnyPicture, decoded, embedded, merged, opened, put, read_back, where_of, with_xmp
from audit.provenance.claim import Claim, Stamped
from audit.provenance.drift import ensure
from audit.provenance.keys import Chain, KeySource, SigningContext, TimeStamps, keys_from
from audit.provenance.state import State
from audit.provenance.verify import verify_bytes
from audit.provenance.watermark import Watermark, payload_of

if TYPE_CHECKING:
    from audit.provenance._pictures import Picture

__all__ = ["WRITABLE", "Stamper"]

#: Media types that can be stamped.
WRITABLE: Final = ("image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff", "image/gif")
_CREATE: Final = {"create": "trainedAlgorithmicMedia"}
_EDIT: Final = "edit"
_USES: Final = ("allowed", "notAllowed", "constrained", None)
_BROKEN: Final = (State.INVALID, State.BAD_INGREDIENT)
#: States of a parent that no manifest can take in, and what to do.
_REFUSED: Final = {
    State.UNREADABLE: "keep the image as it is: stamping would hide that its credentials are damaged",
    State.REMOTE_ONLY: "its credentials lie elsewhere and are not fetched: use a copy that carries them, or none",
    State.UNDETERMINED: "its credentials could not be checked: try again",
}


@dataclass(frozen=True, slots=True)
class _Source:
    """A finished file that came in, and what stands in it."""

    data: bytes
    kind: str
    layout: Layout
    parent: State | None


class Stamper:
    """Signs images with one chain; can be shared by threads, forked and pickled.

    Args:
        keys: where the key comes from; a path names a folder with ``chain.pem`` and ``key.pem``; None: the development
            chain, made on first use.
        tool_version: version of this tool, named in every claim.
        watermark: put into the pixels by `mark`, and declared as a soft binding; None: no pixel changes.
        timestamps: authority that is asked to vouch for the time; None: the signer's word has to do.
        training_mining: use granted for training and data mining, "notAllowed", "allowed" or "constrained"; None:
            nothing is said.
        xmp: whether IPTC properties (DigitalSourceType, AISystemUsed, ...) are written as XMP, too.
        broken_parents: what to do with an image whose own credentials are broken: "refuse" it, or "record" that in
            the new manifest (verifying it then says ``bad_ingredient``).

    Raises:
        ConfigError: one of the last three is not one of these.
    """

    def __init__(
        self,
        keys: KeySource | Path | str | None = None,
        *,
        tool_version: str = __version__,
        watermark: Watermark | None = None,
        timestamps: TimeStamps | None = None,
        training_mining: str | None = "notAllowed",
        xmp: bool = True,
        broken_parents: Literal["refuse", "record"] = "refuse",
    ) -> None:
        if training_mining not in _USES:
            hint = "allowed, notAllowed, constrained, or nothing at all"
            raise ConfigError(f"{training_mining!r} is no use that can be granted", where="training_mining", hint=hint)
        if broken_parents not in {"refuse", "record"}:
            raise ConfigError(f"{broken_parents!r} is unknown", where="broken_parents", hint="refuse or record")
        self.keys = _source(keys)
        self.tool_version = tool_version
        self.watermark = watermark
        self.timestamps = timestamps
        self.training_mining = training_mining
        self.xmp = xmp
        self.broken_parents = broken_parents
        # Objects of the library do not survive a fork, so each process makes its own; those of a parent stay referenced
        # here, since a child must not free them.
        self._made: dict[int, tuple[Chain, Mapping[bool, SigningContext]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}

    @property
    def chain(self) -> Chain:
        """The chain that signs. Raises ConfigError if it cannot be used."""
        return self._objects()[0]

    def stamp(self, data: bytes, claim: Claim, *, checked: bool = False) -> Stamped:
        """A finished file with credentials; no pixel changes.

        An image without credentials is declared as created by a trained model. One that already carries them keeps
        them: they become the parent, and the new claim says that it was opened and that only metadata was added.

        Args:
            data: a whole PNG, JPEG, WebP, AVIF, TIFF or GIF file.
            claim: what to say.
            checked: the caller has decoded it already; else it is decoded here, since the library signs anything.

        Returns:
            The signed file; signing the same image twice gives different bytes (fresh ids and signatures).

        Raises:
            StoreError: not a whole image of these formats, its credentials are broken, or signing failed.
            ConfigError: the chain or the C2PA library cannot be used.
        """
        source = self._open(data, claim)
        if not checked:
            decoded(data, claim)
        notes: list[str] = []
        if source.parent is None and self.xmp:  # XMP written into a signed file would break its credentials
            data = with_xmp(source.layout, data, claim, notes)
        return self._sign(data, claim, Steps(source.parent), kind=source.kind, notes=notes)

    def mark(self, picture: AnyPicture, claim: Claim, *, media_type: str | None = None, quality: int = 95) -> Stamped:
        """A picture as a file with everything that is configured: watermark, XMP, credentials.

        ``Stamper().mark(image, Claim.about("my-model", prompt="a cat", seed=1)).data`` is all that a generator needs.

        Args:
            picture: uint8 pixels (height, width, 3), a Pillow image, or a finished file. A file is written anew only
                where a watermark or another format asks for it; EXIF, texts and colour profile are kept.
            claim: what to say.
            media_type: of the result; None: as the file that came in, PNG for pixels.
            quality: 1 to 100, of JPEG, WebP and AVIF.

        Raises:
            StoreError: as `stamp`; also a picture that the watermark cannot be put into, or read back from.
            ConfigError: as `stamp`; also a media type that cannot be written.
        """
        picture = bytes(picture) if isinstance(picture, bytearray | memoryview) else picture
        source = self._open(picture, claim) if isinstance(picture, bytes) else None
        kind = media_type or (source.kind if source else "image/png")
        if kind not in WRITABLE:
            hint = f"one of {', '.join(WRITABLE)}"
            raise ConfigError(f"{kind} cannot be written", where="media_type", hint=hint)
        if source is not None and source.kind == kind and self.watermark is None:
            return self.stamp(source.data, claim)
        return self._written(opened(picture, claim), source, claim, kind=kind, quality=quality)

    def stamp_file(
        self, source: Path | str, target: Path | str, claim: Claim, *, media_type: str | None = None, quality: int = 95
    ) -> Stamped:
        """`mark` from file to file; the target appears whole or not at all, and is never the source.

        Raises:
            StoreError: as `mark`; or a file cannot be read or written.
            ConfigError: as `mark`; or the target is the source.
        """
        source, target = Path(source), Path(target)
        checked_target(source, target)
        stamped = self.mark(read_source(source), claim, media_type=media_type, quality=quality)
        replace_file(target, stamped.data)
        return stamped

    def _open(self, data: bytes, claim: Claim) -> _Source:
        """What a finished file is and carries; refuses what must not be signed."""
        library()
        where, kind = where_of(claim), sniff(data)
        if kind not in WRITABLE:
            hint = "credentials can be embedded in PNG, JPEG, WebP, AVIF, TIFF and GIF"
            what = f"{len(data)} bytes that are {kind or 'no known image'}"
            raise StoreError(f"{what} cannot be stamped", where=where, hint=hint)
        layout = scan(data, kind)
        if not layout.credentials:
            return _Source(data, kind, layout, None)
        before = verify_bytes(data)
        if before.state is State.ABSENT:
            return _Source(data, kind, layout, None)
        if before.state in _REFUSED:
            hint = _REFUSED[before.state]
            raise StoreError(f"the image cannot be stamped: {before.message}", where=where, hint=hint)
        if before.state in _BROKEN and self.broken_parents == "refuse":
            hint = "keep the image as it is, or have that recorded: broken_parents='record' (--broken-parents record)"
            message = f"the image cannot be stamped: its credentials are broken ({before.message})"
            raise StoreError(message, where=where, hint=hint)
        return _Source(data, kind, layout, before.state)

    def _written(self, picture: Picture, source: _Source | None, claim: Claim, *, kind: str, quality: int) -> Stamped:
        """Watermark, encode, XMP, sign."""
        from dataclasses import replace

        from audit.provenance import _pictures

        label, notes = _label(), list[str]()
        payload = None
        if self.watermark is not None:
            payload = payload_of(label, self.watermark.spec.bits)
            picture = replace(picture, rgb=embedded(self.watermark, picture.rgb, payload, claim))
        parent = source.parent if source else None
        xmp = picture.xmp if parent or not self.xmp else merged(picture.xmp, claim, notes)
        data = _pictures.encode(picture, kind, quality=quality, xmp=xmp)
        if kind != "image/avif" and xmp is not None:
            data = put(scan(data, kind), data, xmp, notes)
        lossless = kind in _pictures.LOSSLESS and picture.alpha is None
        rgb = picture.rgb if lossless else decode(data)
        if self.watermark is not None and payload is not None and not lossless:
            read_back(self.watermark, rgb, payload, claim)
        steps = Steps(
            parent,
            algorithm=self.watermark.spec.algorithm if self.watermark else None,
            payload=payload.hex() if payload else None,
            transcoded=source is not None and source.kind != kind,
        )
        before = source if parent else None
        changed = None if lossless and self.watermark is None else rgb
        return self._sign(data, claim, steps, kind=kind, label=label, notes=notes, before=before, rgb=changed)

    def _sign(
        self,
        data: bytes,
        claim: Claim,
        steps: Steps,
        *,
        kind: str,
        notes: list[str],
        label: str | None = None,
        before: _Source | None = None,
        rgb: NDArray[np.uint8] | None = None,
    ) -> Stamped:
        """``data`` with a manifest; ``before``: the signed file that it was made from, where that is another file."""
        label, where = label or _label(), where_of(claim)
        made = manifest(
            claim,
            steps,
            label=label,
            tool=self._tool(),
            training_mining=self.training_mining,
            metadata=self.xmp,
        )
        c2pa = library()
        chain, contexts = self._objects()

        def work(context: Any) -> tuple[bytes, bytes]:
            with c2pa.Builder(made, context=context) as builder:  # single use
                if steps.parent is None and claim.prompt is not None:
                    builder.add_resource(PROMPT, io.BytesIO(str(plain(claim.prompt)).encode()))
                if before is not None:
                    parent = {"title": made["title"], "relationship": "parentOf"}
                    builder.add_ingredient(parent, before.kind, io.BytesIO(before.data))
                return _streams.sign(builder, kind, data)

        try:
            done = contexts[steps.parent is not None].sign(work, where=where)
        except c2pa.C2paError as error:
            raise complaint(error, where=where, keys=chain.where) from None
        signed, embedded = done.result
        return Stamped(
            signed,
            kind,
            label,
            embedded,
            payload=steps.payload,
            watermark=steps.algorithm,
            parent=steps.parent,
            timestamped=done.timestamped,
            rgb=rgb,
            notes=(*notes, done.note) if done.note else tuple(notes),
        )

    def _objects(self) -> tuple[Chain, Mapping[bool, SigningContext]]:
        """Chain and signing contexts of this process: for fresh images (False) and already signed ones (True)."""
        process = os.getpid()
        if process not in self._made:
            ensure()
            chain = self.keys.load()
            contexts = {
                signed: SigningContext(self._settings(_EDIT if signed else _CREATE), chain, self.timestamps)
                for signed in (False, True)
            }
            self._made[process] = (chain, contexts)
        return self._made[process]

    def _settings(self, intent: Any) -> dict[str, Any]:
        builder = {
            "thumbnail": {"enabled": False},  # costs 60 ms and up to megabytes an image
            "claim_generator_info": {**self._tool(), "specVersion": SPEC_VERSION},
            "intent": intent,
            "actions": {"all_actions_included": True},
            "created_assertion_labels": list(ATTESTED),  # otherwise the signer does not vouch for them
        }
        return {"builder": builder}

    def _tool(self) -> dict[str, str]:
        return {"name": "genaudit", "version": self.tool_version}


def _label() -> str:
    """Ours to choose, so that a watermark can name it before anything is signed."""
    return f"urn:c2pa:{uuid.uuid4()}"


def _source(keys: KeySource | Path | str | None) -> KeySource:
    return keys_from(keys) if keys is None or isinstance(keys, str | Path) else keys
