# SPDX-License-Identifier: Apache-2.0
"""Imperceptible watermarks, the layer that is still there when metadata is gone.

>>> names()
['spread', 'trustmark']
"""

from __future__ import annotations

from audit.provenance.watermark._find import find, names
from audit.provenance.watermark._keyed import find_keyed
from audit.provenance.watermark._types import Reading, Watermark, WatermarkSpec, payload_of

__all__ = ["Reading", "Watermark", "WatermarkSpec", "find", "find_keyed", "names", "payload_of"]
