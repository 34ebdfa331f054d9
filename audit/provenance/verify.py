# SPDX-License-Identifier: Apache-2.0
"""Read Content Credentials and judge them: a verdict above the library's own state, which hides too much.

The library calls an image "Trusted" whose parent was tampered with, and raises where a reader needs an answer. Here
every file gets one of a few states, the raw codes stay beside it, and no file makes anything raise or call the network.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from audit.errors import ConfigError
from audit.provenance._engine import GENERATION, library, sniff, verify_context
from audit.provenance.state import State

__all__ = ["MAX_BYTES", "State", "Verified", "verify_bytes", "verify_many", "verify_path"]

MAX_BYTES: Final = 512 * 2**20
_AI: Final = frozenset({"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"})
_UNTRUSTED: Final = "signingCredential.untrusted"
_TRUSTED: Final = "signingCredential.trusted"
_EXPIRED: Final = "signingCredential.expired"


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdict on one file.

    Attributes:
        state: see `State`.
        codes: failure codes of the C2PA library, those of parents and other ingredients with prefix "ingredient:".
        issuer: organisation in the signer's certificate, as claimed: anybody can write any name there unless trusted.
        generator: software that is said to have made the image.
        ai: whether the credentials, or those of a parent, declare the output of a trained model.
        signed_at: UTC; of a time stamp authority where there is one, else the signer's own word.
        request_id: of the audit's request, where this tool stamped the image.
        message: one sentence for people.

    All but ``state``, ``codes`` and ``message`` are what the credentials *say*; believe it only if ``state.verified``.
    """

    state: State
    codes: tuple[str, ...] = ()
    issuer: str | None = None
    generator: str | None = None
    ai: bool = False
    signed_at: str | None = None
    request_id: str | None = None
    message: str = ""


def verify_bytes(data: bytes, *, anchors: str | None = None, max_bytes: int = MAX_BYTES) -> Verified:
    """Verify the credentials embedded in a file.

    Args:
        data: the whole file.
        anchors: PEM of the roots to trust; without them nothing in the world is more than ``valid_untrusted``.
        max_bytes: larger files are not looked into and count as unreadable.

    Returns:
        The verdict; never raises because of the file.
    """
    if len(data) > max_bytes:
        return Verified(State.UNREADABLE, message=f"{len(data)} bytes are more than the limit of {max_bytes}")
    kind = sniff(data)
    if kind is None:
        what = "an empty file" if not data else "not an image file that can carry credentials"
        return Verified(State.UNREADABLE, message=f"this is {what}")
    try:
        c2pa, context = library(), verify_context(anchors)
    except ConfigError as error:
        return Verified(State.UNDETERMINED, message=error.message)
    try:
        with c2pa.Reader(kind, io.BytesIO(data), context=context) as reader:
            store = json.loads(reader.json())
        return _judge(store)
    except c2pa.C2paError.ManifestNotFound:
        return Verified(State.ABSENT, message="no credentials")
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = " ".join(str(error).split())[:200]
        return Verified(State.UNREADABLE, codes=(text.partition(":")[0],), message=f"cannot be read: {text}")


def verify_path(path: Path | str, *, anchors: str | None = None, max_bytes: int = MAX_BYTES) -> Verified:
    """`verify_bytes` for a file; one that is missing or cannot be opened is unreadable."""
    path = Path(path)
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= max_bytes else b""
    except OSError as error:
        return Verified(State.UNREADABLE, message=f"cannot be opened: {error.strerror}")
    if size > max_bytes:
        return Verified(State.UNREADABLE, message=f"{size} bytes are more than the limit of {max_bytes}")
    return verify_bytes(data, anchors=anchors, max_bytes=max_bytes)


def verify_many(
    paths: Iterable[Path | str], *, workers: int = 1, anchors: str | None = None, max_bytes: int = MAX_BYTES
) -> Iterator[Verified]:
    """Verdicts in the order of ``paths``.

    Args:
        paths: files.
        workers: threads; the library works outside the interpreter lock.
        anchors: as in `verify_bytes`.
        max_bytes: as in `verify_bytes`.
    """
    one = partial(verify_path, anchors=anchors, max_bytes=max_bytes)
    if workers <= 1:
        yield from map(one, paths)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(one, paths)


def _judge(store: Mapping[str, Any]) -> Verified:
    manifests: Mapping[str, Any] = store["manifests"]
    active = manifests[store["active_manifest"]]
    results = store.get("validation_results") or {}
    own = _codes(results.get("activeManifest"), "failure")
    parents, parents_untrusted = _ingredients(manifests.values(), results.get("ingredientDeltas") or ())
    state = _state(str(store.get("validation_state")), own, parents, trusted_parents=not parents_untrusted)
    said = _said(active)
    signature = active.get("signature_info") or {}
    return Verified(
        state=state,
        codes=(*own, *(f"ingredient:{code}" for code in parents), *_prefixed(parents_untrusted)),
        issuer=signature.get("issuer") or signature.get("common_name"),
        generator=_generator(active, said),
        ai=any(_declares_ai(manifest) for manifest in _lineage(manifests, active)),
        signed_at=signature.get("time") or _claimed_time(active),
        request_id=said.get("request_id"),
        message=_message(state, own, parents, issuer=signature.get("issuer")),
    )


