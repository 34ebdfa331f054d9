# SPDX-License-Identifier: Apache-2.0
"""Checks of what is said about how the image came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from audit.provenance.rubric import _vocabulary as names
from audit.provenance.rubric._model import Rule
from audit.provenance.rubric._view import ACTIONS, Found, View, mapping, one_of, sequence, text

__all__ = ["RULES"]

_CREATED: Final = "c2pa.created"
_OPENED: Final = "c2pa.opened"
_SOURCE: Final = "digitalSourceType"


def _perceptible_without_source(view: View) -> Sequence[Found] | None:
    exempt = names.INCEPTION | names.NON_EDITORIAL | {"c2pa.placed"}
    edits = [
        (label, action)
        for label, action in view.actions()
        if text(action.get("action")).startswith("c2pa.") and action["action"] not in exempt
    ]
    if not edits:
        return None
    return [view.found(label, action["action"]) for label, action in edits if action.get(_SOURCE) is None]


def _all_included_missing(view: View) -> Sequence[Found] | None:
    lists = [(label, data) for label, data in view.values() if data.get("actions") is not None]
    if not lists:
        return None
    missing = [label for label, data in lists if data.get("allActionsIncluded") is None]
    return [view.found(label, "no allActionsIncluded") for label in missing]


def _opened_with_source(view: View) -> Sequence[Found] | None:
    opened = view.named(_OPENED)
    if not opened:
        return None
    return [view.found(label, action[_SOURCE]) for label, action in opened if action.get(_SOURCE) is not None]


def _inception_position(view: View) -> Sequence[Found] | None:
    lists = [label for label in view.listed("created_assertions") if "c2pa.actions" in label]
    if not lists:
        return [view.found("claim.v2", "the signer vouches for no actions")]
    if not lists[0].endswith(ACTIONS):
        return [view.found("claim.v2", f"the first actions that the signer vouches for are {lists[0]}")]
    actions = view.actions()
    if view.named(_CREATED) and not one_of(actions[0][1].get("action"), names.INCEPTION):
        return [view.found(actions[0][0], f"{text(actions[0][1].get('action'))} stands before {_CREATED}")]
    return []


def _deprecated(view: View) -> Sequence[Found] | None:
    return _actions_that(view, lambda name: name in names.DEPRECATED_ACTIONS)


def _unknown(view: View) -> Sequence[Found] | None:
    return _actions_that(view, lambda name: name.startswith("c2pa.") and name not in names.ALLOWED_ACTIONS)


def _without_namespace(view: View) -> Sequence[Found] | None:
    return _actions_that(view, lambda name: not name.startswith("c2pa.") and "." not in name)


def _parameters_without_namespace(view: View) -> Sequence[Found] | None:
    given = [(label, str(key)) for label, action in view.actions() for key in mapping(action.get("parameters"))]
    if not given:
        return None
    known = names.STANDARD_PARAMETERS
    return [view.found(label, key) for label, key in given if key not in known and "." not in key]


def _legacy_parameters(view: View) -> Sequence[Found] | None:
    given = [(label, action, mapping(action.get("parameters"))) for label, action in view.actions()]
    given = [(label, action, parameters) for label, action, parameters in given if parameters]
    if not given:
        return None
    return [
        view.found(label, f"{text(action.get('action'))}: {key}")
        for label, action, parameters in given
        for key in ("description", "ingredient")
        if parameters.get(key) is not None
    ]


def _created_without_source(view: View) -> Sequence[Found] | None:
    created = view.named(_CREATED)
    if not created:
        return None
    return [view.found(label, f"no {_SOURCE}") for label, action in created if action.get(_SOURCE) is None]


def _only_opened(view: View) -> Sequence[Found] | None:
    actions = view.actions()
    if len(actions) != 1 or not view.named(_OPENED):
        return None
    if mapping(view.assertions.get(ACTIONS)).get("allActionsIncluded") is True:
        return []
    return [view.found(actions[0][0], "only c2pa.opened, without allActionsIncluded: true")]


def _opened_without_ingredient(view: View) -> Sequence[Found] | None:
    opened = view.named(_OPENED)
    if not opened:
        return None
    counts = [(label, len(sequence(mapping(a.get("parameters")).get("ingredients")))) for label, a in opened]
    return [view.found(label, f"c2pa.opened names {count} ingredients") for label, count in counts if count != 1]


def _actions_that(view: View, wrong: Callable[[str], bool]) -> Sequence[Found] | None:
    actions = [(label, text(action.get("action"))) for label, action in view.actions()]
    return [view.found(label, name) for label, name in actions if wrong(name)] if actions else None


_PROGRAM: Final = "C2PA conformance program 0.2"
RULES: Final = (
    Rule(
        "mandatory_dst_for_perceptible_transformations",
        "Every standard edit that can be seen says by what kind of tool it was made",
        _PROGRAM,
        _perceptible_without_source,
    ),
    Rule(
        "mandatory_all_actions_included",
        "Every list of actions says whether it is complete",
        _PROGRAM,
        _all_included_missing,
    ),
    Rule(
        "no_dst_for_opened_action",
        "Opening an image claims no source type for it",
        _PROGRAM,
        _opened_with_source,
    ),
    Rule(
        "inception_action_position",
        "The signer vouches for the actions, and creating or opening the image comes first",
        "C2PA 2.2, 18.14.2",
        _inception_position,
    ),
    Rule("no_deprecated_actions", "No action is deprecated", "C2PA 2.2, 18.14.11 and appendix C.1", _deprecated),
    Rule(
        "no_unsupported_actions",
        "Every action with the prefix c2pa. stands in the specification",
        "C2PA 2.2, 18.14 and 18.14.12",
        _unknown,
    ),
    Rule(
        "no_unrecognized_custom_actions",
        "Other actions carry the namespace of whoever defines them",
        "C2PA 2.2, 18.14 and 18.14.12",
        _without_namespace,
    ),
    Rule(
        "no_unrecognized_custom_action_parameters",
        "Parameters of actions are standard, or carry a namespace",
        "C2PA 2.2, 18.14.4.7",
        _parameters_without_namespace,
    ),
    Rule(
        "discouraged_legacy_action_parameters",
        "Description and ingredients stand where version 2 of the actions puts them",
        "C2PA 2.2, 18.14.4.1 and 18.14.12",
        _legacy_parameters,
        warns=True,
    ),
    Rule(
        "mandatory_dst_for_created_action",
        "Creating the image names its source type",
        "C2PA 2.2, 18.14.2 and 18.14.4.5",
        _created_without_source,
    ),
    Rule(
        "all_actions_included_opened",
        "An image that was only opened says that its list of actions is complete",
        "C2PA 2.4, 18.15.3",
        _only_opened,
    ),
    Rule(
        "opened_action_ingredient_reference",
        "Opening an image names exactly one ingredient",
        "C2PA 2.4, 15.10.3.2.3 and 18.15.4.7",
        _opened_without_ingredient,
    ),
)
