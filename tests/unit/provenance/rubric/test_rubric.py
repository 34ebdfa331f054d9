# SPDX-License-Identifier: Apache-2.0
"""Rubrics: real files, and the verdicts of C2PA's own evaluator.

``official.jsonl`` holds 63 crJSON documents (real manifests of this tool and of the library's defaults, shortened and
then changed at random) with what the evaluator of the C2PA conformance task force (rubrics 1.0, 2026-08-06) says about
each. Over 6,016 documents of the same kind it agreed with ours in 198,523 of 198,528 checks, and in all signals of
5,729; the five are `test_a_text_is_no_reference`.
"""

from __future__ import annotations

import copy
import io
import json
from collections import Counter
from pathlib import Path

import c2pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import VerificationError
from audit.provenance import Stamper
from audit.provenance.keys import native_signer
from audit.provenance.rubric import (
    CHECKS,
    SIGNALS,
    Outcome,
    Rubric,
    check,
    check_bytes,
    passes,
    read_crjson,
    rubric_summary,
    signals,
)
from audit.provenance.rubric._vocabulary import SOURCE_TYPES

OFFICIAL = [json.loads(line) for line in (Path(__file__).parent / "official.jsonl").read_text().splitlines()]
C2PA_IDS = {name for name, rule in CHECKS.items() if rule.rubrics != (Rubric.GENERATOR,)}
AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
WORSE = {Outcome.FAIL: "false", Outcome.WARNING: "warning"}


def outcomes(crjson):
    return {one.id: one.outcome for one in check(crjson)}


def by_default(stamper: Stamper, picture: bytes, manifest: dict) -> bytes:
    """Signed with the library's own settings, as its documentation shows."""
    out = io.BytesIO()
    with c2pa.Builder(manifest, context=c2pa.Context.from_dict({}, signer=native_signer(stamper.chain))) as builder:
        builder.sign("image/png", io.BytesIO(picture), out)
    return out.getvalue()


@pytest.fixture(scope="module")
def stamped(stamper, encode, claim):
    return stamper.stamp(encode(), claim).data


@pytest.fixture
def crjson(stamped, root):
    return copy.deepcopy(read_crjson(stamped, anchors=root))


@pytest.mark.parametrize("row", OFFICIAL, ids=str)
def test_the_official_evaluator_says_the_same(row):
    mine = {one.id: WORSE.get(one.outcome, "true") for one in check(row["crjson"]) if one.id in C2PA_IDS}
    official = dict.fromkeys(C2PA_IDS, "true") | dict.fromkeys(row["false"], "false")
    assert mine == official | dict.fromkeys(row["warning"], "warning")
    assert sorted(signals(row["crjson"])) == sorted(row["signals"])


def test_the_official_verdicts_cover_every_check_and_signal():
    seen = Counter((name, outcome) for row in OFFICIAL for name, outcome in outcomes(row["crjson"]).items())
    for name in C2PA_IDS:
        worst = Outcome.WARNING if CHECKS[name].warns else Outcome.FAIL
        assert seen[name, worst], name
        assert seen[name, Outcome.PASS], name
    assert {name for row in OFFICIAL for name in row["signals"]} == set(SIGNALS)


def test_there_are_as_many_checks_as_in_the_rubrics():
    counts = Counter(rubric for rule in CHECKS.values() for rubric in rule.rubrics)
    assert counts[Rubric.CONFORMANCE] == 31
    assert counts[Rubric.INTEGRITY] == 6
    assert len(SIGNALS) == 14
    titles = [rule.title for rule in CHECKS.values()]
    assert len(set(titles)) == len(titles)
    assert all(rule.source for rule in CHECKS.values())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_we_stamp_fails_nothing(stamper, encode, claim, root, kind):
    checks = check_bytes(stamper.stamp(encode(kind), claim).data, anchors=root)
    assert [(one.id, [str(f) for f in one.found]) for one in checks if one.outcome is Outcome.FAIL] == []
    assert passes(checks)
    assert passes(checks, Rubric.INTEGRITY)
    assert passes(checks, Rubric.GENERATOR)


def test_what_we_stamp_says_that_a_model_made_it(crjson):
    assert "fullyGenAIMedia" in signals(crjson)
    assert "ambiguousActions" not in signals(crjson)


