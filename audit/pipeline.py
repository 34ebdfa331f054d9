# SPDX-License-Identifier: Apache-2.0
"""The whole audit, from the audit file to the report: what ``genaudit run`` calls, for use from Python.

Example:
    >>> from audit.pipeline import execute            # doctest: +SKIP
    >>> outcome = execute(load_config(Path("examples/quickstart.yaml")))  # doctest: +SKIP
    >>> outcome.verdict.decision                      # doctest: +SKIP
    <Decision.FAIL: 'fail'>
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.config import AuditConfig
from audit.errors import ConfigError
from audit.policy import Policy, judge, load_policy
from audit.policy.stopping import stoppable
from audit.registry import RENDERERS
from audit.render import build_report
from audit.runs import Engine, Plan, Run, make_plan
from audit.runs._rounds import Decided, Judge, nobody
from audit.runs.engine import silent
from audit.types import Estimate, Outcome, Verdict

__all__ = ["Outcomes", "execute", "gate", "render"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What an audit leaves behind."""

    run: Run
    estimates: tuple[Estimate, ...]
    verdict: Verdict | None
    reports: tuple[Path, ...]


def run_folder(config: AuditConfig) -> Path:
    """Where the run goes: ``out`` of the configuration, else ``runs/<name>``."""
    return Path(config.out or f"runs/{config.name}")


def execute(
    config: AuditConfig,
    *,
    limit: int | None = None,
    fresh: bool = False,
    retry_errors: bool = False,
    progress: Progress | None = None,
) -> Outcomes:
    """Plans, generates, stamps, annotates, estimates, judges and renders; resumes what was begun before.

    Args:
        config: validated audit file.
        limit: ask only the first so many prompts of every set.
        fresh: delete the run folder first.
        retry_errors: ask again what ended in an error.
        progress: called with (what, done, total).

    Raises:
        AuditError: see audit.errors; what was finished stays on disk.
    """
    for name in config.reports:
        RENDERERS.describe(name)
    path = run_folder(config)
    config = _with_labels(config, path)
    plan = make_plan(config, limit=limit)
    policy = load_policy(config.policy) if config.policy else None
    if config.until_decided and policy is None:
        raise ConfigError(
            "--until-decided needs a policy that says what is to be decided", hint="name one with --policy"
        )
    if config.until_decided and retry_errors:
        message = "where prompts stop early, errors are not asked again: other answers would have stopped other prompts"
        raise ConfigError(message, hint="start over with --fresh, or leave --retry-errors out")
    if fresh:
        Run.remove(path)
    run = Run.create(path, _record(plan, policy), plan.requests)
    with run.locked():
        run.begin(config.model_dump(mode="json"))
        if retry_errors:
            run.reopen(Outcome.ERROR)
        engine = Engine(plan, run, progress or silent)
        engine.collect(decisions(policy) if policy else nobody)
        estimates = engine.estimate()
        verdict = judge(policy, estimates, today=datetime.now(UTC).date()) if policy else None
        if verdict:
            run.put_verdict(verdict)
        else:
            run.drop_verdict()
        engine.finish()
        return Outcomes(run, tuple(estimates), verdict, render(run, config.reports))


def _with_labels(config: AuditConfig, path: Path) -> AuditConfig:
    """The configuration with the labels that people gave to the images of this run, where there are any."""
    table, instruments = path / "labels" / "labels.parquet", config.instruments
    if not table.is_file() or "people" in instruments.options or config.until_decided is not None:
        return config
    names = instruments.annotators if instruments.annotators is None else sorted({*instruments.annotators, "people"})
    changes = {"annotators": names, "options": {**instruments.options, "people": {"table": str(table)}}}
    return config.model_copy(update={"instruments": instruments.model_copy(update=changes)})


def _record(plan: Plan, policy: Policy | None) -> dict[str, Any]:
    """What plan.json holds; where prompts stop when the policy is decided, the policy is part of the plan."""
    stops = policy is not None and plan.config.until_decided is not None
    return {**plan.record(), **({"policy": policy.digest} if policy is not None and stops else {})}


def decisions(policy: Policy) -> Judge:
    """What a policy has decided by estimates whose intervals hold at any stopping time."""

    def look(estimates: Sequence[Estimate]) -> Sequence[Decided]:
        found = stoppable(policy, tuple(estimates), today=datetime.now(UTC).date())
        return [Decided(estimate.generator, estimate.slice, done) for estimate, done in found]

    return look


def gate(run: Run, policy: str) -> Verdict:
    """Judges a finished run by ``policy`` (name or path) and stores the verdict."""
    verdict = judge(load_policy(policy), run.estimates(), today=datetime.now(UTC).date())
    run.put_verdict(verdict)
    return verdict


def render(run: Run, formats: Sequence[str]) -> tuple[Path, ...]:
    """Writes the reports of a finished run and returns their paths."""
    renderers = [RENDERERS.get(name) for name in formats]
    report = build_report(run)
    return tuple(run.put_report(_file_name(r.name, r.suffix), r.render(report)) for r in renderers)


def _file_name(name: str, suffix: str) -> str:
    stem = {"json": "results", "junit": "junit"}.get(name, "report")
    return f"{stem}{suffix}"
