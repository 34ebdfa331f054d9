# SPDX-License-Identifier: Apache-2.0
"""Is a time stamp token whole? The C2PA library takes a damaged one for none at all, and an altered file stays valid.

A token (RFC 3161, a CMS SignedData of RFC 5652) stands in the header that the signature of the claim does not cover.
It is checked here from end to end but for one thing: whether its authority is trusted. What CMS itself leaves open is
held to the one form that authorities write.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from audit.provenance.keys._der import children, tlv

__all__ = ["is_whole"]

Value = tuple[int, bytes, bytes]  # tag, content, whole encoding
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
_MESSAGE_DIGEST: Final = bytes.fromhex("2a864886f70d010904")
_SUBJECT_KEY: Final = bytes.fromhex("551d0e")
_AUTHORITY_KEY: Final = bytes.fromhex("551d23")
_FAILS: Final = (ValueError, TypeError, IndexError, KeyError, StopIteration, AttributeError)
_NULL: Final = b"\x05\x00"
_HASHES: Final = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_RSA: Final = bytes.fromhex("2a864886f70d0101")  # 1: encryption, 5 and 11 to 13: with a hash, 10: PSS
_RSA_HASHES: Final = {1: "", 5: "sha1", 11: "sha256", 12: "sha384", 13: "sha512"}
_ECDSA: Final = {
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}


@dataclass(frozen=True, slots=True)
class _Signer:
    """SignerInfo (RFC 5652, 5.3)."""

    identity: Value
    digest: bytes  # algorithm identifier
    attributes: bytes
    algorithm: bytes  # algorithm identifier
    signature: bytes


@dataclass(frozen=True, slots=True)
class _Signed:
    """Something signed: the bytes, the algorithm identifier, the signature."""

    text: bytes
    algorithm: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class _Certificate:
    """What is needed of a certificate; all but ``signed`` in DER."""

    der: bytes
    serial: bytes
    issuer: bytes
    subject: bytes
    key: bytes
    signed: _Signed
    mark: bytes  # subject key identifier, empty where there is none
    by: bytes  # authority key identifier, empty where there is none


def is_whole(token: bytes, covered: bytes, *, response: bool) -> bool:
    """Whether a token is written as authorities write it, and its signature, digests and certificates fit together.

    Of certificates above the authority's own, the last one can only be checked if it signed itself.

    Args:
        token: DER.
        covered: what it has to vouch for.
        response: whether the token comes with the status of the authority's answer around it (C2PA 1.x).
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        return _check(_inner(token) if response else token, covered)
    except (
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        StopIteration,
        AttributeError,
        InvalidSignature,
        UnsupportedAlgorithm,
    ):
        return False


def _check(token: bytes, covered: bytes) -> bool:
    kind, wrapped = _items(_one(token, 0x30), 2)
    version, algorithms, content, *more = _items(_one(_content(wrapped, 0xA0), 0x30))
    certificates, signers = (_content(more[0], 0xA0), more[1]) if len(more) == 2 else (b"", more[0])
    info = _content(_items(_content(content, 0x30), 2)[1], 0xA0)
    said = _one(info, 0x04)
    signer = _signer(_one(_content(signers, 0x31), 0x30))
    name = _HASHES[_algorithm(signer.digest)]
    return (
        len(more) <= 2
        and kind[2] == tlv(0x06, _SIGNED_DATA)
        and _items(_content(content, 0x30), 2)[0][2] == tlv(0x06, _TST_INFO)
        and version[2] in {b"\x02\x01\x03", b"\x02\x01\x01"}
        and _content(algorithms, 0x31) == signer.digest
        and _imprint_fits(said, covered)
        and _digest_fits(signer.attributes, hashlib.new(name, said).digest())
        and _certificates_fit(signer, certificates, name)
    )


def _inner(response: bytes) -> bytes:
    """The token in a TimeStampResp (RFC 3161, 2.4.2): granted, or granted with changes."""
    status, token = _items(_one(response, 0x30), 2)
    if next(iter(children(_content(status, 0x30))))[2] not in {b"\x02\x01\x00", b"\x02\x01\x01"}:
        raise ValueError("not granted")
    return token[2]


def _signer(content: bytes) -> _Signer:
    version, identity, digest, attributes, algorithm, signature = _items(content, 6)
    if version[2] not in {b"\x02\x01\x01", b"\x02\x01\x03"} or signature[0] != 0x04 or attributes[0] != 0xA0:
        raise ValueError("no SignerInfo of a time stamp")
    return _Signer(identity, digest[2], attributes[1], algorithm[2], signature[1])


def _imprint_fits(info: bytes, covered: bytes) -> bool:
    """TSTInfo (RFC 3161, 2.4.2): version, policy, message imprint, ..."""
    imprint = _items(_one(info, 0x30))[2]
    algorithm, digest = _items(_content(imprint, 0x30), 2)
    name = _HASHES[_algorithm(algorithm[2])]
    return digest[1] == hashlib.new(name, covered).digest()


