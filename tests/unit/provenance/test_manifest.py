# SPDX-License-Identifier: Apache-2.0
"""What our manifests say, as the library reads it back from the signed file."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re

import pytest

from audit.errors import ConfigError, StoreError
from audit.provenance import Claim, Stamper
from audit.provenance._complaints import complaint
from audit.provenance._engine import GENERATION, sniff, verify_context
from audit.provenance._manifest import Steps, manifest, plain
from audit.provenance._xmp import SOURCE_TYPE

KINDS = ("ai_generative_training", "ai_inference", "ai_training", "data_mining")
MINING = {f"cawg.{name}": {"use": "notAllowed"} for name in KINDS}
LABEL = r"urn:c2pa:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
HUGE = (2**63, -(2**63) - 1, 2**63 - 1)


def stored(data: bytes) -> dict:
    """The active manifest, as the library's crJSON gives it."""
    import c2pa

    with c2pa.Reader(sniff(data), io.BytesIO(data), context=verify_context(None)) as reader:
        whole = json.loads(reader.crjson())
    return whole["manifests"][0]


def texts(data: bytes) -> str:
    import c2pa

    with c2pa.Reader(sniff(data), io.BytesIO(data), context=verify_context(None)) as reader:
        store = json.loads(reader.json())
        active = store["manifests"][store["active_manifest"]]
        prompt = next(i for i in active["ingredients"] if i["title"] == "prompt")
        out = io.BytesIO()
        reader.resource_to_stream(prompt["data"]["identifier"], out)
    return out.getvalue().decode()


@pytest.fixture
def made(stamper: Stamper, claim: Claim, encode) -> dict:
    return stored(stamper.stamp(encode(), claim).data)


def test_the_image_is_declared_created_by_a_trained_model(made: dict) -> None:
    (created,) = made["assertions"]["c2pa.actions.v2"]["actions"]
    assert made["assertions"]["c2pa.actions.v2"]["allActionsIncluded"] is True
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"] == SOURCE_TYPE
    assert created["softwareAgent"] == {"name": "small-diffusion", "version": "ab" * 32}
    assert created["when"] == "2026-11-22T06:00:00Z"
    assert created["parameters"]["org.genaudit.seed"] == str(2**64 - 1)
    info = made["claim.v2"]["claim_generator_info"]
    assert (info["name"], info["version"], info["specVersion"]) == ("genaudit", "0.1.0", "2.4.0")


def test_model_and_prompt_are_inputs_of_the_created_action(made: dict) -> None:
    model, prompt = (made["assertions"][name] for name in ("c2pa.ingredient.v3", "c2pa.ingredient.v3__1"))
    assert (model["relationship"], model["dc:title"]) == ("inputTo", "small-diffusion")
    assert model["dataTypes"] == [{"type": "c2pa.types.model"}]
    assert model["description"] == "sha256 of the weights: " + "ab" * 32
    assert prompt["dataTypes"] == [{"type": "c2pa.types.generator.prompt"}]
    assert prompt["description"] == "sha256 of the text: " + "cd" * 32
    assert "data" not in prompt
    (created,) = made["assertions"]["c2pa.actions.v2"]["actions"]
    named = [reference["url"].rpartition("/")[2] for reference in created["parameters"]["ingredients"]]
    assert named == ["c2pa.ingredient.v3", "c2pa.ingredient.v3__1"]


def test_our_own_assertion(made: dict) -> None:
    said = made["assertions"][GENERATION]
    assert said["params"] == {
        "steps": 30, "guidance": "nan", "huge": str(2**70), "text": "\\ud800x", "on": True, "none": None,
    }  # fmt: skip
    assert (said["request_id"], said["prompt_sha256"], said["seed"]) == ("r-0001", "cd" * 32, str(2**64 - 1))
    assert "run_id" not in said
    assert "parent_state" not in said


def test_the_signer_vouches_for_all_of_it(made: dict) -> None:
    attested = {item["url"].rpartition("/")[2] for item in made["claim.v2"]["created_assertions"]}
    assert attested == set(made["assertions"])
    assert made["claim.v2"]["gathered_assertions"] == []
    assert not any("thumbnail" in label for label in made["assertions"])


def test_training_is_not_allowed_unless_said_otherwise(made: dict, stamper: Stamper, claim: Claim, encode) -> None:
    assert made["assertions"]["cawg.training-mining"] == {"entries": MINING}
    keys = stamper.keys
    allowed = stored(Stamper(keys, training_mining="allowed").stamp(encode(), claim).data)["assertions"]
    assert {entry["use"] for entry in allowed["cawg.training-mining"]["entries"].values()} == {"allowed"}
    silent = stored(Stamper(keys, training_mining=None).stamp(encode(), claim).data)["assertions"]
    assert "cawg.training-mining" not in silent
    with pytest.raises(ConfigError, match="no use that can be granted"):
        Stamper(keys, training_mining="forbidden")


