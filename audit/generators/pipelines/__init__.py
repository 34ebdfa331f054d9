# SPDX-License-Identifier: Apache-2.0
"""diffusers pipelines under audit. Importing this loads neither torch nor diffusers."""

from __future__ import annotations

from audit.generators.pipelines.generator import DiffusersGenerator

__all__ = ["DiffusersGenerator"]
