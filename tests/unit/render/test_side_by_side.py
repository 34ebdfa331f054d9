# SPDX-License-Identifier: Apache-2.0
"""Which prompts stand side by side, and what stands where no picture came."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from audit.registry import RENDERERS
from audit.render import Report
from audit.render._side_by_side import COLUMNS, column_of, side_by_side
from audit.render.comparison import compare
from audit.types import Outcome


def asked(sizes: dict[str, int], generators: int, repetitions: int = 2) -> list[dict]:
    return [
        {"generator": f"g{g}", "probe": probe, "prompt_id": f"{probe}/{i}", "repetition": r, "seed": 100 * i + r}
        for g in range(generators)
        for probe, size in sizes.items()
        for i in range(size)
        for r in range(repetitions)
    ]


def chosen(rows: list[dict]) -> list[list[dict]]:
    columns: dict[str, list[dict]] = {}
    for row in side_by_side(rows, lambda row: row):
        columns.setdefault(column_of(row), []).append(row)
    return list(columns.values())


@given(st.lists(st.integers(0, 60), min_size=1, max_size=4), st.integers(2, 8))
def test_every_column_holds_every_generator_once_with_one_seed(sizes, generators):
    columns = chosen(asked({f"p{i}": size for i, size in enumerate(sizes)}, generators))
    assert len(columns) == min(COLUMNS, sum(sizes))
    for column in columns:
        assert sorted(row["generator"] for row in column) == [f"g{g}" for g in range(generators)]
        assert len({(row["prompt_id"], row["seed"], row["repetition"]) for row in column}) == 1
    per_set = [sum(column[0]["probe"] == f"p{i}" for column in columns) for i in range(len(sizes))]
    open_ = [taken for taken, size in zip(per_set, sizes, strict=True) if taken < size]
    assert not open_ or max(per_set) - min(open_) <= 1


def test_prompts_are_spread_over_a_set():
    ids = [column[0]["prompt_id"] for column in chosen(asked({"occupations": 8, "portraits": 48, "named": 30}, 2))]
    assert ids == [
        *("occupations/0", "occupations/2", "occupations/5"),
        *("portraits/0", "portraits/16", "portraits/32"),
        *("named/0", "named/15"),
    ]


def test_one_generator_or_other_seeds_stand_beside_nothing():
    assert chosen(asked({"p": 5}, 1)) == []
    rows = asked({"p": 5}, 2)
    assert chosen([row | {"seed": -row["seed"]} if row["generator"] == "g1" and row["seed"] else row for row in rows])
    assert len(chosen([row | {"seed": row["seed"] + (row["generator"] == "g1")} for row in rows])) == 0


def section(page: str) -> str:
    return page.partition('id="comparison"')[2].partition('id="findings"')[0]


def test_what_gave_no_picture_is_a_labelled_tile_with_its_reason(page: str):
    shown = section(page)
    assert '<span class="blank refused">REFUSED</span>' in shown
    assert '<span class="blank blocked">BLOCKED</span>' in shown
    assert "I can&#39;t &lt;b&gt;draw&lt;/b&gt; a pilot" in shown
    assert shown.count("<img") == 6
    assert shown.count('class="pic veil"') == 2  # one prompt is tagged as sensitive
    assert len(re.findall('<figure class="pic', shown)) == 8


def test_a_picture_that_is_not_kept_says_so(report: Report):
    bare = tuple(replace(s, thumb=None, media_type=None) if s.kind == "comparison" else s for s in report.samples)
    shown = section(RENDERERS.get("html").render(replace(report, samples=bare)).decode())
    assert shown.count("picture not kept") == 6
    assert "<img" not in shown


def test_a_prompt_that_one_generator_lacks_is_no_column(report: Report):
    kept = [s for s in report.samples if s.kind == "comparison"][1:]
    comparison = compare(replace(report, samples=tuple(kept)))
    assert comparison is not None
    assert len(comparison.columns) == 3
    outcomes = [[s.outcome for s in column.samples] for column in comparison.columns]
    assert outcomes[-1] == [Outcome.BLOCKED, Outcome.REFUSED]
