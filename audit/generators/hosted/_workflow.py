# SPDX-License-Identifier: Apache-2.0
"""A ComfyUI workflow in API format, and the places in it that an audit fills."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import ConfigError

__all__ = ["Workflow", "read_workflow"]

_HOLDER = re.compile(r"%([a-z_]+)%")
_NAMES = frozenset({"guidance", "height", "negative", "prompt", "seed", "steps", "width"})
_EXPORT = "in ComfyUI: Workflow > Export (API)"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph and where values go.

    Attributes:
        nodes: node id -> ``{"class_type": ..., "inputs": {...}}``.
        places: name of a value -> (node, input) pairs.
    """

    nodes: Mapping[str, Any]
    places: Mapping[str, tuple[tuple[str, str], ...]]

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The graph with the values in their places; a placeholder within a longer text is replaced there."""
        graph: dict[str, Any] = copy.deepcopy(dict(self.nodes))
        for name, places in self.places.items():
            value = values.get(name, "" if name == "negative" else None)
            for node, key in places:
                old = graph[node]["inputs"][key]
                holder = f"%{name}%"
                if isinstance(old, str) and holder in old and old != holder:
                    graph[node]["inputs"][key] = old.replace(holder, str(value))
                elif value is not None and (name in values or old == holder):
                    graph[node]["inputs"][key] = value
        return graph

    def check_params(self, params: Mapping[str, Any], *, where: str) -> None:
        """Raises ConfigError for a parameter without a place, and for a placeholder without a parameter."""
        given = set(params) - {"size"} | ({"width", "height"} if "size" in params else set())
        if lost := sorted(given - set(self.places)):
            hint = f"add {lost[0]}: <node>.inputs.<name> to options.inputs, or %{lost[0]}% to the file"
            raise ConfigError(f"the workflow has no place for {lost[0]!r}", where=where, hint=hint)
        for name, places in self.places.items():
            open_ = [place for place in places if f"%{name}%" in str(self.nodes[place[0]]["inputs"][place[1]])]
            if open_ and name not in given | {"negative", "prompt", "seed"}:
                raise ConfigError(f"the workflow has %{name}%, which has no value", where=where, hint="set it here")


def read_workflow(path: Path, inputs: Mapping[str, Any] | None, *, where: str) -> Workflow:
    """The workflow at ``path``.

    Args:
        path: JSON file.
        inputs: name -> ``"<node>.inputs.<input>"``, or a list of such; beside the placeholders of the file.
        where: place for the message.

    Raises:
        ConfigError: not readable, not in API format, an unknown place, or no place for prompt or seed.
    """
    try:
        nodes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", where=where, hint=_EXPORT) from None
    if not isinstance(nodes, dict) or not nodes or not all(_is_node(node) for node in nodes.values()):
        raise ConfigError(f"{path} is no workflow in API format", where=where, hint=_EXPORT)
    places: dict[str, list[tuple[str, str]]] = {}
    for name, told in (inputs or {}).items():
        for one in told if isinstance(told, list) else [told]:
            places.setdefault(str(name), []).append(_place(str(one), nodes, where=where))
    for name, place in _placeholders(nodes):
        places.setdefault(name, []).append(place)
    for name in ("prompt", "seed"):
        if name not in places:
            why = "" if name == "prompt" else ": every repetition would be the same picture"
            hint = f"options.inputs: {{{name}: <node>.inputs.<name>}}, or %{name}% in the file"
            raise ConfigError(f"the workflow has no place for the {name}{why}", where=where, hint=hint)
    return Workflow(nodes, {name: tuple(dict.fromkeys(found)) for name, found in places.items()})


def _placeholders(nodes: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Texts like ``%prompt%`` in the file, and where they stand."""
    for node, content in nodes.items():
        for key, value in content["inputs"].items():
            found = dict.fromkeys(_HOLDER.findall(value)) if isinstance(value, str) else {}
            yield from ((name, (node, key)) for name in found if name in _NAMES)


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("inputs"), dict) and isinstance(node.get("class_type"), str)


def _place(path: str, nodes: Mapping[str, Any], *, where: str) -> tuple[str, str]:
    node, middle, key = [*path.split(".", 2), "", ""][:3]
    if middle != "inputs" or node not in nodes:
        there = ", ".join(f"{name} ({content['class_type']})" for name, content in nodes.items())
        raise ConfigError(f"{path!r} is no place in the workflow", where=where, hint=f"its nodes: {there}"[:500])
    if key not in nodes[node]["inputs"] or isinstance(nodes[node]["inputs"][key], list):
        free = ", ".join(name for name, value in nodes[node]["inputs"].items() if not isinstance(value, list))
        hint = f"node {node} takes: {free or 'nothing'} (a list is a link to another node)"
        raise ConfigError(f"{path!r} is no value in the workflow", where=where, hint=hint)
    return node, key
