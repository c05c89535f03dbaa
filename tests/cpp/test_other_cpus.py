"""The C++ tests for CPUs that this machine is not, cross-compiled and run under emulation.

Needs Debian's cross compilers (g++-aarch64-linux-gnu, g++-arm-linux-gnueabihf,
g++-riscv64-linux-gnu) and qemu-user; what is missing is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout_build import build_checkout


@dataclass(frozen=True)
class Cpu:
    """A processor by CMake's name, its tools, and a core as the emulator calls it (None: any)."""

    processor: str
    compiler: str
    emulator: str
    core: str | None
    kernels: list[str]  # those that it can run, the one it would choose first


# The cores of a Raspberry Pi 4 and 5, one with everything, and two that only plain C++ runs on:
# 32-bit Arm and RISC-V.
AARCH64 = ("aarch64", "aarch64-linux-gnu-g++", "qemu-aarch64")
CPUS = {
    "cortex-a72": Cpu(*AARCH64, "cortex-a72", ["neon", "scalar"]),
    "cortex-a76": Cpu(*AARCH64, "cortex-a76", ["neon_dotprod", "neon", "scalar"]),
    "armv8-max": Cpu(*AARCH64, "max", ["neon_i8mm", "neon_dotprod", "neon", "scalar"]),
    "armv7": Cpu("arm", "arm-linux-gnueabihf-g++", "qemu-arm", None, ["scalar"]),
    "riscv64": Cpu("riscv64", "riscv64-linux-gnu-g++", "qemu-riscv64", None, ["scalar"]),
}
pytestmark = pytest.mark.slow
# Where a process with threads forks, the emulator's own locks may be held for ever in the child.
NOT_EMULATED = {"test_fork"}
PROGRAMS = sorted({path.stem for path in Path(__file__).parent.glob("test_*.cpp")} - NOT_EMULATED)
# Where only the plain kernels run, nothing differs but the compiler and the words' size: what reads
# files, computes and cuts texts is built there, and the whole program. RISC-V's words have the size
# of most: whole models suffice there. The core with every instruction set runs the kernels of the
# lesser ones too.
ON_PLAIN_CPUS = ("test_equal_bits", "test_gguf", "test_kernels", "test_tokenizer")
RUNS = [(program, "armv8-max") for program in PROGRAMS]
RUNS += [("test_equal_bits", name) for name in ("cortex-a72", "cortex-a76")]
RUNS += [(program, "armv7") for program in ON_PLAIN_CPUS] + [("test_equal_bits", "riscv64")]


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the programs of each processor are, filled as they are built."""
    return {cpu.processor: tmp_path_factory.mktemp(cpu.processor) for cpu in CPUS.values()}


def build(cpu: Cpu, folder: Path) -> Path:
    programs = folder / "tests" / "cpp"
    if programs.exists():
        return programs
    plain = len(cpu.kernels) == 1
    build_checkout(
        folder,
        [*ON_PLAIN_CPUS, "gpt2edge_program"] if plain else [],
        CMAKE_SYSTEM_NAME="Linux",
        CMAKE_SYSTEM_PROCESSOR=cpu.processor,
        CMAKE_CXX_COMPILER=cpu.compiler,
        CMAKE_EXE_LINKER_FLAGS="-static",
        GPT2EDGE_STATIC_PROGRAM="ON",
    )
    return programs


def run(builds: dict[str, Path], name: str, program: str, *arguments: str | Path) -> str:
    """What a program of a processor's build prints. Skips where a tool is missing."""
    cpu = CPUS[name]
    for tool in (cpu.compiler, cpu.emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    core = [] if cpu.core is None else ["-cpu", cpu.core]
    done = subprocess.run(
        [cpu.emulator, *core, build(cpu, builds[cpu.processor]) / program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={n: value for n, value in os.environ.items() if n != "GPT2EDGE_ISA"}
        | {"CHECK_QUICK": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("program", "name"), RUNS)
def test_program(builds: dict[str, Path], program: str, name: str) -> None:
    assert " 0 failed" in run(builds, name, program)


@pytest.mark.parametrize("name", CPUS)
def test_kernels_are_those_of_the_processor(builds: dict[str, Path], name: str) -> None:
    said = run(builds, name, "test_kernels", "--names").split("\n")
    assert said[: len(CPUS[name].kernels)] == CPUS[name].kernels


@pytest.mark.parametrize("name", CPUS)
def test_command_line_program_writes_the_same_text(builds: dict[str, Path], name: str) -> None:
    """One file that needs no other, on a processor of another kind."""
    from pygpt2edge import GPT2

    model = GPT2()
    arguments = ["generate", "Once upon a time", "-m", model.path, "-n", "8", "--seed", "1"]
    said = run(builds, name, "../../csrc/program/gpt2edge", *arguments)
    expected = model.generate("Once upon a time", max_tokens=8, seed=1).text
    assert said == f"Once upon a time{expected}\n"


@pytest.mark.parametrize("name", CPUS)
def test_texts_are_unpacked_on_other_processors(
    builds: dict[str, Path], name: str, tmp_path: Path
) -> None:
    """Packed here, unpacked there, and packed there to the same bytes."""
    from pygpt2edge import GPT2

    model, text = GPT2(), "Once upon a time there was a king,\nand he had a daughter.\n"
    plain, packed, again = (tmp_path / part for part in ("plain", "packed", "again"))
    plain.write_text(text, encoding="utf-8")
    packed.write_bytes(model.compress(text))
    program, given = "../../csrc/program/gpt2edge", ["-m", model.path]
    assert run(builds, name, program, "decompress", packed, *given) == text
    run(builds, name, program, "compress", plain, *given, "-o", again)
    assert again.read_bytes() == packed.read_bytes()
