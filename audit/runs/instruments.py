# SPDX-License-Identifier: Apache-2.0
"""Which options each built-in annotator gets from the configuration."""

from __future__ import annotations

from typing import Any

from audit.config import AuditConfig
from audit.errors import ConfigError

__all__ = ["BORROWED", "annotator_options", "borrowed"]

#: The instrument that measures with another library; a metric is named ``<instrument>:<class of that library>``.
BORROWED = "torchmetrics"

#: Instruments whose features are compared with those of the reference images.
_FEATURES = frozenset({"clip", "dinov2", "inception", "sscd", "vision"})


def borrowed(config: AuditConfig) -> dict[str, Any]:
    """Options by class of the metrics of another library that the audit wishes for, by name or as an option.

    Raises:
        ConfigError: the option is neither a list of names nor options by name.
    """
    named = [name.partition(":")[2] for name in config.metrics or () if name.startswith(f"{BORROWED}:")]
    given = config.instruments.options.get(BORROWED, {}).get("metrics") or {}
    if not isinstance(given, dict | list) or not all(isinstance(name, str) for name in given):
        raise ConfigError(
            f"must be a list of names, or options by name, got {given!r:.60}",
            where=f"instruments.options.{BORROWED}.metrics",
            hint="metrics: [StructuralSimilarityIndexMeasure]",
        )
    return {**dict.fromkeys(named), **(given if isinstance(given, dict) else dict.fromkeys(given))}


def annotator_options(name: str, config: AuditConfig) -> dict[str, Any]:
    """Options of the annotator ``name``: implied by the audit file, overridden by ``instruments.options``."""
    implied: dict[str, Any] = {}
    if name in _FEATURES:
        implied["reference"] = config.reference.model_dump() if config.reference else None
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
    options = {**implied, **config.instruments.options.get(name, {})}
    return {**options, "metrics": borrowed(config)} if name == BORROWED else options


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
