"""The fuzzers build, and find nothing in a few seconds. Needs Clang and its runtime libraries
(Debian: clang and libclang-rt-dev)."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent
TOOL = SOURCES.parents[1] / "tools" / "fuzz.py"
SECONDS = 4
IN_PYTHON = sorted(runpy.run_path(str(TOOL))["IN_PYTHON"])

pytestmark = pytest.mark.slow


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def skip_without_fuzzer(folder: Path) -> None:
    if shutil.which("clang++") is None:
        pytest.skip("needs clang++")
    source = folder / "empty.cpp"
    source.write_text('extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }')
    command = ["clang++", "-fsanitize=fuzzer,address,undefined", source, "-o", folder / "empty"]
    if run(*command).returncode != 0:
        pytest.skip("needs clang's runtime libraries (Debian: libclang-rt-dev)")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    skip_without_fuzzer(folder)
    return folder / "build"


@pytest.mark.parametrize("target", sorted(path.stem for path in SOURCES.glob("fuzz_*.cpp")))
def test_nothing_is_found(build: Path, tmp_path: Path, target: str) -> None:
    done = run(sys.executable, TOOL, target, "--seconds", str(SECONDS),
               "--build", build, "--corpus", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["is_sound"]
    assert found["executions"] > 50
    assert found["coverage"] > 200


@pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris")
@pytest.mark.parametrize("target", IN_PYTHON)
def test_nothing_is_found_in_python(tmp_path: Path, target: str) -> None:
    done = run(sys.executable, TOOL, target, "--seconds", "1", "--corpus", tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["is_sound"]
    assert found["executions"] > 10


def test_an_unknown_target_is_told() -> None:
    done = run(sys.executable, TOOL, "fuzz_nothing")
    assert done.returncode == 2
    assert "no fuzzer is named fuzz_nothing: fuzz_c_api, fuzz_compressed" in done.stderr


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_another_compiler_is_refused(tmp_path: Path) -> None:
    done = run(sys.executable, TOOL, "--compiler", "g++", "--build", tmp_path / "build")
    assert done.returncode != 0
    assert "GPT2EDGE_FUZZ needs Clang, not GNU" in done.stderr
