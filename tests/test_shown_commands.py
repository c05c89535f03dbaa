"""The commands that documents and comments show: those of the package run, on the demo model; the
arguments of the others are looked at. A command that nothing here knows fails."""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import MagicMock, patch

import click
import pytest
from documents import ROOT, Example, examples, markdown, sources

from pygpt2edge.cli import cli

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")

DEMO = ROOT / "pygpt2edge" / "data" / "demo.gguf"
# What is not at hand -> what takes its place; what takes long -> what does not.
STAND_INS = {
    "openai-community/gpt2-xl": "gpt2-f32.gguf",
    "openai-community/gpt2": "gpt2-f32.gguf",
    "CHECKPOINT": "gpt2-f32.gguf",
    "--endless": "--endless -n 40",
    "pygpt2edge convert": "pygpt2edge convert --force --allow-requantize",
    "1558M -c 256": "1558M -c 16",
    "--head 11": "--head 1",
    "--save": "--ignore-eos --save",  # a text that has ended cannot be resumed
}
MODELS = ["gpt2", "gpt2-f32", "gpt2-q4_0", "gpt2-q8_0", "gpt2-xl"]
TEXTS = ["letter.txt", "minutes.txt", "novel.txt", "prompt.txt", "story.txt", "wiki.txt"]
# They measure the machine: their options are looked at, and they have tests of their own.
NOT_RUN = ["bench", "doctor"]
# Of other projects.
OTHERS = ["ct2-transformers-converter", "optimum-cli"]
# Modules that a tool may need and a test run does not have.
HEAVY = ["tensorflow", "tokenizers", "torch", "transformers"]

DOCUMENTS = [path for path in [*markdown(), *sources()] if examples(path)]
EXAMPLES = [example for path in DOCUMENTS for example in examples(path)]


def split(text: str) -> list[list[str]]:
    """The words of each program in a line; what stands after "#" or two spaces is prose.
    Brackets and dots of a usage line are left out, and a virtual environment's folder."""
    text = re.sub(r" {2,}.*", "", text)
    reader = shlex.shlex(text.replace("\\\\n", "\\n"), posix=True, punctuation_chars="|&<>")
    reader.whitespace_split = True
    programs: list[list[str]] = [[]]
    for word in reader:
        if set(word) <= set("|&<>"):
            programs.append([word] if word in "<>" else [])
        elif word.strip("[].") and not (not programs[-1] and re.match(r"[A-Z_0-9]+=", word)):
            programs[-1].append(word.strip("[]").removeprefix(".venv/bin/"))
    return programs


def check_cli(words: list[str]) -> None:
    command: click.Command | None = cli
    if words[0] != "COMMAND" and not words[0].startswith("-"):
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, f"there is no command {words[0]}"
    known = {"-h", "--help"}
    for parameter in command.params if command else []:
        known |= {*parameter.opts, *parameter.secondary_opts}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word not in known]
    assert not unknown, f"{words[0]} has no {' '.join(unknown)}"


class Parsed(Exception):  # noqa: N818
    pass


