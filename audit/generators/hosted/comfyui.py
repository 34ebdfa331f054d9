# SPDX-License-Identifier: Apache-2.0
"""ComfyUI: a workflow in API format, filled in for each request and queued."""

from __future__ import annotations

import copy
import hashlib
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from audit.errors import ConfigError
from audit.generators.hosted._base import Ask, HostedGenerator, Picture
from audit.generators.hosted._replies import Again, Declined, Stopped, TooLate, check
from audit.generators.hosted._workflow import Workflow, read_workflow
from audit.types import GeneratorSpec, Outcome, Request, Scalar, size_of

__all__ = ["ComfyUIGenerator"]

_NAMESPACE: Final = uuid.UUID("5f6c2f0e-0f0b-5e5c-9d51-6f1d9a3b7c11")
_GRACE = 5.0  # seconds
_QUEUE_EVERY = 10  # polls between two looks at the queue


class ComfyUIGenerator(HostedGenerator):
    """``POST /prompt``, then ``/history/{id}`` until it is done, then ``/view``.

    Args:
        name: in the configuration.
        model: a word for the tables; default: the name of the workflow file.
        params: values for places of the workflow: ``size`` (512 or "512x768"), ``steps``, ``guidance`` ...
        options: ``workflow``: JSON file in API format; ``inputs``: what goes where, e.g.
            ``{prompt: 6.inputs.text, seed: 3.inputs.seed, width: 5.inputs.width, height: 5.inputs.height}``, in place
            of placeholders like ``%prompt%`` in the file; ``output``: node whose picture counts (default: the first
            that saves one); ``poll``: seconds between two questions (0.5); ``base_url`` (http://127.0.0.1:8188);
            ``key_env``; and those that all hosted generators have.

    Raises:
        ConfigError: no workflow, one that is not in API format, a place that is not in it, or no place for prompt or
            seed.
    """

    kind: ClassVar[str] = "comfyui"
    own_options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "inputs": dict,
        "output": (str, int),
        "poll": (int, float),
        "workflow": str,
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "base_url": "http://127.0.0.1:8188",
        "idempotent": True,  # a try that was queued is looked up, not queued again
    }

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, model=model, params=params, options=options)
        where = f"{self._where}: options"
        path = self._options.get("workflow")
        if not path:
            hint = "set options.workflow to the file that `Export (API)` wrote"
            raise ConfigError("no workflow given", where=where, hint=hint)
        self._path = Path(path).expanduser()
        self._workflow: Workflow = read_workflow(self._path, self._options.get("inputs"), where=where)
        self._workflow.check_params(self._params, where=f"{self._where}: params")
        output = self._options.get("output")
        self._output = None if output is None else str(output)
        if self._output is not None and self._output not in self._workflow.nodes:
            raise ConfigError(f"the workflow has no node {self._output!r}", where=where)
        self._poll = float(self._options.get("poll") or 0.5)

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the workflow's digest is told; the weights that its loaders name cannot be seen."""
        digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
        can = {"text", "seed"} | ({"negative"} if "negative" in self._workflow.places else set())
        can |= {"size"} if {"width", "height"} <= set(self._workflow.places) else set()
        label = self._model or self._path.stem
        details = self._details(model=label, workflow=self._path.name, workflow_sha256=digest)
        return GeneratorSpec(self.name, self.kind, label, None, capabilities=frozenset(can), details=details)

    def _draw(self, ask: Ask) -> Picture:
        entry = self._finished(ask, self._queued(ask))
        image = _image_of(entry, self._output)
        if image is None and not ask.notes.get("again"):
            # An identical graph is not executed again, and some versions then report no output. Saved under another
            # name, the same picture comes out of the server's cache.
            ask.notes |= {"again": True, "id": None}
            entry = self._finished(ask, self._queued(ask))
            image = _image_of(entry, self._output)
        if image is None:
            raise Declined(Outcome.ERROR, "the workflow ended without a picture; has it a SaveImage node?")
        keys = ("filename", "subfolder", "type")
        query = urlencode({key: str(image.get(key) or "") for key in keys})
        data = ask.fetch(f"{self._settings.base_url}/view?{query}")
        meta: dict[str, Scalar] = {"seed": self._seed(ask.request), "request_id": str(ask.notes["id"])}
        return Picture(data, meta, size_of(ask.request.params))

    def _queued(self, ask: Ask) -> str:
        """The id under which the request waits in the server; queued only if it does not yet."""
        if ask.notes.get("id"):
            return str(ask.notes["id"])
        again = bool(ask.notes.get("again"))
        own = str(uuid.uuid5(_NAMESPACE, f"{ask.request.id}{'+' if again else ''}"))
        if ask.tries > 1 and self._is_there(ask, own):
            ask.notes["id"] = own
            return own
        graph = self._graph(ask.request, again=again)
        answer = ask.send("POST", f"{self._settings.base_url}/prompt", {"prompt": graph, "prompt_id": own}).json()
        told = answer.get("prompt_id") if isinstance(answer, dict) else None
        if not isinstance(told, str) or not told.replace("-", "").isalnum():
            raise Again("the server gave the request no id", unknown=True, garbage=True)
        ask.notes["id"] = told
        return told

    def _graph(self, request: Request, *, again: bool) -> dict[str, Any]:
        values: dict[str, Any] = {**request.params, "prompt": request.prompt.text, "seed": self._seed(request)}
        if request.prompt.negative is not None:
            values["negative"] = request.prompt.negative
        if size := size_of(request.params):
            values |= {"width": size[0], "height": size[1]}
        graph = self._workflow.filled(values)
        if again:
            graph = copy.deepcopy(graph)
            for node in graph.values():
                if isinstance(node["inputs"].get("filename_prefix"), str):
                    node["inputs"]["filename_prefix"] += f"_{request.id[:12]}"
        return graph

    def _told(self, ask: Ask, route: str) -> Any:
        """What the server says of its work; a question under way at the deadline is still answered."""
        deadline = max(ask.deadline, time.monotonic() + _GRACE)
        reply = ask.wire.call("GET", f"{self._settings.base_url}/{route}", deadline=deadline)
        check(reply, where=ask.where, hint=ask.hint)
        return reply.json()

    def _is_there(self, ask: Ask, name: str) -> bool:
        history = self._told(ask, f"history/{name}")
        return (isinstance(history, dict) and name in history) or self._waits(ask, name)

    def _waits(self, ask: Ask, name: str) -> bool:
        queue = self._told(ask, "queue")
        told = queue if isinstance(queue, dict) else {}
        rows = [row for key in ("queue_running", "queue_pending") for row in told.get(key) or ()]
        return any(isinstance(row, list) and len(row) > 1 and row[1] == name for row in rows)

    def _finished(self, ask: Ask, name: str) -> dict[str, Any]:
        """What the history holds of a request. Raises Declined for a graph that failed, Again where it was lost."""
        polls = missing = 0
        while True:
            history = self._told(ask, f"history/{name}")
            if isinstance(history, dict) and isinstance(history.get(name), dict):
                entry: dict[str, Any] = history[name]
                if why := _failure(entry):
                    raise Declined(Outcome.ERROR, why)
                return entry
            polls += 1
            # A request that just left the queue may not be in the history yet, so it is missed twice before it is lost.
            if polls % _QUEUE_EVERY == 0:
                missing = 0 if self._waits(ask, name) else missing + 1
                if missing > 1:
                    ask.notes["id"] = None
                    raise Again("the server lost the request (restarted?)", unknown=False)
            if time.monotonic() + self._poll > ask.deadline:
                self._forget(ask, name)
                raise TooLate("the workflow did not finish before the deadline of this image")
            if ask.wire.stop.wait(self._poll):
                raise Stopped

    def _forget(self, ask: Ask, name: str) -> None:
        """Take a request that nobody waits for out of the queue; best effort."""
        try:
            url = f"{self._settings.base_url}/queue"
            ask.wire.call("POST", url, json={"delete": [name]}, deadline=time.monotonic() + _GRACE)
        except (Again, Declined, TooLate):
            return


