# SPDX-License-Identifier: Apache-2.0
"""People's labels as an instrument like any other: what they said of an image, and which images they were shown."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._label_map import refuse_race
from audit.annotators._nets import objects
from audit.annotators._operating import measured
from audit.annotators._votes import KEYS, Vote, Votes, read_votes
from audit.checkpoints import check_options, digest_of
from audit.errors import ConfigError
from audit.images import pixel_digest
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["PeopleAnnotator"]


class PeopleAnnotator:
    """Labels by people, read from a table.

    An image is found by request id, by the digest of its file or by that of its pixels, whichever column the table has
    first. Where a table tells both request and pixels, both must agree: a label is of a picture, and another picture
    drawn for the same request has none. Several raters are settled by majority, ties to "could not tell"; an image
    without a label is None.

    Args:
        **options: ``table`` (``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``; see docs/labels.md), ``attributes``
            (groups by attribute, e.g. ``{presentation: [feminine, masculine]}``; default: as the card beside the
            table says), ``operating`` (file with the people's own error, measured on images whose truth is known;
            default: none, and labels are then taken for what is perceived), ``allow_race`` (False: attributes of race
            are refused).

    Raises:
        ConfigError: an unknown option, no table, or one that cannot be read.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        where = "annotator 'people'"
        known = {"table": str, "attributes": dict, "operating": str, "allow_race": bool}
        check_options(options, known, where=where)
        if not options.get("table"):
            hint = "instruments.options: {people: {table: runs/quickstart/labels/labels.parquet}}"
            raise ConfigError("no table of labels given", where=where, hint=hint)
        self._table = Path(options["table"]).expanduser()
        self._votes = read_votes(self._table, _attributes(options.get("attributes"), where))
        refuse_race(self._votes.attributes, allowed=bool(options.get("allow_race")), where=where)
        self._operating = measured(options.get("operating"), self._votes.attributes, where=where)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity: digest over the table, the declared groups and the raters' own error."""
        content = {
            "version": self.version,
            "table": hashlib.sha256(self._table.read_bytes()).hexdigest(),
            "attributes": {name: list(groups) for name, groups in self._votes.attributes.items()},
            "operating": {name: [oc.truth, oc.answers, oc.counts] for name, oc in self._operating.items()},
        }
        columns: dict[str, str] = {}
        for name, groups in self._votes.attributes.items():
            columns[name] = f"perceived {name} by people: {', '.join(groups)} or 'could not tell'; None without a label"
            columns[f"{name}_weight"] = "images that this one stands for (inverse inclusion probability); NaN: no label"
            columns[f"{name}_raters"] = "people behind the label; NaN without one"
        return AnnotatorSpec("people", self.version, digest_of(content), columns, operating=self._operating)

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        keys = [_key(image, self._votes) for image in images]
        out: dict[str, NDArray[Any]] = {}
        for name, found in self._votes.found.items():
            votes = [found.get(key) if key is not None else None for key in keys]
            out[name] = objects([vote.label if vote else None for vote in votes])
            out[f"{name}_weight"] = _floats(votes, "weight")
            out[f"{name}_raters"] = _floats(votes, "raters")
        return out


def _key(image: ImageRecord, votes: Votes) -> str | None:
    """Under which key the table holds this very picture, None where it does not."""
    key = {"request_id": image.request_id, "sha256": image.sha256}.get(votes.key) or pixel_digest(image.rgb)
    shown = votes.pixels.get(key)
    return key if shown is None or votes.key == "pixels" or shown == pixel_digest(image.rgb) else None


def _floats(votes: Sequence[Vote | None], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if vote is None else getattr(vote, name) for vote in votes], dtype=np.float64)


def _attributes(raw: Any, where: str) -> dict[str, list[str]] | None:
    if raw is None:
        return None
    for name, groups in raw.items():
        if not isinstance(groups, list) or len(groups) < 2 or name in KEYS:
            hint = "attributes: {presentation: [feminine, masculine]}"
            raise ConfigError(f"attribute {name!r} needs a list of two groups or more", where=where, hint=hint)
    return {str(name): [str(group) for group in groups] for name, groups in raw.items()}
