# SPDX-License-Identifier: Apache-2.0
"""Objects that a configuration names as ``package.module:Name``."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from audit.errors import AuditError, ConfigError, GeneratorError

__all__ = ["named"]

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def named(name: str | None, *, where: str) -> Any:
    """The object behind ``package.module:Name``; modules of the current directory are found too, after installed ones.

    Raises:
        ConfigError: not such a name, no such module, or nothing of that name in it.
        GeneratorError: the module is there and fails when it is imported.
    """
    if not name or not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} names nothing in a module", where=where, hint="it reads package.module:Name")
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _broken(module_name, error, where) from error
        hint = "install it, or run genaudit in the folder that holds it"
        raise ConfigError(f"there is no module {error.name!r}", where=where, hint=hint) from None
    except AuditError:
        raise
    except Exception as error:
        raise _broken(module_name, error, where) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [each for each in vars(found) if not each.startswith("_")]
            hint = f"it has {', '.join(sorted(public))[:200] or 'nothing'}"
            raise ConfigError(f"{module_name} has no {attribute!r}", where=where, hint=hint)
        found = getattr(found, part)
    return found


def _broken(module: str, error: Exception, where: str) -> GeneratorError:
    message = f"{module} cannot be imported: {type(error).__name__}: {str(error).strip()[:200]}"
    return GeneratorError(message, where=where, hint=f"python -c 'import {module}' shows the whole error")
