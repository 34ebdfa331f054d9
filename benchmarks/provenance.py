# SPDX-License-Identifier: Apache-2.0
"""What credentials cost: ``make bench-provenance``. Medians of 9 in one run.

Against the bare loop that anybody would write with the C2PA library (``Builder.sign`` from memory to memory, one
context, the very manifest and settings that we write), against one worker, and against encoding the picture as PNG.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
from PIL import Image

from audit import __version__
from audit.images import encode_png
from audit.provenance import Claim, Stamper, development_chain, verify_bytes
from benchmarks._measure import MISSED, Case, report

__all__ = ["main"]

_STAMPS = 20_000
_BARE = "a bare Builder.sign loop"
_ROUNDS = 9
_SIZES = ((64, 200), (512, 100), (1024, 60))
_FLAT = 8.0  # MB; allocators keep a few pages more or less


def main(only: list[str]) -> int:
    """Every case whose name holds one of ``only`` (all without), then what missed its target; 1 where any did."""
    with tempfile.TemporaryDirectory() as folder:
        development_chain(Path(folder))
        stamper = Stamper(folder, tool_version=__version__)
        for case in _cases(stamper):
            if not only or any(word in case.name for word in only):
                for line in report(case):
                    print(line, flush=True)
        if not only or "memory" in only:
            print(_memory(stamper), flush=True)
    print("all targets met" if not MISSED else "MISSED\n  " + "\n  ".join(MISSED), flush=True)
    return 1 if MISSED else 0


def _cases(stamper: Stamper) -> Iterator[Case]:
    sizes = [(side, count, [_png(_picture(side, seed)) for seed in range(4)]) for side, count in _SIZES]
    for side, count, data in sizes:
        yield _against_bare(stamper, data, count, f"stamping {count} PNG of {side}x{side}, {len(data[0]) // 1024} KB")
    yield _against_encoding(stamper, [_picture(1024, seed) for seed in range(3)])
    # As those that finish the images of a run: threads that are there from beginning to end.
    one, two = ThreadPoolExecutor(1), ThreadPoolExecutor(2)
    for _, count, data in sizes:
        yield _in_a_run(stamper, data, count, one)
        yield _two_workers(stamper, data, count, (one, two))


def _against_bare(stamper: Stamper, data: list[bytes], count: int, name: str) -> Case:
    bare, ours = _bare(stamper, data), partial(_one, stamper, data)
    peers = {_BARE: lambda: all(map(bare, range(count)))}
    limit = "the bare loop itself; ours checks, writes XMP and makes a manifest of each claim besides"
    work = lambda: all(map(ours, range(count)))  # noqa: E731 - as short as the peer's
    return Case(name, work, peers, _both, limit, rounds=_ROUNDS, targets={_BARE: 1 / 1.15})


def _in_a_run(stamper: Stamper, data: list[bytes], count: int, one: ThreadPoolExecutor) -> Case:
    bare, ours = _bare(stamper, data), partial(_one, stamper, data)
    name = f"the same in a thread, as in a run, {len(data[0]) // 1024} KB"
    peers = {_BARE: lambda: all(one.map(bare, range(count)))}
    work = lambda: all(one.map(ours, range(count)))  # noqa: E731
    return Case(name, work, peers, _both, "the bare loop", rounds=_ROUNDS, targets={_BARE: 1 / 1.15})


def _two_workers(
    stamper: Stamper, data: list[bytes], count: int, pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor]
) -> Case:
    ours, bare = partial(_one, stamper, data), _bare(stamper, data)
    name = f"two workers, {count} PNG of {len(data[0]) // 1024} KB"
    peers = {
        "one worker": lambda: all(pools[0].map(ours, range(count))),
        "two workers with the bare loop": lambda: all(pools[1].map(bare, range(count))),
    }
    work = lambda: all(pools[1].map(ours, range(count)))  # noqa: E731
    return Case(name, work, peers, _both, "x2.00, two cores", rounds=_ROUNDS, targets={"one worker": 1.6})


def _bare(stamper: Stamper, data: list[bytes]) -> Callable[[int], bool]:
    manifest, context = _manifest_of(stamper, data[0]), stamper._objects()[1][False]._plain

    def sign(k: int) -> bool:
        out = io.BytesIO()
        c2pa.Builder(manifest, context=context).sign("image/png", io.BytesIO(data[k % len(data)]), out)
        return len(out.getvalue()) > 0

    return sign


def _one(stamper: Stamper, data: list[bytes], k: int) -> bool:
    return bool(stamper.stamp(data[k % len(data)], _claim(k), checked=True).data)


def _against_encoding(stamper: Stamper, pictures: list[Any]) -> Case:
    data = [_png(picture) for picture in pictures]

    def ours() -> bool:
        signed = (stamper.stamp(one, _claim(k), checked=True).data for k, one in enumerate(data))
        return all(verify_bytes(one).state.verified for one in signed)

    def by(encode: Callable[[Any], bytes]) -> Callable[[], bool]:
        return lambda: all(len(encode(picture)) > 0 for picture in pictures)

    peers = {"Pillow's PNG at its default level": by(_default_png), "our PNG at level 3": by(encode_png)}
    limit = "hashing twice (stamp, verify) and two signatures' arithmetic"
    targets = {"Pillow's PNG at its default level": 1 / 0.08}
    return Case("stamp and verify 3 PNG of 1024x1024", ours, peers, _both, limit, rounds=_ROUNDS, targets=targets)


def _memory(stamper: Stamper) -> str:
    """Resident memory after the first 2,000 stamps and after all: what leaks shows as a slope."""
    data = [_png(_picture(64, seed)) for seed in range(8)]
    seen = []
    for k in range(_STAMPS + 1):
        stamper.stamp(data[k % len(data)], _claim(k), checked=True)
        if k % 2_000 == 0 and k:
            seen.append(_resident())
    grown = max(seen) - seen[0]
    if grown > _FLAT:
        MISSED.append(f"memory: {grown:.1f} MB more after {_STAMPS} stamps")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    met = "met" if grown <= _FLAT else "MISSED"
    grew = f"{seen[0]:.0f} MB at 2,000, {grown:+.1f} MB at most (peak {peak:.0f})"
    return f"memory over {_STAMPS} stamps: {grew}; target flat {met}"


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _manifest_of(stamper: Stamper, data: bytes) -> dict[str, Any]:
    """What a bare loop would hand to the builder to say the same."""
    from audit.provenance import stamp as module

    made: list[dict[str, Any]] = []
    original = module.library().Builder

    class Watching(original):  # type: ignore[misc, valid-type]
        def __init__(self, manifest: dict[str, Any], **more: Any) -> None:
            made.append(json.loads(json.dumps(manifest)))
            super().__init__(manifest, **more)

    c2pa.Builder = Watching
    try:
        stamper.stamp(data, _claim(0))
    finally:
        c2pa.Builder = original
    return {key: value for key, value in made[0].items() if key != "label"}


def _claim(k: int) -> Claim:
    return Claim(
        title=f"picture {k}",
        generator="small-diffusion",
        generator_digest="ab" * 32,
        request_id=f"{k:032x}",
        prompt_sha256="cd" * 32,
        seed=str(k),
        when=datetime.now(UTC),
        params={"steps": 30, "guidance": 7.5},
    )


def _picture(side: int, seed: int) -> Any:
    """Slopes and edges with a little grain, as photographs have."""
    rng = np.random.default_rng(seed)
    slope = np.cumsum(np.cumsum(rng.normal(0, 1, (side, side, 3)), 0), 1)
    smooth = (slope - slope.min()) / (slope.max() - slope.min()) * 200 + 20
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def _png(picture: Any) -> bytes:
    return encode_png(picture)


def _default_png(picture: Any) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(picture).save(sink, "PNG")
    return sink.getvalue()


def _both(ours: bool, theirs: bool) -> bool:
    return ours and theirs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
