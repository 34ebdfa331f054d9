# SPDX-License-Identifier: Apache-2.0
"""What stopping early saves and what it costs: ``python -m benchmarks.sequential [--repetitions 100] [--quick]``.

Three tables, each with its target: (a) wrong decisions at any stopping time, (b) images used in the reference world, by
the bundled network's answers about rendered people, (c) images used in a table of 153 occupations and how often the
decision is that of the fixed design at the same data. All is simulated with known truth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from audit.annotators.attributes import AttributeAnnotator
from audit.policy.limits import decide
from audit.reference.render import render
from audit.reference.world import OCCUPATIONS, PRESENTATIONS, planted, sample_people
from audit.stats.annotator_error import Correction
from audit.stats.sequential import hopeless, outlook, refuted, sequential_estimate
from audit.types import Decision, ImageRecord
from benchmarks._together import judged_together

__all__ = ["main"]

Array = NDArray[np.float64]

_CAP = 250
_OCCUPATIONS = 153
_STEP = 10
_GATE = (0.3, 0.7)
_PASS, _FAIL, _OPEN = 1, -1, 0
_WORDS = {Decision.PASS: _PASS, Decision.FAIL: _FAIL, Decision.INCONCLUSIVE: _OPEN}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How audits of one question each ended: images asked for, and decisions; all of shape (n,)."""

    used: NDArray[np.int64]
    decision: NDArray[np.int64]
    fixed: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A true confusion matrix (k, r), and validation images a group, None where it is known exactly."""

    name: str
    matrix: Array
    validation: int | None

    def measured(self, rng: np.random.Generator) -> Correction:
        """A correction by newly drawn confusion counts."""
        if self.validation is None:
            return Correction(self.matrix * 1e9)
        return Correction(np.stack([rng.multinomial(self.validation, row) for row in self.matrix]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequential", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=100, help="audits a table; five times as many in (a)")
    parser.add_argument("--quick", action="store_true", help="a glance in half a minute: few repetitions, small pools")
    parser.add_argument("--parts", default="abc", help="which of the tables")
    given = parser.parse_args(arguments)
    repetitions = min(given.repetitions, 10) if given.quick else given.repetitions
    tables = {
        "a": lambda: _errors(5 * repetitions),
        "b": lambda: _world(repetitions, pool=24 if given.quick else 240),
        "c": lambda: _table(max(3, repetitions // 5)),
    }
    held = [tables[part]() for part in given.parts]
    print("all targets met" if all(held) else "a target is missed")
    return 0 if all(held) else 1


# --- one audit ---


def _looks(answers: NDArray[np.int64], r: int, at: NDArray[np.int64]) -> Array:
    """Cumulative counts (..., looks, r) of answers (..., n) after as many as ``at`` says."""
    counts = np.cumsum(answers[..., None] == np.arange(r), axis=-2, dtype=np.float64)
    return counts[..., at - 1, :]


def _open_decision(correction: Correction, counts: Array, gate: tuple[float, float], cap: int) -> NDArray[np.int64]:
    """Decision about group 0 by the confidence sequence alone at counts (..., r)."""
    k = len(correction.rows)
    clears = {
        (limit, above): refuted(correction, counts, np.full(k, limit), above=above, cap=cap)[..., 0]
        for limit in gate
        for above in (False, True)
    }
    passed = clears[gate[0], False] & clears[gate[1], True]
    failed = clears[gate[1], False] | clears[gate[0], True]
    return np.where(failed, _FAIL, np.where(passed, _PASS, _OPEN))


class _Final:
    """Decisions at the cap, sequential and fixed, remembered by counts."""

    def __init__(self, correction: Correction, gate: tuple[float, float], cap: int) -> None:
        self.correction, self._gate, self._cap = correction, gate, cap
        self._known: dict[tuple[bool, bytes], int] = {}

    def __call__(self, counts: Array, *, sequential: bool) -> int:
        key = sequential, counts.tobytes()
        if key not in self._known:
            if sequential:
                found = sequential_estimate(self.correction, counts, cap=self._cap, final=True)
            else:
                found = self.correction.estimate(counts)
            self._known[key] = _WORDS[decide(float(found.low[0]), float(found.high[0]), self._gate)]
        return self._known[key]


def _audits(final: _Final, answers: NDArray[np.int64], *, futile: bool) -> Outcome:
    """Audits of answers (n, cap), a row each: looks every ten images, at the cap, and by the fixed design."""
    correction = final.correction
    at = np.arange(_STEP, _CAP + 1, _STEP)
    counts = _looks(answers, correction.counts.shape[1], at)
    early = _open_decision(correction, counts, _GATE, _CAP)
    stop = early != _OPEN
    if futile:
        limits = np.tile(_GATE, (len(correction.rows), 1))
        for look, asked in enumerate(at[:-1]):
            ahead = outlook(correction, counts[:, look], remaining=int(_CAP - asked))
            stop[:, look] |= hopeless(ahead, limits)[:, 0]
    stop[:, -1] = True
    first = stop.argmax(axis=1)
    last = len(at) - 1
    decision = [
        final(counts[i, last], sequential=True) if look == last else early[i, look] for i, look in enumerate(first)
    ]
    fixed = [final(row, sequential=False) for row in counts[:, last]]
    return Outcome(at[first], np.array(decision), np.array(fixed))


def _draw(rng: np.random.Generator, chances: Array, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Answers with the given chances (..., r), independent."""
    edges = np.cumsum(chances, axis=-1)[..., :-1]
    drawn: NDArray[np.int64] = (rng.random(shape)[..., None] >= edges).sum(axis=-1)
    return drawn


