# SPDX-License-Identifier: Apache-2.0
"""Networks that users bring: modules of torch, programs of torch.export, ONNX files."""

from __future__ import annotations

from audit.generators.networks.module import ModuleGenerator
from audit.generators.networks.onnx import OnnxGenerator
from audit.generators.networks.program import ProgramGenerator

__all__ = ["ModuleGenerator", "OnnxGenerator", "ProgramGenerator"]
