# SPDX-License-Identifier: Apache-2.0
"""Probe sets: what is asked, of how many, and what the answers are compared with."""

from __future__ import annotations

from audit.probes.load import ProbeSet, list_probe_sets, load_probe_set
from audit.probes.plan import request_seed, requests

__all__ = ["ProbeSet", "list_probe_sets", "load_probe_set", "request_seed", "requests"]
