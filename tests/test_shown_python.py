"""The Python that documents show runs: each page's blocks in their order, as one program, and the
examples of docstrings."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from documents import ROOT, markdown, python_blocks
from example_folder import IN_PYTHON, environment, fill, with_stand_ins

import pygpt2edge

OF_CLUSTERS = ROOT / "docs" / "scaling.md"  # tests/map runs its blocks, where they are for
PAGES = [
    path
    for path in markdown()
    if list(python_blocks(path.read_text(encoding="utf-8"))) and path != OF_CLUSTERS
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    fill(tmp_path)
    program = "\n".join(python_blocks(page.read_text(encoding="utf-8")))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", with_stand_ins(program, IN_PYTHON)],
        cwd=tmp_path, env=environment(tmp_path), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_stand_in_is_used() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in IN_PYTHON if name not in text] == []


def examples_of_docstrings() -> Iterator[doctest.DocTest]:
    for found in walk_packages(pygpt2edge.__path__, "pygpt2edge."):
        if found.name not in ("pygpt2edge.__main__", "pygpt2edge._core"):
            module = import_module(found.name)
            yield from doctest.DocTestFinder().find(module, found.name)


@pytest.mark.slow
def test_examples_of_docstrings_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples = [each for each in examples_of_docstrings() if each.examples]
    assert len(examples) >= 5
    for each in examples:
        assert "Examples:\n" in (each.docstring or ""), f"{each.name}: the site needs the heading"
        assert doctest.DocTestRunner().run(each).failed == 0, capsys.readouterr().out
