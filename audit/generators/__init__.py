# SPDX-License-Identifier: Apache-2.0
"""Generators under audit: diffusers pipelines, GAN checkpoints, folders of finished images, the reference renderer.

Listing and importing this package loads no model library; each class imports what it needs on first use.
"""

from __future__ import annotations

from audit.generators.decoders import GanGenerator, RecurrentGenerator, VaeGenerator
from audit.generators.diffusers import DiffusersGenerator
from audit.generators.folder import FolderGenerator
from audit.generators.renderer import RendererGenerator

__all__ = [
    "DiffusersGenerator",
    "FolderGenerator",
    "GanGenerator",
    "RecurrentGenerator",
    "RendererGenerator",
    "VaeGenerator",
]
