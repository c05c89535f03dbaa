"""Builds the core and its C++ tests from the checkout, with warnings as errors, and runs them by
the system's compiler; by Clang, where there is one, those that compare bits."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout_build import SEPARATE_SOURCES, build_checkout

from pygpt2edge import GPT2

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


pytestmark = pytest.mark.slow


def programs() -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob("test_*.cpp"))


@pytest.mark.parametrize("program", programs())
def test_program(native_build: Path, program: str) -> None:
    assert " 0 failed" in run(native_build / "tests" / "cpp" / program)


# What another compiler may compute otherwise. What it warns of, it does of the whole core.
BIT_FOR_BIT = ["test_equal_bits", "test_kernels", "test_random_kernels"]


@pytest.fixture(scope="session")
def clang_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("clang++") is None:
        pytest.skip("needs clang++")
    folder = tmp_path_factory.mktemp("build")
    build_checkout(
        folder,
        [*BIT_FOR_BIT, "bench_kernels", "gpt2edge_program", "fuzz_c_api"],
        GPT2EDGE_TOOLS="ON",
        CMAKE_CXX_COMPILER="clang++",
        **SEPARATE_SOURCES,
    )
    return folder


@pytest.mark.parametrize("program", BIT_FOR_BIT)
def test_program_by_clang(clang_build: Path, program: str) -> None:
    assert " 0 failed" in run(clang_build / "tests" / "cpp" / program)


# Processors of before AVX2, and of before VNNI.
OLDER_CPUS = {"Nehalem": "scalar", "Haswell": "avx2"}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs this machine's build")
@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="needs qemu-user")
@pytest.mark.parametrize("core", OLDER_CPUS)
def test_models_have_the_same_bits_on_older_processors(
    native_build: Path, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    monkeypatch.setenv("CHECK_QUICK", "1")
    program = native_build / "tests" / "cpp" / "test_equal_bits"
    said = run("qemu-x86_64", "-cpu", core, program)
    assert " 0 failed" in said
    assert {line.split()[0] for line in said.splitlines() if ": 0x" in line} == {OLDER_CPUS[core]}


def test_reading_program_says_what_it_accepts(native_build: Path, tmp_path: Path) -> None:
    demo = ROOT / "pygpt2edge" / "data" / "demo.gguf"
    (tmp_path / "bad.gguf").write_bytes(demo.read_bytes()[:1000])
    said = run(native_build / "tests" / "cpp" / "fuzz_gguf", demo, tmp_path / "bad.gguf")
    assert said == f"{demo}: accepted\n{tmp_path / 'bad.gguf'}: refused\n"


def test_tokenizing_program_says_how_many_tokens_there_are(
    native_build: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_bytes(b" the new york city \xff")
    said = run(native_build / "tests" / "cpp" / "fuzz_tokenizer", tmp_path / "text")
    assert said == f"{tmp_path / 'text'}: 7 tokens\n"


def test_program_for_compressed_texts_says_how_many_blocks_there_are(
    native_build: Path, tmp_path: Path
) -> None:
    sound, damaged = tmp_path / "sound", tmp_path / "damaged"
    sound.write_bytes(GPT2(n_threads=1).compress("Once upon a time " * 8, block_size=50))
    damaged.write_bytes(sound.read_bytes()[1:])
    said = run(native_build / "tests" / "cpp" / "fuzz_compressed", sound, damaged)
    assert said == f"{sound}: 3 blocks\n{damaged}: 0 blocks\n"


def test_saved_texts_of_the_corpus_are_resumed(native_build: Path) -> None:
    """They are of this version's format, and go on to where they went."""
    corpus = Path(__file__).parent / "corpus" / "fuzz_saved_text"
    said = run(native_build / "tests" / "cpp" / "fuzz_saved_text", *sorted(corpus.iterdir()))
    assert re.findall(r"(\w+): (\d+) tokens", said) == [
        ("begun", "11"),
        ("slid", "61"),
        ("within", "14"),
    ]


@pytest.mark.parametrize("threads", ["0", "3"])
def test_calls_in_any_order_do_no_harm(native_build: Path, threads: str) -> None:
    said = run(native_build / "tests" / "cpp" / "fuzz_c_api", "1", "1", threads)
    assert re.fullmatch(r"[1-9]\d* sequences, of [1-9]\d* calls\n", said)


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm of binutils")
def test_each_kernel_object_exports_its_table_and_nothing_else(native_build: Path) -> None:
    objects = list(native_build.glob("csrc/CMakeFiles/kernels_*.dir/**/*.o"))
    assert len(objects) == {"x86_64": 4, "aarch64": 4}.get(platform.machine(), 1)
    for path in objects:
        symbols = [line.split() for line in run("nm", "--defined-only", path).splitlines()]
        exported = [name for _, kind, name in symbols if kind not in "tdrb"]
        assert len(exported) == 1, (path, exported)
        assert "table_" in exported[0]
