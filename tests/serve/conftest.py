"""One server for all tests that do not need settings of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pygpt2edge import GPT2

if TYPE_CHECKING:
    from running_server import Running


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    from running_server import serving  # skips where something is missing

    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def model() -> GPT2:
    return GPT2()
