# SPDX-License-Identifier: Apache-2.0
"""From the audit file's block on provenance to what signs the images of one generator."""

from __future__ import annotations

from audit import __version__
from audit.config import ProvenanceConfig
from audit.provenance import Stamper, watermark
from audit.provenance.keys import TimeStamps, keys_from
from audit.provenance.store import ManifestStore
from audit.runs._generate import Signing
from audit.runs.store import Run
from audit.types import GeneratorSpec

__all__ = ["signing_for", "stamper_for"]


def signing_for(config: ProvenanceConfig, spec: GeneratorSpec, run: Run) -> Signing | None:
    """What signs the images that ``spec`` draws for ``run``; None where images are not signed.

    Raises:
        ConfigError: the key cannot sign, or the watermark cannot be had: known before the first image.
    """
    if not config.stamp:
        return None
    stamper = stamper_for(config)
    manifests = ManifestStore(run.manifests) if stamper.watermark is not None else None
    return Signing(stamper, spec, run.id, config.public_prompts, manifests)


def stamper_for(config: ProvenanceConfig) -> Stamper:
    """The stamper that an audit file describes. Raises ConfigError as `signing_for`."""
    times = config.time_stamps
    stamper = Stamper(
        keys_from(config.keys),
        tool_version=__version__,
        watermark=watermark.find_keyed(config.watermark, config.watermark_key) if config.watermark else None,
        timestamps=TimeStamps(times.url, times.timeout, times.required) if times else None,
        training_mining=config.training_mining,
        broken_parents=config.parents,
    )
    _ = stamper.chain
    return stamper
