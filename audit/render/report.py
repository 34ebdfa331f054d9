# SPDX-License-Identifier: Apache-2.0
"""What a renderer gets: everything a page may show, already read from the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from audit.types import Estimate, Outcome, Verdict

if TYPE_CHECKING:
    from audit.runs.store import Run

__all__ = ["Renderer", "Report", "Sample", "build_report"]

_SECRET = ("key", "password", "secret", "token", "credential", "authorization")
_NOT_SECRET = ("tokenizer", "max_tokens")


@dataclass(frozen=True, slots=True)
class Sample:
    """One request shown with what came of it.

    Attributes:
        request_id, generator, probe, text: what was asked of whom.
        outcome: what came of it.
        kind: why it is shown: "row" (a look at the images), "match" (likeness), "outcome" (no image came),
            "comparison" (one prompt with one seed, of every generator), "worst" or "best" (for a number).
        row: heading of the contact row, e.g. the occupation, or the number that it does something to.
        thumb: encoded thumbnail, None where there is no image. media_type: of the thumbnail.
        sensitive: blurred until somebody asks for it.
        note: one phrase, e.g. "similar to enrolled reference R-03 above threshold 0.62", or why there is no image.
        labels: (what, answer) of the instruments that classify.
        column: of a comparison, equal for the same prompt and seed.
    """

    request_id: str
    generator: str
    probe: str
    text: str
    outcome: Outcome
    kind: str
    row: str = ""
    thumb: bytes | None = None
    media_type: str | None = None
    sensitive: bool = False
    note: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    column: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A finished run, ready to be shown.

    Attributes:
        manifest: as stored, without values that look like secrets.
        estimates: all numbers. verdict: the judgement, None if no policy was applied.
        samples: some requests with their pictures, chosen by rule, never by hand.
    """

    manifest: Mapping[str, Any]
    estimates: tuple[Estimate, ...]
    verdict: Verdict | None
    samples: tuple[Sample, ...] = field(default=())
    survival: Mapping[str, Any] | None = None

    @property
    def titles(self) -> dict[str, str]:
        """Metric id -> title."""
        return {spec["id"]: spec["title"] for spec in self.manifest.get("metrics", ())}

    @property
    def generators(self) -> list[str]:
        """Names of the generators, in the order of the configuration."""
        named = [spec["name"] for spec in self.manifest.get("generators", ())]
        return named + sorted({e.generator for e in self.estimates} - set(named))

    def of(self, metric: str) -> list[Estimate]:
        """The estimates of one metric, in stored order."""
        return [e for e in self.estimates if e.metric == metric]


@runtime_checkable
class Renderer(Protocol):
    """Report in, bytes out: same report, same bytes."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    @property
    def suffix(self) -> str:
        """Of the file, e.g. ``".html"``."""
        ...

    def render(self, report: Report, /) -> bytes:
        """The whole file."""
        ...


def build_report(run: Run) -> Report:
    """Reads a complete run folder. Raises StoreError where it is incomplete or damaged."""
    from audit.render._samples import choose_samples
    from audit.render.survival import read_summary

    manifest = redact(run.manifest)
    samples = choose_samples(run, manifest)
    return Report(manifest, tuple(run.estimates()), run.verdict(), samples, read_summary(run.path))


def redact(value: Any, name: str = "") -> Any:
    """``value`` with everything under a secret-looking key replaced: options may hold API keys, reports are shared."""
    if isinstance(value, Mapping):
        return {key: redact(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner, name) for inner in value]
    lower = name.lower()
    hidden = (
        isinstance(value, str) and any(word in lower for word in _SECRET) and not any(w in lower for w in _NOT_SECRET)
    )
    return "(hidden)" if hidden else value
