# SPDX-License-Identifier: Apache-2.0
"""What survives of an image's provenance: a heat map of edits by layers, and all numbers with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit.errors import StoreError
from audit.paths import data_root
from audit.render._figures import Figure
from audit.render.charts import finish, to_csv
from audit.render.format import clean, count, number
from audit.render.theme import PALETTE, chart_config

__all__ = [
    "FOLDER",
    "LAYERS",
    "Heat",
    "Line",
    "Section",
    "cell_words",
    "page",
    "read_summary",
    "section",
    "survival_chart",
    "write_page",
]

#: Of a run, where the summary stands.
FOLDER: Final = "survival"
_SCHEMA: Final = 1
#: What layers are called in reports.
LAYERS: Final[Mapping[str, str]] = {
    "c2pa": "Content Credentials",
    "xmp": "XMP source type",
    "text": "text chunk",
    "watermark": "watermark",
}
_BROKEN: Final = "×"
# Blue and vermilion of Okabe and Ito (2008) over a light ground: told apart under all common colour blindness. The blue
# is one level off: pages in the dark replace the plain one, and cells must keep their order.
_KEPT, _BAD, _GONE = (0x00, 0x71, 0xB1), (0xD5, 0x5E, 0x00), (0xE9, 0xED, 0xF2)
_DARK, _LIGHT = "#000000", "#ffffff"  # letters on a cell, whatever the ground of the page
_MIDDLE: Final = 0.179  # relative luminance against which black and white stand out alike
_WIDTH, _HEIGHT, _LABEL = 128, 21, 300
_TITLE: Final = "What survives"
_CAPTION: Final = (
    "Share of images, in per cent, whose layer still says what it said before the edit. × and the share after it: the "
    "layer is there and broken, which reads as tampering or says something false, and is worse than gone. Blue: kept. "
    "Orange, or an orange edge: broken. Light: gone. Intervals stand in the table."
)


@dataclass(frozen=True, slots=True)
class Heat:
    """One cell of the heat map.

    Attributes:
        family: kind of edit. edit: what was done. layer: what was looked at.
        kept, broken: shares of the images that had the layer and could be edited, None without any.
        n: how many these were. missing: images that the edit could not be done on.
    """

    family: str
    edit: str
    layer: str
    kept: float | None
    broken: float | None
    n: int
    missing: int


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: an edit, and a cell in words for each layer."""

    family: str
    edit: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What a report says.

    Attributes:
        lead: what was measured, in sentences. figure: the heat map.
        layers: headings of the table. lines: its rows.
        cost: of the watermark, empty where none was put in. notes: what to bear in mind.
    """

    lead: str
    figure: Figure
    layers: tuple[str, ...]
    lines: tuple[Line, ...]
    cost: str
    notes: tuple[str, ...]


def read_summary(run: Path) -> dict[str, Any] | None:
    """Content of ``survival/survival.json`` in a run folder, None where nothing was measured.

    Raises:
        StoreError: it cannot be read, or another version wrote it.
    """
    path = run / FOLDER / "survival.json"
    if not path.is_file():
        return None
    hint = f"measure again with: genaudit survive {run} --force"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = list(_heat(found)) if found["schema"] == _SCHEMA else []
        said = [_lead(found), _cost(found["cost"]), clean(found["note"])] if cells else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"cannot be read: {type(error).__name__}: {error}", where=str(path), hint=hint) from None
    if not said:
        raise StoreError("was written by another version", where=str(path), hint=hint)
    return dict(found)


def section(summary: Mapping[str, Any]) -> Section:
    """The section of a report.

    Args:
        summary: content of ``survival.json``.
    """
    cells = list(_heat(summary))
    names = _there(summary)
    layers = tuple(clean(LAYERS.get(name, name)) for name in names)
    described = f"{_TITLE}. {len({cell.edit for cell in cells})} edits by {len(layers)} layers. {_CAPTION}"
    figure = Figure("Edits by layers", _svg(summary, described), to_csv(cells, of=Heat), _CAPTION)
    words = {(cell["edit"], cell["layer"]): cell_words(cell) for cell in summary["cells"]}
    lines = tuple(
        Line(clean(e["family"]), clean(e["title"]), tuple(words[e["id"], name] for name in names))
        for e in summary["edits"]
    )
    return Section(_lead(summary), figure, layers, lines, _cost(summary.get("cost")), (clean(summary["note"]),))


def page(summary: Mapping[str, Any]) -> bytes:
    """A page of its own, for folders that are no run: UTF-8, loads nothing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = data_root() / "reports" / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tool = summary["tool"]
    text = environment.get_template("survival.html.j2").render(
        s=section(summary),
        css=Markup((folder / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        svg=lambda figure: Markup(figure.svg),  # noqa: S704 - checked element by element in charts.py
        tool=clean(f"{tool['name']} {tool['version']}"),
        finished=clean(summary["finished"]),
    )
    return text.encode()


def write_page(folder: Path, summary: Mapping[str, Any]) -> Path:
    """`page` as ``survival.html`` in ``folder``, whole or not at all. Raises StoreError where the disk says no."""
    path, data = folder / "survival.html", page(summary)
    temporary = path.with_name(".survival.html.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        hint = "check the disk, or choose another folder with --out"
        raise StoreError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint) from None
    return path


def survival_chart(summary: Mapping[str, Any]) -> Any:
    """The heat map as an Altair chart without the theme, for pages that draw it themselves."""
    import altair as alt

    cells = list(_heat(summary))
    layers = list(dict.fromkeys(cell.layer for cell in cells))
    families = list(dict.fromkeys(cell.family for cell in cells))
    panels = [
        _panel(alt, [cell for cell in cells if cell.family == family], layers=layers, first=family == families[0])
        for family in families
    ]
    return alt.vconcat(*panels, spacing=8)


def cell_words(cell: Mapping[str, Any]) -> str:
    """A cell in words: "kept 90 % [82, 95]; broken 4 % [1, 10]", a dash where no image had the layer.

    Where none is kept and some are broken, only that is said.

    Args:
        cell: one of the ``cells`` of ``survival.json``.
    """
    missing = f"{count(cell['missing'])} not done" if cell["missing"] else ""
    if not cell["n"]:
        return missing or "–"
    broken = f"broken {_share(cell['broken_share'])}" if cell["broken"] else ""
    kept = f"kept {_share(cell['kept_share'])}" if cell["kept"] or not broken else ""
    return "; ".join(filter(None, (kept, broken, missing)))


def _share(share: Mapping[str, float]) -> str:
    value, low, high = (number(100 * share[key], 0) for key in ("value", "low", "high"))
    return f"{value}\u00a0% [{low}, {high}]"


def _there(summary: Mapping[str, Any]) -> list[str]:
    """Layers that at least one image had, in the order of reports: JSON files keep none."""
    there = [name for name, n in summary["layers"].items() if n]
    return sorted(there, key=lambda name: list(LAYERS).index(name) if name in LAYERS else len(LAYERS))


def _heat(summary: Mapping[str, Any]) -> Iterator[Heat]:
    """Cells of layers that at least one image had."""
    edits = {edit["id"]: edit for edit in summary["edits"]}
    cells = {(cell["edit"], cell["layer"]): cell for cell in summary["cells"]}
    for cell in (cells[edit, name] for edit in edits for name in _there(summary)):
        edit = edits[cell["edit"]]
        kept, broken = (share["value"] if (share := cell[key]) else None for key in ("kept_share", "broken_share"))
        layer = clean(LAYERS.get(cell["layer"], cell["layer"]))
        yield Heat(clean(edit["family"]), clean(edit["title"]), layer, kept, broken, cell["n"], cell["missing"])


def _lead(summary: Mapping[str, Any]) -> str:
    images, level = summary["images"], number(100 * summary["level"], 0)
    what = f"{count(images['measured'])} of {count(images['found'])} images, drawn with seed {images['seed']}, were "
    what += f"edited in {len(summary['edits'])} ways. "
    if images["fresh"]:
        what += f"Of {count(images['fresh'])} a copy with all layers was stamped for this purpose. "
    carried = [f"{LAYERS.get(name, name)} {count(summary['layers'][name])}" for name in _there(summary)]
    return clean(f"{what}Images that carried each layer: {', '.join(carried)}. Intervals: {level} % (Clopper-Pearson).")


def _cost(cost: Mapping[str, Any] | None) -> str:
    """What the watermark costs the eye."""
    if not cost:
        return ""
    parts = [f"PSNR {_spread(cost['psnr'], 1, ' dB')}"]
    if cost["ssim"]:
        parts.append(f"SSIM {_spread(cost['ssim'], 4)}")
    same = f"; {count(cost['unchanged'])} pictures are the same as before" if cost["unchanged"] else ""
    return f"The watermark against the unmarked picture: {', '.join(parts)}; n={count(cost['n'])}{same}."


def _spread(spread: Mapping[str, float | None], places: int, unit: str = "") -> str:
    median, p10 = (
        "infinite" if value is None else f"{number(value, places)}{unit}" for value in (spread["median"], spread["p10"])
    )
    return f"median {median}, 10th percentile {p10}"


# -- the chart -------------------------------------------------------------------------------------------------


def _svg(summary: Mapping[str, Any], described: str) -> str:
    import vl_convert

    spec = survival_chart(summary).to_dict()
    spec["config"] = chart_config()
    return finish(vl_convert.vegalite_to_svg(spec), described)


def _panel(alt: Any, cells: Sequence[Heat], *, layers: Sequence[str], first: bool) -> Any:
    edits = list(dict.fromkeys(cell.edit for cell in cells))
    axis = alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False, labelLimit=_WIDTH) if first else None
    side = alt.Axis(labelLimit=_LABEL, minExtent=_LABEL, maxExtent=_LABEL, title=cells[0].family, titleAnchor="end",
                    titleAngle=0, titleAlign="left", titleX=-_LABEL, titleY=-4)  # fmt: skip
    base = alt.Chart(alt.Data(values=[_drawn(cell) for cell in cells])).encode(
        x=alt.X("layer:N", sort=list(layers), title=None, axis=axis, scale=alt.Scale(paddingInner=0.03)),
        y=alt.Y("edit:N", sort=edits, axis=side, scale=alt.Scale(paddingInner=0.18)),
    )
    tooltip = [alt.Tooltip(f"{name}:N", title=name) for name in ("edit", "layer", "said")]
    box = base.mark_rect(strokeWidth=2).encode(stroke=alt.Stroke("edge:N", scale=None))
    words = base.mark_text(fontSize=11.5).encode(text="text:N", color=alt.Color("ink:N", scale=None))
    filled = box.encode(color=alt.Color("fill:N", scale=None), tooltip=tooltip)
    size = {"width": _WIDTH * len(layers), "height": _HEIGHT * len(edits)}
    return alt.layer(filled, words).properties(**size).resolve_scale(color="independent")


def _drawn(cell: Heat) -> dict[str, Any]:
    kept, broken = cell.kept or 0.0, cell.broken or 0.0
    share, colour = (broken, _BAD) if broken > kept else (kept, _KEPT)
    rgb = [round(share * c + (1 - share) * g) for c, g in zip(colour, _GONE, strict=True)]
    fill = "#" + bytes(rgb).hex()
    said = f"{cell.n} images, {cell.missing} not done"
    edge = "#" + bytes(_BAD).hex() if broken else fill
    place = {"edit": cell.edit, "layer": cell.layer, "said": said, "edge": edge}
    if cell.kept is None:
        return {**place, "text": "–", "fill": PALETTE["paper"], "edge": PALETTE["line"], "ink": PALETTE["muted"]}
    text = number(100 * kept, 0) + (f"  {_BROKEN}{number(100 * broken, 0)}" if broken else "")
    return {**place, "text": text, "fill": fill, "ink": _DARK if _luminance(rgb) > _MIDDLE else _LIGHT}


def _luminance(rgb: Sequence[int]) -> float:
    """Relative luminance (WCAG 2.2)."""
    levels = [level / 255 for level in rgb]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
