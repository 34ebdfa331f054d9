# SPDX-License-Identifier: Apache-2.0
"""Cards of pictures, and the dialog with everything known about one.

Sensitive pictures are blurred on the server: until somebody asks for one, the browser never receives the sharp pixels.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from data import RunFolder, labels
from PIL import Image, ImageDraw, ImageFilter, UnidentifiedImageError
from words import STATES, plain

__all__ = ["PER_PAGE", "cards", "is_sensitive"]

PER_PAGE = 24
COLUMNS = 6
OUTCOMES: dict[str, tuple[str, Literal["orange", "violet", "red", "gray"]]] = {
    "refused": ("refused", "orange"),
    "blocked": ("withheld by a filter", "violet"),
    "error": ("failed", "red"),
}
Row = dict[str, Any]


def is_sensitive(row: Row) -> bool:
    """Whether a picture starts blurred: its prompt says so, or it resembles an enrolled reference."""
    return "sensitive" in json.loads(row["tags"] or "[]") or row.get("likeness.above") == 1


def cards(
    run: RunFolder,
    rows: Sequence[Row],
    *,
    key: str,
    reveal: bool = False,
    blur_all: bool = False,
    notes: Mapping[str, str] | None = None,
) -> None:
    """A grid of pictures, each with its prompt and the buttons that reveal and explain it.

    Args:
        run: whose pictures.
        rows: from ``data.find``.
        key: prefix of widget keys, unique on the page.
        reveal: show everything sharp.
        blur_all: start every picture blurred.
        notes: a phrase under the picture, by request id.
    """
    for start in range(0, len(rows), COLUMNS):
        for column, row in zip(st.columns(COLUMNS), rows[start : start + COLUMNS], strict=False):
            with column, st.container(border=True, gap="xsmall", height="stretch"):
                note = (notes or {}).get(row["request_id"], "")
                _card(run, row, key=key, sharp=reveal or not (blur_all or is_sensitive(row)), note=note)


def _card(run: RunFolder, row: Row, *, key: str, sharp: bool, note: str = "") -> None:
    shown = sharp or row["request_id"] in _revealed(run)
    _picture(run, row, sharp=shown)
    if note:
        st.markdown(f"**{plain(note)}**")
    st.markdown(f":small[{plain(_shortened(row['text'], 60))}]")
    st.caption(f"{plain(row['generator'])}, no. {row['repetition'] + 1}")
    if row.get("likeness.above") == 1:
        score = row.get("likeness.score") or 0.0
        st.caption(f"similar to enrolled reference {plain(row.get('likeness.reference'))}, score {score:.3f}")
    with st.container(horizontal=True, gap="small"):
        if st.button("Details", key=f"{key}-details-{row['request_id']}", type="tertiary"):
            _details(run, row, sharp=shown)
        if row["outcome"] == "image" and not sharp:
            label, name = ("Hide" if shown else "Reveal"), f"{key}-reveal-{row['request_id']}"
            st.button(label, key=name, type="tertiary", on_click=_toggle, args=(run, row["request_id"]))


def _revealed(run: RunFolder) -> set[str]:
    found: set[str] = st.session_state.setdefault(f"revealed-{run.digest}", set())
    return found


def _toggle(run: RunFolder, request_id: str) -> None:
    st.session_state[f"revealed-{run.digest}"] = _revealed(run) ^ {request_id}


def _picture(run: RunFolder, row: Row, *, sharp: bool) -> None:
    if row["outcome"] != "image":
        words, colour = OUTCOMES.get(str(row["outcome"]), ("no answer recorded", "gray"))
        st.image(_empty(), width="stretch", alt=f"No picture: {words}")
        st.badge(words, color=colour)
        return
    data = _preview(str(run.thumb(row["sha256"])), sharp)
    if data is None:
        st.caption(":material/broken_image: The preview is missing or damaged.")
        return
    st.image(data, width="stretch", alt=f"{'Generated picture' if sharp else 'Blurred picture'}, prompt: {row['text']}")


@st.cache_data(max_entries=4096, show_spinner=False)
def _preview(path: str, sharp: bool) -> bytes | None:
    """The preview as WebP bytes; the blurred one keeps six cells a side, too few to recognise anybody."""
    try:
        with Image.open(Path(path)) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError):
        return None
    side = max(image.size)
    if not sharp:
        image = image.resize((6, 6), Image.Resampling.BOX).resize((256, 256), Image.Resampling.BICUBIC)
        image = image.filter(ImageFilter.GaussianBlur(10))
    elif side < 256:
        # small pictures are enlarged here, so that every browser shows them alike
        image = image.resize((image.width * 256 // side, image.height * 256 // side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=90)
    return out.getvalue()


@st.cache_data(show_spinner=False)
def _empty() -> bytes:
    """A see-through square with a crossed circle, which stands for a picture that is not there."""
    image = Image.new("RGBA", (256, 256), (128, 132, 140, 36))
    draw = ImageDraw.Draw(image)
    draw.ellipse((92, 92, 164, 164), outline=(128, 132, 140, 190), width=7)
    draw.line((104, 152, 152, 104), fill=(128, 132, 140, 190), width=7)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@st.dialog("Picture", width="large")
def _details(run: RunFolder, row: Row, *, sharp: bool) -> None:
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _picture(run, row, sharp=sharp)
        if row["outcome"] == "image" and not sharp:
            st.caption("Blurred. Close this and press *Reveal* to see it.")
        if row["message"]:
            st.text(row["message"])
    with right:
        st.caption("Prompt")
        st.text(row["text"])
        _pairs(_facts(row), alt="How the picture was asked for")
    credentials = _part(row, "credentials.")
    if credentials:
        st.subheader("Content Credentials", anchor=False)
        st.markdown(STATES.get(str(credentials.get("state")), "No credentials were read."))
        _pairs(credentials, alt="Content Credentials of the picture")
    answers = {name: row[name] for name in labels(run) if _known(row[name]) and not name.startswith("credentials.")}
    if answers:
        st.subheader("What the instruments answered", anchor=False)
        st.caption("Answers of instruments, not facts about anybody: each has a measured error.")
        _pairs(answers, alt="Annotations of the picture")


def _facts(row: Row) -> Row:
    names = (
        "generator",
        "probe",
        "prompt_id",
        "repetition",
        "negative",
        "params",
        "outcome",
        "seconds",
        "request_id",
        "sha256",
    )
    # a 63-bit seed does not survive as a JavaScript number
    facts = {"seed": str(row["seed"]), **{name: row[name] for name in names}}
    if row["width"] and row["height"]:
        facts["size"] = f"{row['width']} x {row['height']} {row['media_type']}"
    return {name: value for name, value in facts.items() if value not in (None, "", "{}")}


def _part(row: Row, prefix: str) -> Row:
    return {
        name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix) and _known(value)
    }


def _known(value: object) -> bool:
    """NaN and None are how annotators say that they gave no answer."""
    return value is not None and value == value  # noqa: PLR0124


def _pairs(facts: Row, *, alt: str) -> None:
    """Two columns of plain text; a data frame shows strings as they are, never as markup."""
    table = {"what": [name.replace("_", " ") for name in facts], "value": [_value(value) for value in facts.values()]}
    st.dataframe(
        table, hide_index=True, height="content", column_config={"what": st.column_config.Column(width=150)}, alt=alt
    )


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shortened(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