def test_what_we_stamp_again_fails_nothing_and_leads_to_the_origin(stamper, stamped, claim, root):
    crjson = read_crjson(stamper.stamp(stamped, claim).data, anchors=root)
    checks = check(crjson)
    assert [one.id for one in checks if one.outcome is Outcome.FAIL] == []
    assert {one.id: one.outcome for one in checks}["opened_action_ingredient_reference"] is Outcome.PASS
    assert "fullyGenAIMedia" not in signals(crjson)
    assert "fullyGenAIMedia" in signals(crjson, manifest=1)


def test_the_librarys_defaults_fail_what_is_known(stamper, encode, root):
    action = {"action": "c2pa.created", "digitalSourceType": AI}
    manifest = {"title": "x", "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}]}
    checks = check_bytes(by_default(stamper, encode(), manifest), anchors=root)
    failed = {one.id for one in checks if one.outcome is Outcome.FAIL and Rubric.GENERATOR not in one.rubrics}
    assert failed == {"mandatory_spec_version", "mandatory_all_actions_included", "inception_action_position"}
    ours = {one.id: one.outcome for one in checks if Rubric.GENERATOR in one.rubrics}
    assert ours["actions_attested"] is Outcome.FAIL
    warned = {name for name, outcome in ours.items() if outcome is Outcome.WARNING}
    assert warned == {"nothing_gathered", "creation_time", "creation_agent"}


def test_a_source_type_of_nobody_passes_c2pa_and_fails_ours(stamper, encode, root):
    action = {"action": "c2pa.created", "digitalSourceType": "ai"}
    manifest = {"title": "x", "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]}
    found = {one.id: one for one in check_bytes(by_default(stamper, encode(), manifest), anchors=root)}
    assert found["mandatory_dst_for_created_action"].outcome is Outcome.PASS
    assert found["source_type_known"].outcome is Outcome.FAIL
    [place] = found["source_type_known"].found
    assert place.manifest.startswith("urn:c2pa:")
    assert (place.part, place.what) == ("c2pa.actions.v2", "'ai'")


def test_without_anchors_only_trust_fails(stamped):
    assert [one.id for one in check_bytes(stamped) if one.outcome is Outcome.FAIL] == ["trusted_success"]


def test_a_changed_pixel_fails_one_check_of_both_rubrics(stamped, root):
    data = bytearray(stamped)
    data[-20] ^= 1
    checks = check_bytes(bytes(data), anchors=root)
    [failed] = [one for one in checks if one.outcome is Outcome.FAIL]
    assert failed.id == "valid_success"
    assert set(failed.rubrics) == {Rubric.CONFORMANCE, Rubric.INTEGRITY}
    assert [str(place) for place in failed.found] == ["validationResults: assertion.dataHash.mismatch"]
    assert not passes(checks)


def manifest_of(crjson):
    return crjson["manifests"][0]


def actions_of(crjson):
    return manifest_of(crjson)["assertions"]["c2pa.actions.v2"]["actions"]


def unknown_source(crjson):
    actions_of(crjson)[0]["digitalSourceType"] = "ai"


def edit_first(crjson):
    actions_of(crjson).insert(0, {"action": "c2pa.cropped", "digitalSourceType": AI})


def no_actions(crjson):
    actions_of(crjson).clear()


def gathered(crjson):
    claim = manifest_of(crjson)["claim.v2"]
    claim["gathered_assertions"] = [one for one in claim["created_assertions"] if "actions" in one["url"]]


def old_list(crjson):
    manifest_of(crjson)["assertions"]["c2pa.actions__1"] = {"actions": []}


def no_time(crjson):
    del actions_of(crjson)[0]["when"]


def no_version(crjson):
    actions_of(crjson)[0]["softwareAgent"] = "m"


@pytest.mark.parametrize(
    ("name", "change", "outcome"),
    [
        ("source_type_known", unknown_source, Outcome.FAIL),
        ("inception_first", edit_first, Outcome.FAIL),
        ("inception_first", no_actions, Outcome.FAIL),
        ("actions_attested", gathered, Outcome.FAIL),
        ("actions_current", old_list, Outcome.FAIL),
        ("nothing_gathered", gathered, Outcome.WARNING),
        ("creation_time", no_time, Outcome.WARNING),
        ("creation_agent", no_version, Outcome.WARNING),
    ],
)
def test_our_own_checks_bite(crjson, name, change, outcome):
    assert outcomes(crjson)[name] is Outcome.PASS
    change(crjson)
    assert outcomes(crjson)[name] is outcome


def test_nothing_to_look_at_is_not_a_pass(crjson):
    quiet = {name for name, outcome in outcomes(crjson).items() if outcome is Outcome.NOT_APPLICABLE}
    assert {"no_dst_for_opened_action", "review_ratings_datasource", "no_box_hash_for_tiff"} <= quiet
    assert "no_unsupported_actions" not in quiet


def test_a_text_is_no_reference(crjson):
    """The official evaluator counts the letters of a text as references; we do not."""
    actions_of(crjson)[:] = [{"action": "c2pa.opened", "parameters": {"ingredients": "w"}}]
    assert outcomes(crjson)["opened_action_ingredient_reference"] is Outcome.FAIL


def test_source_types_are_those_of_the_library():
    def camel(name: str) -> str:
        first, *rest = name.lower().split("_")
        return first + "".join(word.capitalize() for word in rest)

    known = {kind.rpartition("/")[2] for kind in SOURCE_TYPES}
    assert {camel(kind.name) for kind in c2pa.C2paDigitalSourceType} <= known


def test_a_summary_counts_images(stamper, encode, stamped, root):
    manifest = {
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": AI}]}}
        ]
    }
    one = check_bytes(stamped, anchors=root)
    other = check_bytes(by_default(stamper, encode(), manifest), anchors=root)
    counts = {count.id: count for count in rubric_summary([one, one, other, ()])}
    assert list(counts) == list(CHECKS)
    spec = counts["mandatory_spec_version"]
    assert (spec.passed, spec.warned, spec.failed, spec.not_applicable) == (2, 0, 1, 0)
    assert counts["creation_time"].warned == 1
    assert counts["no_dst_for_opened_action"].not_applicable == 3
    assert rubric_summary([(), ()]) == ()


def test_one_rubric_alone(crjson):
    assert len(check(crjson, rubric=Rubric.INTEGRITY)) == 6
    assert not passes(check(crjson, rubric=Rubric.GENERATOR), Rubric.CONFORMANCE)


def test_files_without_credentials_say_so(encode, stamped):
    with pytest.raises(VerificationError, match="carries no credentials") as caught:
        check_bytes(encode())
    assert "stamp" in caught.value.hint
    with pytest.raises(VerificationError, match="no image file"):
        check_bytes(b"junk")
    with pytest.raises(VerificationError, match="cannot be read"):
        check_bytes(stamped[: len(stamped) // 2])
    with pytest.raises(VerificationError, match="0 manifests"):
        check({})
    with pytest.raises(VerificationError, match="place 3"):
        signals({"manifests": [{}]}, manifest=3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "c2pa.created", "x", AI]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = (
    ("label",),
    ("assertions",),
    ("assertions", "c2pa.actions.v2"),
    ("assertions", "c2pa.actions.v2", "actions"),
    ("assertions", "c2pa.actions.v2", "actions", 0),
    ("assertions", "c2pa.actions.v2", "actions", 0, "action"),
    ("assertions", "c2pa.actions.v2", "actions", 0, "digitalSourceType"),
    ("assertions", "c2pa.actions.v2", "actions", 0, "parameters"),
    ("assertions", "c2pa.ingredient.v3"),
    ("assertions", "c2pa.ingredient.v3", "relationship"),
    ("assertions", "c2pa.hash.data"),
    ("claim.v2",),
    ("claim.v2", "claim_generator_info"),
    ("claim.v2", "created_assertions"),
    ("claim.v2", "created_assertions", 0),
    ("claim.v2", "gathered_assertions"),
    ("validationResults",),
    ("validationResults", "failure"),
)
BASE = next(
    row["crjson"]
    for row in OFFICIAL
    if {"c2pa.ingredient.v3", "c2pa.hash.data"} <= set(row["crjson"]["manifests"][0].get("assertions", ()))
    and row["crjson"]["manifests"][0]["claim.v2"]["created_assertions"]
    and "claim_generator_info" in row["crjson"]["manifests"][0]["claim.v2"]
)


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_no_shape_makes_a_check_raise(place, value):
    crjson = copy.deepcopy(BASE)
    node = crjson["manifests"][0]
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    assert len(check(crjson)) == len(CHECKS)
    assert set(signals(crjson)) <= set(SIGNALS)
