# SPDX-License-Identifier: Apache-2.0
"""A walk through the served dashboard in a real browser: nothing is loaded from requested, nothing hostile runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
ROOT = Path(__file__).parents[2]
PAGES = {
    "": "Overview",
    "bias": "Representation",
    "quality": "Quality",
    "likeness": "Likeness",
    "images": "Images",
    "provenance": "Provenance",
}
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    # CI sets the variable: there a missing browser fails the tests instead of skipping them
    pytest.mark.skipif(
        not CHROMIUM.exists() and "GENAUDIT_REQUIRE_BROWSER" not in os.environ,
        reason=f"{CHROMIUM} is missing: apt-get install chromium",
    ),
]


@pytest.fixture(scope="module")
def address(run_folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true"]
    options += ["--browser.gatherUsageStats", "false", "--", str(run_folder)]
    words = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py"), *options]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        words, cwd=run_folder.parent, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield wait_for(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(address, server):
    for _ in range(300):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return address
    pytest.fail("the server did not answer in 30 seconds")


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM.exists(), f"{CHROMIUM} is missing: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    found = context.new_page()
    found.set_default_timeout(60_000)
    found.requested = []
    found.on("request", lambda request: found.requested.append(request.url))
    yield found
    context.close()


def arrive(page, url, title):
    page.goto(url)
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")


def test_a_deep_link_is_the_first_thing_asked_for(address, page):
    arrive(page, f"{address}/likeness", "Likeness")
    page.get_by_text("Pictures above the threshold").wait_for()


def test_every_page_by_its_link_without_foreign_requests_or_scripts(address, page):
    arrive(page, address, "Overview")
    for name, title in PAGES.items():
        if name:
            page.get_by_role("link", name=title).click()
            page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
            page.wait_for_timeout(500)
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.locator("[data-testid=stMain] a[href*='127.0.0.1:9']").count() == 0
    assert page.evaluate("window.pwned") is None
    foreign = [
        url for url in page.requested if not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
    ]
    assert foreign == []


def test_attribute_is_part_of_the_address(address, page, browser):
    arrive(page, f"{address}/bias", "Representation")
    page.get_by_role("heading", name="Share perceived as feminine").wait_for()
    page.get_by_role("button", name="Apparent skin tone").or_(
        page.get_by_role("radio", name="Apparent skin tone")
    ).click()
    page.get_by_role("heading", name="Share perceived as light").wait_for()
    link = page.url
    assert "attribute=" in link
    again = browser.new_page()
    arrive(again, link, "Representation")
    again.get_by_role("heading", name="Share perceived as light").wait_for(timeout=30_000)
    again.close()


def test_sharp_pixels_are_sent_only_after_revealing(address, page):
    arrive(page, f"{address}/likeness", "Likeness")
    pictures = page.locator("[data-testid=stMain] img[alt^='Blurred picture']")
    pictures.first.wait_for()
    assert pictures.count() == 4
    assert page.locator("img[alt^='Generated picture']").count() == 0
    blurred = pictures.first.get_attribute("src")
    before = list(page.requested)
    page.get_by_role("button", name="Reveal").first.click()
    sharp = page.locator("img[alt^='Generated picture']")
    sharp.first.wait_for()
    assert sharp.count() == 1
    source = sharp.first.get_attribute("src")
    assert source != blurred
    assert not [url for url in before if url.endswith(source)]
    assert [url for url in page.requested if url.endswith(source)]
    page.get_by_role("button", name="Hide", exact=True).click()
    sharp.first.wait_for(state="detached")


def test_details_open_in_a_dialog(address, page):
    arrive(page, f"{address}/images", "Images")
    page.get_by_role("button", name="Details").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("a portrait of a nurse").wait_for()
    dialog.get_by_text("no trust list vouches for the signer").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.get_by_role("button", name="Details").nth(1).click()
    dialog.get_by_text("Answers of instruments").wait_for()
