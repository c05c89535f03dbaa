"""The header and what the shared library gives out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pygpt2edge
from pygpt2edge import config

SYMBOLS = Path(__file__).with_name("symbols.txt")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ELF")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version(library: Any) -> None:
    from c_library import ffi

    assert ffi.string(library.c.gpt2edge_version()).decode() == pygpt2edge.__version__


def test_symbols_do_not_change_by_accident() -> None:
    """A name that goes away breaks programs; a new one is written down in symbols.txt."""
    header = (config.include_dir() / "gpt2edge.h").read_text(encoding="utf-8")
    declared = re.findall(r"GPT2EDGE_API [^;]*?(gpt2edge_\w+)\(", header)
    assert sorted(declared) == SYMBOLS.read_text(encoding="utf-8").split()


@LINUX
@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm of binutils")
def test_only_declared_names_are_exported() -> None:
    (library,) = config.library_dir().glob("libgpt2edge.so.*")
    lines = run("nm", "-D", "--defined-only", library).splitlines()
    exported = {line.split()[-1].split("@")[0] for line in lines if " A " not in line}
    assert exported == set(SYMBOLS.read_text(encoding="utf-8").split())


@LINUX
def test_the_library_is_there_once() -> None:
    """What linkers look for is a script: a wheel would have a copy in place of a link."""
    script = config.library_dir() / "libgpt2edge.so"
    assert script.read_text(encoding="utf-8").startswith("INPUT(libgpt2edge.so.")


@LINUX
@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf of binutils")
def test_soname_has_the_version_that_may_break_programs() -> None:
    (library,) = config.library_dir().glob("libgpt2edge.so.*")
    major, minor, _ = pygpt2edge.__version__.split(".")
    assert f"soname: [libgpt2edge.so.{major}.{minor}]" in run("readelf", "-d", library)


@pytest.mark.parametrize(
    ("compiler", "language", "standard"),
    [("cc", "c", "c99"), ("c++", "c++", "c++11"), ("clang", "c", "c99")],
)
def test_header_compiles(compiler: str, language: str, standard: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    source = tmp_path / "app.txt"
    code = "#include <gpt2edge.h>\nint main(void) { return gpt2edge_version()[0] == 0; }\n"
    source.write_text(code)
    flags = ["-x", language, f"-std={standard}", "-Wall", "-Wextra", "-pedantic-errors", "-Werror"]
    run(compiler, *flags, *config.cflags().split(), "-c", source, "-o", tmp_path / "app.o")
