# SPDX-License-Identifier: Apache-2.0
"""Files signed by the C2PA library itself, with whatever settings a test asks for."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from audit.provenance import development_chain
from audit.provenance._engine import settings

MEDIA = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CREATE = {"create": "trainedAlgorithmicMedia"}


@pytest.fixture(scope="session")
def media() -> Mapping[str, str]:
    return MEDIA


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    return development_chain(tmp_path_factory.mktemp("tamper") / "keys")


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    def make(kind: str, size: int = 40, seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
        sink = io.BytesIO()
        Image.fromarray(pixels).save(sink, kind)
        return sink.getvalue()

    return make


@pytest.fixture(scope="session")
def sign(chain) -> Callable[..., bytes]:
    """``sign(data, kind, **how)``, how: edit, intent, builder, core, more, manifest, title, prepare, keys, tsa."""
    import c2pa

    def context(how: Mapping[str, Any]) -> Any:
        certificates, key, algorithm = how.get("keys") or (chain.certificates, chain.key, chain.algorithm)
        builder = {
            "thumbnail": {"enabled": False},
            "claim_generator_info": {"name": "test", "version": "1", "specVersion": "2.4.0"},
            "intent": how.get("intent", "edit" if how.get("edit") else CREATE),
            "actions": {"all_actions_included": True},
            "created_assertion_labels": ["c2pa.actions", "c2pa.ingredient", "org.example.said"],
            **how.get("builder", {}),
        }
        made = settings({"builder": builder})
        made["core"] = {**({} if how.get("tsa") else made["core"]), **how.get("core", {})}
        url = how["tsa"].encode() if how.get("tsa") else None
        info = c2pa.C2paSignerInfo(getattr(c2pa.C2paSigningAlg, algorithm), certificates, key, url)
        return c2pa.Context.from_dict(made, signer=c2pa.Signer.from_info(info))

    def make(data: bytes, kind: str, **how: Any) -> bytes:
        created = {"action": "c2pa.created", "digitalSourceType": SOURCE}
        action = {"action": "c2pa.edited"} if how.get("edit") else created
        manifest = {
            "title": how.get("title", "a picture"),
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [action], "allActionsIncluded": True}},
                {"label": "org.example.said", "data": {"number": 7, "text": "hello"}},
                *how.get("more", ()),
            ],
        }
        sink = io.BytesIO()
        with c2pa.Builder(how.get("manifest", manifest), context=context(how)) as builder:
            if "prepare" in how:
                how["prepare"](builder)
            builder.sign(MEDIA[kind], io.BytesIO(data), sink)
        return sink.getvalue()

    return make


@pytest.fixture(scope="session")
def signed(sign, picture) -> Callable[..., bytes]:
    """A small signed file of a kind; made once."""
    made: dict[tuple[str, int, int], bytes] = {}

    def make(kind: str, size: int = 40, seed: int = 0) -> bytes:
        if (kind, size, seed) not in made:
            made[kind, size, seed] = sign(picture(kind, size, seed), kind, title=f"picture {seed}")
        return made[kind, size, seed]

    return make


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """URL and root of a time stamp authority on this machine."""
    from audit.provenance.keys.authority import development_authority, serve_authority

    folder: Path = tmp_path_factory.mktemp("authority")
    found = development_authority(folder)
    with serve_authority(found) as server:
        yield server.url, found.root.decode()
        server.shutdown()
