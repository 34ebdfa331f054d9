# SPDX-License-Identifier: Apache-2.0
"""YAML files that remember where everything stands, so that an error can name file, line and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from audit.errors import AuditError, ConfigError

__all__ = ["Document", "Loc", "explain", "explain_options", "read_document", "read_yaml"]

Loc = Sequence[str | int]


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A parsed YAML file with its node tree.

    Attributes:
        path: the file.
        data: what it holds.
        root: its node tree, None for an empty file.
        error: class of the errors that its content raises.
    """

    path: Path
    data: Any
    root: yaml.Node | None
    error: type[AuditError]

    def place(self, loc: Loc = (), *, key: bool = False) -> str:
        """``file:line:column`` of the value at ``loc`` (of its key with ``key``), or of the nearest parent there is.

        Parts of ``loc`` that name no node (the union labels of pydantic) are passed over.
        """
        node, name = self.root, None
        for part in loc:
            child = _child(node, part)
            if child is not None:
                name, node = child
        shown = name if key and name is not None else node
        if shown is None:
            return str(self.path)
        return f"{self.path}:{shown.start_mark.line + 1}:{shown.start_mark.column + 1}"

    def dotted(self, loc: Loc) -> str:
        """``loc`` as the user would write it, union labels left out: ``groups.age.reference``."""
        node, parts = self.root, []
        for i, part in enumerate(loc):
            child = _child(node, part)
            if child is not None:
                node = child[1]
            if child is not None or (i == len(loc) - 1 and isinstance(node, yaml.MappingNode) and part != "[key]"):
                parts.append(str(part))
        return ".".join(parts)

    def failure(self, message: str, loc: Loc = (), *, hint: str | None = None, key: bool = False) -> AuditError:
        """The error to raise about what stands at ``loc``."""
        return self.error(message, where=self.place(loc, key=key), hint=hint)


def read_yaml(path: Path, *, kind: str) -> Any:
    """Parsed YAML of ``path``. Raises ConfigError with line and column for anything unreadable.

    Args:
        path: the file.
        kind: what it is to the user, e.g. "audit file".
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{kind} does not exist", where=str(path), hint="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{kind} cannot be read: {error}", where=str(path)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or error
        raise ConfigError(f"{kind} is not valid YAML: {problem}", where=where) from None
    except (ValueError, RecursionError) as error:  # an impossible date, or brackets nested a thousand deep
        raise ConfigError(f"{kind} is not valid YAML: {error}", where=str(path)) from None


def read_document(path: Path, *, kind: str, error: type[AuditError] = ConfigError) -> Document:
    """Parse ``path`` and keep its node tree.

    Args:
        path: the YAML file.
        kind: what it is to the user, e.g. "probe set".
        error: class to raise.

    Raises:
        AuditError: of class ``error``: unreadable, not YAML, not a mapping, or a key that stands twice.
    """
    try:
        data = read_yaml(path, kind=kind)
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except ConfigError as problem:
        raise error(problem.message, where=problem.where, hint=problem.hint) from None
    document = Document(path, data, root, error)
    if not isinstance(data, dict):
        raise document.failure(f"{kind} must be a mapping of keys to values")
    for first, again in _doubled(root):
        place = f"{path}:{again.start_mark.line + 1}:{again.start_mark.column + 1}"
        raise error(f"key {again.value!r} stands twice (first on line {first.start_mark.line + 1})", where=place)
    return document


def explain(problem: ValidationError, *, document: Document, model: type[BaseModel], prefix: Loc = ()) -> AuditError:
    """A ValidationError in the user's terms: place of the first problem, all problems in words, the nearest known key.

    Args:
        problem: what pydantic found.
        document: the file it was found in.
        model: what the content was read as; its keys are the suggestions.
        prefix: where in the file the model's content stands.
    """
    lines, hint = [], None
    items = problem.errors(include_url=False)
    for item in items:
        loc = (*prefix, *item["loc"])
        unknown = item["type"] == "extra_forbidden"
        if unknown:
            near = difflib.get_close_matches(str(loc[-1]), sorted(_keys(model)), n=1)
            hint = hint or (f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(_keys(model)))}")
        text = f"{document.dotted(loc) or '(top)'}: {_words(item)}"
        where = document.place(loc, key=unknown)
        lines.append(text if len(items) == 1 else f"line {where.rsplit(':', 2)[-2]}: {text}")
    hint = hint or ("add the key" if items[0]["type"] == "missing" else "correct the value")
    first = (*prefix, *items[0]["loc"])
    return document.failure("; ".join(lines), first, hint=hint, key=items[0]["type"] == "extra_forbidden")


def explain_options(problem: ValidationError, *, where: str, model: type[BaseModel]) -> ConfigError:
    """The same for options that come from no file of their own.

    Args:
        problem: what pydantic found.
        where: place in the user's terms, e.g. "instruments.options.clip".
        model: what the options were read as.
    """
    items = problem.errors(include_url=False)
    lines = [": ".join(filter(None, (".".join(map(str, item["loc"])), _words(item)))) for item in items]
    keys = sorted(_keys(model))
    wrong = str(items[0]["loc"][-1]) if items[0]["loc"] else ""  # a rule over several keys has no place
    near = difflib.get_close_matches(wrong, keys, n=1)
    hint = f"did you mean {near[0]!r}?" if near and near[0] != wrong else f"known: {', '.join(keys)}"
    return ConfigError("; ".join(lines), where=where, hint=hint)


def _words(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown key"
    if item["type"] == "missing":
        return "is missing"
    text = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "string_type":
        text += " (put it in quotes)"
    shown = item["input"]
    return text if isinstance(shown, dict | list) else f"{text}, got {shown!r:.80}"


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """Key node (None in a list) and value node of one step down, None where there is no such step."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == str(part):
                return name, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None


def _doubled(root: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Pairs of equal keys in one mapping; YAML forbids them, the parser keeps the last one without a word."""
    todo, done = [root], set()
    while todo:
        node = todo.pop()
        if node is None or id(node) in done:
            continue
        done.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, yaml.Node] = {}
            for name, value in node.value:
                if isinstance(name, yaml.ScalarNode) and name.value in seen:
                    yield seen[name.value], name
                elif isinstance(name, yaml.ScalarNode):
                    seen[name.value] = name
                todo.append(value)
        elif isinstance(node, yaml.SequenceNode):
            todo.extend(node.value)


def _keys(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema()
    blocks = [schema, *schema.get("$defs", {}).values()]
    return {key for block in blocks for key in block.get("properties", {})}