def test_metadata_says_what_the_xmp_says(made: dict, stamper: Stamper, claim: Claim, encode) -> None:
    said = made["assertions"]["cawg.metadata"]
    assert said["Iptc4xmpExt:DigitalSourceType"] == SOURCE_TYPE
    assert said["Iptc4xmpExt:AISystemUsed"] == "small-diffusion"
    assert "Iptc4xmpExt:AIPromptInformation" not in said
    plain_file = Stamper(stamper.keys, xmp=False).stamp(encode(), claim).data
    assert "cawg.metadata" not in stored(plain_file)["assertions"]
    assert b"Iptc4xmpExt" not in plain_file


def test_the_prompt_stays_private_unless_it_is_given(stamper: Stamper, encode) -> None:
    secret = "a portrait of my neighbour, ünïcode \U0001f408"
    private = stamper.stamp(encode(), Claim.about("m", prompt=secret, seed=1)).data
    assert secret.encode() not in private
    assert b"neighbour" not in private
    said = stored(private)["assertions"]
    assert said["c2pa.ingredient.v3__1"]["description"].endswith(hashlib.sha256(secret.encode()).hexdigest())
    public = stamper.stamp(encode(), Claim.about("m", prompt=secret, seed=1, public_prompt=True)).data
    assert texts(public) == secret
    assert stored(public)["assertions"]["cawg.metadata"]["Iptc4xmpExt:AIPromptInformation"] == secret


def test_no_prompt_no_ingredient_for_it(stamper: Stamper, encode) -> None:
    said = stored(stamper.stamp(encode(), Claim.about("a GAN", seed=3)).data)["assertions"]
    assert [label for label in said if label.startswith("c2pa.ingredient")] == ["c2pa.ingredient.v3"]


def test_framework_and_version(stamper: Stamper, claim: Claim, encode) -> None:
    more = dataclasses.replace(claim, framework="pytorch", generator_version="2.1", run_id="run-7")
    said = stored(stamper.stamp(encode(), more).data)["assertions"]
    assert said["c2pa.ingredient.v3"]["dataTypes"] == [{"type": "c2pa.types.model.pytorch", "version": "2.1"}]
    assert said["c2pa.actions.v2"]["actions"][0]["softwareAgent"]["version"] == "2.1"
    assert said[GENERATION]["run_id"] == "run-7"
    with pytest.raises(ValueError, match="framework"):
        dataclasses.replace(claim, framework="torch")


def test_labels_are_chosen_before_signing(stamper: Stamper, claim: Claim, encode) -> None:
    one, two = (stamper.stamp(encode(), claim) for _ in range(2))
    assert one.manifest_id != two.manifest_id
    assert re.fullmatch(LABEL, one.manifest_id)
    assert stored(one.data)["label"] == one.manifest_id
    assert one.manifest in one.data


@pytest.mark.parametrize("value", [*HUGE, float("inf"), float("nan"), "\udfff", True, None, 1.5])
def test_plain_values_survive(stamper: Stamper, claim: Claim, encode, value) -> None:
    said = stored(stamper.stamp(encode(), dataclasses.replace(claim, params={"x": value})).data)["assertions"]
    assert said[GENERATION]["params"]["x"] == plain(value)


def test_a_signed_parent_leaves_the_origin_to_its_own_credentials(claim: Claim) -> None:
    from audit.provenance.state import State

    steps = Steps(State.VALID_UNTRUSTED)
    made = manifest(claim, steps, label="urn:c2pa:x", tool={"name": "t"}, training_mining="allowed", metadata=True)
    assert [a["label"] for a in made["assertions"]] == ["c2pa.actions.v2", GENERATION]
    assert "ingredients" not in made
    assert SOURCE_TYPE not in json.dumps(made)


@pytest.mark.parametrize(
    ("text", "words", "kind"),
    [
        ("StringTooLong: manifest_json", "1 MiB", StoreError),
        ("Signature: the certificate is invalid", "breaks a rule", ConfigError),
        ("Signature: the certificate was not valid at time of signing", "expired", ConfigError),
        ("NotSupported: image/bmp", "cannot be signed", StoreError),
        ("Other: asset could not be parsed: x", "damaged", StoreError),
        ("Io: failed to fill whole buffer", "ends too early", StoreError),
        ("Manifest: more than one manifest store detected", "several manifest stores", StoreError),
        ("Verify: something\nnew in the\tlibrary", "something new in the library", StoreError),
    ],
)
def test_complaints_of_the_library_in_our_words(text: str, words: str, kind: type) -> None:
    told = complaint(RuntimeError(text), where="request r", keys="/keys")
    assert isinstance(told, kind)
    assert words in told.message
    assert told.where == ("/keys" if kind is ConfigError else "request r")
