# SPDX-License-Identifier: Apache-2.0
"""The cross-walk: its file, evidence from real images, and what a row may say."""

from __future__ import annotations

import copy
import json
import re
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
import yaml

from audit.errors import ConfigError, VerificationError
from audit.paths import data_root
from audit.provenance import State, Verified, verify_bytes
from audit.provenance.crosswalk import (
    EVIDENCE,
    Row,
    Share,
    Status,
    assess,
    combine,
    evidence_of,
    json_schema,
    load,
    survival_evidence,
)
from audit.provenance.keys import TimeStamps
from audit.provenance.rubric import CHECKS, SIGNALS, read_crjson
from audit.provenance.stamp import Stamper
from audit.provenance.watermark import Reading, payload_of

FILE = data_root() / "reports" / "crosswalks" / "provenance.yaml"
CROSSWALK = load()
ALL = {name for item in CROSSWALK.items for name in item.evidence}


def evidence(data, root=None, **more):
    try:
        crjson = read_crjson(data, anchors=root)
    except VerificationError:
        crjson = None
    return evidence_of(verify_bytes(data, anchors=root), crjson, **more)


@pytest.fixture(scope="module")
def stamped(stamper, encode, claim):
    return stamper.stamp(encode(), claim).data


def test_the_file_covers_what_it_is_for():
    places = {(item.source, item.article) for item in CROSSWALK.items}
    text = " ".join(article for _, article in places)
    for wanted in ("50(2)", "recital 133", "1.1.1", "1.1.2", "1.1.3", "measure 1.2", "measure 1.3", "22757.3(a)"):
        assert wanted in text, wanted
    for letter in "ABCD":
        assert ("sb942", f"section 22757.3(b)(1)({letter})") in places
    assert {item.source for item in CROSSWALK.items} == set(CROSSWALK.sources)
    assert all(item.not_assessed or item.evidence for item in CROSSWALK.items)
    assert all(source.date <= CROSSWALK.checked for source in CROSSWALK.sources.values())
    assert "counsel" in CROSSWALK.notice


def test_no_row_and_no_line_promises_anything():
    wrong = re.compile(r"\b(complian|conforming|certif(y|ies)|guarante|fulfil|satisf|proves)", re.IGNORECASE)
    assert wrong.findall(FILE.read_text()) == []
    assert {status.value for status in Status} == {"supports", "not assessed"}


