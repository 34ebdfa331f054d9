# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/bias.md and docs/quality.md, each drawn from what the code computes: ``make docs``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.policy.limits import decide
from audit.render.theme import DECISION_COLOURS, GENERATOR_COLOURS, PALETTE, chart_config
from audit.stats.annotator_error import Correction, cleam_interval
from audit.stats.floor import binomial_floor
from audit.stats.frechet import frechet_from_moments, frechet_to_fixed
from audit.stats.intervals import wilson
from audit.stats.moments import Moments
from audit.stats.multiplicity import holm
from audit.stats.sequential import share_sequence

__all__ = ["PICTURES", "coverage_of_published", "false_alarms", "floor_table", "frechet_bias", "peeking"]

Table = pd.DataFrame
_BLUE, _RED, _GREEN = GENERATOR_COLOURS[:3]


def floor_table() -> Table:
    """Mean |share - .5| of a generator that draws exactly half and half, by number of images."""
    sizes = [8, 16, 24, 50, 100, 250, 500, 1000]
    return Table({"images": sizes, "points": [100 * binomial_floor(n, 0.5) for n in sizes]})


def seen_through(a0: float = 0.947, a1: float = 0.983) -> Table:
    """True share against the share of answers, for a perfect instrument and one with measured error."""
    truth = np.linspace(0, 1, 21)
    error = truth * a0 + (1 - truth) * (1 - a1)
    poor = truth * 0.85 + (1 - truth) * 0.25
    names = ["never errs", "right for 95 % and 98 %", "right for 85 % and 75 %"]
    return pd.concat(
        Table({"true share": 100 * truth, "share of answers": 100 * said, "instrument": name})
        for said, name in zip((truth, error, poor), names, strict=True)
    )


def anatomy() -> Table:
    """Six findings against a limit of 20 points either side, as the policy judges them."""
    gaps = [
        (0.4, 0.3, 0.47),
        (0.26, 0.1, 0.4),
        (0.12, -0.1, 0.32),
        (0.02, -0.08, 0.12),
        (0.0, -0.35, 0.35),
        (-0.5, -0.5, -0.41),
    ]
    rows = []
    for i, (value, low, high) in enumerate(gaps, start=1):
        decision = decide(low, high, (-0.2, 0.2))
        rows.append(
            {"finding": f"{i}", "gap": 100 * value, "low": 100 * low, "high": 100 * high, "judged": decision.value}
        )
    return Table(rows)


def coverage_of_published(reps: int = 400, *, seed: int = 1) -> Table:
    """How often three 95 % intervals hold a true share of .642 behind a classifier (N = 400, 200 validation images)."""
    rng = np.random.default_rng(seed)
    truth, a0, a1, n, validation = 0.642, 0.869, 0.885, 400, 200
    held = {"as published (CLEAM)": 0, "uncorrected Wald": 0, "ours": 0}
    for _ in range(reps):
        right0, right1 = rng.binomial(validation, a0), rng.binomial(validation, a1)
        answers = rng.random(n) < truth * a0 + (1 - truth) * (1 - a1)
        batches = np.array([rng.choice(answers, 400).mean() for _ in range(30)])
        low, high = cleam_interval(batches, a0=right0 / validation, a1=right1 / validation)
        held["as published (CLEAM)"] += low <= truth <= high
        share = float(answers.mean())
        half = 1.96 * (share * (1 - share) / n) ** 0.5
        held["uncorrected Wald"] += abs(share - truth) <= half
        counts = np.array([[right0, validation - right0], [validation - right1, right1]], dtype=float)
        found = Correction(counts).estimate(np.array([answers.sum(), n - answers.sum()], dtype=float))
        held["ours"] += found.low[0] <= truth <= found.high[0]
    return Table({"interval": list(held), "covers": [100 * k / reps for k in held.values()]})


