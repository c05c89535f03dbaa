"""The package's rooms import only those below them, be it for types or in functions."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

import pygpt2edge

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
ROOT = "pygpt2edge"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(ROOT, cache_dir=None)


def test_contracts() -> None:
    """Those of pyproject.toml: the order of the rooms, and no circles between neighbours."""
    assert lint_imports(config_filename=str(PYPROJECT), no_cache=True, no_logo=True) == 0


def test_no_circle_of_modules(graph: grimp.ImportGraph) -> None:
    below = {
        module: graph.find_modules_directly_imported_by(module) - {ROOT} for module in graph.modules
    }
    assert len(below) > 50
    TopologicalSorter(below).prepare()  # raises CycleError, which names the modules


def test_public_names_are_for_users(graph: grimp.ImportGraph) -> None:
    """Modules take names from where they are made: __init__.py would lead to any of them."""
    for module in graph.find_modules_that_directly_import(ROOT):
        for found in graph.get_import_details(importer=module, imported=ROOT):
            line = found["line_contents"]
            assert re.fullmatch(r"from pygpt2edge import (_core|__version__|, )+", line), found


def test_few_modules_at_the_top() -> None:
    folder = Path(pygpt2edge.__file__).parent
    names = {path.name.split(".")[0] for path in folder.glob("*.py*") if path.is_file()}
    assert len(names - {"py"}) <= 10, names
