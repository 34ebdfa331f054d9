# SPDX-License-Identifier: Apache-2.0
"""Runs the audits of the table through the ordinary pipeline and gathers what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from audit import __version__
from audit.checkpoints import digest_of
from audit.config import AuditConfig
from audit.errors import AuditError, ConfigError, PluginError, StoreError
from audit.selftest._checks import LIMITS, Check, instrument_checks, one_group_check
from audit.selftest._plan import EXACT, GROUPS, SEED, WORLDS, Group, audit_of, level, rows, worlds_of
from audit.selftest._rows import Cell, Part, Role, Row, Seen, State, Verdict, judge_cell, judge_row
from audit.types import Estimate, Status

__all__ = ["TRAINED", "Result", "selftest"]

#: Trained models that may be asked.
TRAINED: Final = tuple(name for name, world in WORLDS.items() if world["kind"] != "renderer")
_DONE: Final = "selftest.json"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The whole self-test.

    Attributes:
        verdicts: one a row of the table.
        checks: of the instruments by themselves.
        level: confidence level of each interval of the table.
        seconds: it took.
        folder: of the runs behind it; each can be opened like any other run.
    """

    verdicts: tuple[Verdict, ...]
    checks: tuple[Check, ...]
    level: float
    seconds: float
    folder: Path

    @property
    def passed(self) -> bool:
        """Whether every row and every check holds."""
        return all(verdict.passed for verdict in self.verdicts) and all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schema": 1,
            "tool": {"name": "genaudit", "version": __version__},
            "passed": self.passed,
            "seed": SEED,
            "level": self.level,
            "seconds": round(self.seconds, 1),
            "rows": [_as_dict(verdict) for verdict in self.verdicts],
            "checks": [asdict(check) for check in self.checks],
            "cannot_see": list(LIMITS),
        }


