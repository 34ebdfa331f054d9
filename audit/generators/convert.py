# SPDX-License-Identifier: Apache-2.0
"""Weights out of a pickle into safetensors, without running what the pickle says.

``python -m audit.generators.convert in.pth out.safetensors [--key g_ema]`` reads the file with
``torch.load(weights_only=True)``, which makes tensors and plain containers and refuses everything else. What needs the
classes of its author (the pickles of StyleGAN, whole saved modules) cannot be converted this way: save its state dict
where that code is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from audit.errors import AuditError, ConfigError
from audit.generators._pickles import is_safetensors, read_pickle, tensors_of

__all__ = ["convert", "main"]


def convert(source: Path, target: Path, *, key: str | None = None) -> int:
    """Write the state dict in ``source`` to ``target``; returns how many tensors there are.

    Tensors that share memory are written out each on its own.

    Args:
        source: a file of ``torch.save``.
        target: the safetensors file, which must not exist.
        key: which state dict, where the checkpoint holds several (``g_ema``, ``state_dict`` ...).

    Raises:
        ConfigError: no such file, the target is there, or no state dict is meant.
        GeneratorError: the pickle holds more than data.
    """
    from safetensors.torch import save_file

    if not source.is_file():
        raise ConfigError("no such file", where=str(source), hint="check the path")
    if is_safetensors(source):
        raise ConfigError("already safetensors, whatever its name", where=str(source), hint="rename it")
    if target.exists():
        raise ConfigError("the file is there already", where=str(target), hint="name another, or delete it")
    state = tensors_of(read_pickle(source, trusted=False, where=str(source)), key=key, path=source, where=str(source))
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, target)
    return len(state)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m audit.generators.convert", description=str(__doc__).split("\n")[0])
    parser.add_argument("source", type=Path, help="file of torch.save: .pt, .pth, .bin, .ckpt")
    parser.add_argument("target", type=Path, help="safetensors file to write")
    parser.add_argument("--key", help="which state dict, where the file holds several, e.g. g_ema")
    told = parser.parse_args(arguments)
    try:
        count = convert(told.source, told.target, key=told.key)
    except AuditError as error:
        sys.stderr.write(f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    sys.stdout.write(f"{count} tensors written to {told.target}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
