# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace

from audit.render import Report
from audit.render.markdown import LIMIT, RENDERER, escape
from audit.types import Decision, Finding, Verdict


def test_verdict_first_and_numbers_with_intervals(report: Report) -> None:
    text = RENDERER.render(report).decode()
    lines = text.splitlines()
    assert lines[0] == "<!-- genaudit:example -->"
    assert lines[1] == "## example: FAIL"
    assert "| CLIP score | diffusion | portraits | 27.4 \\[26.8, 28.0\\] | 192 |" in text
    assert text.count("<details>") == text.count("</details>") >= 2


def test_hostile_text_stays_text(report: Report) -> None:
    text = RENDERER.render(report).decode()
    assert not re.search(r"<(?!!--|/?details>|/?summary>)", text)
    inert = escape("a|b `x` **y** [l](https://e.org) @team <img> #12 _z_ ~~s~~ $m$")
    assert inert.count("\\|") == 1
    assert "@team" not in inert
    assert "https://" not in inert
    assert "#12" not in inert
    assert "<img>" not in inert
    assert "\\[l\\]" in inert


def test_tables_have_equal_columns(report: Report) -> None:
    width = 0
    for line in RENDERER.render(report).decode().splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells and width:
            assert cells == width, line
        width = cells


def test_stays_below_the_limit_of_a_comment(report: Report) -> None:
    finding = Finding("r", Decision.FAIL, "x" * 3000, ())
    long = replace(report, verdict=Verdict("p", "d", (finding,) * 60))
    data = RENDERER.render(long)
    assert len(data) <= LIMIT
    assert b"Shortened" in data
    assert data.startswith(b"<!-- genaudit:example -->\n## example: FAIL")


def test_without_verdict(report: Report) -> None:
    assert "NOT JUDGED" in RENDERER.render(replace(report, verdict=None)).decode()
