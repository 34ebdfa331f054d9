# SPDX-License-Identifier: Apache-2.0
"""JUnit XML: one suite a metric family, one test case a finding.

A finding that is inconclusive or was not run is an error and never skipped: most build servers show skipped as green.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from audit.policy.missing import without_image
from audit.render.format import clean, n_text, slice_words, value_text
from audit.render.report import Report
from audit.types import Decision, Estimate, Finding, family_of

__all__ = ["RENDERER", "JunitRenderer"]

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
_ERRORS = {Decision.INCONCLUSIVE: "Inconclusive", Decision.NOT_RUN: "NotRun"}
Element = ET.Element


@dataclass(frozen=True, slots=True)
class JunitRenderer:
    """The common subset of JUnit XML that build servers read."""

    name: str = "junit"
    suffix: str = ".xml"

    def render(self, report: Report, /) -> bytes:
        """The document as UTF-8 with an XML declaration."""
        findings = report.verdict.findings if report.verdict else (_unjudged(),)
        root = ET.Element("testsuites", {"name": _text(report.manifest.get("name", "audit")), **_totals(findings)})
        for family in dict.fromkeys(map(_family, findings)):
            mine = [finding for finding in findings if _family(finding) == family]
            suite = ET.SubElement(root, "testsuite", {"name": _text(family), **_totals(mine)})
            if report.manifest.get("finished"):
                suite.set("timestamp", _text(report.manifest["finished"]).removesuffix("+00:00"))
            for finding in mine:
                suite.append(_case(finding, family))
        ET.indent(root)
        body = ET.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()


RENDERER = JunitRenderer()


def _unjudged() -> Finding:
    return Finding("policy", Decision.NOT_RUN, "no policy was applied to this run")


def _text(value: object) -> str:
    return _FORBIDDEN.sub("", clean(value))


def _family(finding: Finding) -> str:
    return family_of(finding.evidence[0].metric) if finding.evidence else "policy"


def _totals(findings: Iterable[Finding]) -> dict[str, str]:
    decisions = [finding.decision for finding in findings]
    return {
        "tests": str(len(decisions)),
        "failures": str(decisions.count(Decision.FAIL)),
        "errors": str(sum(decision in _ERRORS for decision in decisions)),
        "skipped": "0",
        "time": "0",
    }


def _case(finding: Finding, family: str) -> Element:
    first = finding.evidence[0] if finding.evidence else None
    name = f"{finding.rule}: {slice_words(first.slice, probe=True)}" if first else finding.rule
    generator = first.generator if first else "all"
    case = ET.Element("testcase", {"name": _text(name), "classname": _text(f"{family}.{generator}"), "time": "0"})
    properties = ET.SubElement(case, "properties")
    for key, value in _properties(finding, first):
        ET.SubElement(properties, "property", {"name": key, "value": _text(value)})
    message = _text(finding.message)
    if finding.decision is Decision.FAIL:
        ET.SubElement(case, "failure", {"type": "PolicyViolation", "message": message}).text = message
    elif finding.decision in _ERRORS:
        kind = _ERRORS[finding.decision]
        ET.SubElement(case, "error", {"type": kind, "message": message}).text = message
    elif finding.decision is Decision.WAIVED:
        note = f"WAIVED: {message} ({_text(finding.waiver or 'no details')})"
        ET.SubElement(case, "system-out").text = note
    elif any(map(without_image, finding.evidence)):  # it passes on the images that came: say how many did not
        ET.SubElement(case, "system-out").text = message
    return case


def _properties(finding: Finding, estimate: Estimate | None) -> Iterable[tuple[str, str]]:
    yield "decision", str(finding.decision)
    if finding.limit:
        yield "limit", finding.limit
    if estimate is not None:
        yield "metric", f"{estimate.metric} v{estimate.version}"
        yield "value", value_text(estimate)
        yield "n", n_text(estimate)
        yield "fingerprint", estimate.fingerprint
