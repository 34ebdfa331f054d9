# SPDX-License-Identifier: Apache-2.0
"""Text from runs never becomes markup."""

from __future__ import annotations

import re
import string

import pytest
from words import STATE_WORDS, STATES, heading, plain, title

from audit.provenance.verify import State


@pytest.mark.parametrize("character", sorted(set(string.punctuation)))
def test_every_markdown_character_is_escaped(character):
    assert f"\\{character}" in plain(f"a{character}b")


def test_plain_is_one_line_and_addresses_do_not_link():
    text = plain("a\n\n# b\thttps://x.example www.x.example me@x.example \u202eabc")
    assert "\n" not in text
    assert "\u202e" not in text
    bare = text.replace("\\", "")
    assert not re.search(r"https://|www\.|me@x", bare)
    assert bare.replace("\N{WORD JOINER}", "").startswith("a # b https://x.example www.x.example me@x.example")


def test_heading_names_attributes_as_perceived():
    assert heading("presentation", attribute=True) == "Perceived presentation"
    assert heading("tone_band", attribute=True) == "Apparent skin tone"
    assert heading("middle_aged") == "Middle aged"


def test_title_comes_from_the_run():
    assert title({"metrics": [{"id": "a.b_c", "title": "Rate"}]}, "a.b_c") == "Rate"
    assert title({"metrics": []}, "a.b_c") == "B c"


def test_every_state_of_the_verifier_is_explained():
    assert set(STATES) == {state.value for state in State}
    assert set(STATE_WORDS) <= set(STATES)
