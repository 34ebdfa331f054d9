# SPDX-License-Identifier: Apache-2.0
"""``genaudit validate``: is this audit file all right, and how much will it ask?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "validate"
EXAMPLES = "Examples:  genaudit validate audit.yaml;  genaudit validate --schema > audit.schema.json"


def command(
    config: Annotated[Path | None, typer.Argument(help="Audit file (YAML).")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of audit files.")] = False,
) -> None:
    """Check an audit file, its probe sets, plug-ins and policy, and print how many images it asks for."""
    import json
    from collections import Counter

    from audit.config import AuditConfig, load_config
    from audit.errors import ConfigError

    if schema:
        typer.echo(json.dumps(AuditConfig.model_json_schema(), indent=2))
        return
    if config is None:
        raise ConfigError("no audit file given", hint="genaudit validate examples/quickstart.yaml")
    from audit.policy import load_policy
    from audit.runs.plan import make_plan

    plan = make_plan(load_config(config))
    policy = load_policy(plan.config.policy) if plan.config.policy else None
    asked = Counter((request.generator, request.prompt.probe) for request in plan.requests)
    for (generator, probe), images in asked.items():
        typer.echo(f"{generator}\t{probe}\t{images}")
    judged = f"policy {policy.name} {policy.version}" if policy else "no policy"
    typer.echo(f"valid: {len(plan.requests)} images, {len(plan.metrics)} metrics, {judged}", err=True)
