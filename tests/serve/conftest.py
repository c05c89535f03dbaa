"""The model that the server has, in this process."""

from __future__ import annotations

import pytest

from pygpt2edge import GPT2


@pytest.fixture(scope="session")
def model() -> GPT2:
    return GPT2()
