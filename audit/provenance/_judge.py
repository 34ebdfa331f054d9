# SPDX-License-Identifier: Apache-2.0
"""From what the C2PA library reports on a manifest store to a verdict of ours.

Four things that its own state does not tell: a broken or untrusted parent behind an intact signature, a signer vouched
for only by a list of time stamp authorities (it does not keep the kinds of lists apart), a missing time stamp, and
terms that no vocabulary knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from audit.provenance._engine import GENERATION
from audit.provenance._sayings import EXPIRED, UNTRUSTED, sentence
from audit.provenance._terms import declares_ai, is_known, is_retired
from audit.provenance._verdict import Ingredient, SoftBinding, TimeStamp, Verified
from audit.provenance.state import State
from audit.provenance.trust import TrustList

__all__ = ["Reading", "judge"]

Table: TypeAlias = Mapping[str, Any]
_TRUSTED: Final = "signingCredential.trusted"
_STAMPED: Final = "timeStamp.trusted"


@dataclass(frozen=True, slots=True)
class Reading:
    """One manifest store as the library read it.

    Attributes:
        store: ``Reader.json()``.
        again: the same with only some of the trust lists in force.
        details: ``Reader.crjson()``, which also knows certificates; asked for only where it is needed.
    """

    store: Table
    again: Callable[[Sequence[TrustList]], Table]
    details: Callable[[], Table]


def judge(reading: Reading, lists: Sequence[TrustList], *, now: datetime | None = None) -> Verified:
    """The verdict on one store. Raises KeyError, TypeError or ValueError where the store is not as it should be."""
    store, now = reading.store, now or datetime.now(UTC)
    manifests: Table = store["manifests"]
    label = str(store["active_manifest"])
    active = manifests[label]
    results = _table(store.get("validation_results"))
    mine = _table(results.get("activeManifest"))
    for_signers = [each for each in lists if each.kind != "timestamps"]
    for_time = [each for each in lists if each.kind != "signers"]
    signers = _vouched(reading, _TRUSTED, for_signers)
    stamps = _vouched(reading, _STAMPED, for_time)
    stamp, ends = _time_stamp(reading, mine, label, trusted=label in stamps)
    own = _codes(mine, "failure")
    if label not in signers and _TRUSTED in _codes(mine, "success"):  # by a list that is not for signers
        own = sorted({*own, UNTRUSTED})
    # The library may have let a stamp by an authority on no list for time excuse a certificate that has ended.
    if stamp is not None and stamp.state != "trusted" and ends is not None and now > ends:
        own = sorted({*own, EXPIRED})
    ingredients = _ingredients(manifests, results, trusted=set(signers))
    broken = sorted({code for each in ingredients for code in each.codes if code != UNTRUSTED})
    strangers = any(UNTRUSTED in each.codes for each in ingredients)
    state = _state(str(store.get("validation_state")), own, broken, strangers=strangers, stamped=label in stamps)
    lineage = list(_lineage(manifests, label))
    said, signature = _said(active), _table(active.get("signature_info"))
    terms = tuple(dict.fromkeys(term for each in lineage for term in _source_types(manifests[each])))
    issuer = _text(signature.get("issuer")) or _text(signature.get("common_name"))
    message, hint = sentence(state, own, broken, issuer=issuer, stamp=stamp, strangers=strangers)
    return Verified(
        state=state,
        codes=(*own, *(f"ingredient:{code}" for code in (*broken, *([UNTRUSTED] if strangers else [])))),
        issuer=issuer,
        generator=_generator(active, said),
        ai=any(declares_ai(term) for term in terms),
        signed_at=_text(signature.get("time")) or _claimed_time(active),
        request_id=_text(said.get("request_id")),
        message=message,
        hint=hint,
        warnings=tuple(_warnings(active, terms, stamp, lists, now=now)),
        passed=tuple(sorted({*_codes(mine, "success"), *_codes(mine, "informational")} - set(own))),
        manifest_id=label,
        run_id=_text(said.get("run_id")),
        title=_text(active.get("title")),
        algorithm=_text(signature.get("alg")),
        source_types=terms,
        watermark=_soft_binding(active),
        timestamp=stamp,
        ingredients=tuple(ingredients),
        parents=tuple(lineage[1:]),
        trust_list=next((each.record for each in for_signers if each.uri == signers.get(label)), None),
    )


def _state(library: str, own: Sequence[str], broken: Sequence[str], *, strangers: bool, stamped: bool) -> State:
    # An identity assertion (CAWG) that does not hold leaves the manifest as it is; the library decides so, too.
    hard = [code for code in own if code != UNTRUSTED and not code.startswith("cawg.")]
    if library not in {"Valid", "Trusted"} or hard:
        return State.INVALID
    if broken:
        return State.BAD_INGREDIENT
    if UNTRUSTED in own or strangers or library != "Trusted":
        return State.VALID_UNTRUSTED
    return State.TRUSTED if stamped else State.NO_TIMESTAMP


# -- trust -----------------------------------------------------------------------------------------------------


def _vouched(reading: Reading, code: str, lists: Sequence[TrustList]) -> dict[str, str | None]:
    """Manifests that one of ``lists`` vouches for, by label, with the list's uri where it can be told.

    The library reports only one of the lists that vouch, and that may be one of the wrong kind.
    """
    if not lists:
        return {}
    reported = [item for item in _successes(reading.store) if item["code"] == code]
    uris = [each.uri for each in lists]
    found = {_owner(item): _list_in(item, uris) for item in reported}
    if all(found.values()):
        return found
    only = [item for item in _successes(reading.again(lists)) if item["code"] == code]
    return {_owner(item): _list_in(item, uris) or (uris[0] if len(uris) == 1 else None) for item in only}


def _list_in(item: Table, uris: Iterable[str]) -> str | None:
    """The list that an explanation ends with; what stands before may be a name of the signer's choice."""
    said = str(item.get("explanation", ""))
    return next((uri for uri in uris if said.endswith((f"trust list: {uri}", f"[{uri}] trust anchors"))), None)


