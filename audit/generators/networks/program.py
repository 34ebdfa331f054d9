# SPDX-License-Identifier: Apache-2.0
"""Programs of ``torch.export``: the graph and the weights in one ``.pt2``, without the code they were made with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audit.generators.networks._archive import check_archive
from audit.generators.networks._plan import Slot
from audit.generators.networks._torch import TorchNetwork
from audit.types import Scalar

__all__ = ["ProgramGenerator"]

# Operators that move values about without changing them.
_MOVES = ("reshape", "view", "permute", "transpose", "contiguous", "clone", "squeeze", "unsqueeze", "expand", "slice")
_ENDS: Mapping[str, tuple[float, float]] = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "hardtanh": (-1.0, 1.0)}


class ProgramGenerator(TorchNetwork):
    """A program of ``torch.export.save`` under audit.

    Its inputs, with types and shapes, are read from the program, as is the range of a picture that ends in tanh or a
    sigmoid. A ``.pt2`` is a zip, and ``torch.export.load`` unpickles parts of it (torch says: never from an untrusted
    source). Before it is read, ``check_archive`` looks through it and refuses what would run code; with the option
    ``i_trust_this_pickle_and_its_author`` that look is left out. The option ``device`` moves the weights; a program
    exported with its device written into the graph stays on that one.
    """

    kind, suffixes = "program", (".pt2",)
    _program: Any = None

    def _open(self, path: Path) -> None:
        if not self._trusted:
            check_archive(path, where=self._where)
        import torch
        from torch.export.passes import move_to_device_pass

        with _hushed():
            program = torch.export.load(path)
            if self._device() != "cpu":
                program = move_to_device_pass(program, self._device())
            self._program = program
            self._net = program.module()

    def _slots(self) -> Sequence[Slot]:
        values = {node.name: node.meta.get("val") for node in self._program.graph.nodes if node.op == "placeholder"}
        return [_slot(name, values.get(name)) for name in self._program.graph_signature.user_inputs]

    def _run(self, feeds: dict[str, Any]) -> Any:
        from torch.utils import _pytree

        # A program takes arguments as it was exported, by place or by name; its own tree of inputs says which.
        flat = [feeds[name] for name in self._program.graph_signature.user_inputs]
        args, kwargs = _pytree.tree_unflatten(flat, self._program.call_spec.in_spec)
        return self._net(*args, **kwargs)

    def _implied_range(self) -> tuple[float, float] | None:
        outputs = list(self._program.graph.nodes)[-1].args[0]
        node = outputs[0] if len(outputs) == 1 else None
        while node is not None and node.op == "call_function":
            word = str(node.target).split(".")[1] if "." in str(node.target) else ""
            if word in _ENDS:
                return _ENDS[word] if len(node.args) == 1 else None  # hardtanh may have other limits
            node = node.args[0] if word in _MOVES and hasattr(node.args[0], "op") else None
        return None

    def _details(self) -> dict[str, Scalar]:
        shapes = [getattr(node.meta.get("val"), "shape", None) for node in list(self._program.graph.nodes)[-1].args[0]]
        shown = next((_sizes(shape) for shape in shapes if shape is not None and len(shape) == 4), None)
        return {**super()._details(), "output": str(shown).replace("None", "N") if shown else None}

    def _shut(self) -> None:
        super()._shut()
        self._program = None


def _slot(name: str, value: Any) -> Slot:
    if not hasattr(value, "shape"):
        return Slot(name)
    return Slot(name, str(value.dtype).removeprefix("torch."), _sizes(value.shape))


def _sizes(shape: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


@contextmanager
def _hushed() -> Iterator[None]:
    """Silence what torch logs and then raises, too."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._export")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
