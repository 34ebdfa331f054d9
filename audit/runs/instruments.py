# SPDX-License-Identifier: Apache-2.0
"""Which options each built-in annotator gets from the configuration."""

from __future__ import annotations

from typing import Any

from audit.config import AuditConfig
from audit.errors import ConfigError

__all__ = ["annotator_options"]


def annotator_options(name: str, config: AuditConfig) -> dict[str, Any]:
    """Options of the annotator ``name``: implied by the audit file, overridden by ``instruments.options``."""
    implied: dict[str, Any] = {}
    if name == "clip" and config.reference:
        implied["reference"] = config.reference.model_dump()
    if name == "likeness" and config.gallery:
        gallery = config.gallery
        implied = {
            "gallery": gallery.source,
            "fpir": gallery.fpir,
            "non_members": gallery.non_members,
            "searches": gallery.searches,
        }
    if config.instruments.bundle == "standard":
        implied |= _standard(name, config)
    return {**implied, **config.instruments.options.get(name, {})}


def _standard(name: str, config: AuditConfig) -> dict[str, Any]:
    if name == "clip":
        from audit.annotators.standard import CLIP

        return {"model": CLIP.hub_id}
    if name in {"attributes", "likeness", "skin_tone"} and name not in config.instruments.options:
        raise ConfigError(
            f"the standard bundle has no {name} instrument yet",
            where="instruments.bundle",
            hint="list the annotators to use, e.g. `annotators: [clip, credentials]`, or use bundle: reference",
        )
    return {}
