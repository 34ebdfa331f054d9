# SPDX-License-Identifier: Apache-2.0
"""Generators that somebody else runs, asked over HTTP. Importing this package loads no HTTP library."""

from __future__ import annotations

from audit.generators.hosted.automatic1111 import Automatic1111Generator
from audit.generators.hosted.comfyui import ComfyUIGenerator
from audit.generators.hosted.huggingface import HuggingFaceGenerator
from audit.generators.hosted.openai import OpenAIGenerator

__all__ = ["Automatic1111Generator", "ComfyUIGenerator", "HuggingFaceGenerator", "OpenAIGenerator"]