def _state(library_state: str, own: Sequence[str], parents: Sequence[str], *, trusted_parents: bool) -> State:
    if library_state not in {"Valid", "Trusted"} or set(own) - {_UNTRUSTED}:
        return State.INVALID
    if parents:
        return State.BAD_INGREDIENT
    return State.TRUSTED if library_state == "Trusted" and trusted_parents else State.VALID_UNTRUSTED


def _ingredients(manifests: Iterable[Mapping[str, Any]], deltas: Iterable[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """Broken rules of all ingredients, however deep, and whether some ingredient's signer is not trusted.

    What was wrong when an ingredient was taken in is on record in the ingredient itself, and the library's state takes
    no notice of it; what has changed since is in the deltas.
    """
    changes = [delta.get("validationDeltas") for delta in deltas]
    trusted_now = {
        _owner(item["url"]) for change in changes for item in _items(change, "success") if item["code"] == _TRUSTED
    }
    failures = [(_owner(item["url"]), item["code"]) for change in changes for item in _items(change, "failure")]
    for manifest in manifests:
        for ingredient in manifest.get("ingredients") or ():
            recorded = _items((ingredient.get("validation_results") or {}).get("activeManifest"), "failure")
            failures += [(_owner(item.get("url", "")), item["code"]) for item in recorded]
    broken = sorted({code for _, code in failures if code != _UNTRUSTED})
    untrusted = any(code == _UNTRUSTED and owner not in trusted_now for owner, code in failures)
    return broken, untrusted


def _items(results: Mapping[str, Any] | None, kind: str) -> Sequence[Mapping[str, Any]]:
    return (results or {}).get(kind) or ()


def _codes(results: Mapping[str, Any] | None, kind: str) -> list[str]:
    return sorted({item["code"] for item in _items(results, kind)})


def _prefixed(untrusted: bool) -> tuple[str, ...]:
    return (f"ingredient:{_UNTRUSTED}",) if untrusted else ()


def _owner(url: str) -> str:
    """Label of the manifest that a JUMBF address points into: ``self#jumbf=/c2pa/<label>/...``."""
    return url.partition("/c2pa/")[2].partition("/")[0]


def _lineage(manifests: Mapping[str, Any], active: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The active manifest and its parents, nearest first; other ingredients are not the same picture."""
    seen: set[str] = set()
    current: Mapping[str, Any] | None = active
    while current is not None:
        yield current
        labels = [
            i.get("active_manifest") for i in current.get("ingredients") or () if i.get("relationship") == "parentOf"
        ]
        label = next((name for name in labels if name in manifests and name not in seen), None)
        seen.add(str(label))
        current = manifests[label] if label is not None else None


def _actions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [
        a["data"].get("actions") or ()
        for a in manifest.get("assertions") or ()
        if a["label"].startswith("c2pa.actions")
    ]
    return [action for actions in found for action in actions]


def _declares_ai(manifest: Mapping[str, Any]) -> bool:
    kinds = (str(action.get("digitalSourceType", "")).rpartition("/")[2] for action in _actions(manifest))
    return any(kind in _AI for kind in kinds)


def _said(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our own assertion, empty where another tool signed."""
    data: Any = next((a["data"] for a in manifest.get("assertions") or () if a["label"] == GENERATION), {})
    return data if isinstance(data, Mapping) else {}


def _generator(manifest: Mapping[str, Any], said: Mapping[str, Any]) -> str | None:
    agents = [action.get("softwareAgent") for action in _actions(manifest)]
    names = [agent.get("name") if isinstance(agent, Mapping) else agent for agent in agents]
    tools = [info.get("name") for info in manifest.get("claim_generator_info") or ()]
    return next((str(name) for name in (said.get("generator"), *names, *tools) if name), None)


def _claimed_time(manifest: Mapping[str, Any]) -> str | None:
    return next((str(action["when"]) for action in _actions(manifest) if action.get("when")), None)


def _message(state: State, own: Sequence[str], parents: Sequence[str], *, issuer: str | None) -> str:
    if state is State.INVALID:
        if _EXPIRED in own:
            return "invalid: the signing certificate has expired, and there is no time stamp from when it was valid"
        return f"invalid: {', '.join(code for code in own if code != _UNTRUSTED) or 'validation failed'}"
    if state is State.BAD_INGREDIENT:
        return f"intact, but made from an image whose credentials are broken: {', '.join(parents)}"
    if state is State.VALID_UNTRUSTED:
        return f"valid, signed by {issuer or 'an unnamed signer'}, not on a trusted list"
    return f"valid and trusted, signed by {issuer or 'an unnamed signer'}"
