# SPDX-License-Identifier: Apache-2.0
"""Options of a diffusers generator: what they may be, and what they do to a pipeline."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Mapping
from typing import Any

from audit.checkpoints import check_options
from audit.errors import ConfigError

__all__ = ["Scheduler", "check", "picture_options", "scheduler_of", "set_scheduler", "tune"]

Scheduler = tuple[type, dict[str, Any]]

_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "attention_slicing": bool,
    "channels_last": bool,
    "compile": bool,
    "device": str,
    "dtype": str,
    "lanes": int,
    "local_files_only": bool,
    "lora": list,
    "offload": str,
    "revision": str,
    "safety_checker": bool,
    "scheduler": (str, dict),
    "textual_inversion": list,
    "vae_slicing": bool,
    "vae_tiling": bool,
    "variant": str,
}
_CHOICES = {"dtype": ("float32", "float16", "bfloat16"), "offload": ("none", "model", "sequential")}
# What removes noise; a combined pipeline has one for each of its stages.
_DENOISERS = ("unet", "transformer", "transformer_2", "decoder_unet", "prior", "prior_prior", "decoder")


def check(options: Mapping[str, Any], *, where: str) -> None:
    """Refuse options that are unknown or out of range. Raises ConfigError."""
    check_options(options, _OPTIONS, where=f"{where}: options")
    for key, known in _CHOICES.items():
        if options.get(key) not in (None, *known):
            raise ConfigError(f"{key} must be one of {', '.join(known)}, got {options[key]!r}", where=where)
    lanes = 8 if options.get("lanes") is None else options["lanes"]
    # At other widths the last bits of a picture depend on its place in the forward pass: kernels end in odd pieces.
    if not 1 <= lanes <= 256 or lanes & (lanes - 1):
        raise ConfigError(f"lanes must be a power of two between 1 and 256, got {lanes}", where=where)


def picture_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that change the pixels and differ from what is done without them."""
    plain = {"dtype": "float32", "safety_checker": True}
    named = ("attention_slicing", "channels_last", "compile", "dtype", "safety_checker", "scheduler", "vae_tiling")
    return {key: options[key] for key in named if options.get(key) not in (None, plain.get(key, False))}


def scheduler_of(wish: str | Mapping[str, Any] | None, index: Mapping[str, Any], *, where: str) -> Scheduler | None:
    """The class and the changed settings that the option ``scheduler`` asks for; None where it asks for nothing.

    Args:
        wish: name of a class of diffusers, or ``{"class": name, <setting>: value, ...}``; without ``class`` the
            checkpoint's own.
        index: the ``model_index.json``.
        where: place for the message.

    Raises:
        ConfigError: a pipeline without scheduler, an unknown class, or an unknown setting.
    """
    if not wish:
        return None
    own = (index.get("scheduler") or [None, None])[1]
    if own is None:
        raise ConfigError(f"{index['_class_name']} has no scheduler to replace", where=where, hint="leave it out")
    settings = {} if isinstance(wish, str) else {key: value for key, value in wish.items() if key != "class"}
    found = _scheduler(wish if isinstance(wish, str) else str(wish.get("class") or own), str(own), where=where)
    known = [name for name in inspect.signature(found).parameters if name not in ("self", "kwargs")]
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise ConfigError(f"{found.__name__} has no setting {key!r}", where=where, hint=hint)
    return found, settings


def _scheduler(name: str, own: str, *, where: str) -> Any:
    import diffusers

    found = getattr(diffusers, name, None) if name in dir(diffusers) else None
    if isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin):
        return found
    kin: list[type] = getattr(getattr(diffusers, own, None), "_get_compatibles", list)()
    fit = sorted({own, *(one.__name__ for one in kin)})
    everything = [one for one in dir(diffusers) if one.endswith("Scheduler")]
    near = difflib.get_close_matches(name, fit, n=1) or difflib.get_close_matches(name, everything, n=1, cutoff=0.5)
    first = f"did you mean {near[0]!r}? " if near else ""
    message = f"diffusers {diffusers.__version__} has no scheduler {name!r} that runs here"
    raise ConfigError(message, where=where, hint=f"{first}in place of {own} go {', '.join(fit)}")


def set_scheduler(pipeline: Any, scheduler: Scheduler, *, where: str) -> None:
    """Replace the scheduler, with the settings of the checkpoint where none are given. Raises ConfigError."""
    kind, settings = scheduler
    try:
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **settings)  # type: ignore[attr-defined]
    except (ValueError, TypeError, NotImplementedError) as error:
        message = f"{kind.__name__} cannot be made with {json.dumps(settings, default=str)}: {error!s:.200}"
        raise ConfigError(
            message, where=where, hint="its settings are described in the diffusers documentation"
        ) from None


def tune(pipeline: Any, options: Mapping[str, Any], device: str, *, where: str) -> None:
    """Slicing, memory layout, device and compilation, in the order that they need.

    Raises:
        ConfigError: an option for a part that the pipeline does not have.
    """
    if options.get("attention_slicing"):
        pipeline.enable_attention_slicing()
    for option, method in (("vae_slicing", "enable_slicing"), ("vae_tiling", "enable_tiling")):
        if options.get(option):
            _method(getattr(pipeline, "vae", None), method, option, pipeline, where=where)()
    nets = [part for name, part in pipeline.components.items() if name in _DENOISERS and hasattr(part, "parameters")]
    if options.get("channels_last"):
        _channels_last([*nets, getattr(pipeline, "vae", None)])
    offload = options.get("offload") or "none"
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    if options.get("compile"):
        for net in nets:
            net.compile()


def _method(part: Any, method: str, option: str, pipeline: Any, *, where: str) -> Any:
    if not hasattr(part, method):
        message = f"{type(pipeline).__name__} has no autoencoder that `{option}` can be set for"
        raise ConfigError(message, where=where, hint=f"leave `{option}` out")
    return getattr(part, method)


def _channels_last(parts: list[Any]) -> None:
    import torch

    for part in parts:
        if part is not None:
            part.to(memory_format=torch.channels_last)