def _digest_fits(attributes: bytes, digest: bytes) -> bool:
    found = [_items(attribute[1], 2) for attribute in _items(attributes)]
    values = [_one(value[1], 0x04) for name, value in found if name[1] == _MESSAGE_DIGEST]
    return values == [digest]


def _certificates_fit(signer: _Signer, certificates: bytes, digest: str) -> bool:
    """The signer's certificate is named in what it signed, each other one issued the one before; none is left over."""
    # OpenSSL writes an authority's own certificate twice where its configuration names it among the others.
    rest = [_certificate(item) for item in dict.fromkeys(_items(certificates))]
    current = next(cert for cert in rest if _names(signer.identity, cert))
    rest.remove(current)
    if not any(hashlib.new(name, current.der).digest() in signer.attributes for name in _HASHES.values()):
        return False
    # What is signed are the attributes as a SET, not under the tag that they have here (RFC 5652, 5.4).
    _verify(current.key, _Signed(tlv(0x31, signer.attributes), signer.algorithm, signer.signature), digest)
    while rest:
        issuer = next(cert for cert in rest if cert.subject == current.issuer)
        _verify(issuer.key, current.signed)
        rest.remove(issuer)
        current = issuer
    # Only who signed itself may do without a mark of who did (RFC 5280, 4.2.1.1).
    if current.subject == current.issuer or current.by in {b"", current.mark}:
        _verify(current.key, current.signed)
    return True


def _certificate(item: Value) -> _Certificate:
    """RFC 5280, 4.1, by hand: authorities are about with names that stricter readers refuse."""
    body, algorithm, signature = _items(_content(item, 0x30), 3)
    fields = _items(_content(body, 0x30))
    serial, _, issuer, _, subject, key, *more = fields[fields[0][0] == 0xA0 :]  # the version may be left out
    signed = _Signed(body[2], algorithm[2], _bits(signature))
    extensions = {_items(e[1])[0][1]: _items(e[1])[-1][1] for e in _items(_one(more[-1][1], 0x30))} if more else {}
    mark = _one(extensions[_SUBJECT_KEY], 0x04) if _SUBJECT_KEY in extensions else b""
    by = _items(_one(extensions[_AUTHORITY_KEY], 0x30)) if _AUTHORITY_KEY in extensions else []
    issued_by = next((value[1] for value in by if value[0] == 0x80), b"")
    return _Certificate(item[2], serial[2], issuer[2], subject[2], key[2], signed, mark, issued_by)


def _bits(value: Value) -> bytes:
    content = _content(value, 0x03)
    if content[:1] != b"\0":  # bits left over
        raise ValueError("no whole bytes")
    return content[1:]


def _names(identity: Value, certificate: _Certificate) -> bool:
    if identity[0] == 0x80:  # subject key identifier, an extension of the certificate
        return tlv(0x04, tlv(0x04, identity[1])) in certificate.der
    return _content(identity, 0x30) == certificate.issuer + certificate.serial


def _verify(encoded: bytes, signed: _Signed, digest: str = "") -> None:
    """Raise InvalidSignature unless the key signed this; ``digest`` where the algorithm does not name one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    key: Any = serialization.load_der_public_key(encoded)
    kind = _algorithm(signed.algorithm)
    if kind in _ECDSA:
        key.verify(signed.signature, signed.text, ec.ECDSA(_hash(_ECDSA[kind])))
    elif kind == _RSA + b"\x0a":
        name = _HASHES[_algorithm(_content(_items(_items(_one(signed.algorithm, 0x30))[1][1])[0], 0xA0))]
        pss = padding.PSS(padding.MGF1(_hash(name)), padding.PSS.AUTO)
        key.verify(signed.signature, signed.text, pss, _hash(name))
    elif kind[:-1] == _RSA:
        key.verify(signed.signature, signed.text, padding.PKCS1v15(), _hash(_RSA_HASHES[kind[-1]] or digest))
    else:
        key.verify(signed.signature, signed.text)  # Ed25519


def _hash(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, name.upper())()


def _algorithm(encoded: bytes) -> bytes:
    """Object identifier of an AlgorithmIdentifier, whose parameters are absent, NULL, or a SEQUENCE (PSS)."""
    name, *parameters = _items(_one(encoded, 0x30))
    if name[0] != 0x06 or len(parameters) > 1 or any(p[2] != _NULL and p[0] != 0x30 for p in parameters):
        raise ValueError("no algorithm")
    return name[1]


def _items(content: bytes, count: int | None = None) -> list[Value]:
    """Values one after the other, each with the shortest length."""
    found = list(children(content))
    if any(tlv(tag, inner) != whole for tag, inner, whole in found) or count not in {None, len(found)}:
        raise ValueError("not DER, or not as many values as there should be")
    return found


def _one(encoded: bytes, tag: int) -> bytes:
    return _content(_items(encoded, 1)[0], tag)


def _content(value: Value, tag: int) -> bytes:
    if value[0] != tag:
        raise ValueError("another type than expected")
    return value[1]
