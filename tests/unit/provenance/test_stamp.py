# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from audit.errors import ConfigError, StoreError
from audit.provenance import Claim, Stamper, State, verify_bytes
from audit.provenance._engine import GENERATION, sniff, verify_context

FORMATS = ("PNG", "JPEG", "WEBP")


def manifests(data: bytes) -> tuple[dict, list[dict]]:
    import c2pa

    with c2pa.Reader(sniff(data), io.BytesIO(data), context=verify_context(None)) as reader:
        store = json.loads(reader.json())
    return store["manifests"][store["active_manifest"]], list(store["manifests"].values())


def assertion(manifest: dict, label: str) -> dict:
    return next(a for a in manifest["assertions"] if a["label"] == label)


def damage(data: bytes) -> bytes:
    """Change one bit of the picture, outside the credentials."""
    kind = sniff(data)
    at = {"image/png": data.find(b"IDAT") + 60, "image/jpeg": len(data) - 40, "image/webp": data.find(b"VP8") + 60}[
        kind or ""
    ]
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("kind", FORMATS)
def test_stamped_image_verifies_and_keeps_its_pixels(stamper, claim, encode, root, kind) -> None:
    data = encode(kind)
    signed = stamper.stamp(data, claim).data
    verdict = verify_bytes(signed)
    assert (verdict.state, verdict.ai, verdict.generator) == (State.VALID_UNTRUSTED, True, "small-diffusion")
    assert (verdict.request_id, verdict.signed_at) == ("r-0001", "2026-11-22T06:00:00Z")
    assert "not trusted" in str(verdict.issuer)
    assert verify_bytes(signed, anchors=root).state is State.TRUSTED
    assert 2000 < len(signed) - len(data) < 5000
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(d)).convert("RGB")) for d in (data, signed)))


def test_what_the_manifest_says(stamper, claim, encode) -> None:
    manifest, _ = manifests(stamper.stamp(encode(), claim).data)
    actions = assertion(manifest, "c2pa.actions.v2")
    assert actions["data"]["allActionsIncluded"] is True
    (created,) = actions["data"]["actions"]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert created["softwareAgent"] == {"name": "small-diffusion", "version": "ab" * 32}
    assert created["when"] == "2026-11-22T06:00:00Z"
    info = manifest["claim_generator_info"][0]
    assert (info["name"], info["version"], info["specVersion"]) == ("genaudit", "0.1.0", "2.4.0")
    said = assertion(manifest, GENERATION)
    assert said["data"]["seed"] == str(2**64 - 1)
    assert said["data"]["params"] == {
        "steps": 30, "guidance": "nan", "huge": str(2**70), "text": "\\ud800x", "on": True, "none": None,
    }  # fmt: skip
    assert said["data"]["prompt_sha256"] == "cd" * 32
    assert [actions["created"], said["created"]] == [True, True]  # attested by the signer, not merely gathered
    assert "thumbnail" not in json.dumps(manifest)


def test_credentials_already_there_become_the_parent(stamper, claim, encode, root) -> None:
    first = stamper.stamp(encode(), claim).data
    second = stamper.stamp(first, dataclasses.replace(claim, request_id="r-0002", generator="folder")).data
    active, every = manifests(second)
    assert len(every) == 2
    assert [i["relationship"] for i in active["ingredients"]] == ["parentOf"]
    actions = assertion(active, "c2pa.actions.v2")["data"]["actions"]
    assert [a["action"] for a in actions] == ["c2pa.opened", "c2pa.edited.metadata"]
    assert not any("digitalSourceType" in a for a in actions)
    assert assertion(active, GENERATION)["data"]["parent_state"] == "valid_untrusted"
    verdict = verify_bytes(second, anchors=root)
    assert (verdict.state, verdict.request_id, verdict.ai) == (State.TRUSTED, "r-0002", True)  # the parent declares it


@pytest.mark.parametrize("kind", FORMATS)
def test_broken_parent_stays_on_record(stamper, claim, encode, root, kind) -> None:
    broken = damage(stamper.stamp(encode(kind), claim).data)
    assert verify_bytes(broken, anchors=root).state is State.INVALID
    again = stamper.stamp(broken, claim).data
    verdict = verify_bytes(again, anchors=root)
    assert verdict.state is State.BAD_INGREDIENT
    assert "ingredient:assertion.dataHash.mismatch" in verdict.codes
    assert assertion(manifests(again)[0], GENERATION)["data"]["parent_state"] == "invalid"
    twice = verify_bytes(stamper.stamp(again, claim).data, anchors=root)
    assert twice.state is State.BAD_INGREDIENT  # also two generations deep


def test_unreadable_credentials_are_not_stamped_over(stamper, claim, encode) -> None:
    signed = stamper.stamp(encode(), claim).data
    at = signed.find(b"claim_generator") - 1
    broken = signed[:at] + bytes([signed[at] ^ 0xFF]) + signed[at + 1 :]
    assert verify_bytes(broken).state is State.UNREADABLE
    with pytest.raises(StoreError, match="cannot be stamped") as caught:
        stamper.stamp(broken, claim)
    assert caught.value.where == "request r-0001"


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 100, b"GIF89a" + b"\x00" * 40])
def test_what_is_no_writable_image_is_refused(stamper, claim, data) -> None:
    with pytest.raises(StoreError, match="cannot be stamped"):
        stamper.stamp(data, claim)


def test_an_overlong_claim_is_a_clear_error(stamper, claim, encode) -> None:
    with pytest.raises(StoreError, match="signing failed"):
        stamper.stamp(encode(), dataclasses.replace(claim, params={"workflow": "x" * 3_000_000}))


def test_a_claim_needs_a_time_zone(claim) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        dataclasses.replace(claim, when=datetime(2026, 1, 1))  # noqa: DTZ001


def test_missing_key_folder(tmp_path, claim, encode) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Stamper(tmp_path / "none", tool_version="0").stamp(encode(), claim)


def test_threads_share_one_stamper(stamper, claim, encode) -> None:
    def one(seed: int) -> str:
        made = stamper.stamp(encode(seed=seed), dataclasses.replace(claim, request_id=f"r-{seed}")).data
        verdict = verify_bytes(made)
        return f"{verdict.state} {verdict.request_id}"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [f"valid_untrusted r-{seed}" for seed in range(40)]


def test_forked_child_signs_and_parent_goes_on(stamper: Stamper, claim: Claim, encode) -> None:
    stamper.stamp(encode(), claim)  # the parent's objects exist before the fork
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if verify_bytes(stamper.stamp(encode(), claim).data).state is State.VALID_UNTRUSTED else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert verify_bytes(stamper.stamp(encode(), claim).data).state.verified


def test_pickled_stamper_signs(stamper, claim, encode) -> None:
    stamper.stamp(encode(), claim)
    copy = pickle.loads(pickle.dumps(stamper))
    assert verify_bytes(copy.stamp(encode(), claim).data).state.verified
