# SPDX-License-Identifier: Apache-2.0
"""What a report says, before any markup: shared by the page and the Markdown summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.render.format import (
    DECISION_ORDER,
    attribute_words,
    clean,
    count,
    decision_words,
    group_words,
    metric_title,
    n_text,
    percent,
    slice_words,
    value_text,
)
from audit.render.report import Report
from audit.types import Decision, Estimate, Finding, Outcome, Status

__all__ = [
    "FindingLine",
    "Headline",
    "estimate_row",
    "finding_lines",
    "generator_rows",
    "headline",
    "instrument_rows",
    "limits",
    "outcome_rows",
    "probe_rows",
    "reproduction",
    "several_probes",
    "short",
]

MISFIT = 0.01  # answers less probable than this do not fit the instrument's measured error
_PURPOSES = {"bias": "Bias", "quality": "Image quality", "likeness": "Likeness to enrolled references"}


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict in one word, one sentence, and counts."""

    key: str  # "pass", "fail", "inconclusive", "not_run" (nothing judged)
    word: str
    why: str
    counts: tuple[tuple[str, str, int], ...]  # (key, word, how many)


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding, ready to print."""

    key: str
    word: str
    rule: str
    generator: str
    message: str
    limit: str
    waiver: str


def short(digest: object, length: int = 12) -> str:
    """The first digits of a digest, or what its absence means."""
    return clean(digest)[:length] if digest else "not visible"


def several_probes(report: Report) -> bool:
    """Whether slices have to name their probe set."""
    return len({e.slice["probe"] for e in report.estimates if "probe" in e.slice}) > 1


# -- verdict and findings --------------------------------------------------------------------------------------


def headline(report: Report) -> Headline:
    """The banner."""
    verdict = report.verdict
    if verdict is None:
        return Headline(
            "not_run", "NOT JUDGED", "No policy was applied: the numbers below stand without a judgement.", ()
        )
    counts = tuple((str(d), decision_words(d), verdict.count(d)) for d in DECISION_ORDER if verdict.count(d))
    return Headline(str(verdict.decision), decision_words(verdict.decision), _why(report, verdict.findings), counts)


def _why(report: Report, findings: Sequence[Finding]) -> str:
    total = len(findings)
    seen = Counter(finding.decision for finding in findings)
    policy = clean(report.verdict.policy) if report.verdict else ""
    if seen[Decision.FAIL]:
        rules = len({f.rule for f in findings if f.decision is Decision.FAIL})
        return (
            f"{seen[Decision.FAIL]} of {total} findings miss{_s(seen[Decision.FAIL])} a limit of policy “{policy}”, "
            f"in {rules} rule{'' if rules == 1 else 's'}: even the favourable end of the interval is beyond it."
        )
    open_ = seen[Decision.INCONCLUSIVE] + seen[Decision.NOT_RUN]
    if open_ or not total:
        return f"{open_} of {total} findings of policy “{policy}” are undecided: too few images, or no number at all."
    waived = f" {seen[Decision.WAIVED]} finding(s) beyond the limit are waived." if seen[Decision.WAIVED] else ""
    return f"All findings of policy “{policy}” keep the limit with the whole of their interval.{waived}"


def _s(count: int) -> str:
    return "es" if count == 1 else ""


def finding_lines(report: Report) -> list[FindingLine]:
    """All findings, the failing ones first, otherwise in the order of the policy."""
    findings = report.verdict.findings if report.verdict else ()
    return [_line(f) for f in sorted(findings, key=lambda f: DECISION_ORDER.index(f.decision))]


def _line(finding: Finding) -> FindingLine:
    generators = list(dict.fromkeys(clean(e.generator) for e in finding.evidence))
    return FindingLine(
        key=str(finding.decision),
        word=decision_words(finding.decision),
        rule=clean(finding.rule),
        generator=", ".join(generators),
        message=clean(finding.message),
        limit=clean(finding.limit),
        waiver=clean(finding.waiver or ""),
    )


# -- what was asked, of whom, measured with what ---------------------------------------------------------------


def generator_rows(report: Report) -> list[dict[str, str]]:
    """Name, kind, model, digest and licence."""
    return [
        {
            "name": clean(spec["name"]),
            "kind": clean(spec.get("kind", "")),
            "model": clean(spec.get("model", "")),
            "digest": short(spec.get("digest")),
            "licence": clean(spec.get("licence") or "not stated"),
        }
        for spec in report.manifest.get("generators", ())
    ]


def probe_rows(report: Report) -> list[dict[str, str]]:
    """Title, version, purpose, prompts and declared groups with their reference."""
    return [
        {
            "name": clean(probe.get("title") or probe["name"]),
            "version": clean(probe.get("version", "")),
            "purpose": clean(probe.get("purpose", "")),
            "prompts": clean(probe.get("prompts", "")),
            "digest": short(probe.get("digest")),
            "groups": "; ".join(_groups(name, block) for name, block in sorted(probe.get("groups", {}).items())),
        }
        for probe in report.manifest.get("probes", ())
    ]


def _groups(attribute: str, block: Mapping[str, Any]) -> str:
    reference = block.get("reference", {})
    shares = ", ".join(f"{group_words(g)} {percent(reference.get(g))}" for g in block.get("groups", ()))
    source = f" ({clean(block['source'])})" if block.get("source") else ""
    return f"{attribute_words(attribute)}: {shares}{source}"


def instrument_rows(report: Report) -> list[dict[str, str]]:
    """Each instrument with its own error, as measured."""
    rows = []
    for spec in report.manifest.get("annotators", ()):
        head = {
            "name": clean(spec["name"]),
            "version": clean(spec.get("version", "")),
            "digest": short(spec.get("digest")),
        }
        tables = sorted(spec.get("operating", {}).items())
        for _, block in tables:
            rows.append({**head, "what": attribute_words(block["attribute"]), **_accuracy(block)})
        if not tables:
            what = ", ".join(group_words(column) for column in spec.get("columns", {}))
            rows.append({**head, "what": what, "right": "does not classify", "abstains": "", "measured": ""})
    return rows


def _accuracy(block: Mapping[str, Any]) -> dict[str, str]:
    """How often the instrument is right per true group, from its confusion counts."""
    answers = list(block["answers"])
    right, abstained, total = [], 0, 0
    for group, counts in zip(block["truth"], block["counts"], strict=True):
        n = sum(counts)
        total += n
        abstained += sum(c for answer, c in zip(answers, counts, strict=True) if answer not in block["truth"])
        hit = counts[answers.index(group)] if group in answers else 0
        right.append(f"{group_words(group)} {percent(hit / n if n else None, 1)}")
    return {
        "right": ", ".join(right),
        "abstains": percent(abstained / total if total else None, 1),
        "measured": f"{clean(block.get('measured_on', ''))} (n={count(total)})",
    }


# -- outcomes --------------------------------------------------------------------------------------------------


def outcome_rows(report: Report) -> list[dict[str, Any]]:
    """Requests by outcome for each generator."""
    counts = report.manifest.get("counts", {})
    return [
        {
            "name": clean(name),
            "total": sum(counts.get(name, {}).values()),
            **{str(outcome): int(counts.get(name, {}).get(str(outcome), 0)) for outcome in Outcome},
        }
        for name in report.generators
    ]


# -- estimates -------------------------------------------------------------------------------------------------


def estimate_row(report: Report, estimate: Estimate, *, probe: bool) -> dict[str, str]:
    """One line of the appendix."""
    percentish = "share" in estimate.unit
    return {
        "title": metric_title(estimate.metric, report.titles),
        "generator": clean(estimate.generator),
        "slice": slice_words(estimate.slice, probe=probe),
        "value": value_text(estimate),
        "n": n_text(estimate),
        "floor": ""
        if estimate.floor is None
        else (percent(estimate.floor, 1) if percentish else f"{estimate.floor:.3g}"),
        "method": clean(estimate.method),
        "fingerprint": clean(estimate.fingerprint),
        "status": str(estimate.status),
    }


# -- limits and reproduction -----------------------------------------------------------------------------------


def doubts(report: Report) -> list[str]:
    """Where the instrument's measured error does not fit its answers, one sentence per generator and attribute."""
    slices: dict[tuple[str, str], set[tuple[tuple[str, str], ...]]] = {}
    for e in report.of("bias.representation_gap"):
        doubt = e.extra.get("misfit")
        if isinstance(doubt, float) and doubt < MISFIT:
            place = tuple(sorted((k, v) for k, v in e.slice.items() if k not in {"group", "attribute"}))
            slices.setdefault((e.generator, e.slice["attribute"]), set()).add(place)
    return [
        f"{clean(generator)}, {attribute_words(attribute)}: in {count(len(places))} "
        f"slice{'' if len(places) == 1 else 's'} the instrument answers as it never did where its error was measured "
        f"(p < {MISFIT:g}), often because it cannot tell. Read the uncorrected shares there, and label some of these "
        "images by hand."
        for (generator, attribute), places in sorted(slices.items())
    ]


