# SPDX-License-Identifier: Apache-2.0
"""Checks of labels, ingredients and other assertions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit.provenance.rubric import _vocabulary as names
from audit.provenance.rubric._model import Rule
from audit.provenance.rubric._view import Found, View, base_label, mapping, text

__all__ = ["RULES"]

_RELATIONSHIPS: Final = frozenset({"parentOf", "inputTo", "componentOf"})
_BOXES: Final = "c2pa.hash.boxes"
_NEVER_EXTERNAL: Final = frozenset({"c2pa.actions", "c2pa.actions.v2", "c2pa.cloud-data", "c2pa.external-reference"})


def _deprecated(view: View) -> Sequence[Found] | None:
    labels = view.assertions
    wrong = [label for label in labels if label.startswith("stds.") or label in names.DEPRECATED_ASSERTIONS]
    return [view.found(label, "deprecated") for label in wrong]


def _unknown(view: View) -> Sequence[Found] | None:
    known = names.ALLOWED_ASSERTIONS | names.DEPRECATED_ASSERTIONS
    wrong = [name for name in view.assertions if name.startswith("c2pa.") and base_label(name) not in known]
    return [view.found(label, "not in the specification") for label in wrong]


def _without_namespace(view: View) -> Sequence[Found] | None:
    custom = [label for label in view.assertions if not label.startswith("c2pa.")]
    return [view.found(label, "no namespace") for label in custom if "." not in label] if custom else None


def _rated_by_people(view: View) -> Sequence[Found] | None:
    rated = [(label, data) for label, data in view.values() if data.get("reviewRatings") is not None]
    if not rated:
        return None
    kinds = [(label, text(mapping(data.get("dataSource")).get("type"))) for label, data in rated]
    people = ("humanEntry.anonymous", "humanEntry.credentialed")
    return [view.found(label, f"reviewRatings of {kind}") for label, kind in kinds if kind in people]


def _results_without_manifest(view: View) -> Sequence[Found] | None:
    return _ingredients_with(view, present="validationResults", absent="activeManifest")


def _manifest_without_results(view: View) -> Sequence[Found] | None:
    return _ingredients_with(view, present="activeManifest", absent="validationResults")


def _ingredients_with(view: View, *, present: str, absent: str) -> Sequence[Found] | None:
    ingredients = view.ingredients()
    if not ingredients:
        return None
    wrong = [label for label, data in ingredients if data.get(present) is not None and data.get(absent) is None]
    return [view.found(label, f"{present} without {absent}") for label in wrong]


def _relationship(view: View) -> Sequence[Found] | None:
    ingredients = view.ingredients()
    if not ingredients:
        return None
    said = [(label, text(data["relationship"])) for label, data in ingredients]
    return [view.found(label, value) for label, value in said if value not in _RELATIONSHIPS]


def _manifest_and_source(view: View) -> Sequence[Found] | None:
    ingredients = view.ingredients()
    if not ingredients:
        return None
    both = ("activeManifest", "digitalSourceType")
    wrong = [label for label, data in ingredients if all(data.get(key) is not None for key in both)]
    return [view.found(label, " and ".join(both)) for label in wrong]


def _alternative_content(view: View) -> Sequence[Found] | None:
    kind = "exif.originalPreservationImage"
    found = [(label, data, mapping(data.get("parameters"))) for label, data in view.values()]
    found = [(label, data, more) for label, data, more in found if kind in (data.get("type"), more.get("type"))]
    if not found:
        return None
    ways = ("multiAssetPartIndex", "embeddedOriginalPreservationImage")
    counts = [(label, sum(more.get(way) is not None for way in ways)) for label, _, more in found]
    return [view.found(label, f"{count} of {' and '.join(ways)}") for label, count in counts if count != 1]


def _external(view: View) -> Sequence[Found] | None:
    keys = ("label", "url")
    references = [(label, data) for label, data in view.values() if _is_reference(data, keys)]
    if not references:
        return None
    return [view.found(label, data["label"]) for label, data in references if _never_external(text(data["label"]))]


def _is_reference(data: Mapping[str, Any], keys: Sequence[str]) -> bool:
    return all(data.get(key) is not None for key in keys) and data.get("relationship") is None


def _never_external(label: str) -> bool:
    return label in _NEVER_EXTERNAL or label.startswith(("c2pa.hash", "c2pa.ingredient"))


def _url_in_hash(view: View) -> Sequence[Found] | None:
    hashes = [label for label in ("c2pa.hash.data", "c2pa.hash.bmff.v3") if label in view.assertions]
    if not hashes:
        return None
    urls = [(label, mapping(view.assertions[label]).get("url")) for label in hashes]
    return [view.found(label, f"url {url}") for label, url in urls if url]


def _boxes_of_tiff(view: View) -> Sequence[Found] | None:
    if _BOXES not in view.assertions:
        return None
    kind = mapping(view.assertions.get("c2pa.asset-type.v2")).get("dc:format")
    return [view.found(_BOXES, kind)] if kind in ("image/tiff", "image/x-adobe-dng") else []


_INGREDIENT: Final = "C2PA 2.2, 18.15.12.4.3"
RULES: Final = (
    Rule("no_deprecated_assertions", "No assertion is deprecated", "C2PA 2.2, 6.3 and appendix C.1", _deprecated),
    Rule(
        "no_unsupported_assertions",
        "Every assertion with the prefix c2pa. stands in the specification",
        "C2PA 2.2, 6.2, 6.2.2 and 6.3",
        _unknown,
    ),
    Rule(
        "no_unrecognized_custom_assertions",
        "Other assertions carry the namespace of whoever defines them",
        "C2PA 2.2, 6.2.2",
        _without_namespace,
    ),
    Rule(
        "review_ratings_datasource",
        "What people entered themselves carries no review ratings",
        "C2PA 2.2, 18.3.3",
        _rated_by_people,
    ),
    Rule(
        "ingredient_v3_no_active_manifest",
        "An ingredient without credentials carries no validation results",
        _INGREDIENT,
        _results_without_manifest,
    ),
    Rule(
        "ingredient_v3_mandatory_validation_results",
        "An ingredient with credentials carries what validating them gave",
        _INGREDIENT,
        _manifest_without_results,
    ),
    Rule(
        "ingredient_relationship_values",
        "Ingredients are parents, components or inputs",
        "C2PA 2.2, 18.15.3",
        _relationship,
    ),
    Rule(
        "ingredient_v3_choice",
        "An ingredient has credentials or a source type of its own, not both",
        "C2PA 2.4, 18.16.12.3",
        _manifest_and_source,
    ),
    Rule(
        "alternative_content_representation_choice",
        "An original that is kept is kept in one place",
        "C2PA 2.4, 15.10.3.2.7",
        _alternative_content,
    ),
    Rule(
        "forbidden_labels_in_external_references",
        "Actions, hashes and ingredients stand in the file, not elsewhere",
        "C2PA 2.4, 15.10.3.2.2 and 18.24.1",
        _external,
    ),
    Rule("no_url_in_hashes", "Hashes name no address", "C2PA 2.4, 18.5 and 18.6", _url_in_hash),
    Rule(
        "no_box_hash_for_tiff",
        "TIFF files are not bound by box hashes",
        "C2PA 2.4, 18.7.3.3 and 15.10.1.2",
        _boxes_of_tiff,
    ),
)
