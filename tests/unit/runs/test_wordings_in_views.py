# SPDX-License-Identifier: Apache-2.0
"""Other words are asked to be compared: every other number is that of the prompts as they stand."""

from __future__ import annotations

import pytest

from audit.config import GeneratorConfig
from audit.probes import ProbeSet, load_probe_set, requests
from audit.registry import METRICS
from audit.runs import _view
from audit.runs._tables import GENERATIONS, requests_from, requests_to_table
from audit.wordings import WordingsBlock

WORDINGS = WordingsBlock.model_validate({"typos": {}, "synonyms": {}})


def view_of(metric: str, *probes: ProbeSet, generator: str = "g"):
    asked = [
        request
        for name in ("g", "h")
        for probe in probes
        for request in requests(probe, generator=GeneratorConfig(name=name, kind="renderer"), run_seed=1, limit=3)
    ]
    columns = _view.base_columns(requests_to_table(asked), GENERATIONS.empty_table(), {})
    spec = METRICS.get(metric).spec
    (found,) = _view.views(columns, generator, probes, spec, {}, rivals=("h",))
    return found[0]


@pytest.fixture(scope="module")
def portraits() -> ProbeSet:
    return load_probe_set("portraits", wordings=WORDINGS)


def test_a_measure_sees_the_original_wording_only(portraits):
    seen = view_of("quality.clip_score", portraits)
    plain = view_of("quality.clip_score", load_probe_set("portraits"))
    assert seen.columns["prompt_id"].tolist() == plain.columns["prompt_id"].tolist()
    assert (seen.paired, seen.by) == ({}, plain.by)


def test_a_comparison_of_generators_sees_the_original_wording_of_both(portraits):
    seen = view_of("quality.difference", portraits)
    assert len(seen.rivals["h"]["prompt_id"]) == len(seen) == 3 * portraits.repetitions


def test_robustness_sees_all_wordings(portraits):
    seen = view_of("quality.robustness", portraits)
    assert len(seen) == 3 * 3 * portraits.repetitions
    assert seen.paired == {"wording": ("original", "typos", "synonyms")}


def test_a_bias_set_is_compared_group_by_group_unless_it_exchanges_words_of_its_own():
    jobs, pairs = (load_probe_set(name, wordings=WORDINGS) for name in ("occupations", "pairs_presentation"))
    assert view_of("bias.counterfactual", jobs).paired == {"wording": ("original", "typos", "synonyms")}
    seen = view_of("bias.counterfactual", pairs)
    assert set(seen.paired) == {"swap"}
    assert set(seen.columns["axis.wording"]) == {"original"}
    assert set(view_of("bias.representation_gap", jobs).columns["axis.wording"]) == {"original"}


def test_what_is_meant_survives_the_table_of_requests(portraits):
    asked = requests(portraits, generator=GeneratorConfig(name="g", kind="renderer"), run_seed=1, limit=2)
    table = requests_to_table(asked)
    assert requests_from(table) == list(asked)
    older = requests_from(table.drop_columns(["meant"]))  # of a run that was made before there were wordings
    assert {request.prompt.meant for request in older} == {None}
