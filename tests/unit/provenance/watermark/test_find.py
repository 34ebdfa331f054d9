# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

from audit.errors import ConfigError
from audit.provenance.watermark import find, names
from audit.provenance.watermark.spread import Spread


def test_by_name():
    assert names() == ["spread", "trustmark"]
    assert find("spread", key="k") == Spread(key="k")


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("spred", {}, "did you mean 'spread'"),
        ("xyz", {}, "known: spread, trustmark"),
        ("spread", {"kye": "k"}, "known: key, rate, reach"),
        ("spread", {"rate": 7}, "correct"),
        ("trustmark", {"variant": "Z"}, "variants: P, Q, B, C"),
    ],
)
def test_what_is_unknown_is_said(name, options, hint):
    with pytest.raises(ConfigError) as caught:
        find(name, **options)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_listing_imports_neither():
    code = (
        "import sys, audit.provenance.watermark as w; w.names();"
        "there = {'scipy', 'torch', 'c2pa', 'trustmark', 'audit.provenance.watermark.spread'} & set(sys.modules);"
        "assert not there, there"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
