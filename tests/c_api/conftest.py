"""The C library and a model in it, beside the same model in Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pygpt2edge import GPT2

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def library() -> Any:
    pytest.importorskip("cffi", reason="needs cffi")
    from c_library import Library

    return Library()


@pytest.fixture(scope="session")
def python_model() -> GPT2:
    return GPT2(n_threads=1)


@pytest.fixture(scope="session")
def model(library: Any, python_model: GPT2) -> Iterator[Any]:
    model = library.model(python_model.path, n_threads=2)
    yield model
    library.call("model_close", model)
