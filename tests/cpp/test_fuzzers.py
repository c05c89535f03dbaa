"""The fuzzers build, and find nothing in a few seconds. Needs Clang and its runtime libraries
(Debian: clang and libclang-rt-dev)."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import gguf
import pytest
import tiny_models
from checkout_build import JOINED_SOURCES

from pygpt2edge import GPT2

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5

pytestmark = pytest.mark.slow


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def configure(folder: Path, compiler: str) -> subprocess.CompletedProcess[str]:
    """With the plain kernels alone, and these not sanitized: they are soon compiled."""
    options = ["-DGPT2EDGE_PYTHON=OFF", "-DGPT2EDGE_FUZZ=ON", "-DGPT2EDGE_WERROR=ON"]
    options += ["-DGPT2EDGE_SANITIZE_KERNELS=OFF", "-DCMAKE_SYSTEM_NAME=Linux"]
    options += ["-DCMAKE_SYSTEM_PROCESSOR=any", f"-DCMAKE_CXX_COMPILER={compiler}"]
    options += [f"-D{name}={value}" for name, value in JOINED_SOURCES.items()]
    return run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *options)


def skip_without_fuzzer(folder: Path) -> None:
    if shutil.which("clang++") is None:
        pytest.skip("needs clang++")
    source = folder / "empty.cpp"
    source.write_text('extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }')
    command = ["clang++", "-fsanitize=fuzzer,address,undefined", source, "-o", folder / "empty"]
    if run(*command).returncode != 0:
        pytest.skip("needs clang's runtime libraries (Debian: libclang-rt-dev)")


def seed(path: Path) -> None:
    """A small sound model: an integer, a float, a string, arrays of both and of strings."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(1)
    writer.add_layer_norm_eps(1e-5)
    writer.add_token_list(["a", "", "bc"])
    writer.add_token_types([1, 1, 3])
    model = tiny_models.TinyModel("seed", n_layer=1, n_head=1, n_embd=32, n_inner=32, n_vocab=4)
    matrix = tiny_models.draw_weights(model)["wte.weight"]
    for type in ("f16", "q8_0", "q4_0"):
        raw = gguf.GGMLQuantizationType[type.upper()]
        writer.add_tensor(f"{type}.weight", tiny_models.blocks(matrix, type), raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    skip_without_fuzzer(folder)
    configured = configure(folder / "build", "clang++")
    assert configured.returncode == 0, configured.stderr
    return folder / "build"


def fuzz(build: Path, name: str, folder: Path, longest: int) -> None:
    """Builds a fuzzer and runs it, from the inputs in `folder`/corpus on."""
    built = run("cmake", "--build", build, "--target", name)
    assert built.returncode == 0, built.stdout
    options = ["-seed=1", f"-max_total_time={SECONDS}", f"-max_len={longest}"]
    options.append(f"-artifact_prefix={folder}/")
    fuzzer = build / "tests" / "cpp" / name
    done = run(fuzzer, *options, folder / "corpus", TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Done [1-9]\d* runs", done.stderr, re.M), done.stderr


def test_gguf_fuzzer_finds_nothing(build: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seed(corpus / "sound.gguf")
    fuzz(build, "fuzz_gguf", tmp_path, 2 * (corpus / "sound.gguf").stat().st_size)


def test_tokenizer_fuzzer_finds_nothing(build: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "text").write_bytes(
        "the new york city we'll\u3000 <|end|> \u00e9".encode() + b"\xe2\x80"
    )
    fuzz(build, "fuzz_tokenizer", tmp_path, 500)


def test_fuzzer_of_compressed_texts_finds_nothing(build: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    data = b"Once upon a time " * 8
    (corpus / "file").write_bytes(GPT2(n_threads=1).compress(data + b"\xff", block_size=50))
    (corpus / "text").write_bytes(b"the new york city \xff \xe2\x80")
    fuzz(build, "fuzz_compressed", tmp_path, 500)


def test_c_api_fuzzer_finds_nothing(build: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for seed in range(20):
        (corpus / str(seed)).write_bytes(random.Random(seed).randbytes(1000))
    fuzz(build, "fuzz_c_api", tmp_path, 2000)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_another_compiler_is_refused(tmp_path: Path) -> None:
    done = configure(tmp_path / "build", "g++")
    assert done.returncode != 0
    assert "GPT2EDGE_FUZZ needs Clang, not GNU" in done.stderr
