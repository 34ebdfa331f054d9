# SPDX-License-Identifier: Apache-2.0
"""Any local generator behind an OpenAI-compatible image endpoint that stamps what it returns.

Importing this package loads neither a model library nor a web framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.serving._settings import Settings

if TYPE_CHECKING:
    from audit.serving._app import Application
    from audit.types import Generator

__all__ = ["Settings", "build_app"]


def build_app(settings: Settings, *, generator: Generator | None = None) -> Application:
    """The ASGI application, for a server of your own: ``uvicorn.run(build_app(Settings("reference:diffusion")))``.

    Args:
        settings: what to serve, and how.
        generator: an object to serve instead of what ``settings`` name; it belongs to the application from now on.

    Raises:
        ConfigError: starlette is missing, or a setting is wrong.
        GeneratorError: the model cannot be loaded.
    """
    from audit.serving._settings import need_extra

    need_extra()
    from audit.serving._app import build

    return build(settings, generator)
