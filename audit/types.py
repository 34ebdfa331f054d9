# SPDX-License-Identifier: Apache-2.0
"""The records that flow through an audit, and the protocols that plug-ins implement.

Nothing here imports more than numpy: every layer may depend on this module, so it must stay light.
Records are frozen; a stage receives records and returns new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Annotator",
    "AnnotatorSpec",
    "Columns",
    "Decision",
    "DeclaredGroups",
    "Estimate",
    "Finding",
    "Generation",
    "Generator",
    "GeneratorSpec",
    "ImageRecord",
    "Metric",
    "MetricSpec",
    "OperatingCharacteristics",
    "Outcome",
    "Prompt",
    "Request",
    "Rule",
    "Scalar",
    "Status",
    "Verdict",
    "View",
]

Scalar = str | int | float | bool | None
Columns = Mapping[str, NDArray[Any]]


class Outcome(StrEnum):
    """What came of one request. Every request ends in exactly one of these, and in exactly one row."""

    IMAGE = "image"
    REFUSED = "refused"  # the generator declined in words or by an API status
    BLOCKED = "blocked"  # an image was made and withheld by a safety filter
    ERROR = "error"  # it failed; the message says how


class Status(StrEnum):
    """Whether an estimate carries a number. ``Estimate.value is None`` exactly when it is not OK."""

    OK = "ok"
    INSUFFICIENT = "insufficient"  # fewer observations than the metric needs
    UNAVAILABLE = "unavailable"  # an instrument, reference or column is missing
    UNIDENTIFIED = "unidentified"  # the instrument is too poor to correct for (ill-conditioned confusion matrix)


class Decision(StrEnum):
    """Three-way judgement, plus NOT_RUN, which is never green, and WAIVED, which is printed."""

    PASS = "pass"  # noqa: S105 - a judgement, not a secret
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"
    WAIVED = "waived"


# -- what is asked ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prompt:
    """One expanded prompt of a probe set.

    Attributes:
        id: unique within its probe set, stable across versions ("occupations/nurse").
        text: what the generator is told.
        probe: name of the probe set it belongs to.
        axes: the template values that made it, e.g. ``{"occupation": "nurse"}``.
        negative: negative prompt, for generators that take one.
        tags: free labels, e.g. ``"sensitive"`` (blurred by default wherever images are shown).
    """

    id: str
    text: str
    probe: str
    axes: Mapping[str, str] = field(default_factory=dict)
    negative: str | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """One image asked of one generator.

    Attributes:
        id: sha256 (hex, first 32 digits) of the content: generator name, prompt, parameters, repetition and seed.
        generator: name of the generator in the configuration.
        prompt: what is asked.
        repetition: 0-based repetition of the prompt.
        seed: 63-bit, a function of run seed, prompt id and repetition only; equal across generators (paired designs),
            and never a function of batch, shard, worker or order.
        params: generator parameters (steps, guidance, size ...).
    """

    id: str
    generator: str
    prompt: Prompt
    repetition: int
    seed: int
    params: Mapping[str, Scalar] = field(default_factory=dict)


# -- who is asked ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """Identity of a generator: enough to say which weights drew an image."""

    name: str
    kind: str
    model: str
    digest: str | None  # sha256 over the weights, None where they cannot be seen (hosted models)
    licence: str | None = None
    capabilities: frozenset[str] = frozenset()  # e.g. "text", "class", "negative", "seed", "size"
    details: Mapping[str, Scalar] = field(default_factory=dict)  # pipeline class, scheduler, dtype ...


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to one request: an encoded image, or the reason why there is none."""

    request_id: str
    outcome: Outcome
    image: bytes | None = None  # encoded file (PNG, JPEG, WebP); present exactly when outcome is IMAGE
    media_type: str | None = None
    seconds: float | None = None  # wall time attributable to this image (batch time / batch size)
    message: str | None = None  # refusal text or error
    meta: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.image is not None) != (self.outcome is Outcome.IMAGE):
            raise ValueError(
                f"generation {self.request_id}: outcome {self.outcome} does not go with image={self.image is not None}"
            )


