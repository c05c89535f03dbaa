"""What all tests share. The tests exercise the installed package, not the folder beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

_ROOT = Path(__file__).resolve().parents[1]

# `python -m pytest` puts the checkout on the path; the package there has no compiled core.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]
# What several tests share, such as tiny_models, stands beside this file.
sys.path.append(str(Path(__file__).parent))


# The same examples in every run of a pipeline: what fails there, fails again at the desk.
settings.register_profile("pipeline", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("pipeline")


@pytest.fixture(scope="session", autouse=True)
def away_from_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that tests start look for the package in the folder they are started in, too."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)
