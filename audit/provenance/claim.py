# SPDX-License-Identifier: Apache-2.0
"""What credentials say about an image, and what comes back from stamping one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from audit.provenance.state import State
from audit.types import Scalar

__all__ = ["FRAMEWORKS", "Claim", "Stamped"]

#: Asset types of models that the C2PA specification names (``c2pa.types.model.<framework>``).
FRAMEWORKS: Final = ("jax", "keras", "ml_net", "mxnet", "onnx", "openvino", "pytorch", "tensorflow")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the credentials of one image say.

    Attributes:
        title: of the image, e.g. its file name.
        generator: name of the generator (the "AI system").
        generator_digest: sha256 of its weights, None where they cannot be seen.
        generator_version: of the generator as its makers count, None where there is none.
        request_id: which request the image answers; any name that leads back to a record.
        run_id: of the audit run or service the request belongs to, None where there is none.
        prompt_sha256: (hex) of the prompt text; the text itself stays private unless ``prompt`` is given.
        prompt: the text itself, only where it is meant to be readable by everybody.
        framework: what the model's weights are written in, one of `FRAMEWORKS`; None where that is not known.
        seed: as a string, since CBOR readers lose integers above 2^63.
        when: time of generation, with a time zone.
        params: generator parameters.
    """

    title: str
    generator: str
    generator_digest: str | None
    request_id: str
    prompt_sha256: str
    seed: str
    when: datetime
    params: Mapping[str, Scalar] = field(default_factory=dict)
    generator_version: str | None = None
    run_id: str | None = None
    prompt: str | None = None
    framework: str | None = None

    def __post_init__(self) -> None:
        if self.framework is not None and self.framework not in FRAMEWORKS:
            raise ValueError(f"framework {self.framework!r} is none of {', '.join(FRAMEWORKS)}")
        if self.when.tzinfo is None:
            raise ValueError(f"claim for request {self.request_id}: the time {self.when} has no time zone")

    @classmethod
    def about(
        cls,
        generator: str,
        *,
        prompt: str = "",
        seed: int | str = "",
        public_prompt: bool = False,
        version: str | None = None,
        request_id: str | None = None,
        params: Mapping[str, Scalar] | None = None,
        when: datetime | None = None,
    ) -> Self:
        """A claim from what anybody's generator knows; the prompt is hashed unless ``public_prompt``.

        Args:
            generator: its name.
            prompt: text that was asked.
            seed: of the random numbers.
            public_prompt: whether everybody may read the prompt in the file.
            version: of the generator.
            request_id: default: a digest of all that is said here.
            params: generator parameters.
            when: default: now.
        """
        moment = when or datetime.now(UTC)
        said = (generator, version, prompt, str(seed), sorted((params or {}).items()), moment.isoformat())
        return cls(
            title=generator,
            generator=generator,
            generator_digest=None,
            request_id=request_id or hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()[:32],
            prompt_sha256=hashlib.sha256(prompt.encode("utf-8", "backslashreplace")).hexdigest(),
            seed=str(seed),
            when=moment,
            params=params or {},
            generator_version=version,
            prompt=prompt if public_prompt else None,
        )


@dataclass(frozen=True, slots=True)
class Stamped:
    """A signed file.

    Attributes:
        data: the whole file.
        media_type: of the file.
        manifest_id: label of its active manifest, "urn:c2pa:...".
        manifest: the manifest store as embedded (JUMBF bytes).
        payload: what its watermark carries (hex), None where there is no watermark.
        watermark: name of the watermark's algorithm as in the soft binding, None where there is none.
        parent: state of the credentials that the image brought along, None where it brought none.
        timestamped: whether an authority vouches for the time.
        rgb: pixels of ``data`` (h, w, 3) where stamping changed them, None where it did not.
        notes: what a reader of the log should know, e.g. that no time stamp could be had.
    """

    data: bytes
    media_type: str
    manifest_id: str
    manifest: bytes = field(repr=False)
    payload: str | None = None
    watermark: str | None = None
    parent: State | None = None
    timestamped: bool = False
    rgb: NDArray[np.uint8] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
