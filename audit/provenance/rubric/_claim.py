# SPDX-License-Identifier: Apache-2.0
"""Checks of the claim, and of what the reader found when it validated the manifest."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import partial
from typing import Final

from audit.provenance.rubric import _vocabulary as names
from audit.provenance.rubric._model import Rubric, Rule
from audit.provenance.rubric._view import CLAIM, RESULTS, Found, View

__all__ = ["RULES"]

_EXPECTED: Final = ["2", "4"]
_BOTH: Final = (Rubric.CONFORMANCE, Rubric.INTEGRITY)
_INTEGRITY: Final = (Rubric.INTEGRITY,)


def _spec_version(view: View) -> Sequence[Found] | None:
    version = view.generator_info.get("specVersion")
    if version is None:
        return [view.found(CLAIM, "no specVersion in claim_generator_info")]
    if isinstance(version, str) and version.split(".")[:2] == _EXPECTED:
        return []
    return [view.found(CLAIM, f"specVersion {version!r}")]


def _deprecated_field(view: View) -> Sequence[Found] | None:
    return [view.found(CLAIM, "specVersion in the claim itself")] if view.claim.get("specVersion") is not None else []


def _urn(view: View) -> Sequence[Found] | None:
    return [] if view.label.startswith("urn:c2pa:") else [view.found("label", view.label or "no label")]


def _results_missing(view: View) -> Sequence[Found] | None:
    return [] if view.raw.get(RESULTS) is not None else [view.found(RESULTS, "not there: nobody validated this")]


def _failed(view: View, *, codes: Set[str]) -> Sequence[Found] | None:
    return _results_missing(view) or [view.found(RESULTS, code) for code in view.codes("failure") if code in codes]


_CODES: Final = "C2PA 2.4, validation status codes"
RULES: Final = (
    Rule(
        "mandatory_spec_version",
        "The claim says that it follows version 2.4 of the specification",
        "C2PA conformance program 0.2",
        _spec_version,
    ),
    Rule(
        "no_deprecated_claim_fields",
        "The version of the specification stands where 2.4 puts it, not in the claim itself",
        "C2PA 2.4, 10.2.3.2 and 10.2.1",
        _deprecated_field,
    ),
    Rule("active_manifest_urn", "The manifest's label starts with urn:c2pa:", "C2PA 2.2, 8.1 and 10.2.1", _urn),
    Rule("well_formed_data_present", "The reader validated the structure", _CODES, _results_missing, _BOTH),
    Rule(
        "well_formed_success",
        "The manifest is put together as the specification says",
        _CODES,
        partial(_failed, codes=names.CODES_MALFORMED),
        _BOTH,
    ),
    Rule("valid_data_present", "The reader validated the hashes", _CODES, _results_missing, _BOTH),
    Rule(
        "valid_success",
        "The manifest fits the file, and its parts fit together",
        _CODES,
        partial(_failed, codes=names.CODES_MISMATCH),
        _BOTH,
    ),
    Rule("trusted_data_present", "The reader validated the signature", _CODES, _results_missing, _INTEGRITY),
    Rule(
        "trusted_success",
        "The signature holds, and its signer is on a trusted list",
        _CODES,
        partial(_failed, codes=names.CODES_UNTRUSTED),
        _INTEGRITY,
    ),
)