def selftest(
    out: Path,
    *,
    models: Collection[str] | None = None,
    n: int | None = None,
    quick: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Audits the exact world, the trained models and the controls, and compares with what was planted.

    A self-test that was interrupted goes on where it stopped; one that was finished starts afresh.

    Args:
        out: folder of the runs.
        models: only these trained models are asked; None: all of them.
        n: images a prompt, everywhere.
        quick: exact world and instruments only.
        progress: called with (what, done, total).

    Raises:
        ConfigError: an unknown model.
        StoreError: the folder cannot be used.
    """
    if unknown := sorted(set(models or ()) - set(TRAINED)):
        raise ConfigError(f"no trained model {unknown[0]!r}", where="--generators", hint=f"known: {', '.join(TRAINED)}")
    start = time.perf_counter()
    _start_afresh(out)
    audits = _Audits(out, n, progress or (lambda _what, _done, _total: None))
    wanted = {EXACT} if quick else {*WORLDS} - ({*TRAINED} - set(TRAINED if models is None else models))
    verdicts = tuple(_verdict(row, audits, wanted) for row in rows())
    group = GROUPS["one_group"]
    checks = (*instrument_checks(), one_group_check(audits.estimates(group, EXACT), level=level()))
    result = Result(verdicts, checks, level(), time.perf_counter() - start, out)
    _write(out, result)
    return result


def _verdict(row: Row, audits: _Audits, wanted: Collection[str]) -> Verdict:
    return judge_row(row, [_cell(row, role, world, audits, wanted) for role, world in worlds_of(row)])


def _cell(row: Row, role: Role, world: str, audits: _Audits, wanted: Collection[str]) -> Cell:
    if world not in wanted:
        return Cell(role, world, State.NOT_ASKED)
    found = audits.estimates(GROUPS[row.group], world)
    if isinstance(found, str):
        return Cell(role, world, State.NOT_BUILT, why=found)
    lacking = audits.lacking.get((row.group, world), "")
    return judge_cell(row, role, world, {part.label: _seen(row, part, found, lacking=lacking) for part in row.parts})


def _seen(row: Row, part: Part, estimates: Sequence[Estimate], *, lacking: str = "") -> Seen:
    """The number that a part asks for; ``lacking`` says which instruments the audit had to do without."""
    mine = [e for e in estimates if e.metric == row.metric]
    match = next((e for e in mine if dict(e.slice) == dict(part.slice)), None)
    # Where there is no number, a metric may answer once for all groups of an attribute, or once for all there is.
    match = match or next((e for e in mine if e.value is None and e.slice.items() <= part.slice.items()), None)
    if match is None or match.value is None:
        absent = match is None or match.status is not Status.INSUFFICIENT
        why = (match.why if match else None) or f"no estimate of {row.metric}"
        return Seen(n=match.n if match else 0, why=(lacking or why) if absent else why, lacking=absent)
    if row.field == "value":
        return Seen(match.value, match.low, match.high, match.n)
    value, low, high = (match.extra[name] for name in ("share", "share_low", "share_high"))
    return Seen(float(value or 0.0), float(low or 0.0), float(high or 0.0), match.n)


class _Audits:
    """Runs each audit once, when its numbers are first asked for.

    Args:
        out: folder of the runs.
        n: images a prompt, None for the groups' own numbers.
        progress: told about every chunk.

    Attributes:
        lacking: in words which instruments an audit had to do without, by group and world.
    """

    def __init__(self, out: Path, n: int | None, progress: Progress) -> None:
        self._out, self._n, self._progress = out, n, progress
        self._found: dict[tuple[str, str], tuple[Estimate, ...] | str] = {}
        self.lacking: dict[tuple[str, str], str] = {}

    def estimates(self, group: Group, world: str) -> tuple[Estimate, ...] | str:
        """What the audit found, or in words why it could not be made. Raises StoreError."""
        key = (group.name, world)
        if key not in self._found:
            try:
                config, self.lacking[key] = _installed(audit_of(group, world, n=self._n))
                self._found[key] = self._audit(config, f"{group.name}: {world}")
            except StoreError:
                raise
            except AuditError as error:
                self._found[key] = f"{error}" + (f" ({error.hint})" if error.hint else "")
        return self._found[key]

    def _audit(self, config: AuditConfig, title: str) -> tuple[Estimate, ...]:
        from audit.pipeline import execute
        from audit.runs.store import SCHEMA

        digest = _generator_digest(config)
        made_by = f"{__version__} format {SCHEMA}"
        content = {"config": config.model_dump(mode="json"), "generator": digest, "version": made_by}
        folder = self._out / "runs" / f"{config.name}-{digest_of(content)[:8]}"
        config = config.model_copy(update={"out": str(folder)})
        return execute(config, progress=_one_bar(title, self._progress)).estimates


def _generator_digest(config: AuditConfig) -> str | None:
    """Which weights draw: other weights, another run folder. Raises GeneratorError where there are none."""
    from audit.registry import GENERATORS

    block = config.generators[0]
    generator = GENERATORS.get(block.kind)(block.name, model=block.model, params=block.params, options=block.options)
    digest: str | None = generator.spec.digest
    return digest


def _installed(config: AuditConfig) -> tuple[AuditConfig, str]:
    """The audit without the instruments and metrics that are not there, and why: one of them must not cost all rows."""
    from audit.registry import METRICS

    problems = {name: _problem(name, config) for name in config.instruments.annotators or ()}
    annotators = [name for name, problem in problems.items() if problem is None]
    options = {name: value for name, value in config.instruments.options.items() if name in annotators}
    instruments = config.instruments.model_copy(update={"annotators": annotators, "options": options})
    metrics = [name for name in config.metrics or () if name in METRICS]
    if not metrics:
        raise PluginError(f"none of the metrics is installed: {', '.join(config.metrics or ())}")
    changed = config.model_copy(update={"instruments": instruments, "metrics": metrics})
    return changed, "; ".join(problem for problem in problems.values() if problem)


def _problem(name: str, config: AuditConfig) -> str | None:
    """Why an instrument cannot be used, None where it can."""
    from audit.registry import ANNOTATORS
    from audit.runs.instruments import annotator_options

    try:
        _ = ANNOTATORS.get(name)(**annotator_options(name, config)).spec
    except AuditError as error:
        return str(error)
    return None


def _one_bar(title: str, progress: Progress) -> Progress:
    """One bar for what takes long: images are measured as they are drawn."""

    def report(what: str, done: int, total: int) -> None:
        if what.startswith("generate"):
            progress(title, done, total)

    return report


def _start_afresh(out: Path) -> None:
    """Deletes the runs of a self-test that was finished; those of an interrupted one stay and are gone on with."""
    from audit.runs import Run

    if not (out / _DONE).is_file():
        return
    for folder in _runs(out):
        Run.remove(folder)
    (out / _DONE).unlink()


def _runs(out: Path) -> Iterator[Path]:
    yield from sorted(path.parent for path in (out / "runs").glob("selftest-*/plan.json"))


def _write(out: Path, result: Result) -> None:
    import json

    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / _DONE).write_text(json.dumps(result.as_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(str(error), where=str(out), hint="choose another folder with --out") from None


def _as_dict(verdict: Verdict) -> dict[str, Any]:
    row = verdict.row
    return {
        "plant": row.plant,
        "what": row.what,
        "metric": row.metric,
        "passed": verdict.passed,
        "verdict": verdict.words,
        "parts": [{"label": p.label, "truth": p.truth, "null": p.null, "planted": p.planted} for p in row.parts],
        "worlds": [_cell_dict(cell) for cell in verdict.cells],
    }


def _cell_dict(cell: Cell) -> dict[str, Any]:
    numbers: Mapping[str, Any] = {label: asdict(seen) for label, seen in cell.seen.items()}
    return {**asdict(cell), "state": str(cell.state), "seen": numbers}
