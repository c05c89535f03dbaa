"""A real browser on the page of a real server: Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pygpt2edge import GPT2

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from running_server import Running
    from watched_page import Watched


@pytest.fixture(scope="session")
def model() -> GPT2:
    return GPT2()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a file. It ends with them: Playwright keeps an event loop in this
    thread, with which no other test could run its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    # Chromium's sandbox refuses to run as root, as containers do.
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, server: Running) -> Iterator[Any]:
    """Opens the page with settings, in a browser's context of its own."""
    from watched_page import Watched

    contexts = []

    def open_page(settings: str = "", url: str = server.url, **options: Any) -> Watched:
        context = browser.new_context(**options)
        contexts.append(context)
        return Watched(context.new_page(), url).open(settings)

    with _closing(contexts):
        yield open_page


@contextmanager
def _closing(contexts: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for context in contexts:
            context.close()
