# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from audit.provenance import (
    Stamper,
    State,
    _engine,
    development_chain,
    load_chain,
    verify_bytes,
    verify_many,
    verify_path,
)

FORMATS = ("PNG", "JPEG", "WEBP")


@pytest.mark.parametrize("kind", FORMATS)
def test_no_credentials(encode, kind) -> None:
    verdict = verify_bytes(encode(kind))
    assert (verdict.state, verdict.codes, verdict.ai) == (State.ABSENT, (), False)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("saved_as", FORMATS)
def test_a_re_save_loses_them(stamper, claim, encode, kind, saved_as) -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(stamper.stamp(encode(kind), claim).data)).convert("RGB").save(out, saved_as)
    assert verify_bytes(out.getvalue()).state is State.ABSENT


@pytest.mark.parametrize("data", [b"", b"hello, world", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_bad_files_never_raise(data) -> None:
    verdict = verify_bytes(data)
    assert verdict.state is State.UNREADABLE
    assert verdict.message


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_or_extended_files_never_verify(stamper, claim, encode, kind) -> None:
    signed = stamper.stamp(encode(kind), claim).data
    for keep in (0, 3, 12, 100, 700, len(signed) // 2, len(signed) - 25):
        assert not verify_bytes(signed[:keep]).state.verified, keep
    assert not verify_bytes(signed + b"\x00" * 64).state.verified


def test_every_changed_byte_of_the_picture_is_noticed(stamper, claim, encode) -> None:
    signed = stamper.stamp(encode(), claim).data
    start = signed.find(b"IDAT") + 4
    for at in range(start, len(signed) - 20, 997):
        changed = signed[:at] + bytes([signed[at] ^ 0x10]) + signed[at + 1 :]
        assert verify_bytes(changed).state is State.INVALID, at


def test_credentials_of_another_image_do_not_fit(stamper, claim, encode) -> None:
    mine, other = stamper.stamp(encode(seed=1), claim).data, encode(seed=2)
    start = mine.find(b"caBX") - 4
    length = int.from_bytes(mine[start : start + 4], "big") + 12
    where = other.find(b"IDAT") - 4
    verdict = verify_bytes(other[:where] + mine[start : start + length] + other[where:])
    assert verdict.state is State.INVALID
    assert "assertion.dataHash.mismatch" in verdict.codes


def test_anchor_of_another_root_does_not_make_trust(stamper, claim, encode, tmp_path) -> None:
    other = development_chain(tmp_path).root
    assert other is not None
    assert verify_bytes(stamper.stamp(encode(), claim).data, anchors=other.decode()).state is State.VALID_UNTRUSTED


def test_parent_of_an_untrusted_signer_is_not_hidden(stamper, claim, encode, root, tmp_path) -> None:
    development_chain(tmp_path)
    stranger = Stamper(tmp_path, tool_version="0")
    verdict = verify_bytes(stamper.stamp(stranger.stamp(encode(), claim).data, claim).data, anchors=root)
    assert verdict.state is State.VALID_UNTRUSTED
    assert verdict.codes == ("ingredient:signingCredential.untrusted",)
    both = root + str((stranger.chain.root or b"").decode())
    again = stamper.stamp(stranger.stamp(encode(), claim).data, claim).data
    assert verify_bytes(again, anchors=both).state is State.NO_TIMESTAMP


@pytest.mark.slow
def test_expired_certificate_is_named(encode, claim, tmp_path) -> None:
    now = datetime.now(UTC)
    # Signed with a certificate that is good for one more second, and verified after that.
    development_chain(tmp_path, now=now - timedelta(days=365) + timedelta(seconds=2))
    signed = Stamper(tmp_path, tool_version="0").stamp(encode(), claim).data
    assert verify_bytes(signed).state is State.VALID_UNTRUSTED
    time.sleep(max(0.0, (load_chain(tmp_path, now=now).expires - datetime.now(UTC)).total_seconds()) + 1.1)
    verdict = verify_bytes(signed)
    assert verdict.state is State.INVALID
    assert "signingCredential.expired" in verdict.codes
    assert "has expired" in verdict.message


def test_paths_in_order_whatever_the_workers(stamper, claim, encode, tmp_path) -> None:
    files = {"a.png": stamper.stamp(encode(), claim).data, "b.png": encode(), "c.txt": b"text", "d.png": b""}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [*(tmp_path / name for name in files), tmp_path / "missing.png", tmp_path]
    expected = ["valid_untrusted", "absent", "unreadable", "unreadable", "unreadable", "unreadable"]
    for workers in (1, 3):
        assert [v.state for v in verify_many(paths, workers=workers, isolated=False)] == expected
    assert "cannot be opened" in verify_path(tmp_path / "missing.png").message


def test_size_cap(encode, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(encode())
    assert verify_path(tmp_path / "a.png", max_bytes=100).state is State.UNREADABLE
    assert "larger than the limit of 100 bytes" in verify_bytes(encode(), max_bytes=100).message


def test_remote_manifests_are_not_fetched(stamper) -> None:
    made = _engine.settings({})
    assert made["verify"]["remote_manifest_fetch"] is False
    assert made["core"]["allowed_network_hosts"] == []


def test_without_the_library_nothing_can_be_said(monkeypatch, encode) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)  # what a failing import looks like
    monkeypatch.setattr(_engine, "_CONTEXTS", {})
    verdict = verify_bytes(encode())
    assert verdict.state is State.UNDETERMINED
    assert "not installed" in verdict.message


def test_importing_the_package_does_not_import_the_library() -> None:
    code = "import sys, audit.provenance; sys.exit('c2pa' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False).returncode == 0
