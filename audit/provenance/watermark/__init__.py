# SPDX-License-Identifier: Apache-2.0
"""Imperceptible watermarks, the layer that is still there when metadata is gone."""

from __future__ import annotations

from audit.provenance.watermark._types import Reading, Watermark, WatermarkSpec, payload_of

__all__ = ["Reading", "Watermark", "WatermarkSpec", "payload_of"]
