# SPDX-License-Identifier: Apache-2.0
"""Which generators are meant: those of an audit file, or one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.config import AuditConfig, GeneratorConfig, load_config
from audit.contract._inquiry import Inquiry
from audit.documents import explain_options
from audit.errors import AuditError, ConfigError
from audit.generators.address import guess_kind, name_of
from audit.probes import load_probe_set
from audit.types import Prompt

__all__ = ["targets"]

_WHERE = "--generator"
_AUDIT_FILES = (".yaml", ".yml")
_FROM_FILE = 4  # prompts


def targets(
    target: str,
    inquiry: Inquiry,
    *,
    name: str | None = None,
    kind: str | None = None,
    params: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[tuple[GeneratorConfig, Inquiry]]:
    """What to look at, and what to ask it.

    Args:
        target: an audit file (.yaml), or a model: folder, hub id, ``reference:<name>``.
        inquiry: what to ask; where it names no prompts, the first ones of an audit file are added.
        name: which generator of the audit file, or what to call the model.
        kind: of the model; None: told from what is there.
        params: of every picture; for a model.
        options: how to load it; for a model.

    Raises:
        ConfigError: no such file, generator or model, or a wrong setting.
        GeneratorError: a bundled model is missing.
    """
    if target.lower().endswith(_AUDIT_FILES):
        if kind or params or options:
            hint = "set them in the audit file, or name a model instead"
            raise ConfigError("--kind, --param and --option go with a model", where=_WHERE, hint=hint)
        config = load_config(Path(target))
        blocks = _named(config, name)
        prompts = inquiry.prompts or _prompts_of(config, most=min(_FROM_FILE, inquiry.images // 2))
        inquiry = replace(inquiry, prompts=prompts)
    else:
        address = name or name_of(target), kind or _guessed(target)
        blocks = [_block(address, model=target, params=params or {}, options=options or {})]
    return [(block, replace(inquiry, params=block.params, plain=block.plain)) for block in blocks]


def _named(config: AuditConfig, name: str | None) -> list[GeneratorConfig]:
    found = [block for block in config.generators if name in (None, block.name)]
    if not found:
        names = ", ".join(block.name for block in config.generators)
        raise ConfigError(f"the audit file has no generator {name!r}", where="--name", hint=f"it has {names}")
    return found


def _prompts_of(config: AuditConfig, *, most: int) -> tuple[Prompt, ...]:
    """The first prompts of each probe set in turn."""
    sets = [load_probe_set(probe.set).prompts for probe in config.probes]
    return tuple(prompt for prompt in chain.from_iterable(zip_longest(*sets)) if prompt)[:most]


def _block(
    address: tuple[str, str], *, model: str, params: Mapping[str, Any], options: Mapping[str, Any]
) -> GeneratorConfig:
    given = {
        "name": address[0],
        "kind": address[1],
        "model": None if model == "reference:renderer" else model,
        "params": dict(params),
        "options": dict(options),
    }
    try:
        return GeneratorConfig.model_validate(given)
    except ValidationError as error:
        raise explain_options(error, where=_WHERE, model=GeneratorConfig) from None


def _guessed(model: str) -> str:
    """The kind of a model; where there is none, the message names our own place."""
    try:
        return guess_kind(model)
    except AuditError as error:
        hint = f"{error.hint}; or say what it is with --kind" if "--kind" not in (error.hint or "") else error.hint
        raise type(error)(error.message, where=_WHERE, hint=hint) from None
