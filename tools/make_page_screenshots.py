#!/usr/bin/env python3
"""Makes docs/images/page-*.png: the server's page in Chromium, in both modes and on a phone.

pip install -e ".[serve,test]" && apt-get install chromium
python tools/make_page_screenshots.py docs/images
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

WIDE = {"width": 1120, "height": 820}
PHONE = {"width": 390, "height": 844}
PROMPT = "It is a truth universally acknowledged, that"


def write(page: Page) -> None:
    page.fill("#prompt", PROMPT)
    page.click("#write")
    expect(page.locator("#next-title")).to_have_text("Next token")
    page.locator("#text > span").nth(14).click()
    expect(page.locator("#next-title")).to_contain_text("Instead of")
    page.locator("#candidates button").nth(1).click()
    expect(page.locator("#branches li")).to_have_count(2)
    expect(page.locator("#next-title")).to_have_text("Next token")
    page.locator("#text > span").nth(20).click()
    expect(page.locator("#next-title")).to_contain_text("Instead of")
    page.mouse.move(2, 2)
    page.evaluate("scrollTo(0, 0)")


def attend(page: Page) -> None:
    page.click("#tab-attention")
    expect(page.locator("#arcs path").first).to_be_attached()
    page.mouse.move(2, 2)


def shoot(browser: Browser, url: str, folder: Path) -> None:
    settings = "seed=8&max_tokens=60&temperature=0.7&top_p=0.9"
    for name, colours, size, act in (
        ("text-light", "light", WIDE, write),
        ("text-dark", "dark", WIDE, write),
        ("attention-light", "light", WIDE, attend),
        ("attention-dark", "dark", WIDE, attend),
        ("phone", "light", PHONE, write),
    ):
        context = browser.new_context(
            viewport=size,
            color_scheme=colours,
            reduced_motion="reduce",
            has_touch=size == PHONE,
            is_mobile=size == PHONE,
        )
        page = context.new_page()
        page.goto(f"{url}/#{settings}&layer=4&head=0")
        expect(page.locator("#candidates")).to_have_attribute("data-after", "1")
        act(page)
        page.screenshot(path=folder / f"page-{name}.png")
        context.close()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pygpt2edge", "serve", "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        with sync_playwright() as driver:
            chromium = shutil.which("chromium")
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            shoot(browser, url, folder)
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
