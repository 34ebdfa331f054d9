# SPDX-License-Identifier: Apache-2.0
"""Nothing that was tampered with passes as verified, and nothing makes the verifier fall over."""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter

import pytest
from PIL import Image

from audit.provenance import State, development_chain, verify_bytes, verify_many
from audit.provenance._boxes import parse
from audit.provenance._paste import paste
from audit.provenance._wrapping import locate
from audit.provenance.tamper import FORMATS, mutations, names

KINDS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF")
MISMATCH = "assertion.dataHash.mismatch"


def _passed(signed, media, kind: str, *, n: int, seed: int) -> tuple[list[str], Counter[str]]:
    seen: Counter[str] = Counter()
    passed = []
    for change in mutations(signed(kind), media[kind], seed=seed, n=n, other=signed(kind, seed=1)):
        seen[change.name] += 1
        if verify_bytes(change.data).state.verified:
            passed.append(f"{kind} {change.name} seed {seed} number {change.number} {change.region}")
    return passed, seen


@pytest.mark.parametrize("kind", KINDS)
def test_no_tampered_file_passes(signed, media, kind) -> None:
    assert verify_bytes(signed(kind)).state.verified
    assert verify_bytes(signed(kind, seed=1)).state.verified
    assert _passed(signed, media, kind, n=80, seed=1)[0] == []


@pytest.mark.slow
def test_no_tampered_file_passes_of_many(signed, media) -> None:
    seen: Counter[str] = Counter()
    for kind in KINDS:
        passed, kinds = _passed(signed, media, kind, n=400, seed=2)
        assert passed == []
        seen += kinds
    assert sum(seen.values()) == 2400
    assert set(seen) == set(names()) - {"store.time_stamp"}


@pytest.mark.slow
def test_nor_of_files_with_a_time_stamp_or_a_past(sign, picture, media, authority) -> None:
    for kind in KINDS:
        timed = sign(picture(kind), kind, tsa=authority[0])
        for data in (timed, sign(timed, kind, edit=True)):
            assert verify_bytes(data).state.verified
            found = [m for m in mutations(data, media[kind], seed=4, n=100) if verify_bytes(m.data).state.verified]
            assert found == []


def test_the_forger_is_no_fool(signed, media) -> None:
    """Stores that were added to or cut are whole again: size, lengths and checksums fit."""
    data, seen = signed("PNG"), Counter()
    before = locate(data, media["PNG"])
    wanted = {"store.assertion_added", "store.assertion_dropped", "store.box_added", "store.header_entry_added"}
    for change in mutations(data, media["PNG"], seed=7, n=600, other=signed("PNG", seed=1)):
        if change.name in wanted:
            after = locate(change.data, media["PNG"])
            assert len(after.store) == len(before.store)
            assert after.faults == ()
            assert parse(after.store).children
            seen[change.name] += 1
    assert len(seen) == 4


def test_nor_where_it_is_read_by_another_process(signed, media, tmp_path) -> None:
    paths = []
    for kind in KINDS:
        for change in mutations(signed(kind), media[kind], seed=3, n=8, other=signed(kind, seed=1)):
            paths.append(tmp_path / f"{kind}-{change.number}")
            paths[-1].write_bytes(change.data)
    states = Counter(verdict.state for verdict in verify_many(paths, isolated=True))
    assert sum(states.values()) == 48
    assert not any(state.verified for state in states)
    assert states[State.UNDETERMINED] == 0  # no crash, no time-out


def test_the_same_seed_gives_the_same_mutations(signed, media) -> None:
    def draw(seed: int, n: int) -> list[bytes]:
        return [m.data for m in mutations(signed("PNG"), media["PNG"], seed=seed, n=n, other=signed("PNG", seed=1))]

    first = draw(5, 60)
    assert first[:20] == draw(5, 20)
    assert first != draw(6, 60)
    assert all(data != signed("PNG") for data in first)


def test_a_region_says_where_the_bytes_differ(signed, media) -> None:
    old = signed("JPEG")
    for change in mutations(old, media["JPEG"], seed=0, n=60):
        start, end = change.region
        assert old[:start] == change.data[:start]
        if len(old) == len(change.data):
            assert old[end:] == change.data[end:]
            assert old[start] != change.data[start]
            assert old[end - 1] != change.data[end - 1]


def test_files_without_credentials_and_of_other_kinds_can_be_changed_too(picture) -> None:
    for data, kind in ((picture("PNG"), "image/png"), (b"some text", "text/plain")):
        assert len(list(mutations(data, kind, seed=0, n=20))) == 20
    assert set(FORMATS) == {"image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff", "image/gif"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_is_pasted_back_verifies(signed, media, kind) -> None:
    """The forger's tools work: what they make is refused for its content, not for clumsiness."""
    data = signed(kind)
    found = locate(data, media[kind])
    assert found is not None
    if kind == "TIFF":  # its store goes to another place, which the hash of the file notices
        assert locate(paste(data, media[kind], found.store), media[kind]).store == found.store
        return
    assert paste(data, media[kind], found.store) == data


def _other_pixel(data: bytes, kind: str) -> bytes:
    # WebP and TIFF keep their store at the end, and the pixels right after the header; the others the other way round.
    at = 100 if kind in {"TIFF", "WEBP"} else len(data) - 30
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# Known manipulations, each with the verdict that it must get.


@pytest.mark.parametrize("kind", KINDS)
def test_one_bit_of_a_pixel(signed, kind) -> None:
    data = signed(kind)
    verdict = verify_bytes(_other_pixel(data, kind))
    expected = "assertion.bmffHash.mismatch" if kind == "AVIF" else MISMATCH
    assert verdict.state is State.INVALID
    assert expected in verdict.codes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 15, 16, 1000])
