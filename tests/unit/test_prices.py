# SPDX-License-Identifier: Apache-2.0
"""Price lists: in a file, in the audit file, and wrong ones."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from audit.config import AuditConfig, load_config
from audit.errors import ConfigError
from audit.paths import data_root
from audit.prices import json_schema, load_prices
from audit.runs import make_plan

PRICES = """\
schema: 1
currency: EUR
source: rate card
date: 2026-11-01
generators:
  big: {per_hour: 2.5}
  small: {per_kwh: 0.3}
"""
AUDIT = """\
generators:
  - {name: big, kind: renderer}
  - {name: small, kind: renderer}
probes: [{set: occupations, limit: 1}]
cost: {prices: prices.yaml}
"""
NAMES = {"big": "big", "small": "small"}


def write(folder, text):
    path = folder / "prices.yaml"
    path.write_text(text)
    return path


def test_a_file_beside_the_audit_file(tmp_path):
    write(tmp_path, PRICES)
    (tmp_path / "audit.yaml").write_text(AUDIT)
    plan = make_plan(load_config(tmp_path / "audit.yaml"))
    assert {name: (p.way, p.amount) for name, p in plan.prices.generators.items()} == {
        "big": ("per_hour", 2.5),
        "small": ("per_kwh", 0.3),
    }
    assert "cost.price_per_thousand" in plan.metrics
    assert "cost" not in plan.record()["config"], "other prices, and the run goes on"


def test_inline_prices_say_the_same(tmp_path):
    raw = {**yaml.safe_load(AUDIT), "cost": {"prices": yaml.safe_load(PRICES)}}
    config = AuditConfig.model_validate(raw)
    found = load_prices(config.cost.prices, generators=NAMES)
    assert found.digest == load_prices(str(write(tmp_path, PRICES)), generators=NAMES).digest
    again = AuditConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again.cost == config.cost


def test_without_prices_nobody_asks_for_them():
    raw = {key: value for key, value in yaml.safe_load(AUDIT).items() if key != "cost"}
    plan = make_plan(AuditConfig.model_validate(raw))
    assert plan.prices is None
    assert "cost.price_per_thousand" not in plan.metrics
    assert "cost.peak_memory" in plan.metrics


def test_the_price_of_a_sweep_is_that_of_its_points(tmp_path):
    path = str(write(tmp_path, PRICES))
    found = load_prices(path, generators={"big.steps-1": "big", "big.steps-2": "big", "small": "small"})
    assert sorted(found.generators) == ["big.steps-1", "big.steps-2", "small"]


@pytest.mark.parametrize(
    ("old", "new", "place", "words", "hint"),
    [
        ("small:", "smal:", "7:3", "a price for 'smal', which is no generator", "did you mean 'small'?"),
        ("small:", "xx:", "7:3", "a price for 'xx'", "the audit file has: big, small"),
        ("{per_hour: 2.5}", "{per_hour: 2.5, per_image: 1}", "6:8", "and one only", None),
        ("{per_hour: 2.5}", "{}", "6:8", "needs one of per_image, per_hour, per_kwh", None),
        ("per_hour: 2.5", "per_hour: -1", "6:19", "greater than or equal to 0", None),
        ("per_hour: 2.5", "per_hours: 2.5", "6:9", "unknown key", "did you mean 'per_hour'?"),
        ("per_hour: 2.5", "per_hour: .nan", "6:19", "finite", None),
        ("EUR", "euros", "2:11", "currency", None),
        ("source: rate card\n", "", "1:1", "source: is missing", None),
        ("2026-11-01", "lately", "4:7", "date", None),
        ("schema: 1", "schema: 2", "1:9", "schema", None),
    ],
)
def test_errors_name_the_place(tmp_path, old, new, place, words, hint):
    path = write(tmp_path, PRICES.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_prices(str(path), generators=NAMES)
    assert caught.value.where == f"{path}:{place}"
    assert words in caught.value.message
    assert hint is None or hint in caught.value.hint


def test_wrong_inline_prices_are_told_in_place(tmp_path):
    inline = AUDIT.replace(
        "prices.yaml", "{currency: EUR, source: s, date: 2026-11-01, generators: {big: {per_imag: 1}}}"
    )
    (tmp_path / "audit.yaml").write_text(inline)
    with pytest.raises(ConfigError, match=r"cost\.prices\.generators\.big\.per_imag: unknown key") as caught:
        load_config(tmp_path / "audit.yaml")
    assert "audit.yaml:5:" in caught.value.where
    (tmp_path / "audit.yaml").write_text(AUDIT)
    with pytest.raises(ConfigError, match="price file does not exist"):
        make_plan(load_config(tmp_path / "audit.yaml"))


def test_the_schema_is_current_and_says_the_same():
    schema = json.loads((data_root() / "reports" / "schemas" / "prices.schema.json").read_text())
    assert schema == json_schema(), "run `python -m audit.prices`"
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = json.loads(json.dumps(yaml.safe_load(PRICES), default=str))
    jsonschema.validate(raw, schema)
    raw["generators"]["big"]["per_imag"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, schema)
