# SPDX-License-Identifier: Apache-2.0
"""``python -m audit.policy``: bring the JSON schema of policy files up to date."""

from __future__ import annotations

import json
import sys

from audit.paths import data_root
from audit.policy.load import json_schema

if __name__ == "__main__":
    target = data_root() / "reports" / "schemas" / "policy.schema.json"
    target.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {target}\n")