def test_bytes_after_the_end(signed, kind, size) -> None:
    for byte in (b"\0", b"\x41"):
        assert verify_bytes(signed(kind) + byte * size).state in {State.INVALID, State.UNREADABLE}


@pytest.mark.parametrize("kind", KINDS)
def test_truncation(signed, kind) -> None:
    data = signed(kind)
    for keep in (0, 1, 12, 100, 1500, len(data) // 2, len(data) - 100, len(data) - 1):
        state = verify_bytes(data[:keep]).state
        # A GIF loses its credentials with its first half; with the other formats they are damaged.
        assert state in {State.INVALID, State.UNREADABLE, State.ABSENT}, keep


def test_text_and_camera_data_added_after_signing(signed) -> None:
    png = signed("PNG")
    text = b"parameters\0a prompt"
    chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text))
    exif = Image.Exif()
    exif[0x010E] = "a description"
    jpeg, body = signed("JPEG"), exif.tobytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    for changed in (png[:-12] + chunk + png[-12:], jpeg[:2] + segment + jpeg[2:]):
        verdict = verify_bytes(changed)
        assert verdict.state is State.INVALID
        assert MISMATCH in verdict.codes


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_of_another_picture(signed, media, kind) -> None:
    other = locate(signed(kind, seed=1), media[kind])
    assert other is not None
    assert verify_bytes(paste(signed(kind), media[kind], other.store)).state in {State.INVALID, State.UNREADABLE}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_two_sets_of_credentials(signed, media, kind) -> None:
    wanted = {"container.second_manifest"}
    found = [m for m in mutations(signed(kind), media[kind], seed=0, n=300) if m.name in wanted]
    assert found
    assert {verify_bytes(m.data).state for m in found} <= {State.UNREADABLE, State.INVALID}


@pytest.mark.parametrize("kind", KINDS)
def test_saved_again_nothing_is_left(signed, kind) -> None:
    sink = io.BytesIO()
    Image.open(io.BytesIO(signed(kind))).convert("RGB").save(sink, kind)
    assert verify_bytes(sink.getvalue()).state is State.ABSENT


def test_an_expired_certificate(sign, picture) -> None:
    """Signed while it was valid is not to be had without another clock: the library refuses, and so would a reader."""
    from datetime import UTC, datetime, timedelta

    import c2pa

    from audit.errors import AuditError
    from audit.provenance.keys._certificates import issue_development

    certificate, key, _ = issue_development(datetime.now(UTC) - timedelta(days=800))
    with pytest.raises((c2pa.C2paError, AuditError)):
        sign(picture("PNG"), "PNG", keys=(certificate, key, "ES256"))


@pytest.mark.parametrize("kind", KINDS)
def test_signing_over_a_tampered_parent_does_not_launder_it(signed, sign, chain, kind) -> None:
    tampered = _other_pixel(signed(kind), kind)
    verdict = verify_bytes(sign(tampered, kind, edit=True), anchors=chain.root.decode())
    assert verdict.state is State.BAD_INGREDIENT
    assert any(code.startswith("ingredient:assertion.") for code in verdict.codes)


def test_nor_does_a_second_edit(signed, sign, chain) -> None:
    twice = sign(sign(_other_pixel(signed("PNG"), "PNG"), "PNG", edit=True), "PNG", edit=True)
    assert verify_bytes(twice, anchors=chain.root.decode()).state is State.BAD_INGREDIENT


def test_signing_over_an_unknown_signer_does_not_make_trust(sign, picture, chain, tmp_path) -> None:
    unknown = development_chain(tmp_path / "unknown")
    parent = sign(picture("PNG"), "PNG", keys=(unknown.certificates, unknown.key, unknown.algorithm))
    anchors = chain.root.decode()
    edited = sign(parent, "PNG", edit=True)
    assert verify_bytes(sign(picture("PNG"), "PNG"), anchors=anchors).state in {State.TRUSTED, State.NO_TIMESTAMP}
    verdict = verify_bytes(edited, anchors=anchors)
    assert verdict.state is State.VALID_UNTRUSTED
    assert "ingredient:signingCredential.untrusted" in verdict.codes


def test_creating_over_a_signed_file_drops_its_past(signed, sign) -> None:
    """What the library does, which nobody can see afterwards: `Stamper` therefore never does it."""
    laundered = sign(signed("PNG"), "PNG", title="new")
    assert verify_bytes(laundered).state.verified
    found = locate(laundered, "image/png")
    assert found is not None
    assert found.store.count(b"c2pa.claim.v2") == 1
    assert b"picture 0" not in found.store
