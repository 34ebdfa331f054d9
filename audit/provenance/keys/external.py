# SPDX-License-Identifier: Apache-2.0
"""Keys that stay where they are: behind a function (KMS, HSM, PKCS#11) or behind a program.

The C2PA library swallows what a callback raises and cuts what it returns, so both are caught here, and every signature
is checked against the certificate before the library gets it.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit.errors import ConfigError, StoreError
from audit.provenance.keys import _certificates
from audit.provenance.keys._files import certificates_from, read_certificates
from audit.provenance.keys._findings import KeyRuleError
from audit.provenance.keys._rules import broken_rule
from audit.provenance.keys._signatures import ALGORITHMS, fits, verified
from audit.provenance.keys._x509 import shown_issuer
from audit.provenance.keys.chain import DEVELOPMENT_LABEL, Chain

__all__ = ["CallbackKeys", "CommandKeys", "imported"]

_LARGEST: Final = 1 << 20  # of what a program may write: no signature or chain is near


@dataclass(frozen=True, slots=True)
class CallbackKeys:
    """A function that signs, and the certificates that go with its key.

    Attributes:
        sign: bytes to be signed in, signature out (ECDSA as r || s or DER; RSASSA-PSS with a salt as long as the
            digest; Ed25519 pure). A reference "module:function" is imported in each process; a function itself must be
            picklable to go to another one.
        certificates: PEM, or the path of a PEM file: the signer's certificate, then its issuers.
        algorithm: e.g. "ES256"; default: by the certificate's key (RSA: "PS256").
    """

    sign: str | Callable[[bytes], bytes]
    certificates: Path | str | bytes
    algorithm: str | None = None

    def load(self) -> Chain:
        """See `KeySource`."""
        where = f"callable:{self.sign}" if isinstance(self.sign, str) else f"callback {_name(self.sign)}"
        function = imported(self.sign) if isinstance(self.sign, str) else self.sign
        if not callable(function):
            raise ConfigError("this is not a function that signs", where=where, hint="a function: bytes in, bytes out")
        return _chain(self.certificates, self.algorithm, function, where=where)


@dataclass(frozen=True, slots=True)
class CommandKeys:
    """A program that signs, in c2patool's protocol for subprocess signers (its docs/signing.md).

    Called with ``--signer-info`` it writes JSON: ``alg``, ``sign_cert`` (PEM chain) and, where it likes, ``tsa_url``.
    Called without, it reads the bytes to be signed and writes the signature. A failure is an exit code other than 0,
    with the reason on standard error. No shell is involved.

    Attributes:
        command: program and arguments, as one line or one by one.
        timeout: seconds for one call.
    """

    command: str | tuple[str, ...]
    timeout: float = 30.0

    def load(self) -> Chain:
        """See `KeySource`."""
        where = f"command:{self.command if isinstance(self.command, str) else shlex.join(self.command)}"
        line = _split(self.command, where)
        answer = _run([*line, "--signer-info"], b"", timeout=self.timeout, where=where, error=ConfigError)
        info = _info(answer, where)
        sign = _Program(tuple(line), self.timeout, where)
        tsa = info.get("tsa_url") or None
        return _chain(info["sign_cert"].encode(), info["alg"], sign, where=where, tsa_url=tsa)


@dataclass(frozen=True, slots=True)
class _Program:
    line: tuple[str, ...]
    timeout: float
    where: str

    def __call__(self, data: bytes) -> bytes:
        return _run(self.line, data, timeout=self.timeout, where=self.where, error=StoreError)


def imported(reference: str) -> Any:
    """The object that "module:attribute" names; attributes may be dotted.

    Modules of the current directory are found, too, after installed ones.

    Raises:
        ConfigError: not of that form, no such module or attribute, or the module fails.
    """
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        hint = "write it as package.module:name"
        raise ConfigError("this names no attribute of a module", where=f"callable:{reference}", hint=hint)
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # noqa: BLE001 - a user's module may fail in any way
        hint = "install the module, or run genaudit in the folder that holds it"
        message = f"cannot be imported: {type(error).__name__}: {error}"
        raise ConfigError(message, where=f"callable:{reference}", hint=hint) from None
    return found


def _chain(
    source: Path | str | bytes,
    algorithm: str | None,
    sign: Callable[[bytes], bytes],
    *,
    where: str,
    tsa_url: str | None = None,
) -> Chain:
    certificates = _certificates_of(source, where)
    broken = broken_rule(certificates, None, datetime.now(UTC))
    if broken is not None:
        raise KeyRuleError(broken, where=where)
    public = certificates[0].public_key()
    name = (algorithm or str(_certificates.algorithm(public))).upper()
    if name not in ALGORITHMS or not fits(public, name):
        hint = f"the certificate's key signs with {_certificates.algorithm(public)}"
        raise ConfigError(f"algorithm {algorithm} does not fit the certificate", where=where, hint=hint)
    signer = shown_issuer(certificates[0])
    return Chain(
        folder=None,
        certificates=b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates),
        key=None,
        algorithm=name,
        signer=signer,
        expires=certificates[0].not_valid_after_utc,
        development=signer == DEVELOPMENT_LABEL,
        root=None,
        sign=_checked(sign, public, name, where),
        tsa_url=tsa_url,
        source=where,
    )


def _certificates_of(source: Path | str | bytes, where: str) -> list[x509.Certificate]:
    if isinstance(source, bytes):
        return certificates_from(source, where=where)
    if isinstance(source, str) and "-----BEGIN" in source:
        return certificates_from(source.encode(), where=where)
    return read_certificates(Path(source).expanduser())


def _checked(sign: Callable[[bytes], bytes], public: Any, algorithm: str, where: str) -> Callable[[bytes], bytes]:
    """``sign`` with its errors told as ours, and its signature checked and in the form of COSE."""

    def checked(data: bytes) -> bytes:
        try:
            signature = sign(data)
        except StoreError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            message = f"the signer failed: {type(error).__name__}: {said}"
            raise StoreError(
                message, where=where, hint="mend the function, or what it calls, and sign again"
            ) from error
        if not isinstance(signature, bytes | bytearray | memoryview) or not signature:
            what = f"{type(signature).__name__}" if signature else "nothing"
            raise StoreError(f"the signer returned {what} where bytes were expected", where=where)
        good = verified(public, algorithm, data, bytes(signature))
        if good is None:
            message = (
                f"the signer returned {len(signature)} bytes that are no {algorithm} signature by the certificate's key"
            )
            raise StoreError(message, where=where, hint=_form(algorithm))
        return good

    return checked


def _form(algorithm: str) -> str:
    if algorithm.startswith("ES"):
        return (
            f"expected ECDSA with SHA-{algorithm[2:]} over the bytes themselves (not over their digest), r || s or DER"
        )
    if algorithm == "ED25519":
        return "expected pure Ed25519 over the bytes themselves, 64 bytes"
    return f"expected RSASSA-PSS with SHA-{algorithm[2:]}, MGF1 with the same, and a salt as long as the digest"


def _split(command: str | Sequence[str], where: str) -> list[str]:
    try:
        line = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise ConfigError(f"the command cannot be read: {error}", where=where, hint="check its quotes") from None
    if not line:
        raise ConfigError("no program is named", where=where, hint="write command:PROGRAM, with arguments where needed")
    return line


def _run(
    line: Sequence[str], data: bytes, *, timeout: float, where: str, error: type[ConfigError] | type[StoreError]
) -> bytes:
    """What a program writes when it is given ``data``."""
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe) as child:  # noqa: S603
            try:
                out, err = child.communicate(data, timeout=timeout)
            except BaseException:
                child.kill()  # and leave: its own children may hold the pipes open for long
                raise
    except subprocess.TimeoutExpired:
        hint = "see what the program waits for by calling it with --signer-info"
        raise error(f"the program did not answer within {timeout:g} s", where=where, hint=hint) from None
    except (OSError, ValueError) as failure:
        why = getattr(failure, "strerror", None) or str(failure)
        raise error(f"the program cannot be started: {why}", where=where, hint=f"check the path {line[0]}") from None
    if child.returncode != 0:
        said = " ".join(err.decode("utf-8", "replace").split())[-300:] or "nothing on standard error"
        raise error(
            f"the program ended with code {child.returncode}: {said}", where=where, hint="mend it and try again"
        )
    if len(out) > _LARGEST or not out:
        hint = "it must write JSON for --signer-info, else the signature's bytes"
        raise error(f"the program wrote {len(out)} bytes to standard output", where=where, hint=hint)
    return out


def _info(answer: bytes, where: str) -> Mapping[str, str]:
    hint = 'it must answer --signer-info with {"alg": "es256", "sign_cert": "-----BEGIN CERTIFICATE-----..."}'
    try:
        info = json.loads(answer)
    except ValueError:
        start = answer[:60].decode("utf-8", "replace")
        raise ConfigError(f"the program's --signer-info is not JSON: {start!r}", where=where, hint=hint) from None
    if not isinstance(info, dict):
        raise ConfigError("the program's --signer-info is no JSON object", where=where, hint=hint)
    for name, needed in (("alg", True), ("sign_cert", True), ("tsa_url", False)):
        value = info.get(name)
        if not (isinstance(value, str) and value) and (needed or value not in (None, "")):
            raise ConfigError(f"the program's --signer-info has no usable {name!r}", where=where, hint=hint)
    return info


def _name(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
