# SPDX-License-Identifier: Apache-2.0
"""Signals: what one manifest says about where an image comes from, as the C2PA local signals rubric 1.0 reads it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from audit.provenance.rubric import _vocabulary as names
from audit.provenance.rubric._view import ACTIONS, View, mapping, one_of, sequence, text

__all__ = ["SIGNALS", "signals_of"]

_INGREDIENT: Final = "c2pa.ingredient.v3"
_EMPTY: Final = "http://c2pa.org/digitalsourcetype/empty"
_ORIGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "blankCanvas": (_EMPTY,),
    "capturedMedia": (f"{names.IPTC}digitalCapture", f"{names.IPTC}computationalCapture"),
    "capturedMediaStitched": (f"{names.IPTC}compositeCapture",),
    "compositionMayContainGenAI": (f"{names.IPTC}composite",),
    "fullyGenAIMedia": (f"{names.IPTC}trainedAlgorithmicMedia",),
    "nonGenAIDigitalCreation": (f"{names.IPTC}digitalCreation",),
    "partlyGenAICreation": (f"{names.IPTC}compositeWithTrainedAlgorithmicMedia",),
    "screenCaptureMayContainGenAI": (f"{names.IPTC}screenCapture",),
}
#: Name in the C2PA rubric (without its "signal_"), and what it means.
SIGNALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "blankCanvas": "started as an empty canvas",
        "capturedMedia": "captured by a device",
        "capturedMediaStitched": "put together from captures",
        "compositionMayContainGenAI": "a composition that may hold the output of a trained model",
        "fullyGenAIMedia": "wholly the output of a trained model",
        "mediaUnknownProvenance": "made with something that has no credentials",
        "nonGenAIDigitalCreation": "drawn by a person with software",
        "partlyGenAICreation": "a composition with the output of a trained model",
        "screenCaptureMayContainGenAI": "a screen capture, of anything",
        "ambiguousActions": "its history is incomplete, unclear or not vouched for",
        "nonEditorial": "changed in ways that do not alter what is seen",
        "perceptibleGenAI": "visibly changed by a trained model",
        "perceptibleNonGenAI": "visibly changed without a trained model",
        "perceptiblePossiblyGenAI": "visibly changed, possibly by a trained model",
    }
)


def signals_of(view: View) -> tuple[str, ...]:
    """The signals of one manifest, in the order of `SIGNALS`."""
    assertion = mapping(view.assertions.get(ACTIONS))
    actions = [mapping(action) for action in sequence(assertion.get("actions"))]
    origins = {_source(action) for action in actions if one_of(action.get("action"), names.INCEPTION)}
    given = {name for name, kinds in _ORIGINS.items() if origins & set(kinds)}
    if _INGREDIENT in view.assertions and mapping(view.assertions[_INGREDIENT]).get("activeManifest") is None:
        given.add("mediaUnknownProvenance")
    if _ambiguous(view, assertion, [text(a["action"]) for a in actions if a.get("action") is not None]):
        given.add("ambiguousActions")
    given |= _changes(actions)
    return tuple(name for name in SIGNALS if name in given)


def _ambiguous(view: View, assertion: Mapping[str, Any], actions: list[str]) -> bool:
    if not sequence(assertion.get("actions")) or assertion.get("allActionsIncluded") is not True:
        return True
    if any(name == "c2pa.unknown" or not name.startswith("c2pa.") for name in actions):
        return True
    gathered = (text(mapping(item).get("url")) for item in sequence(view.claim.get("gathered_assertions")))
    return any("c2pa.actions" in url for url in gathered)


def _changes(actions: list[Mapping[str, Any]]) -> set[str]:
    quiet = [one_of(action.get("action"), names.NON_EDITORIAL) for action in actions]
    given = {"nonEditorial"} if any(quiet) else set()
    silent = names.INCEPTION | names.NON_EDITORIAL
    named = [action for action in actions if action.get("action") is not None]
    for action in named:
        if one_of(action["action"], silent) or action.get("digitalSourceType") is None:
            continue
        kind = _source(action)
        given.add("perceptibleGenAI" if kind in names.GENERATIVE else "perceptibleNonGenAI")
        if kind in names.POSSIBLY_GENERATIVE:
            given.add("perceptiblePossiblyGenAI")
    return given


def _source(action: Mapping[str, Any]) -> str:
    return text(action.get("digitalSourceType"))
