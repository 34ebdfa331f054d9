# SPDX-License-Identifier: Apache-2.0
"""Files of weights that are no hub repositories: from a path, the user's cache, or where they are published."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlparse

from audit.errors import AnnotatorError, ConfigError
from audit.paths import cache_dir

__all__ = ["sha256_of", "weights_file"]

_SECONDS: Final = 60  # without a byte
_PREFIX: Final = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")  # torch.hub puts the first digits of the sha256 there


def weights_file(source: str | None, *, published: Sequence[str], local_files_only: bool, where: str) -> Path:
    """A file of weights; where its name ends in digits of its sha256, these are checked.

    Args:
        source: a path, an ``https://`` address, or None for what is published.
        published: addresses of the same weights; the first one is downloaded, any of them is taken from a cache
            (``weights`` in the user's cache, or that of ``torch.hub``).
        local_files_only: nothing is downloaded.
        where: place for messages.

    Raises:
        ConfigError: no such file.
        AnnotatorError: not there and not to be downloaded, or other weights than the name says.
    """
    if source is not None and not source.startswith("https://"):
        path = Path(source).expanduser()
        if not path.is_file():
            raise ConfigError(f"{source!r} is not a file", where=where, hint="check the path; an address is https://")
        return _checked(path, where=where)
    addresses = [source] if source else list(published)
    for address in addresses:
        for folder in (_own(), _of_hub()):
            path = folder / _name(address)
            if path.is_file():
                return _checked(path, where=where)
    if local_files_only:
        message, hint = f"{_name(addresses[0])} is not in the cache", _by_hand(addresses[0])
        raise AnnotatorError(message, where=where, hint=hint)
    return _download(addresses[0], where=where)


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked(path: Path, *, where: str) -> Path:
    promised = _PREFIX.search(path.name)
    if promised and not (found := sha256_of(path)).startswith(promised.group(1)):
        message = f"{path} has sha256 {found[:16]}..., its name says {promised.group(1)}"
        raise AnnotatorError(message, where=where, hint="delete the file and download it again")
    return path


def _download(address: str, *, where: str) -> Path:
    path = _own() / _name(address)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            half = Path(folder) / path.name
            with urllib.request.urlopen(address, timeout=_SECONDS) as source, half.open("wb") as sink:  # noqa: S310 - https
                shutil.copyfileobj(source, sink)
            _checked(half, where=where)
            return half.replace(path)
    except OSError as error:  # URLError, timeouts and a full disk are all of this kind
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        message = f"{address} cannot be downloaded: {getattr(error, 'reason', None) or error}"
        raise AnnotatorError(message, where=where, hint=_by_hand(address)) from error


def _by_hand(address: str) -> str:
    return f"where there is network: curl -L -O {address}; then set the option `weights` to the file"


def _name(address: str) -> str:
    return Path(urlparse(address).path).name


def _own() -> Path:
    return cache_dir() / "weights"


def _of_hub() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"
