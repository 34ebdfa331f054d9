# SPDX-License-Identifier: Apache-2.0
"""A finished run as a report: html, markdown, json, junit. Pure: same report, same bytes."""

from __future__ import annotations

from audit.render.format import summary_table
from audit.render.report import Renderer, Report, Sample, build_report

__all__ = ["Renderer", "Report", "Sample", "build_report", "summary_table"]