def test_the_schema_is_current_and_says_the_same():
    schema = json.loads((data_root() / "reports" / "schemas" / "crosswalk.schema.json").read_text())
    assert schema == json_schema(), "run `python -m audit.provenance.crosswalk`"
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = json.loads(json.dumps(yaml.safe_load(FILE.read_text()), default=str))
    jsonschema.validate(raw, schema)
    raw["items"][0]["titel"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, schema)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("evidence: [timestamped]", "evidence: [timestampt]", "no evidence has the name timestampt"),
        ("evidence: [timestamped]", 'evidence: ["rubric:nothing"]', "no evidence has the name rubric:nothing"),
        ("evidence: [timestamped]", 'evidence: ["survival:jpeg-75"]', "survival:jpeg-75"),
        ("evidence: [timestamped]", "evidence: []", "needs evidence, or not_assessed"),
        ("id: code-1-1-2", "id: code-1-1-3", "two items are called code-1-1-3"),
        ("source: code\n    article: measure 1.2", "source: coda\n    article: measure 1.2", "not there: coda"),
        ("    asked: Users are", "    askd: Users are", "unknown key"),
        ("read: account", "read: rumour", "read"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, old, new, message):
    text = FILE.read_text()
    assert text.count(old) >= 1
    (tmp_path / "mine.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load(tmp_path / "mine.yaml")
    assert "mine.yaml" in caught.value.where


def rows(given) -> dict[str, Row]:
    return {row.id: row for row in assess(given)}


def test_only_complete_evidence_supports():
    everything = dict.fromkeys(ALL, True)
    for item, row in zip(CROSSWALK.items, assess(everything), strict=True):
        assert row.status is (Status.NOT_ASSESSED if item.not_assessed else Status.SUPPORTS), row.id
    assert {row.status for row in assess({})} == {Status.NOT_ASSESSED}


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("value", [False, None, Share(99, 1), Share(99, 0, 1), Share(0, 0)])
def test_one_finding_short_of_all_changes_the_rows_that_name_it(name, value):
    given = {**dict.fromkeys(ALL, True), name: value}
    lost = {row.id for row in assess(given) if row.status is Status.NOT_ASSESSED}
    assert lost == {item.id for item in CROSSWALK.items if item.not_assessed or name in item.evidence}
    speaks_against = value is False or (isinstance(value, Share) and value.no > 0)
    for row in assess(given):
        assert row.against == ((name,) if row.id in lost and speaks_against and name in row.reason else ())


def test_reasons_say_what_is_against_and_what_is_missing():
    row = rows({"watermark.found": Share(28, 12), "watermark.bound": True})["code-1-1-2"]
    assert row.reason == (
        "not supported by this evidence: watermark.found (28 of 40 images); missing: watermark.matches"
    )
    assert (row.against, row.missing) == (("watermark.found",), ("watermark.matches",))
    good = rows({"timestamped": Share(40, 0)})["code-1-1-1-time"]
    assert (good.status, good.reason) == (Status.SUPPORTS, "holds: timestamped (40 of 40 images)")
    assert good.source.endswith("measure 1.1, sub-measure 1.1.1 (2026-06-10)")


def test_evidence_of_an_unknown_name_is_an_error():
    with pytest.raises(ConfigError, match="no evidence has the name state"):
        assess({"state": True})


def test_a_stamped_image(stamped, root):
    found = evidence(stamped, root)
    assert set(found) <= set(EVIDENCE) | {f"rubric:{n}" for n in CHECKS} | {f"signal:{n}" for n in SIGNALS}
    for name in ("verified", "trusted", "declares_ai", "system.named", "system.version", "created.time", "identifier"):
        assert found[name] is True, name
    assert found["rubric:conformance"] is True
    assert found["signal:fullyGenAIMedia"] is True
    assert found["timestamped"] is False
    assert found["signer.named"] is False, "the development chain is nobody's name"
    assert found["watermark.found"] is None
    assert "parent.kept" not in found
    assert "rubric:no_dst_for_opened_action" not in found, "there is nothing that it could be about"
    of = rows(found)
    assert of["eu-50-2-marked"].status is Status.SUPPORTS
    assert of["ca-b-1-b"].status is Status.SUPPORTS
    assert of["ca-b-1-a"].against == ("signer.named",)
    assert of["code-1-1-1-time"].against == ("timestamped",)
    assert of["code-1-1-2"].missing == ("watermark.found", "watermark.matches")


def test_a_name_in_the_certificate_counts(stamped, root):
    crjson = copy.deepcopy(read_crjson(stamped, anchors=root))
    crjson["manifests"][0]["signature"]["certificateInfo"]["subject"] = {"O": "Lab Org"}
    assert evidence_of(verify_bytes(stamped, anchors=root), crjson)["signer.named"] is True


def test_untrusted_is_still_verified(stamped):
    found = evidence(stamped)
    assert (found["verified"], found["trusted"], found["created.time"]) == (True, False, True)


def test_what_broken_credentials_say_counts_for_nothing(stamped, root):
    data = bytearray(stamped)
    data[-20] ^= 1
    found = evidence(bytes(data), root)
    for name in ("verified", "declares_ai", "created.time", "identifier", "rubric:valid_success"):
        assert found[name] is False, name
    assert found["rubric:mandatory_spec_version"] is True
    assert rows(found)["eu-50-2-marked"].status is Status.NOT_ASSESSED


def test_an_image_without_credentials_is_a_no_and_not_an_unknown(encode, stamped, root):
    found = evidence(encode(), root)
    assert found["verified"] is False
    assert found["rubric:conformance"] is False
    both = combine([evidence(stamped, root), found])
    assert str(both["verified"]) == "1 of 2 images"
    assert both["rubric:conformance"].holds is False


def test_an_image_that_could_not_be_checked_is_an_unknown():
    found = evidence_of(Verified(State.UNDETERMINED), None)
    assert set(found.values()) == {None}
    share = combine([found])["verified"]
    assert (share.holds, str(share)) == (None, "unknown for all 1")


def test_a_parent_that_is_kept(stamper, stamped, claim, root):
    found = evidence(stamper.stamp(stamped, claim).data, root)
    assert found["parent.kept"] is True
    assert found["system.named"] is True, "said by the parent"
    assert rows(found)["code-1-2"].status is Status.SUPPORTS


def test_a_watermark_must_lead_to_these_credentials(stamped, root):
    label = read_crjson(stamped)["manifests"][0]["label"]
    right = evidence(stamped, root, watermark=Reading(payload_of(label, 64)))
    wrong = evidence(stamped, root, watermark=Reading(b"\0" * 8))
    none = evidence(stamped, root, watermark=Reading(None))
    names = ("watermark.found", "watermark.matches")
    assert [tuple(one[name] for name in names) for one in (right, wrong, none)] == [
        (True, True),
        (True, False),
        (False, False),
    ]


def test_a_real_time_stamp(tmp_path, encode, claim, stamper):
    from audit.provenance.keys.authority import development_authority, serve_authority

    authority = development_authority(tmp_path)
    server = serve_authority(authority)
    try:
        signer = Stamper(stamper.keys, timestamps=TimeStamps(server.url + "/", required=True))
        data = signer.stamp(encode(), claim).data
    finally:
        server.shutdown()
        server.server_close()
    root = stamper.chain.root.decode()
    bare, known = evidence(data, root), evidence(data, root + authority.root.decode())
    assert (bare["timestamped"], bare["timestamped.trusted"]) == (True, False)
    assert (known["timestamped"], known["timestamped.trusted"]) == (True, True)
    assert rows(known)["code-1-1-1-time"].status is Status.SUPPORTS


def test_survival_counts_images():
    cells = [
        SimpleNamespace(edit="jpeg-75", layer="watermark", kept=9, broken=0, gone=1, missing=0),
        SimpleNamespace(edit="social", layer="watermark", kept=10, broken=0, gone=0, missing=2),
        SimpleNamespace(edit="copy", layer="c2pa", kept=10, broken=0, gone=0, missing=0),
    ]
    found = survival_evidence(cells)
    assert {name: share.holds for name, share in found.items()} == {
        "survival:jpeg-75:watermark": False,
        "survival:social:watermark": None,
        "survival:copy:c2pa": True,
    }
    assert "survival:jpeg-75:watermark (9 of 10 images)" in rows(found)["eu-50-2-robust"].reason


def test_the_edits_that_are_named_exist():
    from audit.provenance.survive.edits import EDITS
    from audit.provenance.survive.layers import Layer

    named = [name.split(":")[1:] for name in ALL if name.startswith("survival:")]
    assert {edit for edit, _ in named} <= {edit.id for edit in EDITS}
    assert {layer for _, layer in named} <= set(Layer)


def test_shares_of_many_images_are_those_of_a_simulation():
    rng = np.random.default_rng(3)
    values = rng.choice([True, False, None], size=500, p=[0.6, 0.3, 0.1])
    share = combine({"verified": value} for value in values)["verified"]
    counted = (int(np.sum(values == True)), int(np.sum(values == False)), sum(v is None for v in values))  # noqa: E712
    assert (share.yes, share.no, share.unknown) == counted
    assert share.n == 500
