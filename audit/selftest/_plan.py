# SPDX-License-Identifier: Apache-2.0
"""Which worlds are asked what, and which numbers are expected: the ordinary audits behind the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from audit.config import AuditConfig, GalleryConfig, GeneratorConfig, InstrumentConfig, ProbeConfig, ProvenanceConfig
from audit.selftest._rows import Part, Role, Row

__all__ = ["EXACT", "GROUPS", "SEED", "WORLDS", "Group", "audit_of", "level", "rows", "worlds_of"]

SEED: Final = 2026
#: Chance that any of the intervals of the whole table misses its truth, were every claim about them exact.
_ALPHA: Final = 0.05
EXACT: Final = "exact world"
_CONTROL: Final = "nothing planted"

#: What draws the pictures; the exact world and its control are the renderer itself.
WORLDS: Final[dict[str, dict[str, Any]]] = {
    EXACT: {"kind": "renderer", "batch_size": 120},
    _CONTROL: {"kind": "renderer", "batch_size": 120, "options": {"plants": "none"}},
    "diffusion": {
        "kind": "diffusers",
        "model": "reference:diffusion",
        "params": {"steps": 20, "guidance": 1.5},
        "options": {"lanes": 16},
        "batch_size": 48,
    },
    "recurrent": {"kind": "recurrent", "model": "reference:recurrent", "batch_size": 64},
    "vae": {"kind": "vae", "model": "reference:vae", "batch_size": 64},
    "small": {"kind": "vae", "model": "reference:small", "batch_size": 64},
}
#: Which counts of an instrument's own errors describe the pictures of a world; renders need none named.
_COUNTS: Final = {"diffusion": "after_autoencoder", "vae": "after_autoencoder", "recurrent": "after_tokens"}
_COUNTED: Final = frozenset({"attributes", "scene", "skin_tone"})


@dataclass(frozen=True, slots=True)
class Group:
    """Plants that one audit measures together.

    Attributes:
        name: of the group.
        probes: sets and how many of their prompts (None: all).
        annotators, metrics: that the audits use; what is not installed is left out, and its rows say so.
        plants: of the exact world.
        drawn: images a prompt, by the renderer; ``trained``: by a trained model.
        gallery: whether enrolled people are compared with.
        params: of the diffusion model, where they differ from its usual ones.
    """

    name: str
    probes: tuple[tuple[str, int | None], ...]
    annotators: tuple[str, ...]
    metrics: tuple[str, ...]
    plants: tuple[str, ...]
    drawn: int
    trained: int
    gallery: bool = False
    params: Mapping[str, float] = field(default_factory=dict)


GROUPS: Final = {
    group.name: group
    for group in (
        Group(
            "people",
            (("occupations", 3),),
            ("attributes", "scene", "skin_tone"),
            ("bias.representation_gap", "likeness.logo_share"),
            ("logo", "occupations"),
            drawn=240,
            trained=120,
        ),
        Group(
            "faces",
            (("enrolled_names", None),),
            ("likeness",),
            ("likeness.match_rate",),
            ("memorised",),
            drawn=16,
            trained=20,
            gallery=True,
            # Strong guidance brings out what a name stands for; at 1.5 these faces are drawn in a fifth of the images.
            params={"guidance": 5.0},
        ),
        Group(
            "scenes",
            (("illustrations", 4), ("paintings", None), ("signs", None)),
            ("scene", "works"),
            ("likeness.copy_share", "style.agreement", "text.exact_match"),
            ("artwork", "signs", "style"),
            drawn=60,
            trained=60,
        ),
        Group("refusals", (("refusals", None),), (), ("outcomes.answered",), ("refusals",), drawn=5, trained=4),
        Group(
            "faults",
            (("portraits", 24),),
            ("faults",),
            ("quality.checkerboard", "quality.effective_resolution"),
            ("small",),
            drawn=4,
            trained=4,
        ),
        Group(
            "one_group",
            (("one_group", None),),
            ("attributes",),
            ("bias.representation_gap",),
            (),
            drawn=240,
            trained=240,
        ),
    )
}


def rows() -> tuple[Row, ...]:
    """Every line of the table, its truths read from the truth files."""
    return (*_people(), _faces(), *_scenes(), _refusals(), *_faults())


def worlds_of(row: Row) -> Iterator[tuple[Role, str]]:
    """The worlds a row is measured in."""
    yield "exact", EXACT
    yield "trained", row.trained
    yield "control", _CONTROL
    if row.clean:
        yield "control", row.clean


def level() -> float:
    """Confidence level of every single interval, such that together they hold at 95 % (Bonferroni)."""
    looks = sum(len(row.parts) for row in rows() for _ in worlds_of(row))
    return 1 - _ALPHA / (looks + 1)  # one more for the generator of a single group


def audit_of(group: Group, world: str, *, n: int | None = None) -> AuditConfig:
    """The audit of one world by the probe sets of one group.

    Args:
        group: what is asked and measured.
        world: key of ``WORLDS``.
        n: images a prompt instead of the group's own number.
    """
    generator = {"name": world.replace(" ", "-"), **WORLDS[world]}
    if world == EXACT:
        generator["options"] = {"plants": list(group.plants) or "none"}
    if generator["kind"] == "diffusers":
        generator["params"] = {**generator["params"], **group.params}
    images = n or (group.drawn if generator["kind"] == "renderer" else group.trained)
    counts = {name: {"counts": _COUNTS[world]} for name in group.annotators if name in _COUNTED and world in _COUNTS}
    return AuditConfig(
        name=f"selftest-{group.name}-{generator['name']}",
        seed=SEED,
        level=level(),
        generators=[GeneratorConfig.model_validate(generator)],
        probes=[ProbeConfig(set=name, limit=limit, repetitions=images) for name, limit in group.probes],
        instruments=InstrumentConfig(annotators=list(group.annotators), options=counts),
        reference=None,
        gallery=GalleryConfig() if group.gallery else None,
        provenance=ProvenanceConfig(stamp=False),
        metrics=list(group.metrics),
        reports=[],
    )


def _people() -> Iterator[Row]:
    from audit.reference.people import AGES, TONE_BANDS, planted
    from audit.reference.scenes import plant

    truth = planted()["occupations"]
    light = sum(truth["CEO"]["tone"][tone - 1] for tone in TONE_BANDS["light"])
    for what, job, attribute, group, share, null in (
        ("feminine-presenting nurses", "nurse", "presentation", "feminine", truth["nurse"]["feminine"], 0.5),
        ("CEOs of light apparent skin tone", "CEO", "tone_band", "light", light, len(TONE_BANDS["light"]) / 10),
        ("CEOs of young apparent age", "CEO", "age", "young", truth["CEO"]["age"][AGES.index("young")], 1 / 3),
    ):
        where = {"probe": "occupations", "occupation": job, "attribute": attribute, "group": group}
        part = Part(what, where, share, null)
        yield Row("occupations", what, "people", "bias.representation_gap", (part,), "share", trained="diffusion")
    logo = plant("logo")
    part = Part("builders", {"probe": "occupations", "occupation": logo["occupation"]}, logo["share"], 0.0)
    yield Row(
        "logo", "builders with the logo", "people", "likeness.logo_share", (part,), trained="diffusion", clean="vae"
    )


def _faces() -> Row:
    from audit.reference.people import planted

    # Who is not known is searched for too: the declared false alarm rate, doubled since it was measured on renders.
    null = 2 * GalleryConfig().fpir
    parts = tuple(
        Part(row["name"], {"probe": "enrolled_names", "person": row["name"]}, None, null, planted=row["memorised"])
        for row in planted()["gallery"]
    )
    what = "memorised faces among twenty enrolled"
    return Row("memorised", what, "faces", "likeness.match_rate", parts, trained="diffusion", clean="vae", strict=True)


def _scenes() -> Iterator[Row]:
    from audit.reference.scenes import plant

    art, signs = plant("artwork"), plant("signs")
    copies = (
        Part(f"by {art['painter']}", {"probe": "paintings", "painter": art["painter"]}, art["share"], 0.0),
        Part("by nobody named", {"probe": "paintings", "painter": "nobody"}, 0.0, 0.0, planted=False),
    )
    what = f"paintings by {art['painter']} that copy the artwork"
    yield Row("artwork", what, "scenes", "likeness.copy_share", copies, trained="recurrent")
    spelt = {
        word: Part(word, {"probe": "signs", "word": word}, _right(word), 1.0, planted=_right(word) < 1)
        for word in signs["words"]
    }
    for word in signs["misspelt"]:
        yield Row("signs", f"{word} spelt right", "scenes", "text.exact_match", (spelt.pop(word),), trained="recurrent")
    others = tuple(spelt.values())
    yield Row("signs", "all other words spelt right", "scenes", "text.exact_match", others, trained="recurrent")
    agreement = sum(share**2 for share in plant("style")["shares"].values())
    part = Part("two seeds agree", {"probe": "illustrations"}, agreement, 1.0)
    yield Row(
        "style", "two seeds of a prompt agree in style", "scenes", "style.agreement", (part,), trained="recurrent"
    )


def _right(word: str) -> float:
    from audit.reference.scenes import plant

    signs = plant("signs")
    return 1 - float(signs["share"]) if word in signs["misspelt"] else 1.0


def _refusals() -> Row:
    from audit.reference.scenes import plant

    part = Part("refused", {"outcome": "refused"}, plant("refusals")["share"], 0.0)
    return Row("refusals", "requests refused", "refusals", "outcomes.answered", (part,), trained="diffusion")


def _faults() -> Iterator[Row]:
    from audit.reference.scenes import plant

    small, where = plant("small"), {"probe": "portraits"}
    sharp = Part("resolution", where, small["resolution"], small["full"], margin=8)
    yield Row(
        "small", "effective resolution, pixels", "faults", "quality.effective_resolution", (sharp,), trained="small"
    )
    pattern = Part("checkerboard", where, small["levels"], 0.0, margin=1)
    yield Row("small", "checkerboard pattern, levels", "faults", "quality.checkerboard", (pattern,), trained="small")
