# SPDX-License-Identifier: Apache-2.0
"""What every network shares; a kind knows only how to open its file and how to call what was in it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from audit.checkpoints import check_options, licence_of
from audit.documents import explain_options
from audit.errors import AuditError, ConfigError, GeneratorError
from audit.generators._common import drawn, failed, lanes
from audit.generators._filter import PromptFilter, load_filter
from audit.generators._memory import free, out_of_memory
from audit.generators._pickles import TRUST
from audit.generators.networks._classes import read_classes
from audit.generators.networks._declared import Declaration, Noise, Truncation, read_declaration
from audit.generators.networks._feeds import Feeder, load_tokenizer
from audit.generators.networks._files import artefact, digest, download, place
from audit.generators.networks._pixels import levels, pick, pictures
from audit.generators.networks._plan import Plan, Slot, make_plan
from audit.types import Generation, GeneratorSpec, Request, Scalar

__all__ = ["Network"]

_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "classes": (str, dict),
    "file": str,
    "io": dict,
    "lanes": int,
    "local_files_only": bool,
    "revision": str,
    "truncation": (int, float, dict),
}


class Network(ABC):
    """A network that draws a picture in one pass over noise, a class or a text.

    An image depends on its own request only: its noise comes from its seed (see ``latent``) and every forward pass has
    the same number of rows. Where that many do not fit into memory, half are tried, and the smaller number is kept.

    Args:
        name: in the configuration.
        model: folder, file, or hub id.
        params: ``truncation`` (a number), and the numbers declared under ``inputs.constants``.
        options: ``io``: what goes in and comes out, as in ``generator.json``; ``truncation``: a number (threshold), or
            ``{kind: threshold|scale, value, mean}``; ``classes``: prompts to classes, a mapping or a file; ``lanes``:
            rows of a forward pass (8, or what the network was frozen at); ``file``: which file of the folder;
            ``revision`` and ``local_files_only`` for hub ids; and those of the kind.

    Raises:
        ConfigError: an unknown option or parameter, or a value that makes no sense.
        GeneratorError: nothing in the folder that can be driven, or a pickle.
    """

    kind: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    more: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}

    def __init__(
        self,
        name: str,
        *,
        model: str | None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where = name, f"generator {name!r}"
        self._options, self._params, self._model = dict(options or {}), dict(params or {}), str(model)
        check_options(self._options, {**_OPTIONS, **self.more}, where=f"{self._where}: options")
        self._lanes = 8 if self._options.get("lanes") is None else int(self._options["lanes"])
        if not 1 <= self._lanes <= 256:
            raise ConfigError(f"lanes must be between 1 and 256, got {self._lanes}", where=self._where)
        self._asked = self._lanes
        self._trusted = bool(self._options.get(TRUST))
        self._truncation = _truncation(self._options.get("truncation"), self._where)
        self._folder, self._named = place(model, where=self._where)
        self._path: Path | None = None
        self._declared = Declaration()
        self._feeder: Feeder | None = None
        self._filter: PromptFilter | None = None
        self._spec: GeneratorSpec | None = None
        self._frozen = self._alone = self._worked = False
        if self._folder is not None:
            self._prepare()

    @property
    def spec(self) -> GeneratorSpec:
        """Identity. Digests the files and opens the network once: only it says what it takes. Raises as ``load``."""
        if self._spec is None:
            feeder, path = self._ready(), self._prepare()
            folder, text = path.parent, self._declared.inputs.text
            plan, output = feeder.plan, self._declared.output
            given = {"class": plan.label, "text": plan.text}
            details: dict[str, Scalar] = {
                "file": path.name,
                "inputs": _inputs(plan),
                "layout": output.layout,
                "range": _span(output.range or self._implied_range()),
                "lanes": self._asked,
                "truncation": _told(self._truncation),
                **self._details(),
            }
            self._spec = GeneratorSpec(
                self.name,
                self.kind,
                self._model,
                digest(folder, self._named, [folder / text.tokenizer] if text else []),
                licence=licence_of(folder),
                capabilities=frozenset({"seed"} | {word for word, there in given.items() if there is not None}),
                details=details,
            )
        return self._spec

    def load(self) -> None:
        """Open the network now instead of on the first request. Raises ConfigError or GeneratorError."""
        if self._feeder is not None:
            return
        path = self._prepare()
        try:
            self._open(path)
        except AuditError:
            raise
        except Exception as error:  # every library has its own errors for broken files
            message = f"{path} does not load: {type(error).__name__}: {str(error).strip()[:300]}"
            hint = f"is it what docs/generators.md describes for kind: {self.kind}?"
            raise GeneratorError(message, where=self._where, hint=hint) from error
        declared, where = self._declared, self._where
        plan = make_plan(declared, self._slots(), where=where)
        count = plan.label.classes if plan.label else None
        if self._options.get("classes") is not None and plan.label is None:
            raise ConfigError("the network takes no class", where=f"{where}: options.classes", hint="leave it out")
        classes = read_classes(self._options.get("classes"), names=declared.names, count=count, where=where)
        tokenizer = load_tokenizer(plan.text, path.parent, where=where) if plan.text else None
        if plan.batch is not None:
            self._lanes, self._asked, self._frozen = plan.batch, plan.batch, True
        self._feeder = Feeder(plan, classes if plan.label else None, tokenizer, self._truncation, self._params, where)

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given. Raises GeneratorError for a network that never works."""
        feeder = self._ready()
        answers = self._filter.answers(batch) if self._filter else {}
        groups: dict[tuple[Any, ...], list[Request]] = {}
        for request in (request for request in batch if request.id not in answers):
            try:
                feeder.check(request)
            except ValueError as error:
                answers[request.id] = failed(request, str(error))
                continue
            groups.setdefault(tuple(sorted(request.params.items())), []).append(request)
        for group in groups.values():
            answers |= self._group(group)
        return [answers[request.id] for request in batch]

    def recall(self, metas: Iterable[Mapping[str, Scalar]]) -> None:
        """Go on with the number of rows that earlier images were drawn with, where memory had forced it down."""
        if self._frozen:
            return
        seen = [meta.get("lanes") for meta in metas]
        self._lanes = min([self._lanes, *(n for n in seen if isinstance(n, int) and not isinstance(n, bool) and n > 0)])

    def close(self) -> None:
        """Forget the weights."""
        self._feeder = None
        self._shut()

    @abstractmethod
    def _open(self, path: Path) -> None:
        """Load the file."""

    @abstractmethod
    def _slots(self) -> Sequence[Slot]:
        """The inputs of what was loaded."""

    @abstractmethod
    def _call(self, feeds: dict[str, Any], seed: int) -> tuple[Any, bool]:
        """One forward pass: what comes out, and whether the network drew random numbers of its own (from ``seed``)."""

    @abstractmethod
    def _array(self, tensor: Any) -> NDArray[Any]:
        """A tensor of the answer as an array."""

    @abstractmethod
    def _shut(self) -> None:
        """Forget what was loaded."""

    def _details(self) -> dict[str, Scalar]:
        return {}

    def _implied_range(self) -> tuple[float, float] | None:
        """The range of the output where the network itself says it."""
        return None

    def _ready(self) -> Feeder:
        self.load()
        assert self._feeder is not None
        return self._feeder

    def _prepare(self) -> Path:
        """The file, with the declaration and the filter beside it read. Raises ConfigError or GeneratorError."""
        if self._path is None:
            if self._folder is None:
                self._folder = download(self._model, self._options, self.suffixes, where=self._where)
            wish = self._named.name if self._named else self._options.get("file")
            path = artefact(self._folder, wish, self.suffixes, trusted=self._trusted, where=self._where)
            self._declared = read_declaration(self._options.get("io"), self._folder, where=self._where)
            known: dict[str, type | tuple[type, ...]] = {"truncation": (int, float)} if self._declared_noise() else {}
            known |= dict.fromkeys(self._declared.inputs.constants, (int, float, bool))
            check_options(self._params, known, where=f"{self._where}: params")
            self._filter = load_filter(self._folder, where=self._where)
            self._path = path
        return self._path

    def _declared_noise(self) -> bool:
        """Whether there is noise, or may be: an empty declaration leaves it to be found."""
        inputs = self._declared.inputs
        return bool(inputs.noise) or inputs.text is None

    def _group(self, group: list[Request]) -> dict[str, Generation]:
        """Answers of requests with the same parameters, by id."""
        answers: dict[str, Generation] = {}
        todo = group
        while todo:
            start = time.perf_counter()
            wanted, filled = next(lanes(todo[:1] if self._alone else todo, self._lanes))
            try:
                answer, random = self._forward(filled)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                self._halve(error)
                continue
            if random and not self._alone:
                # Its own random numbers depend on the row, so every request gets a pass begun from its own seed.
                self._alone, self._lanes = True, self._lanes if self._frozen else 1
                continue
            seconds = (time.perf_counter() - start) / len(wanted)
            answers |= {a.request_id: a for a in self._rows(wanted, filled, answer, seconds)}
            todo = todo[len(wanted) :]
        return answers

    def _forward(self, filled: list[Request]) -> tuple[NDArray[Any], bool]:
        feeds = self._ready().fill(filled)
        try:
            answer, random = self._call(feeds, filled[0].seed)
        except AuditError:
            raise
        except Exception as error:
            # A network that has worked may stumble over one request; one that never has cannot be driven.
            if self._worked or out_of_memory(error):
                raise
            message = f"the network fails on its inputs: {type(error).__name__}: {str(error).strip()[:300]}"
            raise GeneratorError(message, where=self._where, hint=f"it was fed {_fed(feeds)}") from error
        self._worked = True
        return self._array(pick(answer, self._declared.output, where=self._where)), random

    def _rows(
        self, wanted: list[Request], filled: list[Request], answer: NDArray[Any], seconds: float
    ) -> list[Generation]:
        try:
            batch = pictures(answer, self._declared.output)
            if len(batch) != len(filled):
                raise ValueError(f"the network answered {len(batch)} pictures for {len(filled)} rows")
        except ValueError as error:
            return [failed(request, str(error), seconds=seconds) for request in wanted]
        span = self._range(batch.dtype)
        return [self._row(request, picture, span, seconds) for request, picture in zip(wanted, batch, strict=False)]

    def _row(self, request: Request, picture: NDArray[Any], span: tuple[float, float], seconds: float) -> Generation:
        meta: dict[str, Scalar] = {"seed": request.seed, "lanes": self._lanes}
        try:
            return drawn(request, levels(picture, span), seconds=seconds, meta=meta)
        except ValueError as error:
            return failed(request, str(error), seconds=seconds)

    def _range(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        found = self._declared.output.range or self._implied_range()
        if found is None and np.issubdtype(dtype, np.integer):
            found = (0.0, 255.0)
        if found is None:
            message = "which range the pixels have is not known"
            hint = "say output.range in io or generator.json: [-1, 1] after tanh, [0, 1] after a sigmoid, or [0, 255]"
            raise GeneratorError(message, where=self._where, hint=hint)
        return found

    def _halve(self, error: BaseException) -> None:
        free()
        if self._frozen or self._lanes == 1:
            message = f"{self._lanes} images at once do not fit into memory: {str(error).strip()[:200]}"
            raise GeneratorError(message, where=self._where, hint="use a device with more memory") from error
        self._lanes //= 2


def _truncation(value: Any, where: str) -> Truncation | None:
    try:
        return Noise.model_validate({"truncation": value}).truncation
    except ValidationError as error:
        raise explain_options(error, where=f"{where}: options", model=Truncation) from None


def _told(truncation: Truncation | None) -> str | None:
    return None if truncation is None else f"{truncation.kind} {truncation.value:g}"


def _span(span: tuple[float, float] | None) -> str | None:
    return None if span is None else f"{span[0]:g} to {span[1]:g}"


def _inputs(plan: Plan) -> str:
    noises = [
        f"{name}: {noise.distribution} noise {list(shape)}"
        + (f", {_told(noise.truncation)}" if noise.truncation else "")
        for name, (noise, shape) in plan.noises.items()
    ]
    label = [f"{plan.label.name}: class ({plan.label.encoding})"] if plan.label else []
    text = [f"{plan.text.name}: text ({plan.text.tokenizer})"] if plan.text else []
    return "; ".join([*noises, *label, *text, *(f"{name}: {value}" for name, value in plan.constants.items())])


def _fed(feeds: Mapping[str, Any]) -> str:
    return ", ".join(f"{name!r} {getattr(value, 'shape', value)}" for name, value in feeds.items())