def _successes(store: Table) -> Iterator[Table]:
    results = _table(store.get("validation_results"))
    yield from _items(results.get("activeManifest"), "success")
    for delta in results.get("ingredientDeltas") or ():
        yield from _items(delta.get("validationDeltas"), "success")


def _time_stamp(
    reading: Reading, mine: Table, label: str, *, trusted: bool
) -> tuple[TimeStamp | None, datetime | None]:
    """The time stamp, and the end of the signer's certificate; both None where there is no stamp."""
    codes = {*_codes(mine, "success"), *_codes(mine, "informational"), *_codes(mine, "failure")}
    if not any(code.startswith("timeStamp.") for code in codes):
        return None, None
    manifests = _table(reading.details()).get("manifests") or ()
    signature = next((_table(each.get("signature")) for each in manifests if each.get("label") == label), {})
    info = _table(signature.get("timeStampInfo"))
    subject = _table(_table(info.get("certificateInfo")).get("subject"))
    state = "trusted" if trusted else "untrusted" if "timeStamp.validated" in codes else "invalid"
    stamp = TimeStamp(_text(subject.get("CN")) or _text(subject.get("O")), _text(info.get("timestamp")), state)
    validity = _table(_table(signature.get("certificateInfo")).get("validity"))
    return stamp, _moment(validity.get("notAfter"))


# -- ingredients -----------------------------------------------------------------------------------------------


def _ingredients(manifests: Table, results: Table, *, trusted: set[str]) -> list[Ingredient]:
    """All ingredients, however deep, each with what is wrong with it.

    What was wrong when an ingredient was taken in is on record in the ingredient itself, and the library's state takes
    no notice of it; what has changed since is in the deltas.
    """
    changed: dict[str, set[str]] = {}
    for delta in results.get("ingredientDeltas") or ():
        for item in _items(delta.get("validationDeltas"), "failure"):
            changed.setdefault(_owner(item), set()).add(item["code"])
    found: list[Ingredient] = []
    for manifest in manifests.values():
        for each in manifest.get("ingredients") or ():
            label = _text(each.get("active_manifest"))
            recorded = _items(_table(each.get("validation_results")).get("activeManifest"), "failure")
            if not each.get("validation_results"):  # claims of older versions: one list, of failures only
                recorded = each.get("validation_status") or ()
            codes = {(_owner(item) or str(label), item["code"]) for item in recorded}
            codes |= {(owner, code) for owner in {str(label)} for code in changed.get(owner, ())}
            kept = sorted({code for owner, code in codes if code != UNTRUSTED or owner not in trusted})
            signature = _table(_table(manifests.get(label or "")).get("signature_info"))
            relationship = str(each.get("relationship"))
            found.append(
                Ingredient(relationship, _text(each.get("title")), label, _text(signature.get("issuer")), tuple(kept))
            )
    named = {each.manifest_id for each in found}
    # A change at a manifest that no ingredient names still counts.
    loose = [Ingredient("unknown", None, owner, None, tuple(sorted(codes))) for owner, codes in changed.items()]
    return found + [each for each in loose if each.manifest_id not in named]


