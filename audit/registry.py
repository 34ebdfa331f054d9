# SPDX-License-Identifier: Apache-2.0
"""Names to objects. Built-ins are ``"module:attr"`` strings in static tables; others come by entry points.

Listing imports nothing. Loading happens on first use, and a plug-in that fails to load is an error that names its
distribution: an audit that silently lacks an instrument is worse than none.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from audit.errors import PluginError

__all__ = [
    "ANNOTATORS",
    "GENERATORS",
    "METRICS",
    "OPT_IN_ANNOTATORS",
    "RENDERERS",
    "RULES",
    "PluginInfo",
    "Registry",
]


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """Where a name comes from, without importing it."""

    name: str
    target: str
    distribution: str
    version: str


@cache
def _external(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


class Registry:
    """One kind of plug-in.

    Args:
        group: entry point group, e.g. ``"audit.metrics"``.
        builtin: public name -> ``"module:attr"``.
    """

    def __init__(self, group: str, builtin: Mapping[str, str]) -> None:
        self.group, self._builtin = group, builtin

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._builtin, *(point.name for point in _external(self.group))}))

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def describe(self, name: str) -> PluginInfo:
        """Target, distribution and version of ``name``. Raises PluginError for unknown or doubly owned names."""
        owners = [self._info(point) for point in _external(self.group) if point.name == name]
        if name in self._builtin:
            from audit import __version__  # late: the package root must not depend on the registry

            owners.append(PluginInfo(name, self._builtin[name], "genaudit", __version__))
        if not owners:
            raise PluginError(f"no {self._kind} called {name!r}", hint=self._hint(name))
        if len(owners) > 1:
            both = " and ".join(sorted(owner.distribution for owner in owners))
            raise PluginError(f"{self._kind} {name!r} is claimed by {both}", hint="uninstall one of them")
        return owners[0]

    def get(self, name: str) -> Any:
        """The object behind ``name``, imported on first use. Raises PluginError."""
        info = self.describe(name)
        module, _, attribute = info.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"{self._kind} {name!r} of {info.distribution} {info.version} does not load: {error}",
                where=info.target,
                hint=f"repair or uninstall {info.distribution}; `genaudit doctor` checks the installation",
            ) from error

    @property
    def _kind(self) -> str:
        return self.group.removeprefix("audit.").removesuffix("s")

    @staticmethod
    def _info(point: EntryPoint) -> PluginInfo:
        dist = point.dist
        return PluginInfo(point.name, point.value, dist.name if dist else "?", dist.version if dist else "?")

    def _hint(self, name: str) -> str:
        near = difflib.get_close_matches(name, list(self), n=1)
        return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self)}"


# A generator factory takes (name, model, params); an annotator factory takes the instrument options; a metric is an
# object; a rule factory takes its block of the policy; a renderer is an object with `name`, `suffix` and `render`.
GENERATORS = Registry(
    "audit.generators",
    {
        "automatic1111": "audit.generators.hosted.automatic1111:Automatic1111Generator",
        "callable": "audit.generators.callable:CallableGenerator",
        "comfyui": "audit.generators.hosted.comfyui:ComfyUIGenerator",
        "diffusers": "audit.generators.pipelines:DiffusersGenerator",
        "folder": "audit.generators.folder:FolderGenerator",
        "gan": "audit.generators.decoders:GanGenerator",
        "huggingface": "audit.generators.hosted.huggingface:HuggingFaceGenerator",
        "module": "audit.generators.networks:ModuleGenerator",
        "onnx": "audit.generators.networks:OnnxGenerator",
        "openai": "audit.generators.hosted.openai:OpenAIGenerator",
        "program": "audit.generators.networks:ProgramGenerator",
        "recurrent": "audit.generators.decoders:RecurrentGenerator",
        "renderer": "audit.generators.renderer:RendererGenerator",
        "vae": "audit.generators.decoders:VaeGenerator",
    },
)
ANNOTATORS = Registry(
    "audit.annotators",
    {
        "attributes": "audit.annotators.attributes:AttributeAnnotator",
        "classifier": "audit.annotators.classifier:ClassifierAnnotator",
        "clip": "audit.annotators.clip:ClipAnnotator",
        "credentials": "audit.annotators.credentials:CredentialsAnnotator",
        "discriminator": "audit.annotators.discriminator:DiscriminatorAnnotator",
        "faults": "audit.annotators.faults:FaultsAnnotator",
        "likeness": "audit.annotators.likeness:LikenessAnnotator",
        "people": "audit.annotators.people:PeopleAnnotator",
        "scene": "audit.annotators.scene:SceneAnnotator",
        "skin_tone": "audit.annotators.skin_tone:SkinToneAnnotator",
        "vqa": "audit.annotators.vqa:VqaAnnotator",
        "works": "audit.annotators.works:WorksAnnotator",
        "zero_shot": "audit.annotators.zero_shot:ZeroShotAnnotator",
    },
)
#: Instruments that read the reference world only, or that nobody can use without options: an audit names them.
OPT_IN_ANNOTATORS = frozenset({"classifier", "discriminator", "people", "scene", "vqa", "works", "zero_shot"})
METRICS = Registry(
    "audit.metrics",
    {
        "bias.amplification": "audit.metrics.bias.amplification:METRIC",
        "bias.as_published": "audit.metrics.bias.as_published:METRIC",
        "bias.association": "audit.metrics.bias.association:METRIC",
        "bias.clusters": "audit.metrics.bias.clusters:METRIC",
        "bias.counterfactual": "audit.metrics.bias.counterfactual:METRIC",
        "bias.diversity": "audit.metrics.bias.diversity:METRIC",
        "bias.entropy": "audit.metrics.bias.entropy:METRIC",
        "bias.gap_to_reference": "audit.metrics.bias.gap_to_reference:METRIC",
        "bias.intersection": "audit.metrics.bias.intersection:METRIC",
        "bias.jensen_shannon": "audit.metrics.bias.jensen_shannon:METRIC",
        "bias.obedience": "audit.metrics.bias.obedience:METRIC",
        "bias.obedience_gap": "audit.metrics.bias.obedience_gap:METRIC",
        "bias.representation_gap": "audit.metrics.bias.representation_gap:METRIC",
        "bias.representation_ratio": "audit.metrics.bias.representation_ratio:METRIC",
        "bias.service_parity": "audit.metrics.bias.service_parity:METRIC",
        "bias.total_variation": "audit.metrics.bias.total_variation:METRIC",
        "bias.worst_group": "audit.metrics.bias.worst_group:METRIC",
        "cost.seconds_per_image": "audit.metrics.cost.seconds_per_image:METRIC",
        "likeness.copy_share": "audit.metrics.likeness.copy_share:METRIC",
        "likeness.logo_share": "audit.metrics.likeness.logo_share:METRIC",
        "likeness.match_rate": "audit.metrics.likeness.match_rate:METRIC",
        "outcomes.answered": "audit.metrics.outcomes.answered:METRIC",
        "outcomes.distinct": "audit.metrics.outcomes.distinct:METRIC",
        "provenance.verified_share": "audit.metrics.provenance.verified_share:METRIC",
        "quality.checkerboard": "audit.metrics.quality.checkerboard:METRIC",
        "quality.clip_score": "audit.metrics.quality.clip_score:METRIC",
        "quality.discriminator_score": "audit.metrics.quality.discriminator_score:METRIC",
        "quality.effective_resolution": "audit.metrics.quality.effective_resolution:METRIC",
        "quality.frechet_distance": "audit.metrics.quality.frechet_distance:METRIC",
        "style.agreement": "audit.metrics.style.agreement:METRIC",
        "text.character_error_rate": "audit.metrics.text.character_error_rate:METRIC",
        "text.exact_match": "audit.metrics.text.exact_match:METRIC",
    },
)
RULES = Registry(
    "audit.rules",
    {
        "all_of": "audit.policy.compose:AllOf",
        "any_of": "audit.policy.compose:AnyOf",
        "threshold": "audit.policy.rules:Threshold",
    },
)
RENDERERS = Registry(
    "audit.renderers",
    {
        "html": "audit.render.html:RENDERER",
        "json": "audit.render.results:RENDERER",
        "junit": "audit.render.junit:RENDERER",
        "md": "audit.render.markdown:RENDERER",
    },
)