def parse_and_stop(path: Path, arguments: list[str]) -> None:
    """Runs a tool until it has read its arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser) -> None:
        parse(parser)
        raise Parsed

    assert ".parse_args()" in path.read_text(encoding="utf-8"), f"{path.name} takes no --help"
    missing = {name: MagicMock() for name in HEAVY if find_spec(name) is None}
    sys.modules.update(missing)
    try:
        with (
            patch.object(sys, "argv", [str(path), *arguments]),
            patch.object(sys, "path", [str(path.parent), *sys.path]),
            patch.object(argparse.ArgumentParser, "parse_args", parse_args),
        ):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        for name in [*missing, *(tool.stem for tool in path.parent.glob("*.py"))]:
            sys.modules.pop(name, None)


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert words[1] in ("build", "venv"), words
        return
    path, arguments = ROOT / words[0], words[1:]
    assert path.is_file(), f"{path} does not exist"
    numbers = ["1" if word == "N" else word for word in arguments]
    with pytest.raises(Parsed):
        parse_and_stop(path, numbers)
    if "pygpt2edge" in arguments:
        check_cli(arguments[arguments.index("pygpt2edge") + 1 :])


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def check_pip(words: list[str]) -> None:
    assert words[0] == "install", words
    for word in words[1:]:
        extras = re.fullmatch(r"\.\[(.*)\]?", word)
        for extra in extras[1].split(",") if extras else []:
            assert extra in PROJECT["project"]["optional-dependencies"], extra


def check_cmake(words: list[str]) -> None:
    lists = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in re.findall(r"-D(GPT2EDGE_\w+)", " ".join(words)):
        assert re.search(rf"(option|set)\({name}\b", lists), f"there is no {name}"
    if "--target" in words:
        check_program(words[words.index("--target") + 1])


def check_program(name: str) -> None:
    """A test, a benchmark or a fuzzer in C++."""
    stem = Path(name).name
    sources = [ROOT / folder / f"{stem}.cpp" for folder in ("tests/cpp", "tools")]
    assert any(source.is_file() for source in sources), f"there is no source of {name}"


def check_pytest(words: list[str]) -> None:
    for word in words:
        if word.startswith("tests/"):
            name, *functions = word.split("::")
            assert (ROOT / name).exists(), name
            for function in functions:
                text = (ROOT / name).read_text(encoding="utf-8")
                assert f"def {function.split('[')[0]}(" in text, word
    marker = words[words.index("-m") + 1] if "-m" in words else ""
    for name in set(re.findall(r"\w+", marker)) - {"not", "and", "or"}:
        known = PROJECT["tool"]["pytest"]["ini_options"]["markers"]
        assert any(line.startswith(f"{name}:") for line in known), name


def check_qemu(words: list[str]) -> None:
    check_program(next(word for word in words if word.startswith("build/")))


def check_tool(name: str) -> Callable[[list[str]], None]:
    def check(_: list[str]) -> None:
        assert any(pinned.startswith(f"{name}==") for pinned in
                   PROJECT["project"]["optional-dependencies"]["dev"])  # fmt: skip

    return check


def check_bash(words: list[str]) -> None:
    # A source distribution has no pipeline.
    assert (ROOT / words[0]).is_file() or not (ROOT / ".ci").exists(), words[0]


def fine(_: list[str]) -> None:
    """Nothing to look at."""


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "pygpt2edge": check_cli,
    **dict.fromkeys(["python", "python3"], check_python),
    "pip": check_pip,
    "cmake": check_cmake,
    "pytest": check_pytest,
    "qemu-aarch64": check_qemu,
    "bash": check_bash,
    **{name: check_tool(name) for name in ("ruff", "mypy", "pre-commit")},
    **dict.fromkeys([*OTHERS, "<", ">", "cat", "printf"], fine),
}


def check(example: Example) -> None:
    for words in split(example.text):
        if words[0].startswith("build/"):
            check_program(words[0])
        elif words[0].startswith("tools/"):
            check_python(words)
        else:
            assert words[0] in CHECKS, f"{example.where}: what is {words[0]}?"
            CHECKS[words[0]](words[1:])


def label(example: Example) -> str:
    return f"{example.where}: {example.text[:50]}"


@pytest.mark.parametrize("example", EXAMPLES, ids=label)
def test_arguments_exist(example: Example) -> None:
    check(example)


def runs_here(example: Example) -> bool:
    programs = split(example.text)
    names = {words[0] for words in programs}
    if example.is_mention or "pygpt2edge" not in names or "pip" in names:  # .ci/run installs
        return False
    return all(words[0] != "pygpt2edge" or words[1] not in NOT_RUN for words in programs)


def fill(folder: Path) -> None:
    """The files that the commands read, and the command itself, as an installation has it."""
    for name in MODELS:
        shutil.copy(DEMO, folder / f"{name}.gguf")
    for name in TEXTS:
        (folder / name).write_text("It was the best of times, it was the worst of times.\n" * 9)
    (folder / "words.txt").write_text("stormy night\nbitter end\n")
    for name in ("124M", "1558M"):
        shutil.copytree(ROOT / "tests" / "data" / "convert" / "openai", folder / "models" / name)
    script = folder / ".venv" / "bin" / "pygpt2edge"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pygpt2edge "$@"\n')
    script.chmod(0o755)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if any(map(runs_here, examples(path)))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_commands_of_the_package_run(document: Path, tmp_path: Path) -> None:
    """In their order: what one writes, the next may read."""
    fill(tmp_path)
    environment = os.environ | {
        "PATH": f"{tmp_path / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
    for example in filter(runs_here, examples(document)):
        line = re.sub(r" {2,}.*", "", example.text)
        for name, stand_in in STAND_INS.items():
            line = line.replace(name, stand_in)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_code_blocks_are_of_known_kinds() -> None:
    """Commands stand in console blocks, where this test finds them."""
    for path in markdown():
        opened = re.findall(r"^```(.*)\n(?:.*\n)*?^```$", path.read_text(encoding="utf-8"), re.M)
        assert set(opened) <= {"console", "python", "text"}, path


@pytest.mark.parametrize(
    "text",
    [
        "pygpt2edge generate --no-such-option x",
        "pygpt2edge no-such-command",
        "python tools/no_such_tool.py",
        "python tools/plot_peers.py --no-such-option a b",
        'pip install ".[no-such-extra]"',
        '.venv/bin/pip install ".[no-such-extra]"',
        "python3 -m venv .venv && .venv/bin/pygpt2edge no-such-command",
        "cmake -B build -DGPT2EDGE_NO_SUCH_OPTION=ON",
        "cmake --build build --target no_such_program",
        "build/tests/cpp/no_such_program",
        "pytest tests/no_such_test.py",
        "pytest -m no_such_marker",
        "no-such-program",
    ],
)
def test_wrong_commands_are_found(text: str) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        check(Example("somewhere", text))
