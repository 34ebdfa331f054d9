# SPDX-License-Identifier: Apache-2.0
"""Our verdicts on one file: a layer above the library's own state, which hides too much."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["State"]


class State(StrEnum):
    """What a verifier can say about one file."""

    ABSENT = "absent"  # no credentials
    REMOTE_ONLY = "remote_only"  # only a pointer to credentials elsewhere, which is not followed
    UNREADABLE = "unreadable"  # the file, or the credentials in it, cannot be parsed
    INVALID = "invalid"  # the credentials do not fit the file, or their signature does not hold
    BAD_INGREDIENT = "bad_ingredient"  # intact itself, but made from something whose credentials are broken
    VALID_UNTRUSTED = "valid_untrusted"  # intact, but the signer (or the signer of a parent) is on no trusted list
    NO_TIMESTAMP = "no_timestamp"  # trusted, but no trusted authority vouches for the time: ends with the certificate
    TRUSTED = "trusted"  # intact, every signer is on a trusted list, and the time is vouched for
    UNDETERMINED = "undetermined"  # could not be checked: the library is missing, or checking ran out of time or memory

    @property
    def verified(self) -> bool:
        """Whether the credentials hold."""
        return self in {State.VALID_UNTRUSTED, State.NO_TIMESTAMP, State.TRUSTED}
