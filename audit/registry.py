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
        families: prefix -> ``"module:function"`` that makes what ``<prefix>:<name>`` stands for, given the name; these
            are found, and never listed.
    """

    def __init__(self, group: str, builtin: Mapping[str, str], families: Mapping[str, str] | None = None) -> None:
        self.group, self._builtin, self._families = group, builtin, families or {}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._builtin, *(point.name for point in _external(self.group))}))

    def __contains__(self, name: object) -> bool:
        return name in set(self) or (isinstance(name, str) and self._family(name) is not None)

    def describe(self, name: str) -> PluginInfo:
        """Target, distribution and version of ``name``. Raises PluginError for unknown or doubly owned names."""
        owners = [self._info(point) for point in _external(self.group) if point.name == name]
        target = self._builtin.get(name) or self._family(name)
        if target is not None:
            from audit import __version__  # late: the package root must not depend on the registry

            owners.append(PluginInfo(name, target, "genaudit", __version__))
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
            found = getattr(import_module(module), attribute)
            return found(name.partition(":")[2]) if info.target == self._family(name) else found
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(
                f"{self._kind} {name!r} of {info.distribution} {info.version} does not load: {error}",
                where=info.target,
                hint=f"repair or uninstall {info.distribution}; `genaudit doctor` checks the installation",
            ) from error

    @property
    def _kind(self) -> str:
        return self.group.removeprefix("audit.").removesuffix("s")

    def _family(self, name: str) -> str | None:
        """What makes ``<prefix>:<name>``, None where it is no such name."""
        prefix, _, rest = name.partition(":")
        return self._families.get(prefix) if rest else None

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
        "aesthetic": "audit.annotators.aesthetic:AestheticAnnotator",
        "attributes": "audit.annotators.attributes:AttributeAnnotator",
        "classifier": "audit.annotators.classifier:ClassifierAnnotator",
        "clip": "audit.annotators.clip:ClipAnnotator",
        "credentials": "audit.annotators.credentials:CredentialsAnnotator",
        "dinov2": "audit.annotators.dinov2:Dinov2Annotator",
        "discriminator": "audit.annotators.discriminator:DiscriminatorAnnotator",
        "faults": "audit.annotators.faults:FaultsAnnotator",
        "inception": "audit.annotators.inception:InceptionAnnotator",
        "judgements": "audit.annotators.judgements:JudgementsAnnotator",
        "likeness": "audit.annotators.likeness:LikenessAnnotator",
        "ocr": "audit.annotators.ocr:OcrAnnotator",
        "people": "audit.annotators.people:PeopleAnnotator",
        "preference": "audit.annotators.preference:PreferenceAnnotator",
        "scene": "audit.annotators.scene:SceneAnnotator",
        "skin_tone": "audit.annotators.skin_tone:SkinToneAnnotator",
        "sscd": "audit.annotators.sscd:SscdAnnotator",
        "style": "audit.annotators.style:StyleAnnotator",
        "torchmetrics": "audit.annotators.torchmetrics:TorchmetricsAnnotator",
        "vision": "audit.annotators.vision:VisionAnnotator",
        "vqa": "audit.annotators.vqa:VqaAnnotator",
        "vqa_score": "audit.annotators.vqa_score:VqaScoreAnnotator",
        "works": "audit.annotators.works:WorksAnnotator",
        "zero_shot": "audit.annotators.zero_shot:ZeroShotAnnotator",
    },
)
#: Instruments that read the reference world only, or that nobody can use without options: an audit names them.
OPT_IN_ANNOTATORS = frozenset(
    {
        "aesthetic",
        "classifier",
        "dinov2",
        "discriminator",
        "inception",
        "ocr",
        "judgements",
        "people",
        "preference",
        "scene",
        "sscd",
        "torchmetrics",
        "vision",
        "vqa",
        "vqa_score",
        "works",
        "zero_shot",
    }
)
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
        "cost.cpu_seconds_per_image": "audit.metrics.cost.cpu_seconds_per_image:METRIC",
        "cost.energy_per_image": "audit.metrics.cost.energy_per_image:METRIC",
        "cost.flops_per_image": "audit.metrics.cost.flops_per_image:METRIC",
        "cost.peak_memory": "audit.metrics.cost.peak_memory:METRIC",
        "cost.price_per_thousand": "audit.metrics.cost.price_per_thousand:METRIC",
        "cost.seconds_per_image": "audit.metrics.cost.seconds_per_image:METRIC",
        "likeness.copy_share": "audit.metrics.likeness.copy_share:METRIC",
        "likeness.logo_share": "audit.metrics.likeness.logo_share:METRIC",
        "likeness.match_rate": "audit.metrics.likeness.match_rate:METRIC",
        "outcomes.answered": "audit.metrics.outcomes.answered:METRIC",
        "outcomes.distinct": "audit.metrics.outcomes.distinct:METRIC",
        "provenance.verified_share": "audit.metrics.provenance.verified_share:METRIC",
        "quality.aesthetic": "audit.metrics.quality.aesthetic:METRIC",
        "quality.banding": "audit.metrics.quality.faults:BANDING",
        "quality.blank_share": "audit.metrics.quality.faults:BLANK_SHARE",
        "quality.blockiness": "audit.metrics.quality.faults:BLOCKINESS",
        "quality.blur": "audit.metrics.quality.faults:BLUR",
        "quality.checkerboard": "audit.metrics.quality.checkerboard:METRIC",
        "quality.clip_s": "audit.metrics.quality.clip_s:METRIC",
        "quality.clip_score": "audit.metrics.quality.clip_score:METRIC",
        "quality.clipping": "audit.metrics.quality.faults:CLIPPING",
        "quality.cmmd": "audit.metrics.quality.cmmd:METRIC",
        "quality.coverage": "audit.metrics.quality.neighbours:COVERAGE",
        "quality.density": "audit.metrics.quality.neighbours:DENSITY",
        "quality.difference": "audit.metrics.quality.difference:METRIC",
        "quality.discriminator_score": "audit.metrics.quality.discriminator_score:METRIC",
        "quality.effective_resolution": "audit.metrics.quality.effective_resolution:METRIC",
        "quality.frechet_distance": "audit.metrics.quality.frechet_distance:METRIC",
        "quality.inception_score": "audit.metrics.quality.inception_score:METRIC",
        "quality.judge_drift": "audit.metrics.quality.judged:DRIFT",
        "quality.judged_correct": "audit.metrics.quality.judged:CORRECT",
        "quality.kernel_distance": "audit.metrics.quality.kernel_distance:METRIC",
        "quality.mifid": "audit.metrics.quality.memorisation:MIFID",
        "quality.near_duplicates": "audit.metrics.quality.near_duplicates:METRIC",
        "quality.noise": "audit.metrics.quality.faults:NOISE",
        "quality.precision": "audit.metrics.quality.neighbours:PRECISION",
        "quality.preference": "audit.metrics.quality.preference:METRIC",
        "quality.recall": "audit.metrics.quality.neighbours:RECALL",
        "quality.ringing": "audit.metrics.quality.faults:RINGING",
        "quality.robustness": "audit.metrics.quality.robustness:METRIC",
        "quality.training_distance": "audit.metrics.quality.memorisation:TRAINING_DISTANCE",
        "quality.vendi": "audit.metrics.quality.vendi:METRIC",
        "quality.vqa_score": "audit.metrics.quality.vqa_score:METRIC",
        "style.agreement": "audit.metrics.style.agreement:METRIC",
        "style.dispersion": "audit.metrics.style.dispersion:METRIC",
        "text.character_error_rate": "audit.metrics.text.character_error_rate:METRIC",
        "text.edit_similarity": "audit.metrics.text.edit_similarity:METRIC",
        "text.exact_match": "audit.metrics.text.exact_match:METRIC",
    },
    {"torchmetrics": "audit.metrics.torchmetrics:named"},
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
