# SPDX-License-Identifier: Apache-2.0
"""How much tampering passes: ``python -m benchmarks.tamper [--mutations 10000] [--seed 0]``.

Signed files of six formats, plain, with a time stamp, and edited once, are changed in 37 ways, also by a forger who
mends lengths and checksums. Every change must be refused, and none may make the verifier fall over. Where none of n
passes, the miss rate is below 3/n with 95 % confidence (the rule of three). Exit code 1 if any passes or anything falls
over.

Beside our verdict stands that of the C2PA library alone, which is the reason for the strict reading in
``audit/provenance/_strict.py``.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from audit.provenance import Claim, Stamper, State, verify_bytes, verify_many
from audit.provenance._engine import library, settings
from audit.provenance.keys import DevelopmentKeys, TimeStamps
from audit.provenance.keys.authority import development_authority, serve_authority
from audit.provenance.tamper import Mutation, mutations

__all__ = ["main"]

_FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "AVIF": "image/avif", "TIFF": "image/tiff"}
_FORMATS["GIF"] = "image/gif"
_SAMPLE = 25  # of so many mutations one is read by a child process as well


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was caught; 0 if all was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tamper", description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    counts: dict[tuple[str, str], Counter[str]] = {}
    sample: list[bytes] = []
    for number, (kind, change) in enumerate(_changes(chosen.mutations, chosen.seed)):
        outcome = _outcome(change)
        counts.setdefault((kind, change.name), Counter())[outcome] += 1
        counts[kind, change.name]["library alone"] += _library_says_valid(change.data, _FORMATS[kind])
        if number % _SAMPLE == 0:
            sample.append(change.data)
        if outcome != "caught":
            print(f"{outcome}: {kind} {change.name}, number {change.number}, bytes {change.region}")
    isolated = _isolated(sample)
    _report(counts, isolated, time.perf_counter() - started)
    bad = sum(c["passed"] + c["crashed"] for c in counts.values()) + isolated["passed"] + isolated["crashed"]
    return 1 if bad else 0


def _changes(total: int, seed: int) -> Iterator[tuple[str, Mutation]]:
    with tempfile.TemporaryDirectory() as folder, serve_authority(development_authority(Path(folder))) as server:
        plain = Stamper(DevelopmentKeys(Path(folder) / "keys"))
        timed = Stamper(DevelopmentKeys(Path(folder) / "keys"), timestamps=TimeStamps(server.url, required=True))
        for index, (kind, media_type) in enumerate(_FORMATS.items()):
            share = total // 6 + (index < total % 6)
            first, other = (_signed(plain, kind, number) for number in (1, 2))
            edited = plain.stamp(first, Claim.about("an editor", seed=3)).data
            parts = (share - 2 * (share // 4), share // 4, share // 4)
            files = (first, _signed(timed, kind, 1), edited)
            for part, (data, n) in enumerate(zip(files, parts, strict=True)):
                if not verify_bytes(data).state.verified:
                    raise SystemExit(f"{kind}: the file does not verify before anything was changed")
                drawn = mutations(data, media_type, seed=1000 * seed + 3 * index + part, n=n, other=other)
                yield from ((kind, change) for change in drawn)
        server.shutdown()


def _signed(stamper: Stamper, kind: str, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind)
    return stamper.stamp(sink.getvalue(), Claim.about("bench", prompt=f"picture {seed}", seed=seed)).data


def _outcome(change: Mutation) -> str:
    try:
        return "passed" if verify_bytes(change.data).state.verified else "caught"
    except Exception as error:  # noqa: BLE001 - that nothing is raised is what is measured
        print(f"{type(error).__name__}: {error}")
        return "crashed"


def _library_says_valid(data: bytes, media_type: str) -> bool:
    c2pa = library()
    try:
        with c2pa.Reader(media_type, io.BytesIO(data), context=_context()) as reader:
            return str(reader.get_validation_state()) in {"Valid", "Trusted"}
    except c2pa.C2paError:
        return False


_CONTEXTS: list[Any] = []


def _context() -> Any:
    if not _CONTEXTS:
        _CONTEXTS.append(library().Context.from_dict(settings({})))
    return _CONTEXTS[0]


def _isolated(sample: Sequence[bytes]) -> Counter[str]:
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(len(sample))]
        for path, data in zip(paths, sample, strict=True):
            path.write_bytes(data)
        for verdict in verify_many(paths, isolated=True):
            word = "crashed" if verdict.state is State.UNDETERMINED else "caught"
            found["passed" if verdict.state.verified else word] += 1
    return found


def _report(counts: dict[tuple[str, str], Counter[str]], isolated: Counter[str], seconds: float) -> None:
    print(f"{'':<34}{'tried':>8}{'caught':>8}{'passed':>8}{'crashed':>9}{'library alone':>15}{'miss rate <':>13}")
    for index, title in ((0, "by format"), (1, "by kind of mutation")):
        print(title)
        for name in sorted({key[index] for key in counts}):
            _line(name, sum((c for key, c in counts.items() if key[index] == name), Counter()))
    _line("all", sum(counts.values(), Counter()))
    print(f"in child processes: {', '.join(f'{n} {word}' for word, n in sorted(isolated.items()))}; {seconds:.0f} s")


def _line(name: str, found: Counter[str]) -> None:
    words = ("caught", "passed", "crashed")
    tried = sum(found[word] for word in words)
    bound = f"{min(3 / tried, 1):.2%}" if found["passed"] == 0 else "-"
    numbers = "".join(f"{found[word]:>{width}}" for word, width in zip(words, (8, 8, 9), strict=True))
    print(f"  {name:<32}{tried:>8}{numbers}{found['library alone']:>15}{bound:>13}")


if __name__ == "__main__":
    sys.exit(main())
