# SPDX-License-Identifier: Apache-2.0
"""Names that the C2PA specification 2.4, the C2PA asset rubrics 1.0 (2026-08-06) and IPTC define."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALLOWED_ACTIONS",
    "ALLOWED_ASSERTIONS",
    "CODES_MALFORMED",
    "CODES_MISMATCH",
    "CODES_UNTRUSTED",
    "DEPRECATED_ACTIONS",
    "DEPRECATED_ASSERTIONS",
    "GENERATIVE",
    "INCEPTION",
    "IPTC",
    "NON_EDITORIAL",
    "POSSIBLY_GENERATIVE",
    "SOURCE_TYPES",
    "STANDARD_PARAMETERS",
]


def _under(prefix: str, words: str) -> frozenset[str]:
    return frozenset(f"{prefix}{word}" for word in words.split())


def _c2pa(words: str) -> frozenset[str]:
    return _under("c2pa.", words)


INCEPTION: Final = _c2pa("created opened")
NON_EDITORIAL: Final = _c2pa(
    "converted published repackaged transcoded resized.proportional enhanced edited.metadata "
    "watermarked watermarked.bound watermarked.unbound redacted"
)
_PERCEPTIBLE: Final = _c2pa(
    "addedText adjustedColor changedSpeed color_adjustments cropped deleted drawing dubbed edited filtered mastered "
    "mixed orientation placed remixed removed resized translated trimmed unknown"
)
ALLOWED_ACTIONS: Final = INCEPTION | NON_EDITORIAL | _PERCEPTIBLE
DEPRECATED_ACTIONS: Final = _c2pa(
    "copied formatted version_updated printed managed produced saved color_adjustments watermarked"
)
ALLOWED_ASSERTIONS: Final = _c2pa(
    "hash.data hash.data.part actions.v2 ingredient.v3 hash.boxes hash.bmff.v3 hash.collection.data soft-binding "
    "cloud-data embedded-data metadata certificate-status asset-ref asset-type.v2 hash.multi-asset thumbnail.claim "
    "thumbnail.ingredient depthmap.GDepth icon alternative-content-representation external-reference session-keys "
    "environmental-sustainability repository-receipt ai-disclosure assertion.metadata time-stamp"
)
DEPRECATED_ASSERTIONS: Final = _c2pa("claim hash.bmff.v2 asset-type ingredient ingredient.v2 actions")
STANDARD_PARAMETERS: Final = _under(
    "",
    "redacted ingredients ingredient description relatedAssertions sourceLanguage targetLanguage multipleInstances "
    "ranges weight width italic slant optical-size",
)

IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_C2PA: Final = "http://c2pa.org/digitalsourcetype/"
GENERATIVE: Final = _under(
    IPTC, "trainedAlgorithmicMedia compositeWithTrainedAlgorithmicMedia compositeSynthetic"
) | _under(_C2PA, "trainedAlgorithmicData")
POSSIBLY_GENERATIVE: Final = _under(IPTC, "digitalArt composite")
_NOT_GENERATIVE: Final = _under(
    IPTC,
    "digitalCapture computationalCapture negativeFilm positiveFilm print humanEdits minorHumanEdits digitalCreation "
    "algorithmicallyEnhanced dataDrivenMedia algorithmicMedia screenCapture virtualRecording compositeCapture "
    "softwareImage",
) | _under(_C2PA, "empty")
#: Every digital source type of IPTC (retired ones included) and of C2PA.
SOURCE_TYPES: Final = GENERATIVE | POSSIBLY_GENERATIVE | _NOT_GENERATIVE

#: Failure codes of a manifest that is put together wrongly.
CODES_MALFORMED: Final = (
    _under(
        "assertion.",
        "action.malformed bmffHash.malformed boxesHash.malformed collectionHash.malformed dataHash.malformed "
        "ingredient.malformed multiAssetHash.malformed external-reference.malformed external-reference.labelMismatch "
        "external-reference.created alternativeContentRepresentation.malformed "
        "alternativeContentRepresentation.missing cbor.invalid json.invalid boxesHash.unknownBox multipleHardBindings",
    )
    | _under("claim.", "cbor.invalid hardBindings.missing malformed missing multiple")
    | _under(
        "manifest.",
        "compressed.invalid html.multipleManifests inaccessible multipleParents structuredText.emptyReference "
        "structuredText.malformedReference structuredText.multipleReferences structuredText.noManifest "
        "structuredText.noResolutionPath timestamp.invalid timestamp.wrongParents update.invalid update.wrongParents",
    )
    | _under("", "hashedURI.missing ingredient.manifest.missing")
)
#: Failure codes of a manifest that does not fit its file, or whose parts do not fit together.
CODES_MISMATCH: Final = (
    _under(
        "assertion.",
        "action.ingredientMismatch action.redactionMismatch bmffHash.mismatch boxesHash.mismatch "
        "collectionHash.mismatch dataHash.mismatch external-reference.hashMismatch "
        "alternativeContentRepresentation.hashMismatch multiAssetHash.mismatch hashedURI.mismatch hardBinding.redacted",
    )
    | _under("ingredient.", "manifest.mismatch claimSignature.missing claimSignature.mismatch")
    | _under("", "hashedURI.mismatch claimSignature.missing")
)
#: Failure codes of a signature that does not hold, or whose signer is not trusted.
CODES_UNTRUSTED: Final = _under("claimSignature.", "mismatch outsideValidity") | _under(
    "signingCredential.", "invalid ocsp.revoked untrusted"
)