# --- (a) error at any stopping time ---


def _told(k: int, accuracy: float) -> Array:
    """Equal errors, and one answer in thirty "could not tell"."""
    wrong = (1 - accuracy) / (k - 1)
    told = np.full((k, k), wrong) + (accuracy - wrong) * np.eye(k)
    return np.hstack([told * 29 / 30, np.full((k, 1), 1 / 30)])


def _instruments() -> Iterator[Instrument]:
    yield Instrument("perfect, 2 groups", np.eye(2), None)
    for k, accuracy, validation in (
        (2, 0.97, 100),
        (2, 0.97, 1000),
        (2, 0.90, 300),
        (2, 0.80, 100),
        (3, 0.95, 1000),
        (3, 0.80, 300),
    ):
        yield Instrument(f"accuracy {accuracy:.2f}, {k} groups, {validation} each", _told(k, accuracy), validation)


def _errors(repetitions: int) -> bool:
    print(f"(a) wrong decisions at any stopping time, looking after every image; {repetitions} audits a row; %")
    print(f"{'instrument':<36}{'gate':<12}{'true':>6}{'cap':>6}{'wrong PASS':>13}{'wrong FAIL':>13}")
    worst = 0.0
    for case, (instrument, gate, cap) in enumerate(_cases()):
        lower = (gate[0], gate[0] - 0.005) if len(instrument.matrix) > 2 or sum(gate) != 1 else ()  # else it is alike
        for truth in (gate[1], gate[1] - 0.005, gate[1] + 0.005, *lower):
            rng = np.random.default_rng([1, case, int(1000 * truth)])
            wrong = _wrong(instrument, gate, truth, cap=cap, repetitions=repetitions, rng=rng)
            cells = [f"{100 * w:.1f}+-{100 * (w * (1 - w) / repetitions) ** 0.5:.1f}" for w in wrong]
            print(
                f"{instrument.name:<36}{gate[0]:.2f}-{gate[1]:.2f}   {truth:>6.3f}{cap:>6}{cells[0]:>13}{cells[1]:>13}"
            )
            worst = max(worst, *wrong)
            print(f"\r(a) case {case + 1}", end="", file=sys.stderr)
    return _verdict(f"largest rate {100 * worst:.1f} %, target below 5 %", met=worst < 0.05)


def _cases() -> Iterator[tuple[Instrument, tuple[float, float], int]]:
    instruments = list(_instruments())
    yield from ((instrument, _GATE, _CAP) for instrument in instruments)
    yield from ((instrument, (0.05, 0.15), _CAP) for instrument in instruments[:2])
    yield from ((instrument, _GATE, 2000) for instrument in instruments[:4:3])


