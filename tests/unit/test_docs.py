# SPDX-License-Identifier: Apache-2.0
"""Documentation that cannot go stale unnoticed."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate import cli_page

ROOT = Path(__file__).parents[2]


def test_the_command_line_page_is_current():
    assert (ROOT / "docs" / "cli.md").read_text() == cli_page(), "run `make docs`"


def test_links_in_the_documentation_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_source_file_names_its_licence():
    for folder in ("audit", "dashboard", "benchmarks", "tests", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            assert path.read_text().startswith("# SPDX-License-Identifier: Apache-2.0\n"), path
