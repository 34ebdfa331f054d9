# SPDX-License-Identifier: Apache-2.0
"""Well-known public models, each by hub id, revision and sha256 of its weights."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLIP", "STANDARD", "PublicModel"]


@dataclass(frozen=True, slots=True)
class PublicModel:
    """One public model.

    Attributes:
        hub_id: ``owner/name``.
        revision: commit on the hub.
        sha256: of ``model.safetensors``.
        licence: of the weights.
    """

    hub_id: str
    revision: str
    sha256: str
    licence: str


CLIP = PublicModel(
    hub_id="openai/clip-vit-large-patch14",
    revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
    sha256="a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
    licence="MIT",
)

#: Public models by annotator. Attributes, apparent skin tone and faces have none with counts of its own error.
STANDARD = {"clip": CLIP}
