# SPDX-License-Identifier: Apache-2.0
"""Names to objects: unknown, doubly owned and broken plug-ins are told."""

from __future__ import annotations

import pytest

from audit import registry
from audit.errors import PluginError
from audit.registry import Registry

TABLES = [registry.GENERATORS, registry.ANNOTATORS, registry.METRICS, registry.RULES, registry.RENDERERS]


@pytest.mark.parametrize(("table", "name"), [(table, name) for table in TABLES for name in table])
def test_every_built_in_loads(table: Registry, name: str) -> None:
    assert table.describe(name).distribution == "genaudit"
    assert callable(table.get(name)) or hasattr(table.get(name), "render")


def test_metrics_are_registered_under_their_own_id() -> None:
    assert all(registry.METRICS.get(name).spec.id == name for name in registry.METRICS)


def test_unknown_name_comes_with_the_nearest() -> None:
    with pytest.raises(PluginError, match="clip_scor") as caught:
        registry.METRICS.get("quality.clip_scor")
    assert "quality.clip_score" in (caught.value.hint or "")


@pytest.mark.parametrize("target", ["no.such.module:thing", "audit.types:NoSuchThing", "audit.types"])
def test_a_plug_in_that_does_not_load_is_an_error(target: str) -> None:
    with pytest.raises(PluginError, match="does not load"):
        Registry("audit.tests", {"broken": target}).get("broken")
