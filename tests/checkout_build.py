"""Builds of the checkout by CMake, for tests of what is not in the installed package."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]

# Many files are compiled as one, as for the wheel (pyproject.toml), whose objects the compiler's
# cache then has. One build of a run is made with SEPARATE_SOURCES: each file includes what it uses.
JOINED_SOURCES = {"CMAKE_UNITY_BUILD": "ON", "CMAKE_UNITY_BUILD_BATCH_SIZE": "8"}
SEPARATE_SOURCES = {"CMAKE_UNITY_BUILD": "OFF"}


@contextmanager
def build_folder() -> Iterator[Path]:
    """A new folder for a build, beside the package's: from there a source is named by the same
    words, relative to the checkout, and what one build compiles is in the compiler's cache for the
    others (CCACHE_BASEDIR in .ci/run)."""
    beside = _ROOT / "build"
    beside.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tests-", dir=beside) as folder:
        yield Path(folder)


def build_checkout(folder: Path, targets: Sequence[str] = (), **options: str) -> None:
    """Builds the core, the C library, the program and the C++ tests in a folder, or of them the
    targets named, without the Python extension and with warnings as errors. Options are CMake's;
    fails with the compiler's words."""
    defines = {"GPT2EDGE_PYTHON": "OFF", "GPT2EDGE_TESTS": "ON", "GPT2EDGE_WERROR": "ON"}
    defines |= JOINED_SOURCES | options
    for command in (
        ["cmake", "-G", "Ninja", "-S", str(_ROOT), "-B", str(folder),
         *(f"-D{name}={value}" for name, value in defines.items())],
        ["cmake", "--build", str(folder), *(["--target", *targets] if targets else [])],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
