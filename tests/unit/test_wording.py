# SPDX-License-Identifier: Apache-2.0
"""Words that promise what an audit cannot give stay out of everything a user reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = re.compile(
    r"\b(de-?bias\w*|un-?biased|bias-free|free of bias|fair models?|fully fair|proven fair|compliant"
    r"|ensures? compliance|identified as|same person as|is the same person|positively identif\w+)\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"`[^`\n]*`|“[^”\n]*”|\"[^\"\n]*\"")  # naming a word in order to rule it out is fine
PLACES = (
    "README.md",
    "docs/**/*.md",
    "reports/templates/*",
    "reports/policies/*.yaml",
    "reports/frameworks/*",
    "reports/crosswalks/*",
    "probes/**/*.yaml",
)
GOLDEN = ("tests/golden/report.md", "tests/golden/report.html", "tests/golden/report.xml")


def texts() -> Iterator[Path]:
    for pattern in (*PLACES, *GOLDEN):
        yield from sorted(path for path in ROOT.glob(pattern) if path.is_file())


def offences(text: str) -> list[str]:
    plain = QUOTED.sub("", text)
    return [match[0] for match in FORBIDDEN.finditer(plain)]


@pytest.mark.parametrize("path", list(texts()), ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8")) == []


def test_the_texts_are_there() -> None:
    names = {str(path.relative_to(ROOT)) for path in texts()}
    assert {"reports/templates/report.html.j2", *GOLDEN} <= names


@pytest.mark.parametrize(
    "phrase", ["a debiased model", "an unbiased generator", "fair model", "is compliant with", "identified as R-03"]
)
def test_the_rule_bites(phrase: str) -> None:
    assert offences(f"This is {phrase}.")


def test_naming_a_word_in_quotes_is_allowed() -> None:
    assert offences("We never write “unbiased” or `compliant`.") == []