def limits(report: Report) -> list[str]:
    """What this run does not tell, from what is in it and what is not."""
    said = [
        *doubts(report),
        *_untested(report),
        *_without_number(report),
        *_weights(report),
        *_no_answer(report),
        *_instruments(report),
    ]
    said.append(
        "Groups are declared by the probe set and seen by instruments: they describe how a picture looks, never who "
        "somebody is."
    )
    said.append("The references are choices, named above with their source; another reference gives another gap.")
    return said


def _untested(report: Report) -> Iterable[str]:
    tested = {probe.get("purpose") for probe in report.manifest.get("probes", ())}
    for purpose, name in _PURPOSES.items():
        if purpose not in tested:
            yield f"{name} was not tested: no probe set of that purpose was asked."
    if report.estimates and not any(e.metric.startswith("provenance.") for e in report.estimates):
        yield "Content Credentials were not checked."


def _without_number(report: Report) -> Iterable[str]:
    reasons = Counter(
        (metric_title(e.metric, report.titles), clean(e.why or e.status))
        for e in report.estimates
        if e.status is not Status.OK
    )
    for (title, why), times in sorted(reasons.items()):
        yield f"{title}: {times} slice{'' if times == 1 else 's'} without a number ({why})."


def _weights(report: Report) -> Iterable[str]:
    for spec in report.manifest.get("generators", ()):
        if not spec.get("digest"):
            yield f"The weights of {clean(spec['name'])} are not visible: nothing binds these results to them."


