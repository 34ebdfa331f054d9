# SPDX-License-Identifier: Apache-2.0
"""Verdicts on Content Credentials for build servers: JUnit XML and SARIF 2.1.0. Same verdicts, same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from audit.provenance import State, Verified
from audit.render.format import clean

__all__ = ["Row", "junit", "sarif"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
_MEANINGS: Final = {
    State.ABSENT: "The file carries no credentials.",
    State.REMOTE_ONLY: "The file only points at credentials elsewhere; the pointer is not followed.",
    State.UNREADABLE: "The file, or the credentials in it, cannot be parsed.",
    State.INVALID: "The credentials do not fit the file, or their signature does not hold.",
    State.BAD_INGREDIENT: "Intact, but made from something whose credentials are broken.",
    State.VALID_UNTRUSTED: "Intact, but no trust list in force vouches for the signer.",
    State.NO_TIMESTAMP: "Trusted, but no trusted authority vouches for the time of signing.",
    State.TRUSTED: "Intact, the signer is on a trust list, and the time is vouched for.",
    State.UNDETERMINED: "The credentials could not be checked.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One image.

    Attributes:
        name: path, or place in an archive or table.
        verdict: what was found.
        met: whether that is what was required.
    """

    name: str
    verdict: Verified
    met: bool


def junit(rows: Sequence[Row], *, required: str, when: str | None = None) -> bytes:
    """One test case an image: failed where the requirement is not met, an error where nothing could be said.

    Args:
        rows: the images.
        required: what was required, in a word.
        when: ISO 8601 without offset.
    """
    undecided = [not row.met and row.verdict.state is State.UNDETERMINED for row in rows]
    failed = [not row.met and not open_ for row, open_ in zip(rows, undecided, strict=True)]
    totals = {
        "tests": str(len(rows)),
        "failures": str(sum(failed)),
        "errors": str(sum(undecided)),
        "skipped": "0",
        "time": "0",
    }
    root = ET.Element("testsuites", {"name": "genaudit verify", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": f"credentials: {required}", **totals})
    if when:
        suite.set("timestamp", when)
    for row, open_ in zip(rows, undecided, strict=True):
        suite.append(_case(row, open_=open_))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'.encode()


def _case(row: Row, *, open_: bool) -> ET.Element:
    verdict = row.verdict
    case = ET.Element("testcase", {"name": _text(row.name), "classname": "credentials", "time": "0"})
    properties = ET.SubElement(case, "properties")
    told = {
        "state": verdict.state.value,
        "codes": ", ".join(verdict.codes),
        "warnings": ", ".join(verdict.warnings),
        "issuer": verdict.issuer,
        "manifest": verdict.manifest_id,
        "trust list": verdict.trust_list.sha256 if verdict.trust_list else None,
    }
    for name, value in told.items():
        if value:
            ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    if not row.met:
        said = _text(verdict.message)
        problem = ET.SubElement(case, "error" if open_ else "failure", {"type": verdict.state.value, "message": said})
        problem.text = _text(f"{verdict.message}. {verdict.hint}".strip())
    return case


def sarif(rows: Sequence[Row], *, version: str) -> bytes:
    """A log with one result for every image that does not meet the requirement, and one for every warning.

    Args:
        rows: the images.
        version: of this tool.
    """
    results = [result for row in rows for result in _results(row)]
    states = [
        {
            "id": state.value,
            "shortDescription": {"text": meaning},
            "defaultConfiguration": {"level": "error"},
        }
        for state, meaning in _MEANINGS.items()
    ]
    codes = sorted({str(result["ruleId"]) for result in results} - {state.value for state in State})
    rules = [*states, *({"id": code, "defaultConfiguration": {"level": "warning"}} for code in codes)]
    tool = {"driver": {"name": "genaudit verify", "version": version, "rules": rules}}
    run = {"tool": tool, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(log, indent=2, sort_keys=True) + "\n").encode()


def _results(row: Row) -> list[dict[str, Any]]:
    verdict = row.verdict
    found = [] if row.met else [_result(row, verdict.state.value, "error", verdict.message)]
    return found + [_result(row, code, "warning", f"{code} ({verdict.state})") for code in verdict.warnings]


def _result(row: Row, rule: str, level: str, text: str) -> dict[str, Any]:
    path, _, inside = row.name.partition("::")
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}
    if inside:
        place["logicalLocations"] = [{"fullyQualifiedName": clean(row.name)}]
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": clean(text)},
        "locations": [place],
        "properties": {"codes": list(row.verdict.codes), "hint": clean(row.verdict.hint)},
    }


def _uri(path: str) -> str:
    """RFC 3986: relative paths stay relative, so that the log fits a checkout anywhere."""
    return quote(path.replace("\\", "/").encode("utf-8", "surrogateescape"), safe="/")


def _text(value: object) -> str:
    return _FORBIDDEN.sub("", clean(value))
