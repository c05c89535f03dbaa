"""The page on any screen, in any colours, by keyboard and for screen readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright")

from playwright.sync_api import Page, expect
from watched_page import Watched

Visit = Callable[..., Watched]


def violations(page: Page) -> list[str]:
    """What axe-core finds, which knows WCAG's rules that a program can check, contrast included."""
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    axe = Path(next(iter(package.__path__))) / "axe.min.js"
    page.evaluate(axe.read_text("utf-8"))
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, colours: str) -> None:
    seen = visit("seed=7&max_tokens=60", color_scheme=colours, reduced_motion="reduce")
    seen.write("It is a truth universally")
    seen.page.locator("#text > span").nth(8).click()
    expect(seen.page.locator("#next-title")).to_contain_text("Instead")
    seen.page.locator("#candidates button").nth(1).click()
    seen.end()
    seen.page.click("#prompt-count")
    assert violations(seen.page) == []
    seen.page.click("#tab-attention")
    expect(seen.page.locator("#arcs path").first).to_be_attached()
    assert violations(seen.page) == []
    dark = "dark" if colours == "dark" else ""
    expect(seen.page.locator("html")).to_have_class(dark)


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2000])
def test_nothing_is_wider_than_the_window(visit: Visit, width: int) -> None:
    seen = visit("seed=7&max_tokens=40", viewport={"width": width, "height": 800})
    seen.write("It is a truth " + "w" * 100)
    for tab in ("#tab-text", "#tab-attention"):
        seen.page.click(tab)
        seen.page.wait_for_timeout(100)
        found = seen.page.evaluate("document.documentElement.scrollWidth")
        assert found <= width
    seen.assert_sound()


def test_by_keyboard(visit: Visit) -> None:
    """The focus is never lost, and always seen."""
    seen = visit("seed=7&max_tokens=6").wait_for_candidates()
    page = seen.page
    page.focus("#prompt")
    page.keyboard.type("It is a")
    page.keyboard.press("Control+Enter")
    seen.end()
    expect(page.locator("#prompt")).to_be_focused()
    page.focus("#go-on")
    page.keyboard.press("Enter")
    expect(page.locator("#text > span")).to_have_count(15)
    expect(page.locator("#go-on")).to_be_focused()
    page.locator("#text > span").first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#next-title")).to_contain_text("Instead of")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.focus("#tab-text")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#view-attention")).to_be_visible()
    seen.assert_sound()


def test_screen_readers_are_told_once(visit: Visit) -> None:
    seen = visit("seed=7&max_tokens=30")
    seen.page.evaluate(
        "() => { window.told = []; new MutationObserver(() => told.push(status.textContent))"
        ".observe(document.getElementById('status'), {childList: true});"
        " const status = document.getElementById('status'); }"
    )
    text = seen.write("It is a truth")
    told = seen.page.evaluate("window.told")
    assert told == ["Writing", f"Wrote 30 tokens: {text.removeprefix('It is a truth')}"]
    seen.assert_sound()
