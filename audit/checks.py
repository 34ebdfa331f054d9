# SPDX-License-Identifier: Apache-2.0
"""Checks of the installation, each for a trap that was seen in the wild."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from audit import registry
from audit.errors import AuditError, ConfigError

__all__ = ["Check", "examine"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    found: str
    hint: str = ""


def examine() -> Iterator[Check]:
    """All checks, cheap ones first."""
    yield from _libraries()
    yield _torchvision()
    yield _torch_fidelity()
    yield from _plugins()
    yield _guarded("feature store", _features, "delete the folder, or set GENAUDIT_CACHE to another one")
    yield _guarded("bundled models", _weights, "reinstall genaudit; from a checkout, `make reference` trains them")
    yield _credentials()


def _libraries() -> Iterator[Check]:
    for name in ("torch", "diffusers", "transformers", "torchmetrics", "c2pa-python"):
        try:
            yield Check(name, True, version(name))
        except PackageNotFoundError:
            yield Check(name, False, "missing", f"pip install {name}")


def _imports(statement: str) -> str | None:
    """None if ``statement`` runs in a fresh interpreter, else the last line of what went wrong."""
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def _torchvision() -> Check:
    """A torchvision that does not match torch breaks `import torchmetrics` and transformers' image processors."""
    if find_spec("torchvision") is None:
        return Check("torchvision", True, "absent (not needed)")
    problem = _imports("import torchvision")
    return Check("torchvision", problem is None, problem or "imports", "pip uninstall torchvision")


def _torch_fidelity() -> Check:
    """torch-fidelity without torchvision breaks `import torchmetrics`."""
    if find_spec("torch_fidelity") is None:
        return Check("torch-fidelity", True, "absent (not needed)")
    problem = _imports("import torchmetrics")
    return Check("torch-fidelity", problem is None, problem or "does no harm", "pip uninstall torch-fidelity")


def _plugins() -> Iterator[Check]:
    for kind in ("GENERATORS", "ANNOTATORS", "METRICS", "RULES", "RENDERERS"):
        table: registry.Registry = getattr(registry, kind)
        for name in table:
            try:
                info = table.describe(name)
                if info.distribution != "genaudit":
                    table.get(name)
                    yield Check(f"plug-in {name}", True, f"{info.distribution} {info.version}")
            except AuditError as error:
                yield Check(f"plug-in {name}", False, str(error), error.hint or "")


def _guarded(name: str, look: Callable[[], str], hint: str) -> Check:
    try:
        return Check(name, True, look())
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here is what the user asked about
        return Check(name, False, f"{type(error).__name__}: {error}", hint)


def _features() -> str:
    """How much room the stored features take; they can be deleted at any time."""
    from audit.features.store import store_root, store_size

    size, extractors = store_size()
    return f"{size / 1e9:.2f} GB of {extractors} extractors in {store_root()}"


def _weights() -> str:
    from audit.reference.instruments import weights_dir

    names = ("attributes", "clip", "diffusion", "faces", "gan")
    missing = [name for name in names if not any(weights_dir(name).rglob("*.safetensors"))]
    if missing:
        raise FileNotFoundError(f"no weights for {', '.join(missing)}")
    return ", ".join(names)


def _credentials() -> Check:
    """The C2PA library is there, signs and verifies, and does all that stamps and verdicts rely on."""
    from audit.provenance import drift

    try:
        return Check("content credentials", True, drift.summary())
    except ConfigError as error:
        return Check("content credentials", False, error.message, error.hint or "")
