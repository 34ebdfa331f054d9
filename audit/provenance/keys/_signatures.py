# SPDX-License-Identifier: Apache-2.0
"""Check what a foreign signer returned before the C2PA library sees it, since that cuts and swallows.

Signatures: RFC 9053 section 2 (ECDSA as r || s, EdDSA), RFC 8230 section 2 (RSASSA-PSS, salt as long as the digest).
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

__all__ = ["ALGORITHMS", "fits", "verified"]

_HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
#: Names of the C2PA signature algorithms.
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "ED25519")
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}


def fits(public: Any, algorithm: str) -> bool:
    """Whether a public key can check signatures of ``algorithm``."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _CURVES.get(algorithm) == public.curve.name
    if isinstance(public, ed25519.Ed25519PublicKey):
        return algorithm == "ED25519"
    return isinstance(public, rsa.RSAPublicKey) and algorithm.startswith("PS")


def verified(public: Any, algorithm: str, data: bytes, signature: bytes) -> bytes | None:
    """The signature in the form of COSE, None if it does not verify.

    Args:
        public: key of the signer's certificate.
        algorithm: one of `ALGORITHMS` that `fits` the key.
        data: that was to be signed.
        signature: ECDSA as r || s or as DER.
    """
    if algorithm.startswith("ES"):
        return _ecdsa(public, _HASHES[algorithm[2:]], data, signature)
    try:
        if algorithm == "ED25519":
            public.verify(signature, data)
        else:
            digest = _HASHES[algorithm[2:]]
            pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
            public.verify(signature, data, pss, digest)
    except InvalidSignature:
        return None
    return signature


def _ecdsa(public: Any, digest: hashes.HashAlgorithm, data: bytes, signature: bytes) -> bytes | None:
    size = (public.curve.key_size + 7) // 8
    for der in _as_der(signature, size):
        try:
            public.verify(der, data, ec.ECDSA(digest))
            r, s = decode_dss_signature(der)
        except (InvalidSignature, ValueError):
            continue
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return None


def _as_der(signature: bytes, size: int) -> list[bytes]:
    if len(signature) != 2 * size:
        return [signature]
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    return [encode_dss_signature(r, s), signature]
