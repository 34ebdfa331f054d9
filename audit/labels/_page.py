# SPDX-License-Identifier: Apache-2.0
"""The page and the words that raters are given. Everything works from the folder, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.annotators._operating import COULD_NOT_TELL
from audit.labels._attributes import Groups, question
from audit.labels._key import Item
from audit.paths import data_root

__all__ = ["instructions", "overview", "page"]


def page(rater: str, items: Sequence[Item], groups: Groups) -> str:
    """The contact sheet of one rater: pictures with buttons, and a button that saves the answers as CSV."""
    return _render("labels.html.j2", rater=rater, items=items, **_asked(groups))


def instructions(rater: str, groups: Groups, form: str) -> str:
    """README.md of one rater."""
    return _render("labels_rater.md.j2", rater=rater, form=form, **_asked(groups))


def overview(raters: int, form: str) -> str:
    """README.md of who asks."""
    return _render("labels_overview.md.j2", raters=raters, form=form)


def _asked(groups: Groups) -> dict[str, Any]:
    questions = [(name, question(name), [*answers, COULD_NOT_TELL]) for name, answers in groups.items()]
    return {"questions": questions, "columns": ["item", "image", *groups, "comment"]}


def _render(template: str, **context: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(data_root() / "reports" / "templates"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**context)
