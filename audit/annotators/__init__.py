# SPDX-License-Identifier: Apache-2.0
"""Instruments: one image in, named columns out. Model libraries are imported on first use."""

from __future__ import annotations

from audit.annotators.attributes import AttributeAnnotator
from audit.annotators.clip import ClipAnnotator
from audit.annotators.credentials import CredentialsAnnotator
from audit.annotators.likeness import LikenessAnnotator
from audit.annotators.skin_tone import SkinToneAnnotator

__all__ = ["AttributeAnnotator", "ClipAnnotator", "CredentialsAnnotator", "LikenessAnnotator", "SkinToneAnnotator"]
