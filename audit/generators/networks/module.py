# SPDX-License-Identifier: Apache-2.0
"""Modules of torch whose code is installed, with weights in safetensors and their architecture in ``config.json``."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from audit.errors import ConfigError, GeneratorError
from audit.generators._named import named
from audit.generators._pickles import is_safetensors, read_pickle, tensors_of
from audit.generators.networks._plan import Slot
from audit.generators.networks._torch import TorchNetwork
from audit.types import Scalar

__all__ = ["ModuleGenerator"]

# What savers add to config.json about themselves.
_NOT_ARGUMENTS = frozenset({"architectures", "model_type", "torch_dtype", "dtype", "transformers_version"})


class ModuleGenerator(TorchNetwork):
    """A class of torch under audit: of ``huggingface_hub.PyTorchModelHubMixin``, or any ``torch.nn.Module``.

    The class comes from the configuration and never from the files of the checkpoint, and it must be a module of torch.
    Every tensor must have its place in it and the other way round. Options beside those of every network: ``class``
    (``package.module:Name``, also in the current directory), ``config`` (arguments of the class, else ``config.json``),
    ``method`` (``forward``), ``key`` (which state dict of a trusted pickle), ``device``, and
    ``i_trust_this_pickle_and_its_author``: read ``.pth`` and its like, as data where that works, else by running it.
    """

    kind, suffixes = "module", (".safetensors",)
    more: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        **TorchNetwork.more,
        "class": str,
        "config": dict,
        "key": str,
        "method": str,
    }

    def _class(self) -> Any:
        where = f"{self._where}: options.class"
        if not self._options.get("class"):
            hint = "name the torch.nn.Module as package.module:Name"
            raise ConfigError("the class of the network is not named", where=where, hint=hint)
        found = named(self._options["class"], where=where)
        import torch

        if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
            raise ConfigError(
                f"{self._options['class']} is not a class of torch.nn.Module", where=where, hint="name one"
            )
        return found

    def _open(self, path: Path) -> None:
        kind = self._class()
        if path.suffix == ".safetensors" and not is_safetensors(path) and not self._trusted:
            message = f"{path} is not a file of safetensors, whatever its name"
            raise GeneratorError(message, where=self._where, hint="write it with safetensors.torch.save_file")
        with contextlib.redirect_stdout(io.StringIO()):  # the mixin prints
            net = self._from_mixin(kind, path) or self._from_arguments(kind, path)
        self._net = net.eval().to(self._device())
        if not callable(getattr(net, self._method(), None)):
            place, hint = f"{self._where}: options.method", "leave it out for `forward`"
            raise ConfigError(f"{kind.__name__} has no method {self._method()!r}", where=place, hint=hint)

    def _from_mixin(self, kind: Any, path: Path) -> Any:
        """The class's own ``from_pretrained`` where that reads just this file; None where it would not."""
        from huggingface_hub import PyTorchModelHubMixin

        plain = path.name == "model.safetensors" and is_safetensors(path) and self._options.get("config") is None
        if not (plain and issubclass(kind, PyTorchModelHubMixin) and (path.parent / "config.json").is_file()):
            return None
        function, plain_one = (getattr(k._from_pretrained, "__func__", None) for k in (kind, PyTorchModelHubMixin))
        own = function is not plain_one
        return kind.from_pretrained(path.parent, **({} if own else {"strict": True}))

    def _from_arguments(self, kind: Any, path: Path) -> Any:
        net = kind(**self._arguments(path.parent / "config.json"))
        if is_safetensors(path):
            from safetensors.torch import load_model

            load_model(net, path, strict=True)
            return net
        loaded = read_pickle(path, trusted=self._trusted, where=self._where)
        net.load_state_dict(tensors_of(loaded, key=self._options.get("key"), path=path, where=self._where), strict=True)
        return net

    def _arguments(self, path: Path) -> dict[str, Any]:
        stored = self._options.get("config")
        if stored is None and path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
        return {k: v for k, v in (stored or {}).items() if k not in _NOT_ARGUMENTS and not k.startswith("_")}

    def _method(self) -> str:
        return str(self._options.get("method") or "forward")

    def _slots(self) -> Sequence[Slot]:
        parameters = inspect.signature(getattr(self._net, self._method())).parameters.values()
        named_ = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        return [Slot(p.name, required=p.default is p.empty) for p in named_]

    def _run(self, feeds: dict[str, Any]) -> Any:
        # Calling the module itself keeps its hooks (spectral norm of old checkpoints, for one).
        call = self._net if self._method() == "forward" else getattr(self._net, self._method())
        return call(**feeds)

    def _details(self) -> dict[str, Scalar]:
        return {**super()._details(), "architecture": str(self._options.get("class")), "method": self._method()}
