# SPDX-License-Identifier: Apache-2.0
"""Features and logits of the Inception-v3 that FID, KID and the Inception Score are published with."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.annotators._features import FEATURE_OPTIONS, FeatureAnnotator, device_kind, kernel_of
from audit.checkpoints import check_options, digest_of
from audit.features import Extractor, Identity, Preparation
from audit.features.weights import sha256_of, weights_file
from audit.types import AnnotatorSpec, Columns

__all__ = ["PUBLISHED", "InceptionAnnotator"]

_WHERE: Final = "annotator 'inception'"
#: The weights of 2015-12-05, converted from TensorFlow: by torch-fidelity, and by pytorch-fid.
PUBLISHED: Final = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
_PREFIX: Final = "6726825d"


class InceptionAnnotator(FeatureAnnotator):
    """Pool features (2048) and logits without bias (1008) of the FID Inception-v3 of 2015-12-05.

    Args:
        **options: ``weights`` (a file or an https address; default: those published with torch-fidelity),
            ``kernel`` (pil_bicubic_clean, as clean-fid; tf1_bilinear is what torch-fidelity does, torch_bilinear
            pytorch-fid, torch_bilinear_antialias torchmetrics), ``reference`` ({"images": a folder, a file of
            statistics (.npz) or "reference:renderer", "n": 2000}; None: no reference features),
            ``training`` (the same, of the images that the generator was trained on), ``local_files_only``, ``device``
            (auto), ``batch`` (32), ``store_gb`` (20: size of all stored features together; 0: none are kept).

    Raises:
        AnnotatorError: the weights are missing or wrong.
        ConfigError: an unknown option or kernel, or a file that is not there.
    """

    name = "inception"

    def __init__(self, **options: Any) -> None:
        check_options(options, {**FEATURE_OPTIONS, "weights": str}, where=_WHERE)
        super().__init__(options, where=_WHERE)
        self._prepare = Preparation(kernel_of(options, "pil_bicubic_clean", where=_WHERE), 299)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; loads no weights. They are downloaded first where they are not there."""
        published = self._sha256.startswith(_PREFIX)
        how = f"{self._prepare.words}, {'weights of 2015-12-05' if published else f'weights {self._sha256[:8]}'}"
        content = {"version": self.version, "weights": self._sha256, "kernel": self._prepare.words}
        return AnnotatorSpec(
            name=self.name,
            version=self.version,
            digest=digest_of(content),
            columns={
                "features": f"mean of the last layer over the picture, D = 2048; {how}",
                "logits": f"1008 logits without their bias; {how}",
            },
            licence="Apache-2.0" if published else None,
        )

    @functools.cached_property
    def _extractor(self) -> Extractor:
        from audit.features.inception import CLASSES, SCALING, WIDTH

        identity = Identity(
            extractor=self.name,
            weights=self._sha256,
            kernel=self._prepare.words,
            scaling=SCALING,
            device=device_kind(self._device),
        )
        return Extractor(identity, WIDTH + CLASSES, self._rows, self._prepare, self._batch)

    @property
    def _width(self) -> int:
        from audit.features.inception import WIDTH

        return WIDTH

    def _columns(self, rows: NDArray[np.float32]) -> Columns:
        return {"features": rows[:, : self._width], "logits": rows[:, self._width :]}

    def _rows(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        batch = torch.from_numpy(np.stack(prepared)).to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode():
            out: NDArray[np.float32] = torch.cat(self._network(batch), dim=1).cpu().numpy()
        return out

    @functools.cached_property
    def _network(self) -> Any:
        import torch

        from audit.features.inception import load

        # Half as fast again as the default layout on a CPU, and the same numbers to the sixth digit.
        network: Any = load(self._path, where=_WHERE).to(self._device)
        return network.to(memory_format=torch.channels_last)

    @functools.cached_property
    def _path(self) -> Path:
        only = bool(self._options.get("local_files_only"))
        return weights_file(self._options.get("weights"), published=PUBLISHED, local_files_only=only, where=_WHERE)

    @functools.cached_property
    def _sha256(self) -> str:
        return sha256_of(self._path)
