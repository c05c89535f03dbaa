"""The examples are built from the installed library, as users do, and write what Python writes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import console_blocks

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


# The first program of each, beside pkg-config.
TOOLS = {"c": "cc", "cpp": "cmake", "rust": "cargo", "go": "go", "node": "npm"}


def commands(language: str) -> list[list[str]]:
    """The blocks of commands that examples/README.md has for a language."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {language}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return list(console_blocks(section))


def built(language: str, tmp_path: Path, environment: dict[str, str]) -> tuple[Path, list[str]]:
    """The folder where an example is built as the page says, and the program that is run there."""
    for needed in (TOOLS[language], "pkg-config"):
        if shutil.which(needed) is None:
            pytest.skip(f"needs {needed}")
    if language == "node" and not reaches_npm(environment):
        pytest.skip("needs the registry of npm")
    folder = copied(language, tmp_path)
    *build, shown = commands(language)[0]
    shell("\n".join(build), folder, environment)
    words = shlex.split(shown)
    return folder, words[: words.index("gpt2.gguf")]


def reaches_npm(environment: dict[str, str]) -> bool:
    command = ["npm", "ping", "--fetch-retries=0"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode == 0


CASES = [(PROMPT, SEED, MAX_TOKENS), ("", 2**64 - 1, 8), ("Ein Schloß «über»", 1, 8)]


@pytest.mark.parametrize("language", TOOLS)
def test_text_is_that_of_python(
    language: str, tmp_path: Path, model: GPT2, environment: dict[str, str]
) -> None:
    folder, program = built(language, tmp_path, environment)

    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        command = [*program, *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=False
        )

    for prompt, seed, max_tokens in CASES:
        done = run(model.path, prompt, seed, max_tokens)
        expected = model.generate(prompt, seed=seed, max_tokens=max_tokens).text
        assert done.stdout.decode() == expected, done.stderr
    failed = run("none.gguf", PROMPT, SEED, MAX_TOKENS)
    assert failed.returncode == 1
    assert b"none.gguf" in failed.stderr
    assert failed.stderr.count(b"\n") == 1


def test_the_library_of_the_python_package(tmp_path: Path, model: GPT2) -> None:
    for needed in ("cc", "cmake"):
        if shutil.which(needed) is None:
            pytest.skip(f"needs {needed}")
    # The page's `python` is the interpreter that has the package.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    expected = model.generate(PROMPT, seed=SEED, max_tokens=MAX_TOKENS).text
    arguments = [model.path, PROMPT, str(SEED), str(MAX_TOKENS)]

    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (cmake,) = re.findall(r"`(cmake .*config.*)`", page)
    for language, build, program in [
        ("c", commands("c")[1][0], "generate"),
        ("cpp", f"{cmake}\ncmake --build build", "build/generate"),
    ]:
        folder = copied(language, tmp_path)
        shell(build, folder, environment)
        assert run_text(folder / program, *arguments) == expected


def run_text(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_a_keyboards_suggestions(tmp_path: Path, model: GPT2, environment: dict[str, str]) -> None:
    folder, _ = built("c", tmp_path, environment)
    done = subprocess.run(
        ["./suggest", model.path], input="How is the wea\nIt is \n",
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = [model.suggest(text) for text in ("How is the wea", "It is ")]
    assert done.stdout.splitlines() == ["\t".join(w.word for w in words) for words in expected]