def _no_answer(report: Report) -> Iterable[str]:
    for row in outcome_rows(report):
        lost = row["total"] - row["image"]
        if lost:
            said = f"{count(lost)} of {count(row['total'])} requests gave no image"
            yield f"{row['name']}: {said}; shares are of the images that came."


def _instruments(report: Report) -> Iterable[str]:
    places = sorted(
        {
            clean(b["measured_on"])
            for s in report.manifest.get("annotators", ())
            for b in s.get("operating", {}).values()
        }
    )
    if places:
        yield (
            f"Shares are corrected for the error of the instruments as measured on: {'; '.join(places)}. On pictures "
            "that differ from these the error may differ; a labelled sample of these very pictures would tell."
        )


def reproduction(report: Report) -> dict[str, Any]:
    """Command, seed, versions, machine and the resolved configuration."""
    manifest = report.manifest
    tool, git = manifest.get("tool", {}), manifest.get("git")
    facts = {
        "Tool": f"{clean(tool.get('name', ''))} {clean(tool.get('version', ''))}",
        "Seed": clean(manifest.get("seed", "")),
        "Interval level": percent(manifest.get("level")),
        "Created": clean(manifest.get("created", "")),
        "Finished": clean(manifest.get("finished", "")),
        "Git": f"{short(git.get('commit'))}{' with uncommitted changes' if git.get('dirty') else ''}"
        if git
        else "not in a checkout",
        "Python": clean(manifest.get("python", "")),
        "Platform": clean(manifest.get("platform", "")),
        "Packages": ", ".join(f"{clean(k)} {clean(v)}" for k, v in sorted(manifest.get("packages", {}).items())),
        "Seconds": ", ".join(f"{clean(k)} {float(v):.1f}" for k, v in sorted(manifest.get("seconds", {}).items())),
    }
    config = json.dumps(manifest.get("config", {}), indent=2, sort_keys=True, ensure_ascii=False)
    lines = "\n".join(clean(line) for line in config.splitlines())
    return {"command": "genaudit run audit.yaml", "facts": facts, "config": lines}
