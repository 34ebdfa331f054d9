# SPDX-License-Identifier: Apache-2.0
"""The page that raters get, in a real browser: answers survive a reload, and what is saved can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audit.labels import Design, export, labelled, read_into
from tests.unit.labels.conftest import make_run

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM.exists() and "GENAUDIT_REQUIRE_BROWSER" not in os.environ,
        reason=f"{CHROMIUM} is missing: apt-get install chromium",
    ),
]


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        found = browser.new_page()
        found.problems, found.requested = [], []
        found.on("pageerror", lambda error: found.problems.append(str(error)))
        found.on("request", lambda request: found.requested.append(request.url))
        yield found
        browser.close()


def test_answers_survive_a_reload_and_are_read_back(page, tmp_path):
    made = make_run(tmp_path / "run")
    out = export(made.run, tmp_path / "out", Design(n=8, per_slice=1, raters=1))
    page.goto((out.path / "rater-1" / "index.html").as_uri())
    items = [item for item in out.items if item.rater == "rater-1"]
    for item in items[:5]:
        said = made.truth[item.request_id]
        page.locator(f"input[name='{item.item}.presentation'][value='{said}']").check()
    page.locator("article").nth(0).locator("input[type=text]").fill('odd, "very"')
    page.locator("article").nth(4).get_by_role("button", name="clear").click()
    page.reload()
    assert page.locator("#count").inner_text() == "4 of 8"
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save answers").click()
    assert caught.value.suggested_filename == "rater-1.csv"
    caught.value.save_as(tmp_path / "rater-1.csv")
    read_into(out, [tmp_path / "rater-1.csv"], made.run.path)
    found = {row["request_id"]: row["label"] for row in labelled(made.run).to_pylist()}
    assert found == {item.request_id: made.truth[item.request_id] for item in items[:4]}
    assert page.problems == []
    assert all(url.startswith(("file:", "blob:")) for url in page.requested)
