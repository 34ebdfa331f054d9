# SPDX-License-Identifier: Apache-2.0
"""How the reference world's instruments are trained and measured."""

from __future__ import annotations
