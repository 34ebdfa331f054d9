# SPDX-License-Identifier: Apache-2.0
"""Sentences and hints for people: one for each state, and one for each way in which the C2PA library gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audit.provenance._verdict import TimeStamp, Verified, one_line
from audit.provenance.state import State

__all__ = [
    "EXPIRED",
    "UNTRUSTED",
    "crashed",
    "gave_up",
    "killed",
    "not_started",
    "out_of_memory",
    "out_of_time",
    "sentence",
    "too_large",
]

UNTRUSTED: Final = "signingCredential.untrusted"
EXPIRED: Final = "signingCredential.expired"
REVOKED: Final = "signingCredential.ocsp.revoked"

_GET_ORIGINAL: Final = "get the file again from where it came; nothing in this one vouches for it"
_TRUST: Final = "name who may sign with --trust FILE (a PEM bundle or a C2PA trust list)"
_TIME: Final = "sign with a time stamp, and name its authority with --trust-timestamps FILE"


def sentence(
    state: State,
    own: Sequence[str],
    broken: Sequence[str],
    *,
    issuer: str | None,
    stamp: TimeStamp | None,
    strangers: bool,
) -> tuple[str, str]:
    """Message and hint on credentials that could be read.

    Args:
        state: the verdict.
        own: failure codes of the active manifest.
        broken: of ingredients.
        issuer: who signed, as claimed.
        stamp: what vouches for the time.
        strangers: whether some ingredient's signer is not trusted.
    """
    name = one_line(issuer or "an unnamed signer", 80)
    if state is State.INVALID:
        return _invalid(own)
    if state is State.BAD_INGREDIENT:
        message = f"intact, but made from an image whose credentials are broken: {', '.join(broken)}"
        return message, "look for the image it was made from; this signature does not vouch for what happened before"
    if state is State.VALID_UNTRUSTED and UNTRUSTED not in own and strangers:
        return f"valid, signed by {name}, but the signer of an ingredient is on no trusted list", _TRUST
    if state is State.VALID_UNTRUSTED:
        return f"valid, the signer claims to be {name} and is not on a trusted list", _TRUST
    if state is State.NO_TIMESTAMP:
        why = "no time stamp" if stamp is None else f"a time stamp that is {stamp.state}"
        return f"valid and trusted, signed by {name}; {why}, so this ends with the certificate", _TIME
    by = one_line((stamp.authority if stamp else None) or "an unnamed authority", 80)
    return f"valid and trusted, signed by {name}, time vouched for by {by}", ""


def _invalid(own: Sequence[str]) -> tuple[str, str]:
    if EXPIRED in own:
        said = "invalid: the signing certificate has expired, and there is no trusted time stamp from when it was valid"
        return said, _TIME
    if REVOKED in own:
        return "invalid: the signing certificate has been revoked", _GET_ORIGINAL
    codes = ", ".join(code for code in own if code != UNTRUSTED) or "validation failed"
    if any(code.startswith(("assertion.dataHash.", "assertion.bmffHash.", "assertion.boxesHash.")) for code in own):
        return f"invalid: the file was changed after it was signed ({codes})", _GET_ORIGINAL
    return f"invalid: {codes}", _GET_ORIGINAL


# -- what the library raises -----------------------------------------------------------------------------------

_PARSE: Final = "the file is damaged, cut short, or not what its first bytes say"
_CREDENTIALS: Final = "the credentials in the file are damaged"
#: By the text before the first colon: the classes of the library's errors do not tell all of them apart.
_UNREADABLE: Final = {
    "Io": _PARSE,
    "Other": _PARSE,
    "NotSupported": "this kind of file cannot carry credentials that the library reads",
    "Decoding": _CREDENTIALS,
    "Json": _CREDENTIALS,
    "Verify": _CREDENTIALS,
    "Assertion": _CREDENTIALS,
    "AssertionNotFound": _CREDENTIALS,
    "Manifest": _CREDENTIALS,
    "Signature": _CREDENTIALS,
}
_NOT_FETCHED: Final = (
    "ask whoever published it for a file with embedded credentials; addresses in files are never followed"
)


def gave_up(error: Exception, *, traces: bool) -> Verified:
    """The verdict on a file that the library raised on.

    Args:
        error: what it raised.
        traces: whether the file's metadata still point at credentials inside the file.
    """
    text = one_line(error)
    kind, _, detail = (part.strip() for part in text.partition(":"))
    if kind == "ManifestNotFound":
        if not traces:
            return Verified(State.ABSENT, message="no credentials", hint="stamp it with: genaudit stamp FILE")
        said = "no credentials; the metadata point at some that have been taken out of the file"
        return Verified(State.ABSENT, message=said, hint=_GET_ORIGINAL, warnings=("genaudit.credentials.removed",))
    if kind == "Remote":
        where = detail.rpartition(" ")[2]
        said = f"only a pointer to credentials elsewhere, which is not followed: {where}"
        return Verified(State.REMOTE_ONLY, codes=("genaudit.credentials.remote",), message=said, hint=_NOT_FETCHED)
    why = _UNREADABLE.get(kind)
    if why is None:
        return Verified(State.UNREADABLE, codes=(kind,), message=f"cannot be read: {text}", hint=_GET_ORIGINAL)
    return Verified(
        State.UNREADABLE, codes=(kind,), message=f"cannot be read: {why} ({detail or kind})", hint=_GET_ORIGINAL
    )


def too_large(most: int) -> Verified:
    """The verdict on a file above the size limit."""
    said = f"larger than the limit of {most} bytes, so nobody looked into it"
    return Verified(
        State.UNREADABLE, codes=("genaudit.file.size",), message=said, hint="raise the limit: --max-bytes N"
    )


# -- when the process that reads a file does not get to the end of it --------------------------------------------

_RAISE: Final = "raise the limit if you know where the file comes from: "


def out_of_time(seconds: float) -> Verified:
    """Reading took longer than allowed."""
    said = f"not checked: reading took more than {seconds:g} s"
    return Verified(State.UNDETERMINED, codes=("genaudit.verifier.time",), message=said, hint=_RAISE + "--time-limit S")


def out_of_memory(most: int) -> Verified:
    """Reading took more memory than allowed."""
    said = f"not checked: reading took more than {most / 2**20:.0f} MiB of memory"
    return Verified(
        State.UNDETERMINED, codes=("genaudit.verifier.memory",), message=said, hint=_RAISE + "--memory-limit MIB"
    )


def killed() -> Verified:
    """Somebody else ended the process, e.g. the system for want of memory."""
    said = "not checked: the process that read the file was killed from outside"
    hint = "check the memory of this machine, then run the same command again"
    return Verified(State.UNDETERMINED, codes=("genaudit.verifier.killed",), message=said, hint=hint)


def crashed(how: str) -> Verified:
    """The library crashed on the file: whatever is in it cannot be parsed."""
    said = f"cannot be read: the verifier crashed on it ({one_line(how)})"
    hint = "treat the file as hostile; please report it to the makers of the C2PA library"
    return Verified(State.UNREADABLE, codes=("genaudit.verifier.crashed",), message=said, hint=hint)


def not_started(why: str) -> Verified:
    """There is no process to read the file."""
    said = f"not checked: the process that reads files did not start ({one_line(why) or 'no reason given'})"
    return Verified(
        State.UNDETERMINED, codes=("genaudit.verifier.start",), message=said, hint="try again, or with --in-process"
    )
