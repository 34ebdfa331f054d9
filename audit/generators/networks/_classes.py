# SPDX-License-Identifier: Apache-2.0
"""Which class of a network a request asks for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from audit.errors import ConfigError
from audit.generators._filter import find_words
from audit.generators._labels import label_of
from audit.types import Request

__all__ = ["ClassMap", "read_classes"]

_UNKNOWN = 2**31  # more classes than any network has
_HINT = 'a mapping such as {"*nurse*": 3, "CEO": "boss"}, or a .csv (columns prompt, class) or .json file of it'


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Prompts to classes.

    Attributes:
        rules: axis value or pattern of a prompt -> class index or class name; None where there is no map.
        names: class name -> index.
        count: number of classes, None where it is not known.
    """

    rules: Mapping[str, str] | None
    names: Mapping[str, int]
    count: int | None

    def of(self, request: Request) -> int:
        """The class index of a request.

        With rules: first any axis value of the prompt that equals a key, in any case; then the first key that the text
        fits, where a key with ``*`` or ``?`` fits the whole text and another fits as whole words in it. Without: axis
        ``class``, else the text, as a number or a class name.

        Raises:
            ValueError: the request asks for no class of the network.
        """
        if self.rules is not None:
            found = self._ruled(request)
        else:
            lower = {name.strip().lower(): index for name, index in self.names.items()}
            found = label_of((lower, _UNKNOWN if self.count is None else self.count), request)
        if found is None:
            among = "" if self.count is None else f" among its {self.count}"
            wanted = request.prompt.axes.get("class", request.prompt.text)
            raise ValueError(f"the network has no class {wanted!r}{among}")
        return found

    def _ruled(self, request: Request) -> int | None:
        rules, text = self.rules or {}, request.prompt.text
        axes = {value.casefold() for value in request.prompt.axes.values()}
        key = next((key for key in rules if key.casefold() in axes), None)
        key = key if key is not None else next((key for key in rules if _fits(text, key)), None)
        return None if key is None else _index(rules[key], self.names)


def _fits(text: str, key: str) -> bool:
    if any(mark in key for mark in "*?"):
        return fnmatchcase(text.casefold(), key.casefold())
    return find_words(text, [key]) is not None


def _index(value: str, names: Mapping[str, int]) -> int | None:
    if value.strip().isdigit():
        return int(value)
    return next((index for name, index in names.items() if name.casefold() == value.strip().casefold()), None)


def read_classes(option: Any, *, names: Mapping[str, int], count: int | None, where: str) -> ClassMap:
    """The map that option ``classes`` holds or names. Raises ConfigError for anything that is no such map."""
    if option is None:
        return ClassMap(None, names, count)
    place = f"{where}: options.classes"
    raw = _read(Path(option).expanduser(), place) if isinstance(option, str) else option
    if not isinstance(raw, Mapping) or not raw:
        raise ConfigError("not a map from prompts to classes", where=place, hint=_HINT)
    rules: dict[str, str] = {}
    for key, value in raw.items():
        if isinstance(value, bool) or not isinstance(value, int | str) or not str(key).strip():
            raise ConfigError(f"{key!r}: {value!r} is no class", where=place, hint=_HINT)
        index = _index(str(value), names)
        if index is None:
            known = ", ".join(names) or "none (set labels in generator.json)"
            raise ConfigError(f"{key!r}: there is no class {value!r}", where=place, hint=f"classes: {known:.200}")
        if count is not None and index >= count:
            raise ConfigError(f"{key!r}: class {index} of {count}", where=place, hint=f"0 to {count - 1}")
        rules[str(key)] = str(value)
    return ClassMap(rules, names, count)


def _read(path: Path, place: str) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() != ".csv":
            return json.loads(text)
        reader = csv.DictReader(io.StringIO(text))
        if not {"prompt", "class"} <= set(reader.fieldnames or ()):
            raise ValueError(f"its columns are {', '.join(reader.fieldnames or ()) or 'none'}")
        return {str(row["prompt"]): str(row["class"]) for row in reader}
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}", where=place, hint=_HINT) from None
