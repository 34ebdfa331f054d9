# SPDX-License-Identifier: Apache-2.0
"""Instruments: one image in, named columns out. Each is named in `audit.registry` and imported on first use."""

from __future__ import annotations

__all__: list[str] = []
