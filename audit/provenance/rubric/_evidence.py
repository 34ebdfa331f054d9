# SPDX-License-Identifier: Apache-2.0
"""What one image, or many, give as evidence: yes, no or unknown, under names that a cross-walk can ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from audit.provenance.keys import DEVELOPMENT_LABEL
from audit.provenance.rubric._model import Outcome, Rubric
from audit.provenance.rubric._run import CHECKS, check, passes
from audit.provenance.rubric._signals import SIGNALS, signals_of
from audit.provenance.rubric._view import View, mapping, sequence, text
from audit.provenance.state import State
from audit.provenance.verify import Verified
from audit.provenance.watermark import Reading, payload_of

__all__ = ["EVIDENCE", "Share", "combine", "evidence_of", "is_evidence", "survival_evidence"]

#: What can be known about one image, besides ``rubric:<check>``, ``signal:<name>`` and ``survival:<edit>:<layer>``.
EVIDENCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "verified": "the credentials hold",
        "trusted": "the signer is on a trusted list",
        "timestamped": "the credentials carry a time stamp that holds",
        "timestamped.trusted": "the time stamp comes from an authority on a trusted list",
        "declares_ai": "the credentials declare the output of a trained model",
        "signer.named": "the signing certificate names an organisation or a person",
        "system.named": "the credentials name the system that made the image",
        "system.version": "the credentials name a version of that system",
        "created.time": "the credentials say when the image was made",
        "identifier": "the credentials carry an identifier of their own",
        "parent.kept": "an image that was taken in kept its credentials (asked of images with a parent)",
        "watermark.bound": "the credentials name a watermark (soft binding)",
        "watermark.found": "a watermark was read from the pixels",
        "watermark.matches": "the watermark leads to these credentials",
        "xmp.source_type": "the XMP metadata declares the output of a trained model",
        "rubric:conformance": "no check of the C2PA conformance rubric failed",
    }
)
_TRUSTED: Final = frozenset({State.TRUSTED, State.NO_TIMESTAMP})
_ASKED_OF_ALL: Final = frozenset(EVIDENCE) - {"parent.kept", "watermark.found", "watermark.matches", "xmp.source_type"}
_EDIT_AND_LAYER: Final = 2


_NAMES: Final = (
    *sorted(_ASKED_OF_ALL),
    *(f"rubric:{name}" for name in CHECKS),
    *(f"signal:{name}" for name in SIGNALS),
)


@dataclass(frozen=True, slots=True)
class Share:
    """Of how many images something holds.

    Attributes:
        yes, no, unknown: numbers of images that it was asked of.
    """

    yes: int
    no: int
    unknown: int = 0

    @property
    def n(self) -> int:
        """Images that it was asked of."""
        return self.yes + self.no + self.unknown

    @property
    def holds(self) -> bool | None:
        """True if it holds for all, False if it fails for one, None if some are unknown or there are none."""
        if self.no:
            return False
        return True if self.yes and not self.unknown else None

    def __str__(self) -> str:
        if not self.yes + self.no:
            return f"unknown for all {self.n}" if self.n else "asked of no image"
        known = f"{self.yes} of {self.n} images"
        return f"{known}, {self.unknown} unknown" if self.unknown else known


class Cell(Protocol):
    """Counts of one edit and layer, as `audit.provenance.survive` gives them."""

    @property
    def edit(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def kept(self) -> int: ...
    @property
    def broken(self) -> int: ...
    @property
    def gone(self) -> int: ...
    @property
    def missing(self) -> int: ...


def is_evidence(name: str) -> bool:
    """Whether evidence can have this name."""
    kind, *rest = name.split(":")
    if kind == "survival":
        return len(rest) == _EDIT_AND_LAYER and all(rest)
    known: Mapping[str, Mapping[str, object]] = {"rubric": CHECKS, "signal": SIGNALS}
    return name in EVIDENCE or (len(rest) == 1 and rest[0] in known.get(kind, {}))


def evidence_of(
    verified: Verified,
    crjson: Mapping[str, Any] | None,
    *,
    watermark: Reading | None = None,
    xmp_source_type: bool | None = None,
) -> dict[str, bool | None]:
    """Evidence from one image.

    Args:
        verified: verdict on it.
        crjson: its crJSON document (`read_crjson`), None where it has no credentials that can be read.
        watermark: what was read from its pixels; None: nobody looked.
        xmp_source_type: whether its XMP metadata declares the output of a trained model; None: nobody looked.

    Returns:
        Yes, no or unknown (None) by name. What does not apply to the image is left out. What credentials say counts
        only if they hold.
    """
    looked = {
        "watermark.found": watermark.found if watermark else None,
        "watermark.matches": False if watermark else None,
        "xmp.source_type": xmp_source_type,
    }
    if verified.state is State.UNDETERMINED:
        return {**dict.fromkeys(_NAMES), **looked, "watermark.matches": None}
    if crjson is None:
        return {**dict.fromkeys(_NAMES, False), **looked}
    if not verified.state.verified:
        said = (name for name in _NAMES if not name.startswith("rubric:"))
        return {**dict.fromkeys(said, False), **_rubric(crjson), **looked}
    lineage = list(_lineage(crjson))
    return {
        "verified": True,
        "trusted": verified.state in _TRUSTED,
        "declares_ai": verified.ai,
        "identifier": bool(lineage[0].label),
        **_stamped(verified),
        **_said(lineage),
        **_parent(lineage),
        **_rubric(crjson),
        **{f"signal:{name}": name in signals_of(lineage[0]) for name in SIGNALS},
        **looked,
        **({"watermark.matches": _leads_to(watermark, lineage)} if watermark else {}),
    }


def combine(many: Iterable[Mapping[str, bool | None]]) -> dict[str, Share]:
    """Evidence over many images: of how many each thing holds, among those that it was asked of."""
    counts: dict[str, list[int]] = {}
    for evidence in many:
        for name, value in evidence.items():
            row = counts.setdefault(name, [0, 0, 0])
            row[2 if value is None else int(not value)] += 1
    return {name: Share(*row) for name, row in sorted(counts.items())}


def survival_evidence(cells: Iterable[Cell]) -> dict[str, Share]:
    """``survival:<edit>:<layer>`` from a survival measurement; images that could not be edited are unknown."""
    return {
        f"survival:{cell.edit}:{cell.layer}": Share(cell.kept, cell.broken + cell.gone, cell.missing) for cell in cells
    }


def _lineage(crjson: Mapping[str, Any]) -> Iterator[View]:
    """The active manifest and its parents, nearest first; other ingredients are not the same picture."""
    views = [View.of(manifest) for manifest in sequence(crjson.get("manifests"))]
    known = {view.label: view for view in views}
    current, seen = views[0] if views else None, set[str]()
    while current is not None and current.label not in seen:
        yield current
        seen.add(current.label)
        parents = (data for _, data in current.ingredients() if data["relationship"] == "parentOf")
        urls = (text(mapping(data.get("activeManifest")).get("url")) for data in parents)
        labels = (url.partition("/c2pa/")[2].partition("/")[0] for url in urls)
        current = next((known[label] for label in labels if label in known), None)


def _stamped(verified: Verified) -> dict[str, bool | None]:
    state = verified.timestamp.state if verified.timestamp else None
    return {"timestamped": state in {"trusted", "untrusted"}, "timestamped.trusted": state == "trusted"}


def _said(lineage: list[View]) -> dict[str, bool | None]:
    created = [action for view in lineage for _, action in view.named("c2pa.created")]
    agents = [action.get("softwareAgent") for action in created]
    maps = [mapping(agent) for agent in agents]
    return {
        "signer.named": _signer_named(lineage[0]),
        "system.named": any(isinstance(agent, str) and agent for agent in agents) or any(m.get("name") for m in maps),
        "system.version": any(bool(agent.get("name") and agent.get("version")) for agent in maps),
        "created.time": any(bool(action.get("when")) for action in created),
        "watermark.bound": any(label.startswith("c2pa.soft-binding") for view in lineage for label in view.assertions),
    }


def _signer_named(view: View) -> bool:
    certificate = mapping(mapping(view.raw.get("signature")).get("certificateInfo"))
    subject = mapping(certificate.get("subject"))
    name = text(subject.get("O")) or text(subject.get("CN"))
    return bool(name) and DEVELOPMENT_LABEL not in name


def _parent(lineage: list[View]) -> dict[str, bool | None]:
    parents = [data for view in lineage for _, data in view.ingredients() if data["relationship"] == "parentOf"]
    return {"parent.kept": all(data.get("activeManifest") is not None for data in parents)} if parents else {}


def _leads_to(reading: Reading, lineage: list[View]) -> bool:
    payload = reading.payload
    return payload is not None and any(payload == payload_of(view.label, 8 * len(payload)) for view in lineage)


def _rubric(crjson: Mapping[str, Any]) -> dict[str, bool | None]:
    checks = check(crjson)
    applied = (one for one in checks if one.outcome is not Outcome.NOT_APPLICABLE)
    named: dict[str, bool | None] = {f"rubric:{one.id}": one.outcome is Outcome.PASS for one in applied}
    return {**named, "rubric:conformance": passes(checks, Rubric.CONFORMANCE)}
