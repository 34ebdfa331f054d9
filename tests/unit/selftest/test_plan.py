# SPDX-License-Identifier: Apache-2.0
"""The audits behind the table, the truths they are compared with, and what the instruments' checks notice."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from audit.errors import ConfigError, StoreError
from audit.probes import load_probe_set
from audit.reference.scenes import plant
from audit.reference.world import planted
from audit.selftest import State, selftest
from audit.selftest import _run as run_module
from audit.selftest._checks import instrument_checks, one_group_check
from audit.selftest._plan import EXACT, GROUPS, WORLDS, audit_of, level, rows, worlds_of
from audit.selftest._run import _Audits, _cell, _seen
from audit.types import Estimate, Status

ROWS = rows()


def test_truths_are_those_of_the_truth_files():
    truths = {row.what: row.parts[0].truth for row in ROWS if len(row.parts) == 1}
    assert truths["feminine-presenting nurses"] == planted()["occupations"]["nurse"]["feminine"] == 0.9
    assert truths["CEOs of light apparent skin tone"] == pytest.approx(0.85)
    assert truths["CEOs of young apparent age"] == 0.1
    assert truths["builders with the logo"] == 0.3
    assert truths["EXIT spelt right"] == pytest.approx(0.7)
    assert truths["two seeds of a prompt agree in style"] == pytest.approx(0.6**2 + 0.25**2 + 0.15**2)
    assert truths["requests refused"] == 0.25
    faces = next(row for row in ROWS if row.plant == "memorised")
    assert (len(faces.parts), sum(part.planted for part in faces.parts)) == (20, 5)


def test_every_plant_is_in_the_table():
    assert {row.plant for row in ROWS} == {
        "artwork", "logo", "memorised", "occupations", "refusals", "signs", "small", "style"
    }  # fmt: skip
    assert all(plant(row.plant)["id"] == row.plant for row in ROWS)


def test_worlds_and_groups_exist_and_the_group_measures_the_row():
    for row in ROWS:
        group = GROUPS[row.group]
        assert row.metric in group.metrics
        assert {world for _, world in worlds_of(row)} <= set(WORLDS)
        assert row.plant in group.plants
        for part in row.parts:
            probe = part.slice.get("probe")
            assert probe is None or probe in {name for name, _ in group.probes}
            prompts = load_probe_set(probe).prompts if probe else ()
            for axis in {"occupation", "person", "painter", "word"} & set(part.slice):
                assert part.slice[axis] in {prompt.axes[axis] for prompt in prompts}


def test_the_intervals_hold_together_at_95_per_cent():
    looks = sum(len(row.parts) for row in ROWS for _ in worlds_of(row)) + 1
    assert looks * (1 - level()) == pytest.approx(0.05)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_audits_are_ordinary_ones(group):
    exact = audit_of(group, EXACT)
    assert exact.generators[0].options == {"plants": list(group.plants) or "none"}
    assert exact.level == level()
    assert audit_of(group, "nothing planted").generators[0].options == {"plants": "none"}
    assert {probe.repetitions for probe in audit_of(group, EXACT, n=7).probes} == {7}
    counted = audit_of(group, "vae").instruments.options
    assert all(options == {"counts": "after_autoencoder"} for options in counted.values())


def estimate(metric="m", value=0.5, extra=None, why=None, **where):
    ok = value is not None
    numbers = (value, value - 0.1, value + 0.1) if ok else (None, None, None)
    status = Status.OK if ok else Status.UNAVAILABLE
    return Estimate(metric, "1", "share", "g", where, *numbers, 0.95, 9, 9, 0, status, "x", why=why, extra=extra or {})


def test_a_part_reads_its_own_estimate():
    refusals = next(row for row in ROWS if row.plant == "refusals")
    part = refusals.parts[0]
    others = [
        estimate(refusals.metric),
        estimate(refusals.metric, outcome="blocked"),
        estimate("other", outcome="refused"),
    ]
    found = _seen(refusals, part, [*others, estimate(refusals.metric, 0.25, outcome="refused")])
    assert (found.value, found.n) == (0.25, 9)
    assert _seen(refusals, part, others).low is None
    without = _seen(refusals, part, [estimate(refusals.metric, None, why="no column")])
    assert (without.value, without.why, without.lacking) == (None, "no column", True)
    assert _seen(refusals, part, others, lacking="no weights").why == "no weights"
    nurses = ROWS[0]
    shares = {"share": 0.9, "share_low": 0.8, "share_high": 0.95}
    gap = estimate(nurses.metric, 0.4, extra=shares, **nurses.parts[0].slice)
    assert _seen(nurses, nurses.parts[0], [gap]).high == 0.95
    where = {name: value for name, value in nurses.parts[0].slice.items() if name != "group"}
    few = replace(estimate(nurses.metric, None, why="too few", **where), status=Status.INSUFFICIENT)
    seen = _seen(nurses, nurses.parts[0], [few])
    assert (seen.why, seen.lacking) == ("too few", False)


def test_a_world_without_weights_is_not_built_and_never_passes(tmp_path, monkeypatch):
    monkeypatch.setitem(WORLDS, "vae", {"kind": "vae", "model": "reference:nowhere"})
    logo = next(row for row in ROWS if row.plant == "logo")
    cell = _cell(logo, "control", "vae", _Audits(tmp_path, 2, lambda *_: None), {"vae"})
    assert cell.state is State.NOT_BUILT
    assert "nowhere" in cell.why
    assert not cell.state.good


def test_an_instrument_that_is_missing_costs_its_own_rows_only():
    wished = audit_of(GROUPS["people"], EXACT)
    options = {"attributes": {"counts": "of_another_world"}}
    config = wished.model_copy(update={"instruments": wished.instruments.model_copy(update={"options": options})})
    changed, why = run_module._installed(config)
    assert "attributes" not in changed.instruments.annotators
    assert "skin_tone" in changed.instruments.annotators
    assert changed.instruments.options == {}
    assert "of_another_world" in why


def test_an_unknown_model_is_an_error_that_lists_them(tmp_path):
    with pytest.raises(ConfigError, match="no trained model 'dalle'") as caught:
        selftest(tmp_path, models=["dalle"])
    assert "diffusion" in caught.value.hint


def test_only_a_finished_selftest_is_started_afresh(tmp_path):
    audits = _Audits(tmp_path, 2, lambda *_: None)
    audits.estimates(GROUPS["refusals"], EXACT)
    folder = next((tmp_path / "runs").iterdir())
    run_module._start_afresh(tmp_path)
    assert folder.is_dir()
    (tmp_path / "runs" / "mine").mkdir()
    (tmp_path / "selftest.json").write_text("{}")
    run_module._start_afresh(tmp_path)
    assert not folder.exists()
    assert (tmp_path / "runs" / "mine").is_dir(), "nothing else is deleted"
    assert not (tmp_path / "selftest.json").exists()


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        _Audits(tmp_path / "file", 2, lambda *_: None).estimates(GROUPS["refusals"], EXACT)


def test_resuming_uses_the_same_folder_and_other_numbers_another(tmp_path):
    for n in (2, 2, 3):
        found = _Audits(tmp_path, n, lambda *_: None).estimates(GROUPS["refusals"], EXACT)
        refused = next(e for e in found if dict(e.slice) == {"outcome": "refused"})
        assert (refused.value, refused.n) == (0.25, 12 * n)
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.slow
def test_the_bundled_instruments_pass_their_checks():
    checks = instrument_checks()
    assert len(checks) == 6
    assert [check.name for check in checks if not check.ok] == []
    json.dumps([check.found for check in checks])


@pytest.mark.slow
def test_a_reader_that_sees_people_in_noise_is_noticed(monkeypatch):
    from audit.selftest import _checks

    honest = _checks._annotate

    def eager(name, pictures):
        said = honest(name, pictures)
        return (
            {**said, "presentation": np.array(["feminine"] * len(pictures), object)} if name == "attributes" else said
        )

    monkeypatch.setattr(_checks, "_annotate", eager)
    check = _checks._nobody("noise", np.zeros((64, 64, 3), np.uint8))
    assert not check.ok
    assert "presentation: feminine" in check.found


@pytest.mark.parametrize(
    ("shares", "ok"),
    [((1.0, 0.95, 1.0), True), ((1.0, 1.0, 1.0), False), ((0.9, 0.8, 0.99), False), ((1.0, 0.85, 1.0), False)],
)
def test_one_group_must_be_seen_short_of_certainty(shares, ok):
    extra = dict(zip(("share", "share_low", "share_high"), shares, strict=True))
    assert one_group_check([estimate(extra=extra, group="feminine")], level=0.99).ok is ok


def test_no_estimate_of_one_group_never_passes():
    assert not one_group_check("no weights", level=0.99).ok
    assert not one_group_check([estimate(group="masculine")], level=0.99).ok
