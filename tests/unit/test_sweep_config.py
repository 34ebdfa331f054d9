# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from audit.config import AuditConfig, load_config
from audit.errors import ConfigError
from audit.runs.plan import make_plan


def config(**block: object) -> AuditConfig:
    given = {"name": "d", "kind": "renderer", "params": {"steps": 5}, **block}
    return AuditConfig.model_validate(
        {"generators": [given, {"name": "e", "kind": "renderer"}], "probes": [{"set": "portraits"}]}
    )


def test_a_block_becomes_a_generator_for_each_combination():
    made = config(sweep={"size": [48, "64x32"], "guidance": [1.5, 2.0, -1]}, batch_size=7).generators
    assert [block.name for block in made] == [
        "d.size-48.guidance-1.5",
        "d.size-48.guidance-2",
        "d.size-48.guidance--1",
        "d.size-64x32.guidance-1.5",
        "d.size-64x32.guidance-2",
        "d.size-64x32.guidance--1",
        "e",
    ]
    assert made[3].params == {"steps": 5, "size": "64x32", "guidance": 1.5}
    assert (made[3].batch_size, made[3].sweep) == (7, {})
    assert (made[3].swept.of, made[3].swept.values) == ("d", {"size": "64x32", "guidance": 1.5})
    assert made[-1].swept is None


def test_a_swept_configuration_reads_back_as_itself():
    made = config(sweep={"size": [48, 64]})
    assert AuditConfig.model_validate(made.model_dump(mode="json")) == made


def test_every_point_is_asked_the_same_at_the_same_seeds():
    plan = make_plan(config(sweep={"size": [48, 64]}), limit=2)
    seeds = {name: [r.seed for r in plan.requests if r.generator == name] for name in ("d.size-48", "d.size-64", "e")}
    assert len({tuple(each) for each in seeds.values()}) == 1
    assert len({request.id for request in plan.requests}) == len(plan.requests) == 3 * 2 * 4
    assert {r.params["size"] for r in plan.requests if r.generator == "d.size-48"} == {48}
    assert plan.record()["config"]["generators"][0]["swept"] == {"of": "d", "values": {"size": 48}}


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"sweep": {"size": [48]}}, "at least two values"),
        ({"sweep": {"size": [48, 48.0]}}, "no two alike"),
        ({"sweep": {"steps": [5, 10]}}, "'steps' is in params and in sweep"),
        ({"sweep": {"a": [1, 2, 3, 4, 5], "b": [1, 2, 3, 4, 5]}}, "makes 25 generators; at most 24"),
        ({"sweep": {"a" * 62: [1, 2]}}, "at most 64 letters"),
        ({"sweep": {"a": [1, 2]}, "swept": {"of": "d", "values": {"a": 1}}}, "written by the tool"),
        ({"name": "e", "sweep": {}}, "two generators are called 'e'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, block, said):
    given = {"name": "d", "kind": "renderer", "params": {"steps": 5}, **block}
    path = tmp_path / "audit.yaml"
    both = [given, {"name": "e", "kind": "renderer"}]
    path.write_text(yaml.safe_dump({"generators": both, "probes": [{"set": "portraits"}]}))
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    assert str(path) in caught.value.where
