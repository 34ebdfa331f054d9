# SPDX-License-Identifier: Apache-2.0
"""From a probe set to requests: ids and seeds that do not depend on who asks, when, or in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from audit.config import GeneratorConfig
from audit.errors import ConfigError
from audit.probes.canonical import canonical_json, sha256_of
from audit.probes.load import ProbeSet
from audit.types import Prompt, Request, Scalar

__all__ = ["request_seed", "requests"]


def requests(
    probe_set: ProbeSet,
    *,
    generator: GeneratorConfig,
    run_seed: int,
    repetitions: int | None = None,
    limit: int | None = None,
) -> tuple[Request, ...]:
    """All requests of a probe set to one generator, prompt by prompt.

    Args:
        probe_set: what is asked.
        generator: who is asked; its name and parameters are part of every request.
        run_seed: of the run; with prompt id and repetition it fixes every seed.
        repetitions: images a prompt; default: the set's own.
        limit: ask only the first so many prompts, each in all of its wordings.

    Raises:
        ConfigError: a parameter that is no finite number, or a repetition or limit below 1.
    """
    for name, value in (("repetitions", repetitions), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}", where=f"probe set {probe_set.name}")
    times = probe_set.repetitions if repetitions is None else repetitions
    try:
        canonical_json(generator.params)
    except ValueError as error:
        raise ConfigError(f"a parameter is not a finite number: {error}", where=f"generator {generator.name}") from None
    prompts = probe_set.first(limit)
    return tuple(_request(prompt, repetition, generator, run_seed) for prompt in prompts for repetition in range(times))


def request_seed(run_seed: int, *, probe: str, prompt_id: str, repetition: int) -> int:
    """63-bit seed: the first eight bytes of sha256 over the canonical JSON of the four, without the lowest bit.

    The generator is left out on purpose: two generators get the same seeds, so that a comparison is paired. Prompts of
    one pair likewise: `Prompt.pair` stands in for the id.

    >>> request_seed(0, probe="occupations", prompt_id="occupations/nurse", repetition=0) < 2**63
    True
    """
    digest = hashlib.sha256(canonical_json([run_seed, probe, prompt_id, repetition])).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _request(prompt: Prompt, repetition: int, generator: GeneratorConfig, run_seed: int) -> Request:
    params: Mapping[str, Scalar] = dict(generator.params)
    seed = request_seed(run_seed, probe=prompt.probe, prompt_id=prompt.pair or prompt.id, repetition=repetition)
    content = {
        "generator": generator.name,
        # tags decide how an image is shown, not how it is drawn: a new tag makes no new request
        "prompt": {
            "id": prompt.id,
            "probe": prompt.probe,
            "text": prompt.text,
            "negative": prompt.negative,
            "axes": prompt.axes,
        },
        "params": params,
        "repetition": repetition,
        "seed": seed,
    }
    return Request(sha256_of(content)[:32], generator.name, prompt, repetition, seed, params)