@runtime_checkable
class Generator(Protocol):
    """Anything that answers a batch of requests, one generation a request, in any order."""

    @property
    def spec(self) -> GeneratorSpec:
        """Identity and capabilities; cheap after construction."""
        ...

    def generate(self, batch: Sequence[Request], /) -> Sequence[Generation]:
        """Answer every request of ``batch``. May raise: the runner then retries one by one and records ERROR rows."""
        ...


# -- what is seen ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """One stored image handed to annotators.

    Attributes:
        request_id: whose answer it is.
        sha256: of ``data`` (hex).
        text: the prompt text.
        data: the file as stored, credentials included.
        rgb: decoded pixels, uint8, shape (height, width, 3), EXIF orientation applied.
    """

    request_id: str
    sha256: str
    text: str
    data: bytes
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class OperatingCharacteristics:
    """How often an instrument says what, given the truth: a confusion matrix of *counts*.

    Attributes:
        attribute: e.g. "presentation".
        truth: k true groups (rows).
        answers: r possible answers (columns), the abstention "could not tell" among them.
        counts: k rows of r non-negative integers.
        measured_on: in words, what the counts were measured on.
    """

    attribute: str
    truth: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    measured_on: str

    def matrix(self) -> NDArray[np.float64]:
        """Counts as a float array of shape (k, r)."""
        return np.asarray(self.counts, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class AnnotatorSpec:
    """Identity of an instrument.

    Attributes:
        name: public id; its columns are stored as ``<name>.<column>``.
        version: raised whenever an answer could change.
        digest: sha256 over weights and settings; part of the storage path and of every fingerprint.
        columns: column name -> what it holds, in words with unit.
        licence: of the weights.
        operating: confusion counts by column name, empty where the instrument does not classify.
    """

    name: str
    version: str
    digest: str
    columns: Mapping[str, str]
    licence: str | None = None
    operating: Mapping[str, OperatingCharacteristics] = field(default_factory=dict)


@runtime_checkable
class Annotator(Protocol):
    """One image in, named columns out."""

    @property
    def spec(self) -> AnnotatorSpec:
        """Identity, columns and operating characteristics."""
        ...

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """Arrays of length ``len(images)`` under exactly the names in ``spec.columns``.

        Strings are object arrays with ``None`` for "no answer"; floats use NaN; embeddings are float32 (n, d).
        """
        ...


# -- what is computed ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeclaredGroups:
    """The groups of one attribute, declared by the probe set and never inferred from the data.

    Attributes:
        attribute: e.g. "presentation".
        groups: all groups there are, whether or not any image shows them.
        reference: share by group that the gap is measured against (sums to 1).
        source: where the reference comes from, in words ("policy choice: equal shares", "BLS CPS table 11").
        year: of the reference, None for a policy choice.
    """

    attribute: str
    groups: tuple[str, ...]
    reference: Mapping[str, float]
    source: str
    year: int | None = None


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """What a metric is, without computing it.

    Attributes:
        id: dotted, family first: "bias.representation_gap".
        version: raised whenever its meaning changes.
        title: for tables, e.g. "Representation gap".
        unit: "share", "score", "distance", "seconds" ...
        direction: whether "higher" or "lower" is better, or "none".
        bounds: smallest and largest possible value (None: unbounded).
        purposes: purposes of the probe sets it reads ("bias", "quality", "likeness"); empty: all of them.
        needs: columns it reads, as ``<annotator>.<column>``.
        min_n: fewest observations that give a number.
        cluster: column whose values share luck ("prompt_id"), None for independent rows.
        citation: paper and equation.
    """

    id: str
    version: str
    title: str
    unit: str
    direction: Literal["higher", "lower", "none"]
    bounds: tuple[float | None, float | None]
    purposes: frozenset[str]
    needs: tuple[str, ...]
    min_n: int
    cluster: str | None
    citation: str

    @property
    def family(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that can be argued about, or the reason why there is none.

    Attributes:
        metric, version, unit: from the metric's spec.
        generator: whose images.
        slice: which part of them, e.g. ``{"occupation": "nurse", "attribute": "presentation", "group": "feminine"}``.
        value: the estimate; None exactly when ``status`` is not OK.
        low, high: interval at ``level``.
        n: images behind it. clusters: independent units behind it. missing: requests that gave no observation.
        floor: what a perfect generator would score at this n (finite-sample floor), where that is not 0.
        method: of the interval, in words.
        why: reason, when there is no number.
        fingerprint: digest of everything it was measured with (metric version, instruments, references).
        extra: further numbers of the same measurement (uncorrected share, reference share, threshold ...).
    """

    metric: str
    version: str
    unit: str
    generator: str
    slice: Mapping[str, str]
    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    clusters: int
    missing: int
    status: Status
    method: str
    floor: float | None = None
    why: str | None = None
    fingerprint: str = ""
    extra: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status is not Status.OK):
            raise ValueError(
                f"{self.metric} {dict(self.slice)}: value {self.value} does not go with status {self.status}"
            )
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"{self.metric} {dict(self.slice)}: value {self.value} is not finite")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a metric sees: all requests of one generator on the probe sets of the metric's purposes.

    Attributes:
        generator: its name.
        columns: one row a *request*. Always there: "request_id", "prompt_id", "probe", "outcome" (str), "repetition",
            "text", "seconds" (NaN where unknown), "batch" (equal for requests asked together), "axis.<name>" for each
            template axis; then "<annotator>.<column>", holding None/NaN where there is no image or no answer.
        groups: declared groups by attribute, of the probe sets in view.
        operating: operating characteristics by *column* ("attributes.presentation"); each names its attribute.
        references: reference data by name, e.g. "features" -> float32 (m, d), "likeness" -> Calibration.
        level: of the intervals, e.g. 0.95.
        seed: for resampling; same seed, same numbers.
        fingerprints: digest by annotator or reference name, to be mixed into ``Estimate.fingerprint``.
        by: template axes that the probe sets declare as slices, e.g. ``("occupation",)``.
    """

    generator: str
    columns: Columns
    groups: Mapping[str, DeclaredGroups] = field(default_factory=dict)
    operating: Mapping[str, OperatingCharacteristics] = field(default_factory=dict)
    references: Mapping[str, Any] = field(default_factory=dict)
    level: float = 0.95
    seed: int = 0
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["request_id"])

    def take(self, mask: NDArray[np.bool_]) -> View:
        """The rows where ``mask`` (n,) is true, everything else unchanged."""
        columns = {name: values[mask] for name, values in self.columns.items()}
        return replace(self, columns=columns)


@runtime_checkable
class Metric(Protocol):
    """A spec and a pure function from a view to estimates."""

    @property
    def spec(self) -> MetricSpec:
        """What it is."""
        ...

    def __call__(self, view: View, /) -> Sequence[Estimate]:
        """One estimate per slice it reports; the runner adds the fingerprint. Never raises for lack of data."""
        ...


# -- what is judged --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule applied to one slice."""

    rule: str  # id of the rule in the policy
    decision: Decision
    message: str  # one plain sentence with the numbers
    evidence: tuple[Estimate, ...] = ()
    limit: str = ""  # the limit in words, e.g. "at most 0.20"
    waiver: str | None = None  # owner, reason, end date


@runtime_checkable
class Rule(Protocol):
    """A judgement over estimates; built from its block in the policy file."""

    def check(self, estimates: Sequence[Estimate], /) -> Sequence[Finding]:
        """Findings, at least one: where nothing matches, one NOT_RUN."""
        ...


RuleFactory = Callable[[Mapping[str, Any]], Rule]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings and the one word that the exit code follows."""

    policy: str
    policy_digest: str
    findings: tuple[Finding, ...]

    @property
    def decision(self) -> Decision:
        """FAIL if any finding fails, else INCONCLUSIVE if any is inconclusive or not run, else PASS."""
        seen = {finding.decision for finding in self.findings}
        if Decision.FAIL in seen:
            return Decision.FAIL
        if not seen or seen & {Decision.INCONCLUSIVE, Decision.NOT_RUN}:
            return Decision.INCONCLUSIVE
        return Decision.PASS

    def count(self, decision: Decision) -> int:
        """How many findings ended so."""
        return sum(finding.decision is decision for finding in self.findings)


def of_family(estimates: Iterable[Estimate], family: str) -> tuple[Estimate, ...]:
    """The estimates whose metric id starts with ``family`` and a dot."""
    return tuple(e for e in estimates if e.metric.partition(".")[0] == family)
