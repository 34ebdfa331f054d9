# SPDX-License-Identifier: Apache-2.0
"""The reference world: people that never existed, small models trained on them, and how they were trained."""

from __future__ import annotations
