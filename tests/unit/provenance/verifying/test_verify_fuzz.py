# SPDX-License-Identifier: Apache-2.0
"""Whatever is in a file: a verdict, never an exception, and never "verified" for bytes that were changed."""

from __future__ import annotations

import random

import pytest

from audit.provenance import State, verify_bytes

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF")


def mutate(data: bytes, dice: random.Random) -> bytes:
    at, length = dice.randrange(len(data)), dice.choice((1, 1, 2, 4, 16, 200))
    kind = dice.randrange(5)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + dice.randbytes(length) + data[at + length :]
    if kind == 2:
        return data[:at] + data[at + length :]
    if kind == 3:
        return data[:at] + dice.randbytes(length) + data[at:]
    other = dice.randrange(len(data))
    return data[:at] + data[other : other + length] + data[at:]


def check(data: bytes, changed: bytes, anchors: str) -> None:
    verdict = verify_bytes(changed, anchors=anchors)
    assert verdict.message
    assert changed == data or not verdict.state.verified
    assert verdict.state is not State.UNDETERMINED


@pytest.mark.parametrize("kind", FORMATS)
def test_changed_bytes(signer, picture, authority, kind) -> None:
    data, dice = signer.sign(picture(kind), kind), random.Random(kind)
    for _ in range(60):
        check(data, mutate(data, dice), authority.pem)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_many_changed_bytes(signer, stranger, picture, authority, clock, kind) -> None:
    """Also with a parent and a time stamp."""
    data = signer.sign(stranger.sign(picture(kind), kind), kind, edit=True, stamp=clock.url)
    dice = random.Random(kind)
    for _ in range(1000):
        check(data, mutate(data, dice), authority.pem + clock.root)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_noise(size) -> None:
    dice = random.Random(size)
    starts = [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"II*\0",
        b"\0\0\0\x18ftypavif",
        b"RIFF\0\0\0\0WEBP",
    ]
    for start in starts:
        for _ in range(20):
            assert verify_bytes(start + dice.randbytes(size)).state in {State.UNREADABLE, State.ABSENT}
