# SPDX-License-Identifier: Apache-2.0
"""The Inception-v3 of 2015-12-05 that FID is measured with: not torchvision's, and without torchvision.

It differs from the published network (Szegedy et al. 2016) in the ways of the TensorFlow graph that FID was first
computed by: average pools leave the padding out of the mean, the last block pools by maximum, and there are 1008
classes. Names of layers are those of the usual weight files, so both load:
``weights-inception-2015-12-05-6726825d.pth`` (torch-fidelity) and ``pt_inception-2015-12-05-6726825d.pth``
(pytorch-fid). Levels are scaled as in that graph and in torch-fidelity, (x - 128) / 128; pytorch-fid takes
2 x / 255 - 1 instead, which is not quite the same.

This module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audit.errors import AnnotatorError

__all__ = ["CLASSES", "SCALING", "SIZE", "WIDTH", "InceptionV3", "load"]

SIZE: Final = 299
WIDTH: Final = 2048
CLASSES: Final = 1008
SCALING: Final = "(x - 128) / 128, as torch-fidelity"
_STEM: Final = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
_SECOND: Final = ("Conv2d_3b_1x1", "Conv2d_4a_3x3")
_MIDDLE: Final = tuple(f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e"))
_LATE: Final = ("Mixed_7a", "Mixed_7b", "Mixed_7c")


class _Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, into: int, out: int, size: int | tuple[int, int], *, stride: int = 1, pad: Any = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, size, stride=stride, padding=pad, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class _Block(nn.Module):
    """Branches side by side, joined along the channels; each is a chain of layers by name."""

    branches: tuple[tuple[str, ...], ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._along(chain, x) for chain in self.branches] + self._last(x), dim=1)

    def _along(self, chain: Sequence[str], x: Tensor) -> Tensor:
        for name in chain:
            x = self.get_submodule(name)(x)
        return x

    def _last(self, x: Tensor) -> list[Tensor]:
        pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return [self.get_submodule("branch_pool")(pooled)]


class _A(_Block):
    branches = (("branch1x1",), ("branch5x5_1", "branch5x5_2"), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))

    def __init__(self, into: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(into, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = _Conv(into, 48, 1), _Conv(48, 64, 5, pad=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 64, 1), _Conv(64, 96, 3, pad=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, pad=1)
        self.branch_pool = _Conv(into, pooled, 1)


class _Shrink(_Block):
    """A block that halves the picture; its last branch is a pool by maximum."""

    def _last(self, x: Tensor) -> list[Tensor]:
        return [F.max_pool2d(x, 3, stride=2)]


class _B(_Shrink):
    branches = (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(into, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 64, 1), _Conv(64, 96, 3, pad=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)


class _C(_Block):
    branches = (
        ("branch1x1",),
        tuple(f"branch7x7_{k}" for k in (1, 2, 3)),
        tuple(f"branch7x7dbl_{k}" for k in (1, 2, 3, 4, 5)),
    )

    def __init__(self, into: int, inner: int) -> None:
        super().__init__()
        across: dict[str, Any] = {"size": (1, 7), "pad": (0, 3)}
        down: dict[str, Any] = {"size": (7, 1), "pad": (3, 0)}
        self.branch1x1 = _Conv(into, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = _Conv(into, inner, 1), _Conv(inner, inner, **across)
        self.branch7x7_3 = _Conv(inner, 192, **down)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = _Conv(into, inner, 1), _Conv(inner, inner, **down)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = _Conv(inner, inner, **across), _Conv(inner, inner, **down)
        self.branch7x7dbl_5 = _Conv(inner, 192, **across)
        self.branch_pool = _Conv(into, 192, 1)


class _D(_Shrink):
    branches = (("branch3x3_1", "branch3x3_2"), tuple(f"branch7x7x3_{k}" for k in (1, 2, 3, 4)))

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(into, 192, 1), _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = _Conv(into, 192, 1), _Conv(192, 192, (1, 7), pad=(0, 3))
        self.branch7x7x3_3, self.branch7x7x3_4 = _Conv(192, 192, (7, 1), pad=(3, 0)), _Conv(192, 192, 3, stride=2)


class _E(_Block):
    """The widest block; the halves of a fork share their trunk, which is computed once."""

    def __init__(self, into: int, *, by_maximum: bool) -> None:
        super().__init__()
        across: dict[str, Any] = {"size": (1, 3), "pad": (0, 1)}
        down: dict[str, Any] = {"size": (3, 1), "pad": (1, 0)}
        self.branch1x1, self.branch3x3_1 = _Conv(into, 320, 1), _Conv(into, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = _Conv(384, 384, **across), _Conv(384, 384, **down)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(into, 448, 1), _Conv(448, 384, 3, pad=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = _Conv(384, 384, **across), _Conv(384, 384, **down)
        self.branch_pool = _Conv(into, 192, 1)
        self._by_maximum = by_maximum

    def forward(self, x: Tensor) -> Tensor:
        fork, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        halves = [self.branch3x3_2a(fork), self.branch3x3_2b(fork)]
        halves += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *halves, *self._last(x)], dim=1)

    def _last(self, x: Tensor) -> list[Tensor]:
        if self._by_maximum:
            return [self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))]
        return super()._last(x)


class InceptionV3(nn.Module):
    """The whole network, with random weights until a state dict is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = _Conv(3, 32, 3, stride=2), _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, pad=1)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = _Conv(64, 80, 1), _Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _A(192, 32), _A(256, 64), _A(288, 64)
        self.Mixed_6a = _B(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (
            _C(768, 128),
            _C(768, 160),
            _C(768, 160),
            _C(768, 192),
        )
        self.Mixed_7a = _D(768)
        self.Mixed_7b, self.Mixed_7c = _E(1280, by_maximum=False), _E(2048, by_maximum=True)
        self.fc = nn.Linear(WIDTH, CLASSES)

    def forward(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of pictures.

        Args:
            levels: (n, 3, 299, 299), from 0 to 255.

        Returns:
            Pooled features (n, 2048), and logits (n, 1008) without their bias, as the Inception Score takes them.
        """
        features = self.taps(levels)["2048"]
        return features, features @ self.fc.weight.T

    def taps(self, levels: Tensor) -> dict[str, Tensor]:
        """Mean over the picture at the four places that features are taken from, by width."""
        x = F.max_pool2d(self._through(_STEM, (levels - 128) / 128), 3, stride=2)
        found = {"64": x}
        x = F.max_pool2d(self._through(_SECOND, x), 3, stride=2)
        found["192"] = x
        x = self._through(_MIDDLE, x)
        found["768"] = x
        found["2048"] = self._through(_LATE, x)
        return {name: value.mean(dim=(2, 3)) for name, value in found.items()}

    def _through(self, names: Sequence[str], x: Tensor) -> Tensor:
        for name in names:
            x = self.get_submodule(name)(x)
        return x


def load(path: Path, *, where: str) -> InceptionV3:
    """The network with the weights of a file, in evaluation mode.

    Args:
        path: ``.safetensors``, or a ``.pth`` of tensors and nothing else.
        where: place for messages.

    Raises:
        AnnotatorError: the file holds no such weights.
    """
    with torch.device("meta"):
        net = InceptionV3()
    try:
        state = _state(path)
        # Files of other converters may lack the counters, which nothing here reads.
        counters = {name: torch.tensor(0) for name in net.state_dict() if name.endswith("num_batches_tracked")}
        net.load_state_dict({**counters, **state}, assign=True)
    except Exception as error:  # torch, zipfile and safetensors raise whatever they like
        message = f"{path} holds no weights of this Inception-v3: {' '.join(str(error).split())[:300]}"
        hint = "weights-inception-2015-12-05-6726825d.pth of torch-fidelity, or pt_inception-2015-12-05-6726825d.pth"
        raise AnnotatorError(message, where=where, hint=hint) from error
    return net.requires_grad_(False).eval().float()


def _state(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state
