# SPDX-License-Identifier: Apache-2.0
"""The picture of docs/provenance.md: stamped, stripped, found again; its words are what was found: ``make docs``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from audit.images import decode
from audit.provenance import Claim, ManifestStore, Stamper, recover, verify_bytes
from audit.provenance.keys import DevelopmentKeys
from audit.provenance.survive import psnr, select_edits
from audit.provenance.watermark import find
from benchmarks._pictures import bundled, photographs

__all__ = ["write"]

Pixels = NDArray[np.uint8]
_SIDE, _GAP, _TEXT = 250, 18, 66
_TIMES = 16  # the change is shown so much stronger


def write(path: Path) -> None:
    """Two pictures on their way, one a row."""
    small, large = bundled(5)[3], next(photographs(1, seed=3))
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            _row(small, "a bundled model", "social", Path(folder), seed=1),
            _row(large, "made up", "meme", Path(folder), seed=2),
        ]
    width = 4 * _SIDE + 5 * _GAP
    sheet = Image.new("RGB", (width, len(rows) * (_SIDE + _TEXT + _GAP) + _GAP), "white")
    for place, panels in enumerate(rows):
        top = _GAP + place * (_SIDE + _TEXT + _GAP)
        for column, (rgb, text) in enumerate(panels):
            _panel(sheet, rgb, text, left=_GAP + column * (_SIDE + _GAP), top=top)
    sheet.quantize(192).save(path, optimize=True)


def _row(rgb: Pixels, what: str, edit: str, folder: Path, *, seed: int) -> list[tuple[Pixels, str]]:
    mark = find("spread")
    stamper = Stamper(DevelopmentKeys(folder / "keys"), watermark=mark)
    made = stamper.mark(rgb, Claim.about("my-model", prompt="a cat", seed=seed))
    marked = decode(made.data)
    with ManifestStore(folder / f"{seed}.sqlite") as store:
        store.add(made, rgb=marked, request_id=f"request {seed}")
        chosen = select_edits(["social" if edit == "social" else edit])[0]
        left = chosen(made.data)
        assert left is not None
        before, after = verify_bytes(made.data), verify_bytes(left)
        found = recover(left, store=store, watermarks=[mark])
    change = np.clip(128 + _TIMES * (marked.astype(np.int16) - rgb), 0, 255).astype(np.uint8)
    height, width = rgb.shape[:2]
    title = chosen.title[0].lower() + chosen.title[1:]
    return [
        (rgb, f"{what}, {width} x {height}"),
        (
            marked,
            f"signed and marked: {before.state.value.replace('_', ' ')}\n{psnr(rgb, marked):.1f} dB from the original",
        ),
        (change, f"what the mark changed, {_TIMES} times stronger"),
        (
            decode(left),
            f"{title}\ncredentials: {after.state}; by its mark: {found.outcome}\n"
            f"of {found.kept.request_id if found.kept else 'nobody'}, chance <= {found.p_value or 1:.0e}",
        ),
    ]


def _panel(sheet: Image.Image, rgb: Pixels, text: str, *, left: int, top: int) -> None:
    image = Image.fromarray(rgb)
    scale = _SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    shown = image.resize(size, kind)
    sheet.paste(shown, (left + (_SIDE - size[0]) // 2, top + (_SIDE - size[1]) // 2))
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((left, top + _SIDE + 6), text, fill="#1c2530", font=ImageFont.load_default(13), spacing=3)


if __name__ == "__main__":
    write(Path(__file__).parent / "pictures" / "round_trip.png")
