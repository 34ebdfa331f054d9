# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.checkpoints import (
    check_options,
    digest_folder,
    digest_of,
    licence_of,
    quiet,
    reference_folder,
    resolve_model,
)
from audit.errors import AnnotatorError, ConfigError, GeneratorError


def test_options_of_the_right_types_pass():
    check_options({"a": 1, "b": None, "c": True, "d": 2}, {"a": int, "b": str, "c": bool, "d": (int, float)}, where="x")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"devise": 1}, "unknown option 'devise'", "did you mean 'device'?"),
        ({"zzz": 1}, "unknown option 'zzz'", "known: device, lanes"),
        ({"lanes": "4"}, "'lanes' must be int, got '4'", None),
        ({"lanes": True}, "'lanes' must be int, got True", None),
    ],
)
def test_wrong_options(options, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        check_options(options, {"device": str, "lanes": int}, where="generator 'g'")
    assert (caught.value.where, caught.value.hint) == ("generator 'g'", hint)


def test_digest_sees_names_and_contents_and_not_cards(tmp_path):
    (tmp_path / "a.json").write_text("1")
    first = digest_folder(tmp_path)
    (tmp_path / "README.md").write_text("card")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x").write_text("x")
    assert digest_folder(tmp_path) == first
    every = digest_folder(tmp_path, every=True)
    assert every != first
    (tmp_path / "a.json").write_text("2")
    second = digest_folder(tmp_path)
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    assert len({first, second, digest_folder(tmp_path)}) == 3


def test_digest_of_content_ignores_the_order_of_keys():
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1}) != digest_of({"a": 1, "b": [3]})


def test_licence_comes_from_the_front_matter_only(tmp_path):
    assert licence_of(tmp_path) is None
    (tmp_path / "README.md").write_text("# Card\nlicense: mit\n")
    assert licence_of(tmp_path) is None
    (tmp_path / "README.md").write_text('---\ntags: [x]\nlicense: "apache-2.0"\n---\n# Card')
    assert licence_of(tmp_path) == "apache-2.0"
    assert licence_of(reference_folder("attributes")) == "Apache-2.0"


def test_a_model_is_a_folder_a_hub_id_or_an_error(tmp_path):
    assert resolve_model(str(tmp_path), where="x", error=GeneratorError) == tmp_path
    assert resolve_model("owner/name-1.5", where="x", error=GeneratorError) is None
    for bad in ("/no/where", "just-a-name", "a/b/c", "../up"):
        with pytest.raises(ConfigError, match="is not a folder"):
            resolve_model(bad, where="x", error=GeneratorError)
    for bad in ("reference:nothing", "reference:../train", "reference:"):
        with pytest.raises(AnnotatorError, match="no bundled model"):
            resolve_model(bad, where="x", error=AnnotatorError)


def test_quiet_puts_things_back():
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    with quiet():
        assert logging.get_verbosity() == 40
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, False)
    logging.enable_progress_bar()
    with pytest.raises(RuntimeError), quiet():
        raise RuntimeError
    assert logging.is_progress_bar_enabled()
