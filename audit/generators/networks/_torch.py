# SPDX-License-Identifier: Apache-2.0
"""What networks of torch share: the device, and random numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audit.errors import ConfigError
from audit.generators._memory import random_state, seeded
from audit.generators._pickles import TRUST
from audit.generators.networks._base import Network
from audit.types import Scalar

__all__ = ["TorchNetwork"]


class TorchNetwork(Network):
    """A network that torch runs; option ``device``: auto (cuda where there is one), cpu, cuda, cuda:1 ..."""

    more: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"device": str, TRUST: bool}
    _net: Any = None

    def _device(self) -> str:
        import torch

        wish = str(self._options.get("device") or "auto")
        if wish == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.device(wish)
        except RuntimeError:
            raise ConfigError(
                f"there is no device {wish!r}", where=f"{self._where}: options", hint="auto, cpu, cuda, cuda:1"
            ) from None
        return wish

    def _details(self) -> dict[str, Scalar]:
        trust = "read on the word of the configuration" if self._trusted else None
        return {"device": self._device(), "dtype": "float32", "pickle": trust}

    def _call(self, feeds: dict[str, Any], seed: int) -> tuple[Any, bool]:
        import torch

        device = self._device()
        moved = {n: torch.from_numpy(v).to(device) if isinstance(v, np.ndarray) else v for n, v in feeds.items()}
        with torch.inference_mode(), seeded(seed):
            before = random_state()
            answer = self._run(moved)
            return answer, random_state() != before

    def _run(self, feeds: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _array(self, tensor: Any) -> NDArray[Any]:
        import torch

        plain = tensor.detach().cpu()
        return np.asarray(plain.to(torch.float32) if plain.is_floating_point() else plain)

    def _shut(self) -> None:
        self._net = None
