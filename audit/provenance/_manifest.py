# SPDX-License-Identifier: Apache-2.0
"""What is signed, as the C2PA library wants it: a version 2 claim with actions, ingredients and assertions.

C2PA technical specification 2.2: actions 18.15, ingredients 18.16, soft bindings 18.10, asset types 8.1 of annex B;
CAWG training and data mining assertion 1.1; CAWG metadata assertion 1.1. Everything is attested by the signer (created
assertions): the library would otherwise file what it is given under "gathered".
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from audit.provenance._engine import GENERATION
from audit.provenance._xmp import IPTC, SOURCE_TYPE, properties
from audit.provenance.claim import Claim
from audit.provenance.state import State
from audit.types import Scalar

__all__ = ["ATTESTED", "PROMPT", "Steps", "ingredients", "manifest", "plain"]

#: Labels that the signer vouches for.
ATTESTED: Final = (
    "c2pa.actions",
    "c2pa.embedded-data",
    "c2pa.ingredient",
    "c2pa.soft-binding",
    "cawg.metadata",
    "cawg.training-mining",
    GENERATION,
)
#: Name of the resource that holds a public prompt.
PROMPT: Final = "prompt.txt"
_NO_PROMPT: Final = hashlib.sha256(b"").hexdigest()
_MINING: Final = ("cawg.ai_generative_training", "cawg.ai_inference", "cawg.ai_training", "cawg.data_mining")
_PROMPT_TYPE: Final = "c2pa.types.generator.prompt"


@dataclass(frozen=True, slots=True)
class Steps:
    """What happened to the picture here.

    Attributes:
        parent: state of the credentials that it brought along, None where it brought none: then it was drawn.
        algorithm: of the watermark put into it, None for none.
        payload: hex, of that watermark.
        transcoded: whether it was written in another format than it came in.
    """

    parent: State | None = None
    algorithm: str | None = None
    payload: str | None = None
    transcoded: bool = False


def manifest(
    claim: Claim, steps: Steps, *, label: str, tool: Mapping[str, str], training_mining: str | None, metadata: bool
) -> dict[str, Any]:
    """The manifest of one image.

    Args:
        claim: what to say.
        steps: what happened here.
        label: ``urn:c2pa:<uuid4>``, chosen before signing so that a watermark can carry it.
        tool: name and version of this tool.
        training_mining: use that is granted to those who train models ("notAllowed", ...), None: nothing is said.
        metadata: whether the IPTC properties are said here as well.
    """
    drawn = steps.parent is None
    assertions = [
        {"label": "c2pa.actions.v2", "data": {"actions": _actions(claim, steps, tool), "allActionsIncluded": True}},
        {"label": GENERATION, "data": _said(claim, steps)},
    ]
    if steps.algorithm is not None:
        # The specification types the value as bytes, the library as text: hex, as its registry's entries do.
        block: dict[str, Any] = {"scope": {}, "value": steps.payload}
        assertions.append({"label": "c2pa.soft-binding", "data": {"alg": steps.algorithm, "blocks": [block]}})
    if drawn and training_mining is not None:
        entries = {name: {"use": training_mining} for name in _MINING}
        assertions.append({"label": "cawg.training-mining", "data": {"entries": entries}})
    if drawn and metadata:
        said = {f"Iptc4xmpExt:{name}": plain(value) for name, value in properties(claim).items()}
        data = {"@context": {"Iptc4xmpExt": IPTC}, **said}
        assertions.append({"label": "cawg.metadata", "kind": "Json", "data": data})
    made: dict[str, Any] = {"label": label, "title": plain(claim.title), "assertions": assertions}
    return made | ({"ingredients": ingredients(claim)} if drawn else {})


def ingredients(claim: Claim) -> list[dict[str, Any]]:
    """Model and prompt, as inputs; the prompt's text only where the claim makes it public."""
    kind = "c2pa.types.model" + (f".{claim.framework}" if claim.framework else "")
    version = {"version": plain(claim.generator_version)} if claim.generator_version else {}
    model: dict[str, Any] = {
        "label": "model",
        "title": plain(claim.generator),
        "format": "application/octet-stream",
        "relationship": "inputTo",
        "data_types": [{"type": kind, **version}],
    }
    if claim.generator_digest:
        model["description"] = f"sha256 of the weights: {plain(claim.generator_digest)}"
    if claim.prompt_sha256 == _NO_PROMPT:
        return [model]
    prompt: dict[str, Any] = {
        "label": "prompt",
        "title": "prompt",
        "format": "text/plain",
        "relationship": "inputTo",
        "data_types": [{"type": _PROMPT_TYPE}],
        "description": f"sha256 of the text: {plain(claim.prompt_sha256)}",
    }
    if claim.prompt is not None:
        prompt["data"] = {"format": "text/plain", "identifier": PROMPT, "data_types": [{"type": _PROMPT_TYPE}]}
    return [model, prompt]


def _actions(claim: Claim, steps: Steps, tool: Mapping[str, str]) -> list[dict[str, Any]]:
    when = claim.when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    here = {"when": when, "softwareAgent": dict(tool)}
    marked = [{"action": "c2pa.watermarked.bound", **here}] if steps.algorithm is not None else []
    if steps.parent is None:
        return [_created(claim, when), *marked]
    # The library puts c2pa.opened, with the parent, before these. Nobody here knows how the pixels came about.
    changed = [{"action": "c2pa.transcoded", **here}] if steps.transcoded else []
    return [*changed, *marked] or [{"action": "c2pa.edited.metadata", **here}]


def _created(claim: Claim, when: str) -> dict[str, Any]:
    version = claim.generator_version or claim.generator_digest
    agent = {"name": plain(claim.generator)} | ({"version": plain(version)} if version else {})
    parameters: dict[str, Any] = {"ingredientIds": [ingredient["label"] for ingredient in ingredients(claim)]}
    if claim.seed:
        parameters["org.genaudit.seed"] = plain(claim.seed)
    return {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPE,
        "softwareAgent": agent,
        "when": when,
        "parameters": parameters,
    }


def _said(claim: Claim, steps: Steps) -> dict[str, Any]:
    said = {
        "generator": claim.generator,
        "generator_digest": claim.generator_digest,
        "generator_version": claim.generator_version,
        "request_id": claim.request_id,
        "run_id": claim.run_id,
        "prompt_sha256": claim.prompt_sha256,
        "seed": claim.seed,
        "parent_state": steps.parent.value if steps.parent else None,
    }
    kept = {key: plain(value) for key, value in said.items() if value is not None}
    return {**kept, "params": {str(plain(str(key))): plain(value) for key, value in sorted(claim.params.items())}}


def plain(value: Scalar) -> Scalar:
    """A value that survives CBOR: integers beyond int64, NaN, infinities and lone surrogates become text."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else str(value)
    return value
