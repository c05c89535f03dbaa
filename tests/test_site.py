"""The site of docs/ builds, and shows what it should without asking another host."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from documents import ROOT

pytest.importorskip("mkdocs", reason='needs the extra: pip install ".[docs]"')
pytest.importorskip("mkdocstrings", reason='needs the extra: pip install ".[docs]"')
pytest.importorskip("material", reason='needs the extra: pip install ".[docs]"')

pytestmark = pytest.mark.slow

# What a browser fetches by itself.
FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Fetches(HTMLParser):
    """What a page makes a browser fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        wanted = FETCHED.get(tag)
        self.found += [value for name, value in attributes if name == wanted and value]


def is_elsewhere(address: str) -> bool:
    return re.match(r"([a-z]+:)?//", address) is not None


def test_nothing_is_fetched_from_other_hosts(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        found = Fetches(page.read_text(encoding="utf-8")).found
        assert [address for address in found if is_elsewhere(address)] == [], page
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        found = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", text)
        assert [address for address in found if is_elsewhere(address)] == [], style


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("reference/gpt2.html", ["pygpt2edge.GPT2.stream", "LoadedModel.memory"]),
        ("reference/results.html", ["pygpt2edge.Completion", "finish_reason"]),
        ("reference/core.html", ["pygpt2edge._core.Session.append"]),
        ("reference/convert.html", ["pygpt2edge.convert.convert", "bits_per_weight"]),
        ("reference/command-line.html", ["--context-overflow"]),
    ],
)  # fmt: skip
def test_the_reference_has_names_and_words(site: Path, page: str, texts: list[str]) -> None:
    text = (site / page).read_text(encoding="utf-8")
    assert [each for each in texts if not re.search(each, text)] == []
