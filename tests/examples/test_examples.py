"""The examples are built from the installed library, as users do, and print what Python prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pygpt2edge import GPT2

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROMPT, SEED, MAX_TOKENS = "It is a truth", 7, 30


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=1)


@pytest.fixture
def environment(installed_library: Path) -> dict[str, str]:
    """In which pkg-config, CMake and the loader find the library."""
    (package,) = installed_library.rglob("gpt2edge.pc")
    return os.environ | {
        "PKG_CONFIG_PATH": str(package.parent),
        "LD_LIBRARY_PATH": str(package.parents[1]),
        "GPT2EDGE_LIBRARY": str(package.parents[1] / "libgpt2edge.so"),
        "CMAKE_PREFIX_PATH": str(installed_library),
    }


def test_installed_files_are_those_of_the_page(installed_library: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "embedding.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `((?:include|lib|bin)/\S+)`", page, re.M)
    assert len(listed) == 6
    for name in listed:
        found = list(installed_library.rglob(Path(name).name))
        assert found, name


def copied(language: str, tmp_path: Path) -> Path:
    """The example's folder, where building may leave files."""
    return Path(shutil.copytree(EXAMPLES / language, tmp_path / language))


def shell(line: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-ec", line], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# How each is built, in its folder, and then run.
BUILDS = {
    "c": ("cc", "cc -std=c11 -Wall -Wextra -Werror generate.c "
          "$(pkg-config --cflags --libs gpt2edge) -o generate", ["./generate"]),
    "cpp": ("cmake", "cmake -S . -B build && cmake --build build", ["build/generate"]),
    "rust": ("cargo", "cargo build --release --offline", ["target/release/generate"]),
    "go": ("go", "go build -o generate .", ["./generate"]),
    "node": ("npm", "npm install --no-audit --no-fund", ["node", "generate.mjs"]),
}  # fmt: skip


@pytest.mark.parametrize("language", BUILDS)
def test_text_is_that_of_python(
    language: str, tmp_path: Path, model: GPT2, environment: dict[str, str]
) -> None:
    tool, build, program = BUILDS[language]
    for needed in (tool, "pkg-config"):
        if shutil.which(needed) is None:
            pytest.skip(f"needs {needed}")
    folder = copied(language, tmp_path)
    shell(build, folder, environment)
    expected = model.generate(PROMPT, seed=SEED, max_tokens=MAX_TOKENS).text
    arguments = [str(model.path), PROMPT, str(SEED), str(MAX_TOKENS)]
    done = subprocess.run(
        [*program, *arguments], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.stdout.decode() == expected, done.stderr
    failed = subprocess.run(
        [*program, "none.gguf", *arguments[1:]],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert "none.gguf" in failed.stderr


def test_a_keyboards_suggestions(tmp_path: Path, model: GPT2, environment: dict[str, str]) -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("needs pkg-config")
    folder = copied("c", tmp_path)
    flags = "$(pkg-config --cflags --libs gpt2edge)"
    shell(f"cc -std=c11 -Wall -Wextra -Werror suggest.c {flags} -o suggest", folder, environment)
    done = subprocess.run(
        ["./suggest", model.path], input="How is the wea\nIt is \n",
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = [model.suggest(text) for text in ("How is the wea", "It is ")]
    assert done.stdout.splitlines() == ["\t".join(w.word for w in words) for words in expected]
