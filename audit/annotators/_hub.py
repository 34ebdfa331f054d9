# SPDX-License-Identifier: Apache-2.0
"""Files of a model on the hub, from the cache or the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audit.checkpoints import quiet
from audit.errors import AnnotatorError

__all__ = ["snapshot"]


def snapshot(model: str, revision: str | None, *, files: Sequence[str], local_files_only: bool, where: str) -> Path:
    """The folder of a hub id.

    Args:
        model: ``owner/name``.
        revision: commit, branch or tag; None: the newest.
        files: patterns of the files at the top of the repository that are wanted.
        local_files_only: take it from the cache or not at all.
        where: place for messages.

    Raises:
        AnnotatorError: not cached and no network.
    """
    from huggingface_hub import snapshot_download

    try:
        with quiet():
            return Path(
                snapshot_download(
                    model,
                    revision=revision,
                    allow_patterns=list(files),
                    ignore_patterns=["*/*"],
                    local_files_only=local_files_only,
                )
            )
    except Exception as error:  # the hub's client and its transport each have their own errors
        message = f"{model} is not in the cache and cannot be downloaded: {type(error).__name__}"
        at = f" --revision {revision}" if revision else ""
        hint = f"where there is network: hf download {model}{at}; or set the option `model` to a folder"
        raise AnnotatorError(message, where=where, hint=hint) from error
