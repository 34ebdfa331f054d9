# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from audit.registry import RENDERERS
from audit.render import Report
from audit.render.html import _picture

VOID = {"meta", "img", "input", "br", "link"}


class Outline(HTMLParser):
    """All start tags with attributes, and whether tags nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def named(self, *names: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in names)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_nothing_untrusted_becomes_markup(page: str, outline: Outline) -> None:
    assert outline.wrong == []
    assert outline.open == []
    assert len(list(outline.named("script"))) == 1
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
    assert not {tag for tag, _ in outline.tags} & {
        "iframe",
        "object",
        "embed",
        "link",
        "base",
        "form",
        "foreignobject",
        "image",
    }
    assert "gan&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;draw&lt;/b&gt;" in page
    assert "\x07" not in page


def test_loads_nothing(page: str, outline: Outline) -> None:
    addresses = [
        a[key] for _, a in outline.tags for key in ("src", "href", "xlink:href", "srcset", "data") if a.get(key)
    ]
    assert addresses
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in addresses)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_policy_of_the_page_allows_its_own_script_only(page: str, outline: Outline) -> None:
    policy = next(a["content"] for a in outline.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy


def test_an_svg_is_never_shown_as_a_picture(report: Report) -> None:
    svg = next(s for s in report.samples if s.media_type == "image/svg+xml")
    assert _picture(svg)["uri"] == ""


def test_accessible_outline(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(attributes.get("alt") for attributes in outline.named("img"))
    assert all(attributes.get("scope") for attributes in outline.named("th"))
    assert all(attributes.get("aria-label") for attributes in outline.named("svg"))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in outline.named("a")}
    assert targets <= set(ids)


def test_matches_are_blurred_and_reachable_by_keyboard(page: str, outline: Outline) -> None:
    veils = [a for a in outline.named("figure") if "veil" in (a.get("class") or "")]
    assert len(veils) == 12  # ten matches, and one prompt tagged as sensitive side by side
    assert all(a.get("tabindex") == "0" for a in veils)
    assert page.count("similar to enrolled reference R-01 above threshold 0.62") == 2


def test_says_what_a_reader_must_know(page: str) -> None:
    for text in (
        "5 of 21 findings miss a limit of policy “quickstart”",
        "valid, signed by a development chain, not trusted",
        "calibrated to 1.0\u00a0% false alarms a search over 20 enrolled references",
        "not visible",
        "owner: Likeness Team",
        "no number: 40 images and 2000 reference images, needs 256 of each",
        "genaudit run audit.yaml",
        "feminine 95.8\u00a0%",
    ):
        assert text in page, text
    assert "sk-very-secret" not in page


def test_failing_findings_come_first(page: str) -> None:
    words = re.findall(r'<span class="badge (\w+)">', page.split('<section id="findings">')[1])
    order = ["fail", "inconclusive", "not_run", "waived", "pass"]
    assert words == sorted(words, key=order.index)
    assert set(words) == set(order)


def test_report_without_verdict_samples_or_numbers(report: Report) -> None:
    bare = Outline(RENDERERS.get("html").render(Report(report.manifest, (), None)).decode())
    assert bare.wrong == []
    page = (
        RENDERERS.get("html").render(replace(report, verdict=None, samples=(), estimates=report.estimates[:0])).decode()
    )
    assert "NOT JUDGED" in page
    assert "PASS" not in page


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
    parts = [int(full[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_in_light_and_dark(page: str) -> None:
    blocks = re.findall(r":root\{(.*?)\}", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--(\w+):(#\w+)", block))
        for name in ("ink", "muted", "accent", "pass", "fail", "inconclusive", "not_run", "waived"):
            for ground in ("paper", "wash"):
                pair = sorted((_luminance(colours[name]), _luminance(colours[ground])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (name, ground, colours[name])


def test_likeness_without_a_number_is_said_and_not_left_out(report: Report, synthetic) -> None:
    why = "the run has no annotator likeness"
    bare = synthetic.estimate(
        "likeness.match_rate", "diffusion", {"probe": "named_people"}, None, 0, n=0, missing=9, why=why
    )
    manifest = {**report.manifest, "references": {}}
    page = RENDERERS.get("html").render(Report(manifest, (bare,), None)).decode()
    assert '<section id="likeness">' in page
    assert page.count(f"no number: {why}") >= 2  # in its section and in the appendix