def _lineage(manifests: Table, label: str) -> Iterator[str]:
    """Labels of the active manifest and its parents, nearest first; other ingredients are not the same picture."""
    seen: set[str] = set()
    current: str | None = label
    while current is not None:
        seen.add(current)
        yield current
        parents = (
            _text(each.get("active_manifest"))
            for each in manifests[current].get("ingredients") or ()
            if each.get("relationship") == "parentOf"
        )
        current = next((name for name in parents if name in manifests and name not in seen), None)


# -- what the credentials say ----------------------------------------------------------------------------------


def _warnings(
    active: Table, terms: Iterable[str], stamp: TimeStamp | None, lists: Iterable[TrustList], *, now: datetime
) -> Iterator[str]:
    terms = list(terms)
    if not all(map(is_known, terms)):
        yield "genaudit.digitalSourceType.unknown"
    if any(map(is_retired, terms)):
        yield "genaudit.digitalSourceType.retired"
    if active.get("claim_version") != 1 and not all(a.get("created") for a in _actions_assertions(active)):
        yield "genaudit.actions.gathered"
    if stamp is not None and stamp.state != "trusted":
        yield f"genaudit.timeStamp.{stamp.state}"
    if any(each.stale(now) for each in lists):
        yield "genaudit.trustList.stale"


def _actions_assertions(manifest: Table) -> list[Table]:
    return [each for each in manifest.get("assertions") or () if str(each.get("label")).startswith("c2pa.actions")]


def _actions(manifest: Table) -> list[Table]:
    lists = [_table(each.get("data")).get("actions") or () for each in _actions_assertions(manifest)]
    return [_table(action) for actions in lists if isinstance(actions, list) for action in actions]


def _source_types(manifest: Table) -> list[str]:
    return [str(action["digitalSourceType"]) for action in _actions(manifest) if action.get("digitalSourceType")]


def _said(manifest: Table) -> Table:
    """Our own assertion, empty where another tool signed."""
    return next((_table(a.get("data")) for a in manifest.get("assertions") or () if a.get("label") == GENERATION), {})


def _soft_binding(manifest: Table) -> SoftBinding | None:
    for each in manifest.get("assertions") or ():
        data = _table(each.get("data"))
        if str(each.get("label")).startswith("c2pa.soft-binding") and _text(data.get("alg")):
            blocks = data.get("blocks")
            first = _table(blocks[0]) if isinstance(blocks, list) and blocks else {}
            return SoftBinding(str(data["alg"]), _value(first.get("value")))
    return None


def _value(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).hex()
    return _text(value)


def _generator(manifest: Table, said: Table) -> str | None:
    agents = [action.get("softwareAgent") for action in _actions(manifest)]
    names = [agent.get("name") if isinstance(agent, Mapping) else agent for agent in agents]
    tools = [_table(info).get("name") for info in manifest.get("claim_generator_info") or ()]
    return next((str(name) for name in (said.get("generator"), *names, *tools) if name), None)


def _claimed_time(manifest: Table) -> str | None:
    return next((str(action["when"]) for action in _actions(manifest) if action.get("when")), None)


# -- small things ----------------------------------------------------------------------------------------------


def _table(value: Any) -> Table:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _items(results: Any, kind: str) -> Sequence[Table]:
    return _table(results).get(kind) or ()


def _codes(results: Table, kind: str) -> list[str]:
    return sorted({str(item["code"]) for item in _items(results, kind)})


def _owner(item: Table) -> str:
    """Label of the manifest that an item's JUMBF address points into: ``self#jumbf=/c2pa/<label>/...``."""
    return str(item.get("url", "")).partition("/c2pa/")[2].partition("/")[0]


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
