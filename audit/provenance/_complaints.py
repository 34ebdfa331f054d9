# SPDX-License-Identifier: Apache-2.0
"""What the C2PA library says when it cannot sign, in words that help. Its classes say little: the text is matched."""

from __future__ import annotations

from typing import Final

from audit.errors import AuditError, ConfigError, StoreError

__all__ = ["complaint"]

_DAMAGED: Final = "the file is damaged, or not what its first bytes say"
_RESAVE: Final = "open it in an image editor and save it anew"
_CERTIFICATE: Final = "genaudit keys check names the rule; or leave the keys out for a development chain"
# First match wins: part of the library's text, our words, hint; True: the keys are to blame, so nothing can be signed.
_WORDS: Final[tuple[tuple[str, str, str, bool], ...]] = (
    (
        "StringTooLong",
        "the claim is longer than the 1 MiB that a manifest may have",
        "leave long parameters out (a workflow, say), or give their digest instead",
        False,
    ),
    ("too large for i64", "a number in the claim is beyond 64 bits", "give it as text", False),
    (
        "not valid at time of signing",
        "the signer's certificate has expired or is not valid yet",
        "renew it, and check this machine's clock",
        True,
    ),
    ("does not match the provided data", "the private key does not belong to the certificate", _CERTIFICATE, True),
    ("self-signed", "the signer's certificate is a CA that signs itself", _CERTIFICATE, True),
    ("certificate is invalid", "the signer's certificate breaks a rule of C2PA", _CERTIFICATE, True),
    (
        "missing required EKU",
        "the signer's certificate lacks a key usage (EKU) that C2PA accepts",
        _CERTIFICATE,
        True,
    ),
    ("invalid signing credentials", "key and certificate cannot be used for signing", _CERTIFICATE, True),
    ("does not contain signing certificate", "the chain holds no certificate", _CERTIFICATE, True),
    (
        "http resolver",
        "the time stamp authority did not answer",
        "check its address, or sign without time stamps",
        False,
    ),
    ("COSE signature invalid", "what holds the key gave no signature", "check the key service or command", False),
    (
        "more than one manifest store",
        "it holds several manifest stores",
        "keep the image as it is: its credentials are damaged",
        False,
    ),
    ("softBindingMissing", "a watermark is declared without its soft binding", "please report this", False),
    ("NotSupported", "this format cannot be signed", "use PNG, JPEG, WebP, AVIF, TIFF or GIF", False),
    ("asset could not be parsed", _DAMAGED, _RESAVE, False),
    ("Could not parse input", _DAMAGED, _RESAVE, False),
    ("out of range", _DAMAGED, _RESAVE, False),
    ("InvalidAsset", _DAMAGED, _RESAVE, False),
    ("failed to fill whole buffer", "the file ends too early", _RESAVE, False),
    ("RIFF", _DAMAGED, _RESAVE, False),
    ("Json", "the claim holds something that JSON cannot", "use texts, finite numbers and booleans", False),
)


def complaint(error: Exception, *, where: str, keys: str) -> AuditError:
    """Our error for one of the library's.

    Args:
        error: raised while signing.
        where: which image.
        keys: where the chain comes from, named where it is to blame.
    """
    text = " ".join(str(error).split())
    for part, words, hint, blame in _WORDS:
        if part in text:
            if blame:
                return ConfigError(f"the chain cannot sign: {words}", where=keys, hint=hint)
            return StoreError(f"signing failed: {words}", where=where, hint=hint)
    return StoreError(f"signing failed: {text[:300]}", where=where)
