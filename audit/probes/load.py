# SPDX-License-Identifier: Apache-2.0
"""Find a probe set by name or path and read it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from audit.documents import Document, explain, read_document
from audit.errors import AuditError, ProbeError
from audit.paths import data_root
from audit.probes._expand import declared_groups, expand
from audit.probes._wordings import AXIS, ORIGINAL, reworded
from audit.probes.canonical import sha256_of
from audit.probes.format import ProbeBlock
from audit.types import DeclaredGroups, Prompt
from audit.wordings import WordingsBlock

__all__ = ["AXIS", "ORIGINAL", "ProbeSet", "list_probe_sets", "load_probe_set"]


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """What is asked, how often, and what the answers are compared with.

    Attributes:
        name, version, title, purpose, licence: from the file.
        card: description, source, design, limits, language and date of creation (ISO 8601).
        prompts: expanded, in file order.
        repetitions: images a prompt, unless the audit file says otherwise.
        by: template axes that results are sliced by.
        groups: declared groups and reference shares by attribute.
        asks: by attribute, the axis whose value is the group that a prompt asks for.
        paired: axes whose values are exchanged at equal seeds.
        digest: sha256 (hex) over everything that decides what is asked and compared; neither the layout of the file nor
            its comments, title and card change it.
        path: the file it was read from.
    """

    name: str
    version: str
    title: str
    purpose: Literal["bias", "quality", "likeness"]
    licence: str
    card: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    repetitions: int
    by: tuple[str, ...]
    groups: Mapping[str, DeclaredGroups]
    digest: str
    path: Path
    asks: Mapping[str, str] = field(default_factory=dict)
    paired: tuple[str, ...] = ()

    def declares(self, design: str | None) -> bool:
        """Whether the set holds what a metric of that `MetricSpec.design` is about."""
        if design == "poles":
            return any("pole" in prompt.axes for prompt in self.prompts)
        here = {"asks": bool(self.asks), "paired": bool(self.paired), "wordings": AXIS in self.paired}
        return design is None or here[design]

    @property
    def wordings(self) -> dict[str, int]:
        """Prompts by wording, the original first; empty for a set that is asked as it stands."""
        worded = any(prompt.meant is not None for prompt in self.prompts)
        return dict(Counter(prompt.axes[AXIS] for prompt in self.prompts)) if worded else {}

    @property
    def as_it_stands(self) -> tuple[Prompt, ...]:
        """The prompts in their original wording, which is what all measures but the paired ones are of."""
        return tuple(prompt for prompt in self.prompts if prompt.meant is None)

    def first(self, limit: int | None) -> tuple[Prompt, ...]:
        """The first so many prompts, each with all of its wordings; all of them without a limit."""
        if limit is None:
            return self.prompts
        starts = [i for i, prompt in enumerate(self.prompts) if prompt.meant is None]
        return self.prompts[: starts[limit]] if limit < len(starts) else self.prompts


def load_probe_set(name_or_path: str | Path, *, wordings: WordingsBlock | None = None) -> ProbeSet:
    """Read and check one probe set.

    Args:
        name_or_path: the name of a bundled set ("occupations"), or the path of a YAML file.
        wordings: other words that an audit file asks it in; file names in it are seen from the working directory.

    Raises:
        ProbeError: unknown name, unreadable file, a breach of the format, with file, line and column, or wordings that
            the set cannot be asked in.

    >>> nurses = load_probe_set("occupations").prompts[0]
    >>> nurses.id, nurses.text
    ('occupations/nurse', 'a portrait of a nurse')
    """
    path = _find(name_or_path)
    document = read_document(path, kind="probe set", error=ProbeError)
    try:
        block = ProbeBlock.model_validate(document.data)
    except ValidationError as error:
        raise explain(error, document=document, model=ProbeBlock) from None
    block, prompts = _asked(block, document, wordings)
    groups = declared_groups(block, document, prompts)
    return ProbeSet(
        name=block.name,
        version=block.version,
        title=block.title,
        purpose=block.purpose,
        licence=block.licence,
        card={key: str(value) for key, value in block.card.model_dump(mode="json").items()},
        prompts=prompts,
        repetitions=block.repetitions,
        by=tuple(block.by),
        groups=groups,
        digest=_digest(block, prompts, groups),
        path=path,
        asks=dict(block.asks),
        paired=tuple(block.paired),
    )


def _asked(
    block: ProbeBlock, document: Document, wordings: WordingsBlock | None
) -> tuple[ProbeBlock, tuple[Prompt, ...]]:
    """The prompts in every wording, and the block with the axis that these make."""
    prompts = expand(block, document)
    if block.wordings is None and wordings is None:
        return block, prompts
    if block.wordings is not None and wordings is not None:
        hint = "take `wordings` out of the audit file"
        raise ProbeError("the set has wordings of its own", where=document.place(["wordings"]), hint=hint)

    def fail(message: str, loc: Sequence[str | int] = (), *, hint: str | None = None) -> AuditError:
        if wordings is not None:
            said = ".".join(map(str, ["wordings", *loc]))
            return ProbeError(f"{said}: {message}", where=f"audit file, probe set {block.name}", hint=hint)
        return document.failure(message, ["wordings", *loc], hint=hint)

    folder = document.path.parent if wordings is None else Path()
    found = reworded(prompts, block.wordings or wordings or WordingsBlock(), folder=folder, fail=fail)
    return block.model_copy(update={"paired": [*block.paired, AXIS]}), found


def list_probe_sets() -> tuple[ProbeSet, ...]:
    """All bundled sets, by purpose and name. Raises ProbeError for the first that does not load."""
    sets = [load_probe_set(path) for path in _files().values()]
    return tuple(sorted(sets, key=lambda probe_set: (probe_set.purpose, probe_set.name)))


def _files() -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted((data_root() / "probes").glob("**/*.yaml")):
        if path.stem in files:
            raise ProbeError(f"two probe sets are called {path.stem!r}", where=str(path), hint="rename one of them")
        files[path.stem] = path
    return files


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        return path
    files = _files()
    if path.name not in files:
        near = difflib.get_close_matches(path.name, files, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(files)}; or give the path of a YAML file"
        raise ProbeError(f"no probe set is called {path.name!r}", hint=hint)
    return files[path.name]


def _digest(block: ProbeBlock, prompts: tuple[Prompt, ...], groups: Mapping[str, DeclaredGroups]) -> str:
    # what a set does not use is left out, so that sets written before it keep their digests
    more = {name: value for name, value in (("asks", block.asks), ("paired", block.paired)) if value}
    others = {name: {key: asdict(other) for key, other in g.others.items()} for name, g in groups.items() if g.others}
    return sha256_of(
        {
            **more,
            **({"others": others} if others else {}),
            "name": block.name,
            "version": block.version,
            "purpose": block.purpose,
            "licence": block.licence,
            "prompts": [
                {
                    **({"meant": p.meant} if p.meant else {}),
                    "id": p.id,
                    "text": p.text,
                    "axes": p.axes,
                    "negative": p.negative,
                    "tags": p.tags,
                }
                for p in prompts
            ],
            "repetitions": block.repetitions,
            "by": block.by,
            "groups": {
                name: {"groups": g.groups, "reference": g.reference, "source": g.source, "year": g.year}
                for name, g in groups.items()
            },
        }
    )
