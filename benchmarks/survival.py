# SPDX-License-Identifier: Apache-2.0
"""What survives, of two sets of pictures: ``python -m benchmarks.survival FOLDER`` (ten minutes on two cores).

A hundred pictures of 64 pixels by the bundled models and the reference renderer, and twenty made-up pictures of 512 to
1024 pixels with the statistics of photographs. Each is written as PNG with a line of text as image generators write it,
stamped afresh with all four layers, and edited in every way that `genaudit survive` knows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmarks._pictures import bundled, photographs

__all__ = ["main"]


def main(folder: Path) -> int:
    """Writes the pictures and the results to ``folder``, prints both matrices."""
    for name, pictures in (("bundled", bundled(100)), ("large", photographs(20))):
        _write(folder / name, pictures)
        words = [
            "survive",
            str(folder / name),
            "--restamp",
            "--sample",
            "100",
            "--out",
            str(folder / f"{name}-survival"),
        ]
        code = subprocess.call([sys.executable, "-m", "audit", *words])
        if code:
            return code
    return 0


def _write(folder: Path, pictures: Iterable[NDArray[np.uint8]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for place, rgb in enumerate(pictures):
        said = PngInfo()
        said.add_text("parameters", f"a picture\nSteps: 20, Seed: {place}")
        Image.fromarray(rgb).save(folder / f"{place:03d}.png", pnginfo=said)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.survival FOLDER")
    sys.exit(main(Path(sys.argv[1])))
