"""A build where there is no compiler says what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links"),
]


@pytest.mark.parametrize(
    "line",
    [
        "Debian, Ubuntu  sudo apt install g++",
        "Fedora          sudo dnf install gcc-c++",
        "macOS           xcode-select --install",
        'Windows         Visual Studio Build Tools with "C++ Clang tools"',
    ],
)
def test_a_line_for_each_system(configured_without_compiler: str, line: str) -> None:
    assert f"  {line}\n" in configured_without_compiler


@pytest.fixture(scope="module")
def configured_without_compiler(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What CMake says, with nothing but itself and Ninja on the path."""
    folder = tmp_path_factory.mktemp("bare")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("cmake", "ninja"):
        found = shutil.which(name)
        assert found is not None, name
        (programs / name).symlink_to(found)
    variables = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    done = subprocess.run(
        [programs / "cmake", "-G", "Ninja", "-S", ROOT, "-B", folder / "build"],
        env=variables | {"PATH": str(programs)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr
