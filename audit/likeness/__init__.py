# SPDX-License-Identifier: Apache-2.0
"""Enrolled references: consent, exact search, and thresholds calibrated against people who are not enrolled."""

from __future__ import annotations

from audit.likeness.calibration import Calibration, calibrate, fmr_of_fpir, fpir_of_fmr
from audit.likeness.gallery import Consent, Embedder, Gallery, load_gallery, read_image
from audit.likeness.search import best_match, top_k

__all__ = [
    "Calibration",
    "Consent",
    "Embedder",
    "Gallery",
    "best_match",
    "calibrate",
    "fmr_of_fpir",
    "fpir_of_fmr",
    "load_gallery",
    "read_image",
    "top_k",
]
