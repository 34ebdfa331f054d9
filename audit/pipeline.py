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

from audit.config import AuditConfig
from audit.policy import judge, load_policy
from audit.registry import RENDERERS
from audit.render import build_report
from audit.runs import Engine, Run, make_plan
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
    plan = make_plan(config, limit=limit)
    policy = load_policy(config.policy) if config.policy else None
    path = run_folder(config)
    if fresh:
        Run.remove(path)
    run = Run.create(path, plan.record(), plan.requests)
    with run.locked():
        if retry_errors:
            run.reopen(Outcome.ERROR)
        engine = Engine(plan, run, progress or silent)
        engine.collect()
        estimates = engine.estimate()
        verdict = judge(policy, estimates, today=datetime.now(UTC).date()) if policy else None
        if verdict:
            run.put_verdict(verdict)
        else:
            run.drop_verdict()
        engine.finish()
        return Outcomes(run, tuple(estimates), verdict, render(run, config.reports))


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
