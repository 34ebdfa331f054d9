# SPDX-License-Identifier: Apache-2.0
"""Words of the pages; numbers and slices are put into words by ``audit.render.format``, as in the reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from audit.render.format import attribute_words, clean, group_words, metric_title

__all__ = ["STATES", "STATE_WORDS", "heading", "plain", "title"]

# What each state of the Content Credentials means to somebody who has never heard of them.
STATES: dict[str, str] = {
    "trusted": "The signature verifies, the signer is on the trust list that was given, and so is who vouches for the "
    "time.",
    "no_timestamp": "The signature verifies and the signer is on the trust list that was given; no trusted authority "
    "vouches for the time, so this ends with the signer's certificate.",
    "valid_untrusted": "The signature verifies and the picture is unchanged; no trust list vouches for the signer.",
    "bad_ingredient": "The signature verifies, but the picture it was made from carried credentials that did not.",
    "invalid": "Credentials are there and do not verify: the file was changed, or the signature is broken.",
    "unreadable": "The file, or the credentials in it, cannot be parsed.",
    "undetermined": "The credentials could not be checked on the machine that made the run.",
    "remote_only": "The file only points at credentials elsewhere; the pointer was not followed.",
    "absent": "The file carries no credentials.",
}
STATE_WORDS: dict[str, str] = {
    "trusted": "valid and trusted",
    "no_timestamp": "valid and trusted, no time stamp",
    "valid_untrusted": "valid, not trusted",
    "bad_ingredient": "valid over a bad parent",
    "remote_only": "only a pointer",
}


def plain(text: object) -> str:
    """``text`` on one line with every Markdown character escaped, for the few places that render Markdown."""
    flat = " ".join(clean(text).split())
    apart = re.sub(r"(?<=[:@])|(?<=www)(?=\.)", "\N{WORD JOINER}", flat)  # an address must not become a link
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", apart)


def title(manifest: Mapping[str, Any], metric: str) -> str:
    """The metric's title as the run recorded it."""
    return metric_title(metric, {str(spec["id"]): str(spec["title"]) for spec in manifest["metrics"]})


def heading(value: str, *, attribute: bool = False) -> str:
    """An attribute or group with a capital letter, escaped: buttons render Markdown."""
    words = attribute_words(value) if attribute else group_words(value)
    return plain(words[:1].upper() + words[1:])
