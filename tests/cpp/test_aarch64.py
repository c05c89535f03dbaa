"""The C++ tests for AArch64, cross-compiled and run under emulated cores.

Needs Debian's g++-aarch64-linux-gnu and qemu-user; skipped where they are missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None,
    reason=f"needs {COMPILER} and {EMULATOR}",
)

# The cores of a Raspberry Pi 4 and 5, and one with everything; and the kernels each would choose.
CORES = {
    "cortex-a72": ["neon", "scalar"],
    "cortex-a76": ["neon_dotprod", "neon", "scalar"],
    "max": ["neon_i8mm", "neon_dotprod", "neon", "scalar"],
}
PROGRAMS = sorted(path.stem for path in Path(__file__).parent.glob("test_*.cpp"))


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aarch64")
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CXX_COMPILER": COMPILER,
        "CMAKE_EXE_LINKER_FLAGS": "-static",
        "GPT2EDGE_PYTHON": "OFF",
        "GPT2EDGE_TESTS": "ON",
        "GPT2EDGE_WERROR": "ON",
    }
    defines = [f"-D{name}={value}" for name, value in options.items()]
    subprocess.run(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *defines], check=True)
    subprocess.run(["cmake", "--build", folder], check=True)
    return folder / "tests" / "cpp"


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_program(programs: Path, program: str, core: str) -> None:
    done = subprocess.run(
        [EMULATOR, "-cpu", core, programs / program],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "GPT2EDGE_ISA"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout
    if program == "test_kernels":
        assert done.stdout.split("\n")[: len(CORES[core])] == CORES[core]
