"""Where the C library is that the package carries, for programs in C, C++ and other languages.

`python -m pygpt2edge.config --cflags --libs` prints what a compiler takes.
"""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def include_dir() -> Path:
    """The folder of gpt2edge.h. Raises FileNotFoundError where the package was built without it."""
    return _existing(_FOLDER / "include", "gpt2edge.h")


def library_dir() -> Path:
    """The folder of the shared library. Raises as `include_dir` does."""
    return _existing(_FOLDER / "lib", "*gpt2edge*")


def cmake_dir() -> Path:
    """For CMake's `gpt2edge_DIR`. Raises as `include_dir` does."""
    return _existing(_FOLDER / "lib" / "cmake" / "gpt2edge", "gpt2edge-config.cmake")


def cflags() -> str:
    """The options that compile a program that includes gpt2edge.h."""
    return f"-I{_quoted(include_dir())}"


def libs() -> str:
    """The options that link a program with the shared library, and let it find that at run time."""
    folder = _quoted(library_dir())
    found_at_run_time = "" if sys.platform == "win32" else f" -Wl,-rpath,{folder}"
    return f"-L{folder} -lgpt2edge{found_at_run_time}"


def _existing(folder: Path, name: str) -> Path:
    if not any(folder.glob(name)):
        raise FileNotFoundError(
            f"there is no {name} in {folder}: this installation has no C library; install the "
            "package from a wheel or its sources, or build with CMake (docs/embedding.md)"
        )
    return folder


def _quoted(path: Path) -> str:
    """For a shell."""
    import shlex

    return shlex.quote(str(path))
