# SPDX-License-Identifier: Apache-2.0
"""Generators under audit: pipelines, networks, functions, hosted models, finished images, the reference renderer.

Listing and importing this package loads no model library; each class imports what it needs on first use.
"""

from __future__ import annotations

from audit.generators.callable import CallableGenerator
from audit.generators.decoders import GanGenerator, RecurrentGenerator, VaeGenerator
from audit.generators.folder import FolderGenerator
from audit.generators.hosted import (
    Automatic1111Generator,
    ComfyUIGenerator,
    HuggingFaceGenerator,
    OpenAIGenerator,
)
from audit.generators.networks import ModuleGenerator, OnnxGenerator, ProgramGenerator
from audit.generators.pipelines import DiffusersGenerator
from audit.generators.renderer import RendererGenerator

__all__ = [
    "Automatic1111Generator",
    "CallableGenerator",
    "ComfyUIGenerator",
    "DiffusersGenerator",
    "FolderGenerator",
    "GanGenerator",
    "HuggingFaceGenerator",
    "ModuleGenerator",
    "OnnxGenerator",
    "OpenAIGenerator",
    "ProgramGenerator",
    "RecurrentGenerator",
    "RendererGenerator",
    "VaeGenerator",
]
