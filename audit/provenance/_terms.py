# SPDX-License-Identifier: Apache-2.0
"""Digital source types that exist: the library accepts any text there, so the vocabulary is checked here.

Sources: IPTC NewsCodes, scheme "Digital Source Type", as of October 2024; C2PA technical specification 2.2, section on
actions, for the two terms of its own.
"""

from __future__ import annotations

from typing import Final

__all__ = ["declares_ai", "is_known", "is_retired"]

_IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_C2PA: Final = "http://c2pa.org/digitalsourcetype/"
_CURRENT: Final = (
    "algorithmicMedia",
    "algorithmicallyEnhanced",
    "composite",
    "compositeCapture",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "computationalCapture",
    "dataDrivenMedia",
    "digitalCapture",
    "digitalCreation",
    "humanEdits",
    "negativeFilm",
    "positiveFilm",
    "print",
    "screenCapture",
    "trainedAlgorithmicMedia",
    "virtualRecording",
)
_RETIRED: Final = frozenset(_IPTC + term for term in ("digitalArt", "minorHumanEdits", "softwareImage"))
_KNOWN: Final = frozenset(_IPTC + term for term in _CURRENT) | {_C2PA + "empty", _C2PA + "trainedAlgorithmicData"}
#: Terms whose definition says that a trained (generative) model made the picture or a part of it.
_AI: Final = frozenset(
    _IPTC + term for term in ("compositeSynthetic", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia")
) | {_C2PA + "trainedAlgorithmicData"}


def is_known(term: str) -> bool:
    """Whether the vocabulary has the term, in exactly this spelling; retired ones count."""
    return term in _KNOWN or term in _RETIRED


def is_retired(term: str) -> bool:
    """Whether the term may still be read but no longer be written."""
    return term in _RETIRED


def declares_ai(term: str) -> bool:
    """Whether the term declares the output of a trained model; "https" for "http" is a slip that hides nothing."""
    return term in _AI or term.replace("https://", "http://", 1) in _AI
