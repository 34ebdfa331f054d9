# SPDX-License-Identifier: Apache-2.0
"""Descriptors for finding copies of pictures: SSCD (Pizzi et al. 2022)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.annotators._features import FEATURE_OPTIONS, FeatureAnnotator, device_kind, kernel_of
from audit.checkpoints import check_options, digest_of
from audit.errors import AnnotatorError
from audit.features import Extractor, Identity, Preparation
from audit.features.weights import sha256_of, weights_file
from audit.types import AnnotatorSpec

__all__ = ["PUBLISHED", "SscdAnnotator"]

_WHERE: Final = "annotator 'sscd'"
_FOLDER: Final = "https://dl.fbaipublicfiles.com/sscd-copy-detection"
PUBLISHED: Final = (f"{_FOLDER}/sscd_disc_mixup.torchscript.pt",)
_SIZE: Final = 288
_MEAN: Final = (0.485, 0.456, 0.406)
_SPREAD: Final = (0.229, 0.224, 0.225)
_SMALL: Final = 32  # pixels: of the picture that tells how wide a row is


class SscdAnnotator(FeatureAnnotator):
    """Descriptors of unit length, 512 wide in the published ResNet-50.

    In its authors' measurements, pairs of the DISC set with a cosine above 0.75 were copies with 90 % precision; how
    many pairs of other sets reach that by chance depends on the pictures and on how many there are.

    Args:
        **options: ``weights`` (a TorchScript file or its https address; default: the published sscd_disc_mixup),
            ``kernel`` (pil_bilinear_uint8), ``size`` (288, the shorter side), ``reference``, ``training``,
            ``local_files_only``, ``device``, ``batch``, ``store_gb``: as of the annotator inception.

    Raises:
        AnnotatorError: the weights are missing or wrong.
        ConfigError: an unknown option or kernel, or a file that is not there.
    """

    name = "sscd"

    def __init__(self, **options: Any) -> None:
        check_options(options, {**FEATURE_OPTIONS, "size": int, "weights": str}, where=_WHERE)
        super().__init__(options, where=_WHERE)
        kernel = kernel_of(options, "pil_bilinear_uint8", where=_WHERE)
        self._prepare = Preparation(kernel, max(8, int(options.get("size") or _SIZE)), keep="shape")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity. The weights are downloaded first where they are not there."""
        return AnnotatorSpec(
            name=self.name,
            version=self.version,
            digest=digest_of({"version": self.version, "weights": self._sha256, "kernel": self._prepare.words}),
            columns={"features": f"descriptor of unit length; {self._prepare.words}, weights {self._sha256[:8]}"},
            licence="MIT" if self._options.get("weights") is None else None,
        )

    @functools.cached_property
    def _extractor(self) -> Extractor:
        identity = Identity(
            extractor=self.name,
            weights=self._sha256,
            kernel=self._prepare.words,
            scaling="(x / 255 - mean) / deviation of ImageNet",
            device=device_kind(self._device),
        )
        width = self._rows([np.zeros((3, _SMALL, _SMALL), np.float32)]).shape[1]
        return Extractor(identity, width, self._rows, self._prepare, self._batch)

    def _rows(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Pictures of one shape go through together: nothing is padded."""
        shapes: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(prepared):
            shapes.setdefault(picture.shape, []).append(index)
        parts = {shape: self._same(np.stack([prepared[i] for i in rows])) for shape, rows in shapes.items()}
        out = np.empty((len(prepared), next(iter(parts.values())).shape[1]), np.float32)
        for shape, rows in shapes.items():
            out[rows] = parts[shape]
        return out

    def _same(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        mean, spread = (torch.tensor(values, device=self._device)[:, None, None] for values in (_MEAN, _SPREAD))
        pixels = (torch.from_numpy(levels).to(self._device) / 255 - mean) / spread
        try:
            with torch.inference_mode():
                rows: NDArray[np.float32] = self._network(pixels).float().cpu().numpy()
        except Exception as error:  # whatever a foreign program does with the picture
            raise AnnotatorError(f"{self._path} fails: {str(error)[-300:]}", where=_WHERE, hint=_HINT) from error
        if rows.ndim != 2:
            raise AnnotatorError(f"{self._path} gives {rows.shape}, not one row a picture", where=_WHERE, hint=_HINT)
        return rows

    @functools.cached_property
    def _network(self) -> Any:
        import torch

        try:
            return torch.jit.load(self._path, map_location=self._device).eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            message = f"{self._path} is no TorchScript file: {str(error).strip()[:200]}"
            raise AnnotatorError(message, where=_WHERE, hint=_HINT) from error

    @functools.cached_property
    def _path(self) -> Path:
        only = bool(self._options.get("local_files_only"))
        return weights_file(self._options.get("weights"), published=PUBLISHED, local_files_only=only, where=_WHERE)

    @functools.cached_property
    def _sha256(self) -> str:
        return sha256_of(self._path)


_HINT: Final = f"a file like {PUBLISHED[0].rpartition('/')[2]}: pictures (n, 3, h, w) in, (n, D) out"
