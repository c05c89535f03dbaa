"""An interpreter without the GIL turns it on for the core, and says so."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

CODE = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import pygpt2edge
print(sys._is_gil_enabled(), any("_core" in str(warning.message) for warning in caught))
print(pygpt2edge.GPT2().generate("It is", max_tokens=4, seed=1).text)
"""


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded Python"
)
def test_the_gil_is_turned_on(run_python: Callable[..., CompletedProcess[str]]) -> None:
    done = run_python(CODE, PYTHON_GIL="")
    assert done.returncode == 0, done.stderr
    first, *text = done.stdout.splitlines()
    assert first == "True True"
    assert text
