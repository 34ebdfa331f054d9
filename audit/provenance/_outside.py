# SPDX-License-Identifier: Apache-2.0
"""Judge a manifest without its file: all must hold but the hash over the file, which cannot."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from audit.errors import ConfigError
from audit.provenance._engine import library, verify_context
from audit.provenance._judge import Reading, judge
from audit.provenance._sayings import gave_up
from audit.provenance._strict import DEFECTS, store_defects
from audit.provenance._verdict import Verified
from audit.provenance.state import State
from audit.provenance.store import Kept
from audit.provenance.trust import TrustList

__all__ = ["verdict_on"]

# An empty stream stands for the file, so exactly these fail.
_EXPECTED: Final = frozenset({"assertion.dataHash.mismatch", "assertion.bmffHash.mismatch"})
_KINDS: Final = {"signers": "manifest", "timestamps": "tsa", "any": "manifest"}
_NEEDED: Final = frozenset({"claimSignature.validated", "assertion.hashedURI.match"})
_UNTRUSTED: Final = "signingCredential.untrusted"
_TRUSTED: Final = "signingCredential.trusted"


def verdict_on(kept: Kept, *, algorithm: str, payload: str, lists: Sequence[TrustList] = ()) -> Verified:
    """The verdict on a kept manifest: its signature, certificate and assertions hold, and it names this mark.

    Args:
        kept: from a store, which is not believed either: anybody may have written the file.
        algorithm: of the mark that led here.
        payload: of the mark (hex).
        lists: what is trusted.

    Returns:
        As of a file, but for the hash over the file's bytes, which nobody can check. INVALID where anything else does
        not hold.
    """
    if not kept.intact:
        return _invalid("the store's copy has changed since it was kept", "genaudit.store.changed")
    if found := tuple(store_defects(kept.manifest)):
        return _invalid("; ".join(DEFECTS.get(code, code) for code in found), *found)
    try:
        verdict = _read(kept.manifest, lists)
    except ConfigError as error:
        return Verified(State.UNDETERMINED, codes=("genaudit.library",), message=error.message, hint=error.hint or "")
    return _fitting(verdict, kept, algorithm, payload) if verdict.state.verified else verdict


def _fitting(verdict: Verified, kept: Kept, algorithm: str, payload: str) -> Verified:
    """The verdict, if it was positive and about what was looked for."""
    if missing := _NEEDED - {*verdict.passed}:
        return _invalid(f"not found in order: {', '.join(sorted(missing))}", *sorted(missing))
    if verdict.manifest_id != kept.manifest_id:
        return _invalid(f"it calls itself {verdict.manifest_id}", "genaudit.store.name")
    named = verdict.watermark
    if named is None or named.algorithm != algorithm or (named.value or "").lower() != payload.lower():
        return _invalid("it does not name the mark that led to it", "genaudit.softBinding.mismatch")
    return verdict


def _read(manifest: bytes, lists: Sequence[TrustList]) -> Verified:
    c2pa = library()

    def context(some: Sequence[TrustList]) -> Any:
        return verify_context(lists=tuple((one.pem, one.uri, _KINDS[one.kind]) for one in some))

    def store(some: Sequence[TrustList]) -> Mapping[str, Any]:
        with c2pa.Reader("image/png", io.BytesIO(b""), manifest, context=context(some)) as reader:
            return _without_file(json.loads(reader.json()))

    try:
        with c2pa.Reader("image/png", io.BytesIO(b""), manifest, context=context(lists)) as reader:
            details = reader.crjson
            reading = Reading(_without_file(json.loads(reader.json())), again=store, details=lambda: _table(details()))
            return judge(reading, lists)
    except c2pa.C2paError as error:
        return replace(gave_up(error, traces=False), state=State.INVALID)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return _invalid(f"cannot be read: {type(error).__name__}", "Json")


def _table(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}


def _without_file(store: dict[str, Any]) -> Mapping[str, Any]:
    """The library's report as it would be had it not looked at the file."""
    mine = store["validation_results"]["activeManifest"]
    failures = mine.get("failure") or []
    if not any(item["code"] in _EXPECTED for item in failures):
        raise ValueError("a manifest that fits an empty file is bound to nothing")
    left = [item for item in failures if item["code"] not in _EXPECTED]
    # As for files, an identity assertion (CAWG) that does not hold leaves the manifest as it is.
    codes = {item["code"] for item in left if not item["code"].startswith("cawg.")}
    passed = {item["code"] for item in mine.get("success") or []}
    state = "Invalid" if codes - {_UNTRUSTED} else "Trusted" if _TRUSTED in passed and not codes else "Valid"
    results = {**store["validation_results"], "activeManifest": {**mine, "failure": left}}
    return {**store, "validation_state": state, "validation_results": results}


def _invalid(text: str, *codes: str) -> Verified:
    return Verified(State.INVALID, codes=codes, message=f"invalid: {text}")