def peeking(reps: int = 400, *, seed: int = 2, most: int = 400) -> Table:
    """Chance that an interval has excluded the true share .5 at some look, one look every ten images."""
    rng = np.random.default_rng(seed)
    looks = np.arange(10, most + 1, 10)
    counts = np.cumsum(rng.random((reps, most)) < 0.5, axis=1)[:, looks - 1]
    rows = []
    for name, interval in (("looked at again and again", wilson), ("made for looking", share_sequence)):
        known: dict[tuple[int, int], bool] = {}
        missed = np.zeros((reps, len(looks)), dtype=bool)
        for j, n in enumerate(looks):
            for i, k in enumerate(counts[:, j]):
                key = int(k), int(n)
                if key not in known:
                    found = interval(*key)
                    known[key] = not found.low <= 0.5 <= found.high
                missed[i, j] = known[key]
        ever = 100 * np.maximum.accumulate(missed, axis=1).mean(axis=0)
        rows.append(Table({"images": looks, "wrong at some look": ever, "interval": name}))
    return pd.concat(rows)


def false_alarms(reps: int = 300, *, seed: int = 3) -> Table:
    """Occupations without any gap that are called biased, of 150 at 250 images each, with and without Holm."""
    rng = np.random.default_rng(seed)
    p_of = {}
    for k in range(251):
        tail = min(1.0, 2 * min(_binomial_tail(k, 250), _binomial_tail(250 - k, 250)))
        p_of[k] = tail
    raw, adjusted = [], []
    for _ in range(reps):
        p = np.array([p_of[int(k)] for k in rng.binomial(250, 0.5, 150)])
        raw.append(int((p <= 0.05).sum()))
        adjusted.append(int((holm(p) <= 0.05).sum()))
    return Table(
        {
            "tested": ["each alone", "together (Holm)"],
            "mean": [np.mean(raw), np.mean(adjusted)],
            "any": [100 * np.mean(np.array(raw) > 0), 100 * np.mean(np.array(adjusted) > 0)],
        }
    )


def _binomial_tail(k: int, n: int) -> float:
    from scipy import stats

    return float(stats.binom.cdf(k, n, 0.5))


def untold() -> Table:
    """What one count allows when some pictures could not be told: 60 of 80 answered feminine, u more unanswered."""
    rows = []
    for u in (0, 5, 10, 20, 40):
        n = 80 + u
        rows.append({"could not tell": f"{u} of {n}", "low": 100 * 60 / n, "high": 100 * (60 + u) / n, "share": 75.0})
    return Table(rows)


