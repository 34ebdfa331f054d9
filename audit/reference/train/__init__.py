# SPDX-License-Identifier: Apache-2.0
"""How the small models of the reference world are trained: ``python -m audit.reference.train NAME``."""

from __future__ import annotations
