# SPDX-License-Identifier: Apache-2.0
"""Floating-point operations of a pass, by the shapes of what is multiplied: two for a product that is added.

The formulae are those of ``torch.utils.flop_counter``, with those that it lacks: attention on the CPU and recurrent
layers. This is not its ``FlopCounterMode`` because that runs other code than the network would: where torch has a
Python version of an operation, as of bilinear resizing, that one, which rounds otherwise, so that the counted images
would differ. Here every operation is taken apart by its own kernel. Elementwise operations, reductions and moves count
nothing, there and here. What runs in other threads is not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

__all__ = ["OperationCounter"]

_ATEN = torch.ops.aten
# What these do is copy, look up or normalise; torch has no tag for it.
_NAMES = (
    "_adaptive_avg_pool2d _embedding_bag _local_scalar_dense _log_softmax _native_batch_norm_legit_no_training "
    "_softmax _to_copy _unique2 _unsafe_index _upsample_bicubic2d_aa _upsample_bilinear2d_aa "
    "_upsample_nearest_exact2d argmax argmin argsort avg_pool2d bernoulli bucketize cat clone constant_pad_nd "
    "copy_ cumprod cumsum embedding flip gather grid_sampler_2d index index_add index_copy index_put index_select "
    "lift_fresh masked_select max_pool2d_with_indices multinomial native_batch_norm native_dropout "
    "native_group_norm native_layer_norm nonzero pixel_shuffle pixel_unshuffle reflection_pad2d repeat "
    "replication_pad2d rms_norm roll scatter searchsorted sort stack topk tril triu upsample_bicubic2d "
    "upsample_bilinear2d upsample_nearest2d"
)
_LIGHT = frozenset(_NAMES.split())
_HEAVY = ("fft", "linalg")  # of a single tensor


class _Kind(Enum):
    """What to do with an operation."""

    COUNTED = auto()
    SPLIT = auto()
    UNCOUNTED = auto()
    NOTHING = auto()


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs inside ``with``, in the thread that entered it.

    Attributes:
        total: operations.
        uncounted: names of operations without a formula that may be heavy, with how often they ran.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self.uncounted: Counter[str] = Counter()
        self._kinds: dict[Any, _Kind] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # what would be skipped is imported for it, which takes a second

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count it, or what it is made of."""
        kwargs = kwargs or {}
        kind = self._kinds.get(func)
        if kind is None:
            kind = self._kinds[func] = _kind(func)
        if kind is _Kind.SPLIT:
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        out = func(*args, **kwargs)
        if kind is _Kind.COUNTED:
            packet = func._overloadpacket
            self.total += int((_FORMULAE.get(packet) or flop_registry[packet])(*args, **kwargs, out_val=out))
        elif kind is _Kind.UNCOUNTED:
            self.uncounted[_name(func)] += 1
        return out


def _kind(func: Any) -> _Kind:
    if not isinstance(func, torch._ops.OpOverload):
        return _Kind.UNCOUNTED  # operators on functions: what they call runs inside them
    packet = func._overloadpacket
    if packet in _FORMULAE or packet in flop_registry:
        return _Kind.COUNTED
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):  # type: ignore[no-untyped-call]
        return _Kind.SPLIT
    return _Kind.NOTHING if _is_light(func) else _Kind.UNCOUNTED


def _is_light(func: Any) -> bool:
    """Whether it takes a few operations an element at most, or none."""
    tags, schema = func.tags, func._schema
    tensors = sum("Tensor" in str(argument.type) for argument in schema.arguments)
    plain = func.namespace in ("aten", "prim", "prims")
    name = str(func._opname)
    if any(word in name for word in _HEAVY):
        return False
    known = name.rstrip("_") in _LIGHT or name in _LIGHT
    return known or torch.Tag.pointwise in tags or (plain and (func.is_view or tensors < 2))


def _name(func: Any) -> str:
    return str(getattr(func, "_overloadpacket", func))


def _attention(query: Any, key: Any, value: Any, *_args: Any, **_kwargs: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))  # type: ignore[no-untyped-call]


def _recurrent_layer(x: Any, first: Any, second: Any, *_args: Any, **_kwargs: Any) -> int:
    """One layer in one direction: both of its matrices once a step and row; x (steps, rows, width)."""
    return 2 * int(x.shape[0]) * int(x.shape[1]) * (int(first.numel()) + int(second.numel()))


def _recurrent(x: Any, weights: Any, *_args: Any, **_kwargs: Any) -> int:
    """All layers: every matrix once a step and row, whichever of the two comes first in x (steps, rows, width)."""
    return 2 * int(x.shape[0]) * int(x.shape[1]) * sum(int(w.numel()) for w in weights if w.dim() == 2)


_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_FORMULAE: Mapping[Any, Callable[..., int]] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    _ATEN._scaled_dot_product_fused_attention_overrideable: _attention,
    _ATEN._cudnn_rnn: _recurrent,
    _ATEN.mkldnn_rnn_layer: _recurrent_layer,
}
