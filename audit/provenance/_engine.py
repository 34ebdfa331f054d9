# SPDX-License-Identifier: Apache-2.0
"""The C2PA library behind two functions: load it, and make a context whose settings leave nothing to its defaults."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from audit.provenance._native import load
from audit.provenance.keys._certificates import ACCEPTED_EKUS

__all__ = ["GENERATION", "SPEC_VERSION", "library", "sniff", "verify_context"]

#: Label of our own assertion: which request an image answers, and what was asked.
GENERATION: Final = "org.genaudit.generation"
SPEC_VERSION: Final = "2.4.0"
_TRUST: Final = {"trust_config": "\n".join(oid.dotted_string for oid in ACCEPTED_EKUS)}
# A file must never make the verifier call anybody: no remote manifests, no revocation queries, no hosts at all.
_OFFLINE: Final = {"remote_manifest_fetch": False, "ocsp_fetch": False}
_BRANDS: Final = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"mif1": "image/heif"}
_CONTEXTS: dict[tuple[Any, ...], Any] = {}


def library() -> Any:
    """The ``c2pa`` module.

    Raises:
        ConfigError: it is not installed, or its native library does not load on this machine.
    """
    return load()


def settings(
    extra: dict[str, Any], *, anchors: str | None = None, tsa_anchors: str | None = None, hosts: Sequence[str] = ()
) -> dict[str, Any]:
    """Settings shared by signing and verifying.

    Args:
        extra: further blocks.
        anchors: PEM of the roots to trust for signers.
        tsa_anchors: PEM of the roots to trust for time stamp authorities.
        hosts: that the library may call; none by default.
    """
    trust: dict[str, Any] = dict(_TRUST)
    lists = [
        {"trust_anchors": pem, "trust_uri": uri, "trust_kind": kind}
        for pem, uri, kind in (
            (anchors, "urn:genaudit:anchors", "manifest"),
            (tsa_anchors, "urn:genaudit:tsa-anchors", "tsa"),
        )
        if pem
    ]
    if lists:
        trust["anchors"] = lists
    verify = {**_OFFLINE, "verify_after_sign": True, "verify_after_sign_hash": True}
    return {"version": 1, "trust": trust, "verify": verify, "core": {"allowed_network_hosts": list(hosts)}, **extra}


def verify_context(anchors: str | None = None, lists: tuple[tuple[str, str, str], ...] = ()) -> Any:
    """A context for reading, one a process and set of trust: objects of the library do not survive a fork.

    Args:
        anchors: PEM of roots to trust.
        lists: in their place: (PEM, uri, kind) of trust lists, kind "manifest" or "tsa".
    """
    key = (os.getpid(), anchors, lists)
    if key not in _CONTEXTS:
        made = settings({}, anchors=anchors)
        if lists:
            named = [{"trust_anchors": pem, "trust_uri": uri, "trust_kind": kind} for pem, uri, kind in lists]
            made["trust"] = {**made["trust"], "anchors": named}
        _CONTEXTS[key] = library().Context.from_dict(made)
    return _CONTEXTS[key]


def sniff(data: bytes) -> str | None:
    """Media type by the first bytes: PNG, JPEG, WebP, GIF, TIFF, AVIF, HEIC; None for anything else."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    starts = {
        b"\x89PNG\r\n\x1a\n": "image/png",
        b"\xff\xd8\xff": "image/jpeg",
        b"GIF8": "image/gif",
        b"II*\x00": "image/tiff",
        b"MM\x00*": "image/tiff",
    }
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)
