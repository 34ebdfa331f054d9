# SPDX-License-Identifier: Apache-2.0
"""The enrolled references: who agreed to be looked for, and what they look like to one embedder.

A gallery folder holds ``gallery.yaml`` and the images it names::

    {references: [
        {id: R-01, images: [r01/front.png, r01/left.png],
         consent: {basis: written release of 2026-03-01, holder: legal department, expires: 2027-03-01}}]}

Ids are pseudonyms by construction. Embeddings of faces are biometric data: they live in memory only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.documents import explain, read_document
from audit.errors import AnnotatorError, ConfigError
from audit.images import decode

__all__ = ["Consent", "Embedder", "Gallery", "gallery_digest", "load_gallery", "read_image"]

_FILE: Final = "gallery.yaml"
ReferenceId = Annotated[str, Field(pattern=r"^[A-Z]{1,8}-[0-9]{1,6}$")]
Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Embedder(Protocol):
    """Faces to unit vectors."""

    @property
    def digest(self) -> str:
        """Sha256 over weights and settings."""
        ...

    def embed(self, images: Sequence[NDArray[np.uint8]], /) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Embed the face in each image (h, w, 3): vectors (n, d) of length one, and whether a face was found (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Consent:
    """Why a reference may be enrolled.

    Attributes:
        basis: e.g. "written release of 2026-03-01", "fictional person".
        holder: who keeps the proof.
        expires: last day it holds, None for references that need no consent.
    """

    basis: str
    holder: str
    expires: date | None


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Enrolled references as one embedder sees them.

    Attributes:
        ids: pseudonymous, unique, e.g. "R-03".
        embeddings: float32 (n, d), of length one each; kept out of ``repr``.
        embedder_digest: which model made them; they fit no other.
        consents: one a reference.

    Raises:
        ConfigError: nobody is enrolled, an id occurs twice, lengths differ, or a consent has expired.
    """

    ids: tuple[str, ...]
    embeddings: NDArray[np.float32] = field(repr=False)
    embedder_digest: str
    consents: tuple[Consent, ...]

    def __post_init__(self) -> None:
        if not self.ids or self.embeddings.ndim != 2 or not len(self.ids) == len(self.embeddings) == len(self.consents):
            message = f"{len(self.ids)} ids, embeddings {self.embeddings.shape} and {len(self.consents)} consents"
            raise ConfigError(f"a gallery cannot be made of {message}", where="gallery", hint="one of each a reference")
        if twice := sorted({name for name in self.ids if self.ids.count(name) > 1}):
            raise ConfigError(f"reference {twice[0]} is enrolled twice", where="gallery", hint="merge its images")
        for name, consent in zip(self.ids, self.consents, strict=True):
            _refuse_expired(consent.expires, where=f"gallery reference {name}")
        object.__setattr__(self, "embeddings", _unit(self.embeddings))

    def __len__(self) -> int:
        return len(self.ids)


class _Consent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    basis: Text
    holder: Text
    expires: date


class _Reference(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ReferenceId
    images: list[Text] = Field(min_length=1)
    consent: _Consent


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    references: list[_Reference] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_differ(self) -> _File:
        ids = [reference.id for reference in self.references]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"reference {twice[0]} is listed twice")
        return self


def load_gallery(folder: Path, embedder: Embedder) -> Gallery:
    """Enrol what ``folder/gallery.yaml`` lists; a reference is the mean direction of its images' faces.

    Args:
        folder: the gallery folder.
        embedder: the model.

    Raises:
        ConfigError: the file breaks the format, a consent is missing or expired, or an image is outside the folder,
            missing, unreadable or shows no face.
    """
    listed = _listed(folder)
    embeddings = [_enrol(folder, reference, embedder) for reference in listed.references]
    return Gallery(
        ids=tuple(reference.id for reference in listed.references),
        embeddings=np.stack(embeddings),
        embedder_digest=embedder.digest,
        consents=tuple(Consent(**reference.consent.model_dump()) for reference in listed.references),
    )


def gallery_digest(folder: Path) -> str:
    """Sha256 over ``gallery.yaml`` and the images it names. Raises ConfigError as `load_gallery` does."""
    state = hashlib.sha256((folder / _FILE).read_bytes() if (folder / _FILE).is_file() else b"")
    for reference in _listed(folder).references:
        for name in reference.images:
            state.update(hashlib.sha256(_inside(folder, name, reference.id).read_bytes()).digest())
    return state.hexdigest()


def read_image(path: Path) -> NDArray[np.uint8]:
    """Pixels (h, w, 3) of an image file, EXIF orientation applied.

    Raises:
        ConfigError: the file is missing, empty, truncated or no image.
    """
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError("image does not exist", where=str(path), hint="check the path") from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"image cannot be read: {error}", where=str(path), hint="replace or remove the file"
        ) from None


def _listed(folder: Path) -> _File:
    path = folder / _FILE
    document = read_document(path, kind="gallery file")
    try:
        listed = _File.model_validate(document.data)
    except ValidationError as error:
        raise explain(error, document=document, model=_File) from None
    for reference in listed.references:
        _refuse_expired(reference.consent.expires, where=f"{path}: reference {reference.id}")
    return listed


def _refuse_expired(expires: date | None, *, where: str) -> None:
    if expires is not None and expires < datetime.now(UTC).date():
        hint = "renew the consent and its date, or remove the reference"
        raise ConfigError(f"consent expired on {expires.isoformat()}", where=where, hint=hint)


def _inside(folder: Path, name: str, reference: str) -> Path:
    path = (folder / name).resolve()
    where = f"{folder / _FILE}: reference {reference}: {name}"
    if not path.is_relative_to(folder.resolve()):
        raise ConfigError("image lies outside the gallery folder", where=where, hint="copy it into the folder")
    if not path.is_file():
        raise ConfigError("image does not exist", where=where, hint="check the path; it is relative to the folder")
    return path


def _enrol(folder: Path, reference: _Reference, embedder: Embedder) -> NDArray[np.float32]:
    paths = [_inside(folder, name, reference.id) for name in reference.images]
    vectors, found = embedder.embed([read_image(path) for path in paths])
    if not found.all():
        hint = "use a picture in which the face is large and unobstructed"
        raise ConfigError("no face found", where=f"reference {reference.id}: {paths[int(found.argmin())]}", hint=hint)
    mean: NDArray[np.float32] = _unit(_unit(vectors).mean(axis=0, keepdims=True))[0]
    return mean


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    vectors = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise AnnotatorError("an embedding has no direction (zero or not finite)", where="gallery")
    unit: NDArray[np.float32] = vectors / length
    return unit
