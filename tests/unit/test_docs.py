# SPDX-License-Identifier: Apache-2.0
"""Documentation that cannot go stale unnoticed."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from audit.config import AuditConfig, GeneratorConfig
from audit.registry import GENERATORS
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


def test_the_audit_files_that_are_shown_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    shown = [yaml.safe_load(block) for block in blocks]
    assert [AuditConfig.model_validate(block).name for block in shown] == ["release-candidate"]
    for path in (ROOT / "examples").glob("*.yaml"):
        AuditConfig.model_validate(yaml.safe_load(path.read_text()))


def test_every_kind_of_generator_is_described_with_a_configuration_and_a_test():
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| `(\{name.+\})` \| (\S+) \|$", (ROOT / "docs" / "generators.md").read_text(), re.M
    )
    shipped = {name for name in GENERATORS if GENERATORS.describe(name).distribution == "genaudit"}
    assert {kind for kind, _, _ in rows} == shipped
    for kind, configuration, test in rows:
        assert GeneratorConfig.model_validate(yaml.safe_load(configuration)).kind == kind
        names = (kind, GENERATORS.describe(kind).target.partition(":")[2])
        assert any(name in (ROOT / test).read_text() for name in names), f"{test} does not name {kind}"