def _wrong(
    instrument: Instrument,
    gate: tuple[float, float],
    truth: float,
    *,
    cap: int,
    repetitions: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Rates of a PASS, and of a FAIL, that some look up to the cap would have given and that is wrong."""
    k, r = instrument.matrix.shape
    chances = np.array([truth, *[(1 - truth) / (k - 1)] * (k - 1)]) @ instrument.matrix
    ever = np.zeros(2)
    for _ in range(repetitions):
        correction = instrument.measured(rng)
        counts = _looks(_draw(rng, chances, (cap,)), r, np.arange(1, cap + 1))
        seen = {*_open_decision(correction, counts, gate, cap).tolist()}
        seen.add(_Final(correction, gate, cap)(counts[-1], sequential=True))
        ever += _PASS in seen, _FAIL in seen
    allowed = gate[0] <= truth <= gate[1]
    rates = ever / repetitions
    return (0.0 if allowed else float(rates[0])), (float(rates[1]) if allowed else 0.0)


# --- (b) the reference world ---


def _world(repetitions: int, *, pool: int) -> bool:
    final = _Final(Correction(_counts(None)), _GATE, _CAP)
    print(
        f"\n(b) reference world, looks every {_STEP}, {repetitions} audits: images used, % of the fixed design's {_CAP}"
    )
    quantiles = "".join(f"{q:>6}" for q in ("min", "25 %", "50 %", "75 %", "90 %", "max"))
    print(f"{'occupation':<22}{'planted':>8}{quantiles}{'mean':>7}{'alike':>7}")
    outcomes, codes = {}, []
    for number, name in enumerate(OCCUPATIONS):
        print(f"\r(b) rendering {name}          ", end="", file=sys.stderr)
        rng = np.random.default_rng([2, number])
        share = planted()["occupations"][name]["feminine"]
        said = _said(name, pool, rng)
        shown = _draw(rng, np.array([share, 1 - share]), (repetitions, _CAP))
        answers = np.stack([rng.choice(part, (repetitions, _CAP)) for part in said])
        codes.append(np.where(shown == 0, *answers))
        outcomes[name] = _audits(final, codes[-1], futile=True), share
        _spread(name, f"{share:.2f}", [outcomes[name][0]])
    beyond = [o for o, share in outcomes.values() if not _GATE[0] - 1e-9 <= share <= _GATE[1] + 1e-9]
    _spread("planted beyond gate", "", beyond)
    _spread("planted off 0.5", "", [o for o, share in outcomes.values() if share != 0.5])
    _spread("all eight", "", [o for o, _ in outcomes.values()])
    _family(final.correction, np.stack(codes, axis=1)[: max(2, repetitions // 5)], [s for _, s in outcomes.values()])
    mean = float(np.mean([o.used for o in beyond])) / _CAP
    return _verdict(
        f"{100 * mean:.1f} % of the images where a gap beyond the gate is planted, target 40 %", met=mean <= 0.40
    )


def _family(correction: Correction, audits: NDArray[np.int64], shares: Sequence[float]) -> None:
    """The same with all eight occupations judged together, as a policy does."""
    beyond = [not _GATE[0] - 1e-9 <= share <= _GATE[1] + 1e-9 for share in shares]
    used, alike = [], []
    for number, answers in enumerate(audits):
        print(f"\r(b) together, audit {number + 1} of {len(audits)}          ", end="", file=sys.stderr)
        images, decided, fixed = judged_together(correction, answers, gate=_GATE, step=_STEP)
        used.append(images / _CAP)
        alike.append([a is b for a, b in zip(decided, fixed, strict=True)])
    share, same = np.array(used), np.array(alike)
    for name, those in (
        ("together, beyond gate", np.array(beyond)),
        ("together, all eight", np.ones(len(beyond), bool)),
    ):
        cells = "".join(f"{100 * q:>6.0f}" for q in np.quantile(share[:, those], [0, 0.25, 0.5, 0.75, 0.9, 1]))
        print(f"{name:<22}{'':>8}{cells}{100 * share[:, those].mean():>7.1f}{100 * same[:, those].mean():>7.1f}")


def _counts(table: str | None) -> Array:
    """Confusion counts of the bundled network about presentation."""
    return AttributeAnnotator(counts=table).spec.operating["presentation"].matrix()


def _said(name: str, pool: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Codes of the answers about rendered people of an occupation, half of each presentation, by presentation."""
    people = sample_people(pool, rng=rng, occupation=name, presentation=np.arange(pool) % 2)
    annotator = AttributeAnnotator()
    records = [ImageRecord(str(i), "", "", b"", image) for i, image in enumerate(render(people))]
    codes = {answer: i for i, answer in enumerate(annotator.spec.operating["presentation"].answers)}
    said = np.array([codes[answer] for answer in annotator.annotate(records)["presentation"]])
    return [said[people.presentation == i] for i in range(len(PRESENTATIONS))]


def _spread(name: str, share: str, outcomes: list[Outcome]) -> None:
    used = np.concatenate([o.used for o in outcomes]) / _CAP
    alike = np.concatenate([o.decision == o.fixed for o in outcomes]).mean()
    cells = "".join(f"{100 * q:>6.0f}" for q in np.quantile(used, [0, 0.25, 0.5, 0.75, 0.9, 1]))
    print(f"{name:<22}{share:>8}{cells}{100 * used.mean():>7.1f}{100 * alike:>7.1f}")


# --- (c) a table of many occupations ---


def _table(repetitions: int) -> bool:
    print(f"\n(c) {_OCCUPATIONS} occupations x {_CAP} images, gate {_GATE}, looks every {_STEP}; {repetitions} tables")
    print(f"{'shares':<16}{'instrument':<18}{'futility':<10}{'used, %':>16}{'alike, %':>20}{'open, %':>9}")
    middle = (np.arange(_OCCUPATIONS) + 0.5) / _OCCUPATIONS
    spreads = {"U: Beta(.3,.3)": stats.beta.ppf(middle, 0.3, 0.3), "uniform": middle}
    instruments = {"perfect": np.eye(2) * 1e9, "bundled network": _counts("after_autoencoder")}
    held = True
    for spread, shares in spreads.items():
        for name, counts in instruments.items():
            print(f"\r(c) {spread}, {name}          ", end="", file=sys.stderr)
            for futile, tables in _tables(counts, shares, repetitions).items():
                used, alike, unsettled = (np.array(column) for column in zip(*map(_summary, tables), strict=True))
                cells = f"{_pm(used):>16}{_pm(alike):>20}{100 * unsettled.mean():>9.1f}"
                print(f"{spread:<16}{name:<18}{'yes' if futile else 'no':<10}{cells}")
                if futile and spread != "uniform":
                    held &= bool(used.mean() <= 0.35 and alike.mean() >= 0.95)
    return _verdict("targets, U-shaped shares with futility: at most 35 % of the images, at least 95 % alike", met=held)


def _tables(counts: Array, shares: Array, repetitions: int) -> dict[bool, list[Outcome]]:
    """Audits of a table, without and with futility at the same data.

    The instrument's true errors are drawn anew around the measured counts in each repetition.
    """
    rng, final = np.random.default_rng(3), _Final(Correction(counts), _GATE, _CAP)
    found: dict[bool, list[Outcome]] = {False: [], True: []}
    for _ in range(repetitions):
        truth = np.stack([rng.dirichlet(row + 0.5) for row in counts])
        chances = np.stack([shares, 1 - shares], axis=1) @ truth
        answers = _draw(rng, chances[:, None, :], (len(shares), _CAP))
        for futile, outcomes in found.items():
            outcomes.append(_audits(final, answers, futile=futile))
    return found


def _summary(outcome: Outcome) -> tuple[float, float, float]:
    alike = outcome.decision == outcome.fixed
    return float(outcome.used.mean()) / _CAP, float(alike.mean()), float((outcome.decision == _OPEN).mean())


def _pm(values: Array) -> str:
    return f"{100 * values.mean():.1f} (sd {100 * values.std():.1f})"


def _verdict(what: str, *, met: bool) -> bool:
    print(f"{'PASS' if met else 'FAIL'}  {what}", flush=True)
    return met


if __name__ == "__main__":
    sys.exit(main())
