# SPDX-License-Identifier: Apache-2.0
"""The declaration laid over the inputs that a network really has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.errors import GeneratorError
from audit.generators.networks._declared import Declaration, Label, Noise, Text

__all__ = ["Plan", "Slot", "make_plan", "told"]

_HINT = "declare it in the option io or in generator.json beside the weights; see docs/generators.md"


@dataclass(frozen=True, slots=True)
class Slot:
    """An input that a network says it has; None is what it does not say, the batch and other free sizes included."""

    name: str
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    required: bool = True

    @property
    def floats(self) -> bool:
        """Whether it takes real numbers, as far as it says."""
        return self.dtype is not None and "float" in self.dtype

    def __str__(self) -> str:
        sizes = "" if self.shape is None else " (" + ", ".join("N" if s is None else str(s) for s in self.shape) + ")"
        return f"{self.name!r}" + (f" {self.dtype}" if self.dtype else "") + sizes


@dataclass(frozen=True, slots=True)
class Plan:
    """What each input of a network is filled with.

    Attributes:
        noises: random inputs by name, each with the shape of one latent.
        label: class input, with its name and, where it is known, the number of classes.
        text: token input, with its name and length.
        constants: numbers by input name; a parameter of the same name takes their place.
        slots: the inputs by name.
    """

    noises: Mapping[str, tuple[Noise, tuple[int, ...]]]
    label: Label | None
    text: Text | None
    constants: Mapping[str, Any]
    slots: Mapping[str, Slot] = field(default_factory=dict)

    @property
    def batch(self) -> int | None:
        """The batch that the network was frozen at, None where it takes any."""
        named = [*self.noises, *(b.name for b in (self.label, self.text) if b is not None)]
        shapes = [self.slots[str(name)].shape for name in named]
        return next((shape[0] for shape in shapes if shape and shape[0] is not None), None)


def told(slots: Sequence[Slot]) -> str:
    """The inputs in words."""
    return ", ".join(map(str, slots)) or "none"


def make_plan(declared: Declaration, slots: Sequence[Slot], *, where: str) -> Plan:
    """Give every declared block its input and every input its block; what is unambiguous need not be declared.

    Of inputs that are left over, one of real numbers of shape (N, z) or (N, z, 1, 1) is noise, and one of whole numbers
    of shape (N,) is a class index.

    Raises:
        GeneratorError: the network has no such input, has one that nothing is said about, or has another shape.
    """
    inputs, table = declared.inputs, {slot.name: slot for slot in slots}
    mask = inputs.text.mask if inputs.text else None
    blocks: list[Noise | Label | Text] = [*inputs.noise, *(b for b in (inputs.label, inputs.text) if b is not None)]
    named = [block.name for block in blocks if block.name] + [*inputs.constants, *([mask] if mask else [])]
    for name in named:
        if name not in table:
            raise _wrong(f"the network has no input {name!r}; it has {told(slots)}", where)
        if named.count(name) > 1:
            raise _wrong(f"two things are declared for the input {name!r}", where)
    open_ = [slot for slot in slots if slot.name not in named]
    placed = []
    for block in blocks:
        slot = table[block.name] if block.name else _only(block, open_, where)
        open_ = [other for other in open_ if other is not slot]
        placed.append((block, slot))
    placed += _inferred(open_, blocks, where)
    return _plan(declared, placed, table, where)


def _only(block: Noise | Label | Text, open_: Sequence[Slot], where: str) -> Slot:
    """The one open input that a block without a name can mean."""
    needs_floats = isinstance(block, Noise) or (isinstance(block, Label) and block.encoding == "one_hot")
    fit = [slot for slot in open_ if slot.required and (slot.dtype is None or slot.floats == needs_floats)]
    if len(fit) != 1:
        kind = type(block).__name__.lower()
        raise _wrong(f"which input the {kind} goes to is not clear: {told(fit or open_)}", where)
    return fit[0]


def _inferred(open_: Sequence[Slot], blocks: Sequence[Any], where: str) -> list[tuple[Noise | Label | Text, Slot]]:
    found: list[tuple[Noise | Label | Text, Slot]] = []
    for slot in (slot for slot in open_ if slot.required):
        block: Noise | Label | None = None
        shape = slot.shape or ()
        if slot.floats and (len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))) and shape[1] is not None:
            block = Noise()
        elif slot.dtype in ("int64", "int32") and len(shape) == 1:
            block = Label()
        taken = [type(b) for b in (*blocks, *(b for b, _ in found))]
        if block is None or type(block) in taken:
            raise _wrong(f"nothing is said about the input {slot}", where)
        found.append((block, slot))
    return found


def _plan(declared: Declaration, placed: Sequence[tuple[Any, Slot]], table: Mapping[str, Slot], where: str) -> Plan:
    noises, label, text = {}, None, None
    for block, slot in placed:
        if isinstance(block, Noise):
            noises[slot.name] = (block, _latent_shape(block, slot, where))
        elif isinstance(block, Label):
            label = block.model_copy(update={"name": slot.name, "classes": _classes(block, slot, declared, where)})
        else:
            fixed = slot.shape[1] if slot.shape and len(slot.shape) == 2 else None
            if fixed and block.length and fixed != block.length:
                raise _wrong(f"{block.length} tokens are declared, the network has {slot}", where)
            text = block.model_copy(update={"name": slot.name, "length": block.length or fixed})
    return Plan(noises, label, text, declared.inputs.constants, table)


def _latent_shape(noise: Noise, slot: Slot, where: str) -> tuple[int, ...]:
    own = slot.shape[1:] if slot.shape else None
    if noise.shape is None:
        if own is None or None in own:
            raise _wrong(f"the shape of the noise {slot} is not known", where, "say inputs.noise.shape, e.g. [128]")
        shape = tuple(int(size) for size in own if size is not None)
    else:
        shape = tuple(noise.shape)
        if own is not None and (
            len(own) != len(shape) or any(a not in (None, b) for a, b in zip(own, shape, strict=True))
        ):
            raise _wrong(f"noise of shape {list(shape)} is declared, the network has {slot}", where)
    mean = noise.truncation.mean if noise.truncation else 0.0
    if isinstance(mean, list) and len(mean) != shape[0]:
        raise _wrong(f"the mean latent has {len(mean)} numbers, the noise {shape[0]}", where)
    return shape


def _classes(label: Label, slot: Slot, declared: Declaration, where: str) -> int | None:
    names = declared.names
    known = label.classes or (max(names.values()) + 1 if names else None)
    if label.encoding == "index":
        return known
    own = slot.shape[1] if slot.shape and len(slot.shape) == 2 else None
    if own and label.classes and own != label.classes:
        raise _wrong(f"{label.classes} classes are declared, the network has {slot}", where)
    if not (own or known):
        raise _wrong(f"how many classes {slot} has is not known", where, "say inputs.label.classes")
    return own or known


def _wrong(message: str, where: str, hint: str = _HINT) -> GeneratorError:
    return GeneratorError(message, where=where, hint=hint)
