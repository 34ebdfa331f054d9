# SPDX-License-Identifier: Apache-2.0
"""Features of a folder of pictures by Inception-v3: ``python -m benchmarks.features``.

The measure is the network alone on pictures that are already resized and in memory: nothing can be faster on the same
cores without other numbers. A second pass over the same folder finds its rows in the store.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from audit.annotators.inception import InceptionAnnotator
from audit.features import Extractor, FeatureStore, embed_files
from audit.features.extract import decode_file
from audit.features.inception import InceptionV3
from benchmarks._measure import Case, report

__all__ = ["cases"]

_N = 72
_BATCH = 16


def cases(folder: Path) -> Iterator[Case]:
    """Small PNG files, larger JPEG files, and each of them once more with the store warm."""
    torch.manual_seed(0)
    torch.save(InceptionV3().state_dict(), folder / "random.pth")
    made = InceptionAnnotator(weights=str(folder / "random.pth"), batch=_BATCH, reference=None)
    extractor, network = made._extractor, made._network
    plain = InceptionAnnotator(weights=str(folder / "random.pth"))._network.to(memory_format=torch.contiguous_format)
    for name, size, kind in (("256x256 PNG", 256, "png"), ("512x512 JPEG", 512, "jpg")):
        paths = _pictures(folder / kind, size, kind)
        prepared = torch.from_numpy(np.stack([extractor.prepare(decode_file(path)) for path in paths]))
        last = prepared.to(memory_format=torch.channels_last)
        peers = {
            "the network alone, on resized pictures in memory": partial(_alone, network, last),
            "the same in torch's default layout, as torch-fidelity and pytorch-fid run it": partial(
                _alone, plain, prepared
            ),
            "reading, resizing and the network in turn, one batch after the other": partial(_in_turn, extractor, paths),
        }
        yield Case(
            name=f"Inception-v3 features of {_N} pictures of {name}, batches of {_BATCH}",
            ours=partial(_cold, extractor, paths),
            peers=peers,
            agree=lambda a, b: bool(np.abs(a - b).max() < 1e-2 * np.abs(b).max()),
            targets={"the network alone, on resized pictures in memory": 1 / 1.1},
            limit=f"{_N} x 11.42 GFLOP: what the network alone takes",
        )
        yield _again(folder, name, kind, extractor, peers)


def _again(folder: Path, name: str, kind: str, extractor: Extractor, peers: Any) -> Case:
    """A second pass by another process's eyes: nothing is in memory, the store is warm."""
    store = FeatureStore(extractor.identity, root=folder / "store")
    paths = sorted((folder / kind).iterdir())
    embed_files(extractor, paths, store)
    alone = "the network alone, on resized pictures in memory"
    return Case(
        name=f"the same {name} once more, store warm",
        ours=lambda: embed_files(extractor, paths, FeatureStore(extractor.identity, root=folder / "store"))[1],
        peers={alone: peers[alone]},
        agree=lambda a, b: bool(np.abs(a - b).max() < 1e-2 * np.abs(b).max()),
        limit="reading and decoding the files, to see that they show the same",
    )


def _pictures(folder: Path, size: int, kind: str) -> list[Path]:
    """Smooth colour with fine noise: compresses about as photographs do."""
    folder.mkdir()
    rng = np.random.default_rng(size)
    paths = []
    for index in range(_N):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
        rgb = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{index:04d}.{kind}")
        Image.fromarray(rgb).save(paths[-1], quality=92)
    return paths


def _cold(extractor: Extractor, paths: list[Path]) -> Any:
    """With a store that is empty, as on a first pass; writing it is part of the work."""
    with tempfile.TemporaryDirectory() as root:
        return embed_files(extractor, paths, FeatureStore(extractor.identity, root=Path(root)))[1]


def _alone(network: Any, prepared: torch.Tensor) -> Any:
    with torch.inference_mode():
        parts = [torch.cat(network(batch), dim=1) for batch in prepared.split(_BATCH)]
    return torch.cat(parts).numpy()


def _in_turn(extractor: Extractor, paths: list[Path]) -> Any:
    parts = []
    for start in range(0, len(paths), _BATCH):
        part = [extractor.prepare(decode_file(path)) for path in paths[start : start + _BATCH]]
        parts.append(extractor.network(part))
    return np.concatenate(parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        for case in cases(Path(work)):
            for line in report(case):
                print(line, flush=True)
