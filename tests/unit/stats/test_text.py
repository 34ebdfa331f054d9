# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.stats.text import AS_ASKED, OTHERWISE, compared, levenshtein

LETTERS = st.text("ABC", max_size=6)


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "", 0), ("EXIT", "EXIT", 0), ("EXIT", "EXTI", 2), ("kitten", "sitting", 3), ("", "BANK", 4), ("AB", "BA", 2)],
)
def test_known_distances(a, b, edits):
    assert levenshtein(a, b) == edits


@given(LETTERS, LETTERS, LETTERS)
def test_it_is_a_metric(a, b, c):
    assert levenshtein(a, b) == levenshtein(b, a)
    assert (levenshtein(a, b) == 0) == (a == b)
    assert levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c)
    assert abs(len(a) - len(b)) <= levenshtein(a, b) <= max(len(a), len(b))


@given(LETTERS, LETTERS)
def test_no_alignment_of_another_library_is_shorter(a, b):
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    edits = sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in blocks if tag != "equal")
    assert levenshtein(a, b) <= edits


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("sign", "EXIT", AS_ASKED),
        ("sign", "EXTI", OTHERWISE),
        ("sign", None, "could not tell"),
        ("could not tell", None, "could not tell"),
        ("person", None, OTHERWISE),
        ("painting", None, OTHERWISE),
    ],
)
def test_what_is_said_of_a_word(kind, text, said):
    assert compared("exit", kind=kind, text=text) == said
