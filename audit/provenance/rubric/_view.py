# SPDX-License-Identifier: Apache-2.0
"""One manifest of a crJSON document, seen without trusting its shape: anybody can write anything into a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ACTIONS", "Found", "View", "base_label", "mapping", "one_of", "sequence", "text"]

ACTIONS: Final = "c2pa.actions.v2"
CLAIM: Final = "claim.v2"
RESULTS: Final = "validationResults"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a check found something.

    Attributes:
        manifest: its label, "urn:c2pa:...".
        part: label of the assertion, or "claim.v2", "validationResults" or "signature".
        what: the value or, where there is none to show, what is wrong in a few words.
    """

    manifest: str
    part: str
    what: str

    def __str__(self) -> str:
        return f"{self.part}: {self.what}"


@dataclass(frozen=True, slots=True)
class View:
    """One manifest.

    Attributes:
        label: of the manifest, "" where it has none.
        raw: the manifest as read.
    """

    label: str
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, manifest: Any) -> View:
        """A view of one entry of ``manifests``."""
        raw = mapping(manifest)
        return cls(text(raw.get("label")), raw)

    @property
    def assertions(self) -> Mapping[str, Any]:
        """Assertions by label."""
        return mapping(self.raw.get("assertions"))

    @property
    def claim(self) -> Mapping[str, Any]:
        """The claim, empty where it is of version 1."""
        return mapping(self.raw.get(CLAIM))

    @property
    def generator_info(self) -> Mapping[str, Any]:
        """``claim_generator_info``: one map, which some writers put into a list."""
        info = self.claim.get("claim_generator_info")
        return mapping(info[0] if isinstance(info, list) and info else info)

    def values(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Label and data of each assertion whose data is a map."""
        return ((label, data) for label, data in self.assertions.items() if isinstance(data, Mapping))

    def actions(self) -> list[tuple[str, Mapping[str, Any]]]:
        """All actions in order, each with the label of its assertion."""
        return [(label, mapping(one)) for label, data in self.values() for one in sequence(data.get("actions"))]

    def named(self, *names: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The actions of these names."""
        return [(label, action) for label, action in self.actions() if action.get("action") in names]

    def ingredients(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Assertions that state a relationship, which only ingredients do."""
        return [(label, data) for label, data in self.values() if data.get("relationship") is not None]

    def listed(self, kind: str) -> list[str]:
        """Labels in ``created_assertions`` or ``gathered_assertions`` of the claim, in order."""
        urls = (text(mapping(item).get("url")) for item in sequence(self.claim.get(kind)))
        return [url.rpartition("/")[2] for url in urls]

    def codes(self, kind: str) -> list[str]:
        """Codes of the reader's results: "success", "informational" or "failure"."""
        results = mapping(self.raw.get(RESULTS))
        return [text(mapping(item).get("code")) for item in sequence(results.get(kind))]

    def found(self, part: str, what: Any) -> Found:
        """Something found in this manifest; long values are cut."""
        shown = text(what)
        return Found(self.label, part, shown if len(shown) <= 200 else f"{shown[:200]}...")


def base_label(label: str) -> str:
    """``label`` without the counter of repeated assertions: "c2pa.metadata__2" is a "c2pa.metadata"."""
    return label.partition("__")[0]


def mapping(value: Any) -> Mapping[str, Any]:
    """``value``, or an empty map where it is none."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """``value``, or an empty list where it is none."""
    return value if isinstance(value, list | tuple) else ()


def one_of(value: Any, names: Set[str]) -> bool:
    """Whether ``value`` is one of ``names``; a list or a map in a name's place is none of them."""
    return isinstance(value, str) and value in names


def text(value: Any) -> str:
    """``value`` as text, "" for None."""
    return "" if value is None else str(value)