def frechet_bias(*, seed: int = 4, width: int = 64) -> Table:
    """Plain and corrected Frechet distance of the same generator at several numbers of images, reference fixed."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((width, width)) / width**0.5

    def draw(n: int, shift: float) -> NDArray[np.float64]:
        return np.maximum(rng.standard_normal((n, width)) @ mixing + shift, 0.0)

    reference = Moments.of(draw(100_000, 0.0))
    truth = frechet_from_moments(Moments.of(draw(100_000, 0.05)), reference)
    rows = []
    for n in (100, 200, 400, 800, 1600, 3200):
        found = frechet_to_fixed(draw(n, 0.05), reference)
        rows.append({"images": str(n), "value": found.raw, "low": None, "high": None, "number": "as commonly computed"})
        rows.append(
            {"images": str(n), "value": found.value, "low": found.low, "high": found.high, "number": "bias corrected"}
        )
    return Table(rows).assign(truth=truth)


def _line(table: Table, x: str, y: str, colour: str | None = None) -> alt.LayerChart:
    encode: dict[str, Any] = {"x": alt.X(x, type="quantitative"), "y": alt.Y(y, type="quantitative")}
    if colour:
        encode["color"] = alt.Color(colour, type="nominal", title=None, sort=None)
    base = alt.Chart(table).encode(**encode)
    return base.mark_line(strokeWidth=2) + base.mark_circle(size=36)


def _floor() -> alt.LayerChart:
    base = alt.Chart(floor_table()).encode(
        x=alt.X("images:O", title="images of one prompt", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("points:Q", title="points away from half and half"),
    )
    labels = base.mark_text(dy=-9, color=PALETTE["ink"]).encode(text=alt.Text("points:Q", format=".1f"))
    return base.mark_bar(color=_BLUE, size=26) + labels


def _seen() -> alt.LayerChart:
    return _line(seen_through(), "true share", "share of answers", "instrument")


def _anatomy() -> alt.LayerChart:
    table = anatomy()
    judged = list(dict.fromkeys(table["judged"]))
    colour = alt.Color(
        "judged:N", title=None, scale=alt.Scale(domain=judged, range=[DECISION_COLOURS[d] for d in judged])
    )
    base = alt.Chart(table).encode(y=alt.Y("finding:N", title=None, axis=alt.Axis(labels=False)), color=colour)
    band = alt.Chart(Table({"a": [-20], "b": [20]})).mark_rect(color=PALETTE["band"]).encode(x="a:Q", x2="b:Q")
    bars = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title="gap in points; the limits are the grey band"), x2="high:Q"
    )
    words = base.mark_text(align="left", dx=8).encode(x="high:Q", text="judged:N")
    return band + bars + base.mark_circle(size=80, opacity=1).encode(x="gap:Q") + words


def _coverage() -> alt.LayerChart:
    base = alt.Chart(coverage_of_published()).encode(
        x=alt.X("covers:Q", title="holds the truth, % of 400 simulated audits", scale=alt.Scale(domain=[0, 100])),
        y=alt.Y("interval:N", title=None, sort=None),
    )
    rule = alt.Chart(Table({"x": [95]})).mark_rule(color=PALETTE["reference"], strokeDash=[4, 3]).encode(x="x:Q")
    labels = base.mark_text(align="left", dx=6).encode(text=alt.Text("covers:Q", format=".0f"))
    return base.mark_bar(color=_BLUE, size=18) + rule + labels


def _peeking() -> alt.LayerChart:
    rule = alt.Chart(Table({"y": [5]})).mark_rule(color=PALETTE["reference"], strokeDash=[4, 3]).encode(y="y:Q")
    base = (
        alt.Chart(peeking())
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("images:Q", title="images so far, one look every ten"),
            y=alt.Y("wrong at some look:Q", title="wrong at some look, %"),
            color=alt.Color("interval:N", title=None, sort=None),
        )
    )
    return base + rule


def _alarms() -> alt.LayerChart:
    base = alt.Chart(false_alarms()).encode(
        x=alt.X("mean:Q", title="occupations called biased of 150 that are not, mean of 300 simulated audits"),
        y=alt.Y("tested:N", title=None, sort=None),
    )
    labels = base.mark_text(align="left", dx=6).encode(text=alt.Text("mean:Q", format=".2f"))
    return base.mark_bar(color=_RED, size=18) + labels


def _untold() -> alt.LayerChart:
    base = alt.Chart(untold()).encode(y=alt.Y("could not tell:N", title="could not tell", sort=None))
    bars = base.mark_bar(color=_GREEN, size=12, opacity=0.6).encode(
        x=alt.X("low:Q", title="share that the pictures allow, %", scale=alt.Scale(domain=[0, 100])), x2="high:Q"
    )
    return bars + base.mark_tick(color=PALETTE["ink"], thickness=2, size=18).encode(x="share:Q")


def _frechet() -> alt.LayerChart:
    table = frechet_bias()
    base = alt.Chart(table).encode(
        x=alt.X("images:O", title="images", sort=None, axis=alt.Axis(labelAngle=0)),
        color=alt.Color("number:N", title=None, sort=None),
    )
    truth = alt.Chart(table[["truth"]].head(1)).mark_rule(color=PALETTE["reference"], strokeDash=[4, 3])
    bars = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title="Frechet distance"), y2="high:Q")
    dots = base.mark_circle(size=70, opacity=1).encode(y="value:Q")
    return truth.encode(y=alt.Y("truth:Q", title="Frechet distance")) + bars + dots


PICTURES: Mapping[str, tuple[Callable[[], alt.LayerChart], int]] = {
    "floor": (_floor, 220),
    "seen_through": (_seen, 260),
    "anatomy": (_anatomy, 200),
    "coverage": (_coverage, 100),
    "peeking": (_peeking, 220),
    "false_alarms": (_alarms, 80),
    "untold": (_untold, 140),
    "frechet_bias": (_frechet, 220),
}


def write(folder: Path) -> None:
    """All pictures as SVG files in ``folder``."""
    import vl_convert

    folder.mkdir(exist_ok=True)
    for name, (draw, height) in PICTURES.items():
        spec = draw().properties(width=520, height=height).to_dict()
        spec["config"] = {**chart_config(), "background": PALETTE["paper"]}
        (folder / f"{name}.svg").write_text(vl_convert.vegalite_to_svg(spec) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parent / "pictures")
