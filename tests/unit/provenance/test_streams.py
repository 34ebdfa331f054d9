# SPDX-License-Identifier: Apache-2.0
"""Both ways of handing a picture to the library: they must say, refuse and leave behind the same."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import c2pa
import pytest

from audit.provenance import Stamper, _streams, verify_bytes
from audit.provenance._engine import settings
from audit.provenance.keys import native_signer

MANIFEST = {
    "title": "x",
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
                    }
                ]
            },
        }
    ],
}


@pytest.fixture(scope="module")
def context(stamper: Stamper):
    return c2pa.Context.from_dict(settings({}), signer=native_signer(stamper.chain))


@pytest.fixture(params=["native", "callbacks"])
def way(request, monkeypatch) -> str:
    if request.param == "callbacks":
        monkeypatch.setattr(_streams, "native", lambda: None)
    else:
        assert _streams.native() is not None, "this platform should have the native way"
    return request.param


def signed(context, data: bytes, kind: str = "image/png") -> tuple[bytes, bytes]:
    return _streams.sign(c2pa.Builder(MANIFEST, context=context), kind, data)


@pytest.mark.parametrize(("name", "kind"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_what_is_signed_verifies_and_holds_the_manifest_it_returns(way, context, encode, name, kind) -> None:
    data, manifest = signed(context, encode(name), kind)
    assert verify_bytes(data).state.verified
    assert len(manifest) > 1000
    if kind == "image/png":
        assert manifest in data


def test_the_picture_is_as_the_public_way_leaves_it(context, encode) -> None:
    """Manifests hold fresh ids and salts; the rest of the file must not differ from what `Builder.sign` writes."""
    source = encode()
    ours, manifest = signed(context, source)
    out = io.BytesIO()
    theirs_manifest = c2pa.Builder(MANIFEST, context=context).sign("image/png", io.BytesIO(source), out)
    assert ours.replace(manifest, b"")[:33] == source[:33] == out.getvalue()[:33]
    assert (
        ours[-(len(source) - 33) :]
        == source[33:]
        == out.getvalue().replace(theirs_manifest, b"")[-(len(source) - 33) :]
    )


def test_a_smaller_picture_after_a_larger_one_holds_nothing_of_it(way, context, encode) -> None:
    large, _ = signed(context, encode(seed=1) + b"")
    small_source = encode("PNG", seed=2)[:-12] + encode("PNG", seed=2)[-12:]
    for data in (large, small_source):
        assert verify_bytes(signed(context, small_source)[0]).state.verified, len(data)


@pytest.mark.parametrize("data", [b"", b"junk", b"\x89PNG\r\n\x1a\n" + bytes(20)])
def test_a_broken_file_raises_and_leaves_no_handle_open(way, context, encode, data) -> None:
    signed(context, encode())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(c2pa.C2paError):
            signed(context, data)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_threads_do_not_mix_their_pictures(way, context, encode) -> None:
    found: dict[int, bytes] = {}

    def work(seed: int) -> None:
        for _ in range(10):
            found[seed] = signed(context, encode(seed=seed))[0]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, data in found.items():
        assert verify_bytes(data).state.verified
        assert encode(seed=seed)[33:] in data


def test_handles_of_threads_that_ended_are_closed(context, encode) -> None:
    def once() -> None:
        thread = threading.Thread(target=lambda: signed(context, encode()))
        thread.start()
        thread.join()

    once()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        once()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_a_forked_child_has_a_file_of_its_own(stamper: Stamper, claim, encode) -> None:
    stamper.stamp(encode(), claim)
    child = os.fork()
    if child == 0:
        good = all(verify_bytes(stamper.stamp(encode(seed=seed), claim).data).state.verified for seed in range(20))
        os._exit(0 if good else 1)
    good = all(verify_bytes(stamper.stamp(encode(seed=seed), claim).data).state.verified for seed in range(20))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert good
