"""A build where there is no compiler, or no header of Python, says in a line what to install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for the path that has CMake and Ninja, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cmake", "ninja"):
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    return folder


def configure(programs: Path, *options: str, **variables: str) -> str:
    """What CMake says where it stops."""
    outside = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    command = [programs / "cmake", "-G", "Ninja", "-S", ROOT, "-B", programs.parent / "build"]
    done = subprocess.run(
        [*command, *options], env=outside | {"PATH": str(programs)} | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr


def needs(said: str) -> str:
    """The one line of it that says what is missing."""
    lines = re.findall(r"^ *pygpt2edge needs .*$", said, re.M)
    assert len(lines) == 1, said
    return lines[0].strip()


@pytest.mark.parametrize("cxx", [None, "x86_64-linux-gnu-g++ -pthread"])
def test_no_compiler(programs: Path, cxx: str | None) -> None:
    """Python's own build names one in CXX, as the backend passes it on."""
    said = needs(configure(programs, **({"CXX": cxx} if cxx else {})))
    assert said.startswith("pygpt2edge needs a C++ compiler; to install: ")


def test_no_headers_of_python(programs: Path) -> None:
    """The backend names their folder, be it there or not."""
    said = needs(configure(programs, f"-DPython_INCLUDE_DIR={programs / 'include'}"))
    assert said.startswith(
        "pygpt2edge needs a C++ compiler and Python's header files; to install: "
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS is no matter of /etc/os-release")
@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("ID=debian", "sudo apt install g++ python3-dev"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "sudo apt install g++ python3-dev"),
        ("ID=fedora", "sudo dnf install gcc-c++ python3-devel"),
        ('ID="opensuse-leap"', "sudo zypper install gcc-c++ python3-devel"),
        ("ID=alpine", "apk add g++ musl-dev python3-dev"),
        ("ID=something", "your system's packages with g++ Python.h"),
        (None, "your system's packages with g++ Python.h"),
    ],
)
def test_the_command_of_each_system(tmp_path: Path, system: str | None, command: str) -> None:
    os_release, script = tmp_path / "os-release", tmp_path / "script.cmake"
    if system is not None:
        os_release.write_text(f'NAME="Some Linux"\n{system}\n')
    script.write_text(
        f"include({ROOT / 'csrc' / 'build_tools.cmake'})\n"
        f"install_command(command {os_release} compiler headers)\n"
        'message("${command}")\n'
    )
    done = subprocess.run(
        ["cmake", "-P", script], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stderr.strip() == command
