# SPDX-License-Identifier: Apache-2.0
"""Our own checks: what the C2PA rubrics let pass, and an image generator should not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from audit.provenance.rubric import _vocabulary as names
from audit.provenance.rubric._model import Rubric, Rule
from audit.provenance.rubric._view import CLAIM, Found, View, base_label, mapping, one_of, text

__all__ = ["RULES"]

_CREATED: Final = "c2pa.created"


def _unknown_source(view: View) -> Sequence[Found] | None:
    said = [(label, action["digitalSourceType"]) for label, action in view.actions() if "digitalSourceType" in action]
    if not said:
        return None
    return [view.found(label, f"{value!r}") for label, value in said if not one_of(value, names.SOURCE_TYPES)]


def _first_action(view: View) -> Sequence[Found] | None:
    actions = view.actions()
    if not actions:
        return [view.found(CLAIM, "no actions at all")]
    label, first = actions[0]
    begins = one_of(first.get("action"), names.INCEPTION)
    return [] if begins else [view.found(label, f"the first action is {text(first.get('action')) or 'nameless'}")]


def _actions_gathered(view: View) -> Sequence[Found] | None:
    gathered = [label for label in view.listed("gathered_assertions") if "c2pa.actions" in label]
    return [view.found(label, "stands in gathered_assertions") for label in gathered]


def _old_lists(view: View) -> Sequence[Found] | None:
    lists = [label for label, data in view.values() if "actions" in data and base_label(label).startswith("c2pa.")]
    old = [label for label in lists if base_label(label) != "c2pa.actions.v2"]
    return [view.found(label, "not c2pa.actions.v2") for label in old] if lists else None


def _gathered(view: View) -> Sequence[Found] | None:
    return [view.found(label, "stands in gathered_assertions") for label in view.listed("gathered_assertions")]


def _time(view: View) -> Sequence[Found] | None:
    return _created_without(view, "no time (when)", lambda action: bool(action.get("when")))


def _agent(view: View) -> Sequence[Found] | None:
    return _created_without(view, "no softwareAgent with name and version", _names_agent)


def _names_agent(action: Mapping[str, Any]) -> bool:
    agent = mapping(action.get("softwareAgent"))
    return bool(agent.get("name") and agent.get("version"))


def _created_without(view: View, what: str, has: Callable[[Mapping[str, Any]], bool]) -> Sequence[Found] | None:
    created = view.named(_CREATED)
    return [view.found(label, what) for label, action in created if not has(action)] if created else None


_OURS: Final = (Rubric.GENERATOR,)
RULES: Final = (
    Rule(
        "source_type_known",
        "Source types are ones that IPTC or C2PA define",
        "IPTC NewsCodes digitalsourcetype; C2PA 2.4, digital source type",
        _unknown_source,
        _OURS,
    ),
    Rule(
        "inception_first",
        "The first action creates or opens the image, whatever else there is",
        "C2PA 2.2, 18.14.2",
        _first_action,
        _OURS,
    ),
    Rule(
        "actions_attested",
        "The signer vouches for every list of actions",
        "C2PA 2.2, 18.14.2",
        _actions_gathered,
        _OURS,
    ),
    Rule(
        "actions_current",
        "Every list of actions is of version 2, repeated ones too",
        "C2PA 2.2, appendix C.1",
        _old_lists,
        _OURS,
    ),
    Rule(
        "nothing_gathered",
        "The signer vouches for every assertion",
        "C2PA 2.4, created and gathered assertions",
        _gathered,
        _OURS,
        warns=True,
    ),
    Rule(
        "creation_time",
        "Creating the image names the time",
        "California Business and Professions Code 22757.3(b)(1)(C)",
        _time,
        _OURS,
        warns=True,
    ),
    Rule(
        "creation_agent",
        "Creating the image names the system and its version",
        "California Business and Professions Code 22757.3(b)(1)(B)",
        _agent,
        _OURS,
        warns=True,
    ),
)