def _failure(entry: Mapping[str, Any]) -> str | None:
    """Node and text of what failed, None for success; versions before 0.0.2 tell no status."""
    status = entry.get("status")
    if not isinstance(status, dict):
        return None
    for message in status.get("messages") or ():
        kind, told = (message[0], message[1]) if isinstance(message, list) and len(message) > 1 else (None, None)
        if kind == "execution_error" and isinstance(told, dict):
            node = f"node {told.get('node_id')} ({told.get('node_type')})"
            return f"{node}: {told.get('exception_type')}: {str(told.get('exception_message')).strip()}"
        if kind == "execution_interrupted":
            return "somebody interrupted the server"
    return "the server reports an error without a text" if status.get("status_str") == "error" else None


def _image_of(entry: Mapping[str, Any], output: str | None) -> dict[str, Any] | None:
    """The first saved picture, else the first preview; of ``output`` only, where one is named."""
    outputs = entry.get("outputs")
    nodes = outputs if isinstance(outputs, dict) else {}
    rows = [nodes.get(output)] if output is not None else [nodes[key] for key in sorted(nodes)]
    images = [image for row in rows if isinstance(row, dict) for image in row.get("images") or ()]
    images = [image for image in images if isinstance(image, dict) and image.get("filename")]
    return next((image for image in images if image.get("type") == "output"), images[0] if images else None)
